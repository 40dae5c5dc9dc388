// What the state of a cluster means for a person (pvecm.md §5.9 A, J): the sentence, the parts of the votes bar, and what is to be done, each with one
// action. Pure.
import type { Overview } from "../../answers/ring.ts";
import type { AsRead } from "../../api/route.ts";
import { nameInText, typedWord } from "./shown.ts";
import { words } from "./words.ts";

export type Mood = "good" | "warn" | "bad" | "calm";

export interface Verdict {
  readonly mood: Mood;
  /** One word: "Quorate". */
  readonly word: string;
  readonly sentence: string;
}

export function verdictOf(overview: Pick<AsRead<Overview>, "quorum" | "nodes">): Verdict {
  const { mode, quorate, flags, totalVotes, quorum: needed, expectedVotes } = overview.quorum;
  if (mode === "standalone")
    return { mood: "calm", word: words.standalone, sentence: words.standaloneSentence };
  const have = words.votesHave(totalVotes, expectedVotes, needed);
  if (quorate) {
    const spare = nodesThatMayFail(overview);
    const sentence = `${words.quorate}: ${have} ${words.mayFail(spare)}`;
    return { mood: spare > 0 ? "good" : "warn", word: words.quorate, sentence };
  }
  const why =
    totalVotes >= needed && flags.includes("WaitForAll")
      ? words.waitsForAll
      : words.votesMissing(Math.max(1, needed - totalVotes));
  return { mood: "bad", word: words.notQuorate, sentence: `${words.notQuorate}: ${have} ${why}` };
}

/** How many more nodes may fail, whichever they are. */
export function nodesThatMayFail({
  quorum,
  nodes,
}: Pick<AsRead<Overview>, "quorum" | "nodes">): number {
  const { members, totalVotes, quorum: needed } = quorum;
  const votes = nodes
    .filter(({ nodeid, votes: each }) => members.includes(nodeid) && each > 0)
    .map(({ nodeid, votes: configured }) => votesInForce(quorum, nodeid) ?? configured)
    .toSorted((a, b) => b - a);
  let left = totalVotes;
  let count = 0;
  // The last one has nobody who could miss it.
  for (const each of votes.slice(0, -1)) {
    left -= each;
    if (left < needed) break;
    count += 1;
  }
  return count;
}

function votesInForce({ voters }: AsRead<Overview>["quorum"], nodeid: number): number | undefined {
  return voters.find((voter) => voter.nodeid === nodeid && voter.state === "member")?.votes;
}

/** votequorum's flag of a node to which its device gives the votes. */
const castsVote = 64;

/** What the arbiter gives to this part: `deviceVotes` alone is what it would give. */
export function deviceVotesHere({ quorum, nodes }: Pick<Overview, "quorum" | "nodes">): number {
  const own = nodes.find(({ isLocal }) => isLocal)?.nodeid;
  const flags = quorum.voters.find(({ nodeid }) => nodeid === own)?.flags ?? 0;
  return (flags & castsVote) === 0 ? 0 : quorum.deviceVotes;
}

export interface VotePart {
  /** For keys; 0: the arbiter. */
  readonly nodeid: number;
  readonly name: string;
  readonly votes: number;
  readonly isPresent: boolean;
}

/** Nodes in the order of corosync.conf, then the arbiter; without what has no vote. */
export function voteParts({ quorum, nodes, device }: Overview): readonly VotePart[] {
  const parts: VotePart[] = nodes.map(({ nodeid, name, votes, isMember }) => ({
    ...{ nodeid, name, isPresent: isMember },
    votes: votesInForce(quorum, nodeid) ?? votes,
  }));
  if (device !== null) {
    const isPresent = deviceVotesHere({ quorum, nodes }) > 0;
    const votes = isPresent ? quorum.deviceVotes : device.votes;
    parts.push({ nodeid: 0, name: words.arbiter, votes, isPresent });
  }
  return parts.filter(({ votes }) => votes > 0);
}

export type Screen =
  | "overview"
  | "nodes"
  | "links"
  | "joining"
  | "remove"
  | "arbiter"
  | "log"
  | "alerts"
  | "configuration"
  | "files"
  | "emergency";

/** What to do about a warning. */
export type Action =
  | { readonly kind: "go"; readonly screen: Screen }
  /** To be typed on a node. */
  | { readonly kind: "type"; readonly command: string }
  | { readonly kind: "none" };

export interface Warning {
  readonly mood: "warn" | "bad";
  readonly text: string;
  readonly action: Action;
}

const certificateDaysMin = 14;

