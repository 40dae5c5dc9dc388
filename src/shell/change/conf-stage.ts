// A change of corosync.conf in stages over all nodes: each is written under the cluster's lock, then waited for until the ring runs with it as
// it should; what does not come about in its time goes back to the text of before. A stage may be repeated and undone from anywhere.
import * as v from "valibot";
import { withVersionAfter } from "../conf/device.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";
import { CommandFailure } from "../exit.ts";
import type { Plan, Step, StepContext } from "../operation/plan.ts";
import { type ChangePorts, type ClusterView, turnMs } from "./ports.ts";

/** From the write until all members run with it: their reload comes a second later, a link needs some heartbeats, a ring its time. */
const formsMsMax = 45_000;
export const treeConfPath = "/etc/pve/corosync.conf";

const stageSchema = v.object({
  /** In the imperative: "add link 1 to all nodes". */
  title: v.string(),
  /** The whole file; its config_version is raised when it is written. */
  after: v.string(),
  /** Links over which every member must be reached in the end. */
  links: v.array(v.number()),
});
export type Stage = v.InferOutput<typeof stageSchema>;

const stagedSchema = v.object({
  /** corosync.conf when the change was planned. */
  before: v.string(),
  stages: v.array(stageSchema),
  /** nodeids that must be in the ring after every stage. */
  members: v.array(v.number()),
  /** For the cluster log: "user root@pam added link 1". */
  log: v.string(),
});
export type Staged = v.InferOutput<typeof stagedSchema>;

/** A plan of `count` stages; the last one commits it. `kind` stands in records: one for each count. */
export function stagedPlan(kind: string, count: number): Plan<Staged, ChangePorts> {
  const steps = Array.from({ length: count }, (_, index) => stageStep(index, index === count - 1));
  const noted: Step<Staged, ChangePorts> = {
    name: "log",
    text: () => "note it in the cluster log",
    run: async ({ log }, { cluster }) => cluster.log(log),
  };
  return { kind, facts: stagedSchema, timeMsMax: 60_000 * (count + 2), steps: [...steps, noted] };
}

function stageStep(index: number, isLast: boolean): Step<Staged, ChangePorts> {
  const stage = ({ stages }: Staged): Stage => stages[index] ?? { title: "", after: "", links: [] };
  const from = ({ before, stages }: Staged): string => stages[index - 1]?.after ?? before;
  return {
    name: `stage-${index + 1}`,
    text: (facts) => stage(facts).title,
    run: async (facts, ports, context) => {
      const { after, links } = stage(facts);
      await moveConf(ports, from(facts), after, context);
      await untilForm(ports, after, { members: facts.members, links }, context);
    },
    undo: async (facts, ports, context) => {
      await moveConfBack(ports, from(facts), stage(facts).after, context);
    },
    byHand: (facts) =>
      `look whether ${treeConfPath} is as it should be: the change "${stage(facts).title}" could neither be completed nor taken back`,
    changes: (facts) => [{ path: treeConfPath, before: from(facts), after: stage(facts).after }],
    ...(isLast ? { commits: true } : {}),
  };
}

/**
 * Puts `to` in the place of `from`; nothing when it is there already. Rejects when the file is neither: somebody else changed it; and when `isLate`,
 * so that what was interrupted is not done to a cluster that has gone on for days without this node.
 */
export async function moveConf(
  { cluster }: ChangePorts,
  from: string,
  to: string,
  { isLate, isRepeated }: Pick<StepContext, "isLate" | "isRepeated">,
): Promise<void> {
  // Needs no lock, which a killed daemon may have left behind.
  if (isSame(await cluster.conf(), to)) return;
  await cluster.locked(isRepeated, async () => {
    const current = await cluster.conf();
    if (isSame(current, to)) return;
    if (!isSame(current, from)) {
      throw new CommandFailure(
        "corosync.conf was changed by somebody else meanwhile: look at it, then start again",
      );
    }
    if (isLate) throw new CommandFailure("it was interrupted, and its time is over");
    await cluster.putConf(textAfter(to, current));
  });
}

