// The join of this node as a plan (pvecm.md §3.3, §3.4): look, reserve, change over, wait until the cluster has confirmed, finish. The commit
// is the cluster's: the votes that it gives the node. So whoever goes back asks the cluster first; one that cannot be asked may have
// confirmed only a node that was in its ring, and only such a node goes on waiting for the answer.
import * as v from "valibot";
import type { Plan, Step, StepContext } from "../operation/plan.ts";
import { NotRepeatable } from "../operation/plan.ts";
import type { Remote, RemoteFault } from "../remote/remote-answer.ts";
import type { ChangeoverState } from "./changeover-state.ts";
import type { Grant, Introduction, StateAnswer, Wish } from "./cluster-side.ts";

const hex = v.pipe(v.string(), v.maxLength(128));
const text = v.pipe(v.string(), v.maxLength(8192));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const facts = v.object({
  cluster: text,
  hosts: v.array(text),
  port: v.optional(count),
  trust: v.object({ kind: v.picklist(["certificate", "authority"]), fingerprint: hex }),
  /** Of a login; it is good for two hours. */
  session: v.optional(v.object({ ticket: text, csrf: text })),
  token: v.optional(hex),
  isOriginal: v.boolean(),
  node: text,
  nodeid: v.optional(count),
  votes: count,
  isForced: v.boolean(),
  links: v.record(text, text),
  /** Of this node: with it it may ask for its place, and give it back. */
  secret: hex,
  /** Unix seconds; in the names of what is kept. */
  stamp: count,
  place: v.optional(
    v.object({
      /** base64 */
      conf: v.string(),
      key: v.string(),
      nodeid: count,
      /** Unix milliseconds: until then it must be a member. */
      endsAtMs: count,
    }),
  ),
});
export type JoinFacts = v.InferOutput<typeof facts>;

/** How far this node is, as a member of the cluster's ring. */
export interface JoinProgress {
  /** Other nodes have been in its ring since this process began. */
  readonly hasMet: boolean;
  readonly isQuorate: boolean;
  readonly isSynced: boolean;
  /** The tree is the cluster's, and this node is a member in its corosync.conf, with the votes that it was to get. */
  readonly isConfirmed: boolean;
}

export interface JoinPorts {
  /** Looks at this machine and the cluster, and answers what is known then; rejects with all that is in the way. */
  readonly check: (facts: JoinFacts, tell: (text: string) => void) => Promise<JoinFacts>;
  readonly cluster: {
    readonly reserve: (facts: JoinFacts) => Promise<Remote<Grant>>;
    readonly cancel: (facts: JoinFacts) => Promise<Remote<StateAnswer>>;
  };
  /** Of this node's files. */
  readonly changeover: {
    readonly state: () => Promise<ChangeoverState>;
    readonly order: (identity: {
      readonly conf: string;
      readonly key: string;
      readonly nodeid: number;
      readonly stamp: number;
    }) => Promise<void>;
    readonly orderBack: (reason: string) => Promise<void>;
    readonly settle: () => Promise<void>;
    readonly backup: () => Promise<string>;
  };
  /** Begins the node anew. Never resolves on a real node: the next process goes on with the step. */
  readonly restart: (reason: string) => Promise<void>;
  /** This process is about to end: nothing may be decided any more. */
  readonly isEnding: () => Promise<boolean>;
  readonly progress: (facts: JoinFacts) => Promise<JoinProgress>;
  /** Resolves after `waitMs`, or sooner when something of the progress may have changed. */
  readonly changed: (waitMs: number, signal: AbortSignal) => Promise<void>;
  /** What a member has of its own in the tree: its directories and certificate. */
  readonly finish: (facts: JoinFacts) => Promise<void>;
  readonly wallMs: () => Promise<number>;
}

/** Between two looks, and between two questions of a joiner that waits for its turn. */
const lookMs = 1000;
const queueMs = 2000;
/** Between two questions to a cluster that does not answer whether it has confirmed this node. */
const askMs = 5000;
/** How often a person is told that it still waits. */
const tellMs = 30_000;
/** The cluster gives a node in its ring some minutes more. */
const marginMs = 5000;