/** The worst first. */
export function warningsOf(overview: Overview): readonly Warning[] {
  const all = [
    ...quorumWarnings(overview),
    ...operationWarnings(overview),
    // A link that is down is among the faults of links, with the way to them.
    ...overview.warnings
      .filter((text) => !/^link \d+ to .* is down: /.test(text))
      .map((text) => warning(text, { kind: "none" })),
    ...nodeWarnings(overview),
    ...linkWarnings(overview),
    ...deviceWarnings(overview),
    ...certificateWarnings(overview),
  ];
  return all.toSorted((a, b) => Number(b.mood === "bad") - Number(a.mood === "bad"));
}

function warning(text: string, action: Action, mood: Warning["mood"] = "warn"): Warning {
  return { mood, text, action };
}

function quorumWarnings({ quorum, tree, node }: Overview): Warning[] {
  if (quorum.mode === "standalone") return [];
  const emergency: Action = { kind: "go", screen: "emergency" };
  if (!quorum.quorate) return [warning(words.warnNoQuorum, emergency, "bad")];
  if (!tree.isWritable)
    return [warning(words.warnTree(nameInText(node), tree.reason), { kind: "go", screen: "log" })];
  return [];
}

function operationWarnings({ operation, leftover }: Overview): Warning[] {
  const found: Warning[] = [];
  if (operation?.isGoingBack === true) {
    const text = words.warnGoingBack(operation.kind);
    found.push(warning(text, { kind: "go", screen: "log" }));
  }
  if (leftover !== null) {
    const left = [leftover.reason, leftover.obstacle, ...leftover.left].filter(
      (each) => each !== "",
    );
    const text = words.warnLeftover(leftover.kind, left.join(" "));
    found.push(warning(text, { kind: "type", command: `cat ${typedWord(leftover.file)}` }, "bad"));
  }
  return found;
}

function nodeWarnings({ nodes, cluster, quorum }: Overview): Warning[] {
  if (quorum.mode === "standalone") return [];
  const go: Action = { kind: "go", screen: "log" };
  const found = nodes.flatMap((node) => {
    const name = nameInText(node.name);
    if (node.fault !== "") return [warning(words.warnNodeFault(name, node.fault), go)];
    if (!node.isMember) return [warning(words.warnAway(name), go)];
    const { configVersion: version } = node;
    if (version === null || version === cluster.configVersion) return [];
    const command = "quorate reload";
    return [
      warning(words.warnVersions(name, version, cluster.configVersion), { kind: "type", command }),
    ];
  });
  return found;
}

function linkWarnings({ links, nodes, quorum }: Overview): Warning[] {
  const faults = new Set(links.flatMap((link) => link.faults));
  const found = [...faults].map((text) => warning(text, { kind: "go", screen: "links" }));
  const isSingle = nodes.every(
    ({ addresses }) => addresses.filter((address) => address !== null).length === 1,
  );
  if (quorum.mode === "cluster" && nodes.length > 1 && isSingle) {
    const pairs = nodes.map(({ name }) => typedWord(`${name}=ADDRESS`)).join(" ");
    const command = `quorate link add 1 ${pairs}`;
    found.push(warning(words.warnOneLink, { kind: "type", command }));
  }
  return found;
}

function deviceWarnings(overview: Overview): Warning[] {
  const { device, fault, quorum } = overview;
  if (quorum.mode === "standalone") return [];
  const look: Action = { kind: "go", screen: "arbiter" };
  if (fault !== "") return [warning(words.warnDevice(fault), look)];
  const voting = votingNodes(overview);
  if (device === null) {
    return voting % 2 === 0 ? [warning(words.warnEven(voting), look)] : [];
  }
  const problem = device.problem || device.warning;
  if (problem !== "") return [warning(words.warnDevice(problem), look)];
  if (device.state !== "Connected") return [warning(words.warnDevice(device.state), look)];
  if (voting % 2 === 0) return [];
  return [warning(words.warnOdd(voting), look)];
}

/** A node that is joining has its vote before corosync.conf says so. */
export function votingNodes({ nodes, quorum }: Pick<Overview, "nodes" | "quorum">): number {
  return nodes.filter(({ nodeid, votes }) => (votesInForce(quorum, nodeid) ?? votes) > 0).length;
}

function certificateWarnings({ certificates }: Overview): Warning[] {
  return certificates
    .filter(({ daysLeft }) => daysLeft < certificateDaysMin)
    .map(({ file, daysLeft }) =>
      warning(
        words.warnCertificate(nameInText(file), daysLeft),
        { kind: "type", command: "pvecm updatecerts --force" },
        daysLeft <= 0 ? "bad" : "warn",
      ),
    );
}