/** Puts `from` back where `to` is; a file that somebody else has changed is left. Waits for it, but does not insist. */
export async function moveConfBack(
  ports: ChangePorts,
  from: string,
  to: string,
  context: StepContext,
): Promise<void> {
  const { cluster } = ports;
  let isForeign = false;
  await cluster.locked(true, async () => {
    const current = await cluster.conf();
    isForeign = !isSame(current, from) && !isSame(current, to);
    if (isForeign || isSame(current, from)) return;
    await cluster.putConf(textAfter(from, current));
  });
  if (isForeign) {
    context.tell("corosync.conf was changed by somebody else meanwhile: it is left as it is");
    return;
  }
  const problem = await waitForForm(ports, from, { members: [], links: [] }, context.signal);
  if (problem !== "") context.tell(problem);
}

/** What the ring must look like. */
export interface Form {
  readonly members: readonly number[];
  readonly links: readonly number[];
}

/** Rejects with what is missing when the time is over, or at once when this node refuses the file. */
export async function untilForm(
  ports: ChangePorts,
  text: string,
  form: Form,
  { signal }: StepContext,
): Promise<void> {
  const problem = await waitForForm(ports, text, form, signal);
  if (problem !== "") throw new CommandFailure(problem);
}

async function waitForForm(
  { cluster }: ChangePorts,
  text: string,
  form: Form,
  signal: AbortSignal,
): Promise<string> {
  const version = versionOf(await cluster.conf());
  for (let turns = Math.ceil(formsMsMax / turnMs); ; turns -= 1) {
    const view = await cluster.view();
    const problem = formProblem(view, text, form, version);
    const isRefused = view.refusal !== "" && view.configVersion < version;
    if (problem === "" || isRefused || turns === 0) return problem;
    await cluster.turn(signal);
    signal.throwIfAborted();
  }
}

/** What is missing, a sentence; "" when the ring is as it should be. */
export function formProblem(
  view: ClusterView,
  text: string,
  { members, links }: Form,
  version: number,
): string {
  if (view.configVersion < version) {
    return view.refusal === ""
      ? `this node does not run with the new corosync.conf (version ${version}): see its log`
      : `this node refuses the new corosync.conf: ${view.refusal}`;
  }
  const read = readClusterConf(text);
  const nodes = read.ok ? read.value.nodes : [];
  const nameOf = (nodeid: number): string =>
    nodes.find((node) => node.nodeid === nodeid)?.name ?? `node ${nodeid}`;
  const missing = members.filter((nodeid) => !view.members.includes(nodeid));
  if (missing.length > 0) {
    return `with the new corosync.conf ${missing.map(nameOf).join(", ")} is not in the ring`;
  }
  for (const link of links) {
    for (const nodeid of members) {
      if (nodeid === view.self) continue;
      const found = view.links.find((each) => each.nodeid === nodeid && each.link === link);
      if (found?.isConnected === true) continue;
      const address = found?.remoteAddress ?? "";
      return `link ${link} to ${nameOf(nodeid)}${address === "" ? "" : ` (${address})`} does not come up: is the address on an interface of that node, and is UDP port ${5405 + link} open both ways?`;
    }
  }
  return members.length > 0 && !view.quorate ? "the cluster is not quorate with it" : "";
}

/** config_version does not count. */
export function isSame(a: string, b: string): boolean {
  const bare = (text: string): string =>
    text.replace(/config_version\s*:\s*\d+/, "config_version:");
  return bare(a) === bare(b);
}

function textAfter(text: string, current: string): string {
  const edit = withVersionAfter(text, current);
  if (!edit.ok) throw new CommandFailure(edit.reason);
  return edit.value.text;
}

function versionOf(text: string): number {
  const read = readClusterConf(text);
  return read.ok ? read.value.version : 0;
}
