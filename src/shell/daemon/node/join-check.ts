// What this machine and its cluster-to-be say before a join changes anything (join/preflight.ts decides).
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { type CheckAnswer, ClusterSide, type Wish } from "../../join/cluster-side.ts";
import { clusterFault, introductionOf, type JoinFacts, wishOf } from "../../join/join-plan.ts";
import {
  chooseLinks,
  clockNote,
  clockProblem,
  type MachineFacts,
  machineProblems,
  mtuNote,
  type OwnAddress,
  type Problem,
  probeProblem,
} from "../../join/preflight.ts";
import { probeLinks } from "../../join/probe-client.ts";
import type { NodeParts } from "./parts.ts";

/** What was found, before anything is changed. */
export interface JoinReport {
  /** With addresses of all links, and the cluster's name. */
  readonly facts: JoinFacts;
  readonly effect: string;
  readonly notes: readonly string[];
  /** corosync.conf of the cluster; undefined: the member does not say. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Throws an Error with all that is in the way, each with its remedy. */
export async function checkJoin(
  parts: Pick<NodeParts, "tree" | "options" | "cluster">,
  known: JoinFacts,
  tell: (text: string) => void,
): Promise<JoinReport> {
  const cluster = new ClusterSide(introductionOf(known));
  const given = wishOf(known);
  tell("check cluster join API version");
  const first = await cluster.check({ ...given, links: new Map() });
  if (!first.ok) throw new Error(clusterFault(first));
  const machine = machineFacts(parts);
  const choice = chooseLinks(first.value, given.links, machine.addresses);
  for (const note of choice.notes) tell(note);
  const wish: Wish = { ...given, links: choice.links };
  const problems: Problem[] = [...machineProblems(machine), ...choice.problems];
  const clock = clockProblem(first.value.offsetMs, first.value.node);
  if (clock !== undefined) problems.push(clock);
  const notes = [clockNote(first.value.offsetMs, first.value.node)];
  let answer: CheckAnswer = first.value;
  if (choice.problems.length === 0 && !cluster.isOriginal) {
    const second = await cluster.check(wish);
    if (!second.ok) throw new Error(clusterFault(second));
    answer = second.value;
    if (answer.fault !== undefined) {
      const { fault: message, errors = {} } = answer;
      throw new Error(
        clusterFault({ ok: false, kind: "refused", reason: message, message, errors }),
      );
    }
    const probed = await probe(cluster, wish, answer);
    problems.push(...probed.problems);
    notes.push(...probed.notes);
  }
  // Without addresses there is nothing to force.
  refuse(problems, choice.problems.length === 0 && known.isForced, tell);
  const found = [...notes, ...(answer.notes ?? [])].filter((note) => note !== undefined);
  return {
    facts: {
      ...known,
      cluster: answer.cluster,
      isOriginal: cluster.isOriginal,
      links: Object.fromEntries(choice.links),
    },
    effect: answer.effect,
    notes: found,
    before: answer.before,
    after: answer.after,
  };
}

async function probe(
  cluster: ClusterSide,
  wish: Wish,
  answer: CheckAnswer,
): Promise<{ readonly problems: readonly Problem[]; readonly notes: readonly string[] }> {
  const offer = await cluster.probe(wish);
  if (!offer.ok) throw new Error(clusterFault(offer));
  const port = (link: number) =>
    answer.links.find(({ number }) => number === link)?.port ?? 5405 + link;
  const outcomes = await probeLinks(offer.value, wish.links, port);
  return {
    problems: outcomes.map(probeProblem).filter((problem) => problem !== undefined),
    notes: outcomes.map(mtuNote).filter((note) => note !== undefined),
  };
}

/** As the original's tool words it (pvecm.md §1.2), with what to do. A task's end is one line, so each problem is a sentence. */
function refuse(
  problems: readonly Problem[],
  isForced: boolean,
  tell: (text: string) => void,
): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ text, remedy }) => `* ${text}: ${remedy}.`);
  const text = ["detected the following error(s):", ...lines].join("\n");
  if (!isForced) throw new Error(`${text}\nCheck if node may join a cluster failed!`);
  tell(`${text}\nWARNING : detected error but forced to continue!`);
}

function machineFacts({
  tree,
  options,
  cluster,
}: Pick<NodeParts, "tree" | "options" | "cluster">): MachineFacts {
  const { paths } = options;
  const stored = tree.stat(corosyncConfPath);
  return {
    node: cluster.settings.name,
    authkey: { path: paths.authkey, isThere: existsSync(paths.authkey) },
    conf: { path: paths.conf, isThere: stored.ok || existsSync(paths.conf) },
    guests: guestsOf(tree),
    others: paths.root === "/" ? runningOthers() : [],
    addresses: ownAddresses(),
  };
}

function guestsOf(tree: NodeParts["tree"]): readonly string[] {
  const read = tree.read(".vmlist");
  if (!read.ok) return [];
  const list: unknown = JSON.parse(new TextDecoder().decode(read.value));
  const ids = typeof list === "object" && list !== null && "ids" in list ? list.ids : {};
  return typeof ids === "object" && ids !== null ? Object.keys(ids) : [];
}

function runningOthers(): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
        return name === "corosync" || name === "pmxcfs" ? [`${name} (process ${pid})`] : [];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

/** Those of real interfaces; of a machine that has none, the loopback's. */
function ownAddresses(): readonly OwnAddress[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
    (entries ?? []).map((entry) => ({ name, ...entry })),
  );
  const own = all.filter(({ address }) => !address.startsWith("fe80:"));
  const real = own.filter(({ internal }) => !internal);
  return (real.length > 0 ? real : own).map(({ name, address, cidr }) => ({
    interface: name,
    address,
    cidr: cidr ?? `${address}/32`,
  }));
}
