// What this machine and its cluster-to-be say before a join changes anything (join/preflight.ts decides).
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import type { JoinCheck } from "../../answers/join.ts";
import { type CheckAnswer, ClusterSide, type Wish } from "../../join/cluster-side.ts";
import {
  addressChecks,
  answeredChecks,
  faultChecks,
  machineChecks,
  placeCheck,
  probeChecks,
  quorumCheck,
  skipped,
} from "../../join/join-checks.ts";
import { clusterFault, introductionOf, type JoinFacts, wishOf } from "../../join/join-plan.ts";
import {
  chooseLinks,
  clockNote,
  clockProblem,
  type MachineFacts,
  machineProblems,
  mtuNote,
  type OwnAddress,
  type ProbeOutcome,
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
  parts: Parts,
  known: JoinFacts,
  tell: (text: string) => void,
): Promise<JoinReport> {
  const { fault, problems, hasAddresses, report } = await lookAtJoin(parts, known, tell);
  if (fault !== "") throw new Error(fault);
  // Without addresses there is nothing to force.
  refuse(problems, hasAddresses && known.isForced, tell);
  if (report === undefined) throw new Error("invariant broken: who is refused nothing can join");
  return report;
}

/** All that was looked at, good or bad. */
export interface Looked {
  readonly checks: readonly JoinCheck[];
  /** Why nothing more could be looked at, sentences; "": all was. */
  readonly fault: string;
  readonly problems: readonly Problem[];
  readonly hasAddresses: boolean;
  /** Undefined where there is a fault. */
  readonly report: JoinReport | undefined;
}

type Parts = Pick<NodeParts, "tree" | "options" | "cluster">;

export async function lookAtJoin(
  parts: Parts,
  known: JoinFacts,
  tell: (text: string) => void,
): Promise<Looked> {
  const cluster = new ClusterSide(introductionOf(known));
  const given = wishOf(known);
  const machine = machineFacts(parts);
  tell("check cluster join API version");
  const first = await cluster.check({ ...given, links: new Map() });
  if (!first.ok) {
    const words = clusterFault(first);
    return faulty(words, [...faultChecks(first, words), ...machineChecks(machine)]);
  }
  const { cluster: name, node: member, version, offsetMs } = first.value;
  const choice = chooseLinks(first.value, given.links, machine.addresses);
  for (const note of choice.notes) tell(note);
  const wish: Wish = { ...given, links: choice.links };
  const problems: Problem[] = [...machineProblems(machine), ...choice.problems];
  const clock = clockProblem(offsetMs, member);
  if (clock !== undefined) problems.push(clock);
  const notes = [clockNote(offsetMs, member)];
  const ownVersion = parts.options.version;
  const checks = [
    ...answeredChecks({ cluster: name, member, version, ownVersion, offsetMs }),
    ...machineChecks(machine),
    ...addressChecks(choice),
  ];
  const hasAddresses = choice.problems.length === 0;
  let answer: CheckAnswer = first.value;
  if (hasAddresses && !cluster.isOriginal) {
    const there = await placeAndLinks(cluster, wish, checks);
    if (!there.ok) return faulty(there.fault, checks);
    ({ answer } = there);
    problems.push(...there.outcomes.map(probeProblem).filter((problem) => problem !== undefined));
    notes.push(...there.outcomes.map(mtuNote));
  } else if (!hasAddresses) checks.push(skipped("place"), skipped("link"));
  checks.push(quorumCheck(answer.effect));
  const found = [...notes, ...(answer.notes ?? [])].filter((note) => note !== undefined);
  const report = {
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
  return { checks, fault: "", problems, hasAddresses, report };
}

function faulty(fault: string, checks: readonly JoinCheck[]): Looked {
  return { checks, fault, problems: [], hasAddresses: false, report: undefined };
}

type There =
  | {
      readonly ok: true;
      readonly answer: CheckAnswer;
      readonly outcomes: readonly ProbeOutcome[];
    }
  | { readonly ok: false; readonly fault: string };

/** Whether the cluster has a place for this node at these addresses, and packets pass. Adds to `checks`. */
async function placeAndLinks(
  cluster: ClusterSide,
  wish: Wish,
  checks: JoinCheck[],
): Promise<There> {
  const answer = await cluster.check(wish);
  const fault = answer.ok ? placeFault(answer.value) : clusterFault(answer);
  checks.push(placeCheck(wish.node, fault));
  if (!answer.ok || fault !== "") {
    checks.push(skipped("link"));
    return { ok: false, fault };
  }
  const offer = await cluster.probe(wish);
  if (!offer.ok) {
    const words = clusterFault(offer);
    checks.push(placeCheck(wish.node, words));
    return { ok: false, fault: words };
  }
  const port = (link: number) =>
    answer.value.links.find(({ number }) => number === link)?.port ?? 5405 + link;
  const outcomes = await probeLinks(offer.value, wish.links, port);
  checks.push(...probeChecks(outcomes));
  return { ok: true, answer: answer.value, outcomes };
}

function placeFault({ fault: message, errors = {} }: CheckAnswer): string {
  if (message === undefined) return "";
  return clusterFault({ ok: false, kind: "refused", reason: message, message, errors });
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

function machineFacts({ tree, options, cluster }: Parts): MachineFacts {
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