type JoinStep = Step<JoinFacts, JoinPorts>;

const check: JoinStep = {
  name: "check",
  text: () => "check this node, the cluster and the links between them",
  run: (known, ports, { tell }) => ports.check(known, tell),
};

const reserve: JoinStep = {
  name: "reserve",
  text: () => "Request addition of this node",
  run: async (known, ports, { signal, tell }) => {
    if (known.place !== undefined) return known;
    let told = "";
    for (;;) {
      const answer = await ports.cluster.reserve(known);
      if (answer.ok) {
        const { conf, key, nodeid, leftS, notes } = answer.value;
        for (const note of notes) tell(`cluster: ${note}`);
        tell("Join request OK, finishing setup locally");
        const endsAtMs = (await ports.wallMs()) + leftS * 1000;
        return { ...known, place: { conf, key, nodeid, endsAtMs } };
      }
      if (answer.kind !== "refused" || answer.status !== 503) throw new Error(clusterFault(answer));
      const reason = answer.message ?? answer.reason;
      if (reason !== told) tell(`waiting: ${reason}`);
      told = reason;
      signal.throwIfAborted();
      await ports.changed(queueMs, signal);
    }
  },
  undo: async (known, ports, { tell }) => {
    const answer = await ports.cluster.cancel(known);
    if (!answer.ok) {
      if (known.isOriginal && known.place !== undefined) {
        throw new NotRepeatable(`the cluster could not be told: ${answer.reason}`);
      }
      return tell(
        `the cluster could not be told (${answer.reason}); it removes the place of this node itself, after five minutes`,
      );
    }
    if (answer.value.state === "confirmed" && known.place !== undefined) {
      throw new NotRepeatable(`the cluster has confirmed node '${known.node}' meanwhile`);
    }
  },
  byHand: ({ node }) => `on a member of the cluster: pvecm delnode ${node}`,
};

const changeover: JoinStep = {
  name: "changeover",
  text: ({ cluster }) =>
    // The name may be known only when it comes to this.
    `become a member of the cluster${cluster === "" ? "" : ` '${cluster}'`}: key, corosync.conf and a new database, the old one as a backup`,
  run: async (known, ports) => {
    for (;;) {
      const state = await ports.changeover.state();
      if (state.kind === "onTrial") return;
      if (state.kind === "back") throw new Error(state.reason);
      if (state.kind === "none") {
        const { place, stamp } = known;
        if (place === undefined) throw new Error("there is no place for this node");
        const { conf, key, nodeid } = place;
        await ports.changeover.order({ conf, key, nodeid, stamp });
      }
      await ports.restart("joining a cluster");
    }
  },
  undo: async (known, ports, { tell }) => {
    for (;;) {
      const state = await ports.changeover.state();
      if (state.kind === "none") return;
      // Ordered: nothing was touched, this process runs on the old files.
      if (state.kind === "ordered") return ports.changeover.settle();
      if (state.kind === "back" && state.isDone) {
        tell("this node is standalone again, with its old tree");
        return ports.changeover.settle();
      }
      if (state.kind === "onTrial") {
        await ports.changeover.orderBack(`the join of '${known.cluster}' is undone`);
      }
      await ports.restart("the join is undone");
    }
  },
  byHand: () => "start the node again: it becomes standalone by itself",
};

const wait: JoinStep = {
  name: "wait",
  text: () => "waiting for quorum...",
  commits: true,
  run: async (known, ports, context) => {
    const watch: Watch = { hasMet: context.isRepeated, toldAtMs: undefined };
    for (;;) {
      try {
        if (await look(known, ports, context, watch)) return context.tell("OK");
      } catch (error) {
        // Whatever else fails says nothing of what the cluster has decided.
        if (error instanceof GivenUp) throw error;
        await ports.changed(lookMs, neverAborted).catch(() => undefined);
      }
    }
  },
};

interface Watch {
  hasMet: boolean;
  /** When a person was told last that it waits. */
  toldAtMs: number | undefined;
}

/** Nobody has confirmed this node, and nobody will. */
class GivenUp extends Error {}

/** Looks once, then waits for a moment. True: it is confirmed. */
async function look(
  known: JoinFacts,
  ports: JoinPorts,
  { signal, tell }: StepContext,
  watch: Watch,
): Promise<boolean> {
  const progress = await ports.progress(known);
  watch.hasMet ||= progress.hasMet;
  if (progress.isConfirmed) return true;
  const now = await ports.wallMs();
  const isOver = now >= (known.place?.endsAtMs ?? now) - marginMs || signal.aborted;
  if (isOver) {
    if (await ports.isEnding()) throw new GivenUp("this node's daemon ends");
    if (await mayGiveUp(known, ports, watch.hasMet))
      throw new GivenUp(giveUpReason(progress, known));
  }
  watch.toldAtMs ??= now;
  if (now - watch.toldAtMs >= tellMs) {
    watch.toldAtMs = now;
    tell(`still waiting: ${missing(progress)}`);
  }
  await ports.changed(isOver ? askMs : lookMs, isOver ? neverAborted : signal);
  return false;
}

const neverAborted = new AbortController().signal;

/** Nobody may have confirmed a node that goes back. */
async function mayGiveUp(known: JoinFacts, ports: JoinPorts, hasMet: boolean): Promise<boolean> {
  // An original has given it its votes at once, and takes them back at any time.
  if (known.isOriginal) return true;
  const answer = await ports.cluster.cancel(known);
  // Who was never in a ring with others cannot have been confirmed by them.
  return answer.ok ? answer.value.state !== "confirmed" : !hasMet;
}

function missing({ hasMet, isQuorate, isSynced }: JoinProgress): string {
  if (!hasMet) return "no packet of the other nodes has brought this one into their ring";
  if (!isQuorate) return "the ring has no quorum";
  return isSynced
    ? "the cluster has not confirmed this node yet"
    : "the tree is still being received";
}

function giveUpReason(progress: JoinProgress, { cluster }: JoinFacts): string {
  const next = progress.hasMet
    ? "see the log of this node and of the members"
    : "see that UDP ports 5405 to 5412 are open both ways between this node and every member";
  return `this node did not become a member of '${cluster}' in its time: ${missing(progress)}; ${next}`;
}

const finish: JoinStep = {
  name: "finish",
  text: () => "(re)generate node files",
  run: async (known, ports, { tell }) => {
    const backup = await ports.changeover.backup();
    await ports.changeover.settle();
    await ports.finish(known);
    if (backup !== "") tell(`the tree of before is kept in '${backup}'`);
    tell(`successfully added node '${known.node}' to cluster.`);
  },
};

export const joinPlan: Plan<JoinFacts, JoinPorts> = {
  kind: "join",
  facts,
  timeMsMax: 30 * 60_000,
  steps: [check, reserve, changeover, wait, finish],
};

export function introductionOf({ hosts, port, trust, session, token }: JoinFacts): Introduction {
  return { hosts, port, trust, session, token };
}

export function wishOf({ node, nodeid, votes, isForced, links }: JoinFacts): Wish {
  const addresses = Object.entries(links).map(
    ([link, address]) => [Number(link), address] as const,
  );
  return { node, nodeid, votes, isForced, links: new Map(addresses) };
}

/** As on the original's terminal (pvecm.md §3.5). */
export function clusterFault(fault: RemoteFault): string {
  const { errors = {}, message, kind } = fault;
  if (kind !== "refused" || message === undefined) return fault.reason;
  const lines = Object.entries(errors).map(
    ([name, words]) => `${name.startsWith("warning") ? "*" : "!"} ${words}`,
  );
  if (lines.length === 0) return message;
  return [
    `An error occurred on the cluster node: ${message}`,
    ...lines,
    "Cluster join aborted!",
  ].join("\n");
}
