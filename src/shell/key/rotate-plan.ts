// Another key for the ring, on all nodes (pvecm.md §3.6): who was removed still has the former one. It goes through the tree to every node's
// disk, then all read it at the same moment; the ring opens both for as long as that takes (reload). What fails goes back the same way.
import * as v from "valibot";
import { checkAllOnline, membersOf, situation } from "../change/situation.ts";
import { type ChangePorts, type ClusterView, turnMs } from "../change/ports.ts";
import { CommandFailure } from "../exit.ts";
import type { Plan, StepContext } from "../operation/plan.ts";
import { keyHash, type ToldKeys } from "./key-record.ts";

const base64 = v.pipe(v.string(), v.base64());
const schema = v.object({
  oldKey: base64,
  /** Absent until it is chosen. */
  newKey: v.optional(base64),
  /** Who must have it, all of the nodelist. */
  members: v.array(v.object({ nodeid: v.number(), name: v.string() })),
  log: v.string(),
});
export type RotateFacts = v.InferOutput<typeof schema>;

export interface RotatePorts {
  readonly cluster: Pick<ChangePorts["cluster"], "view" | "turn" | "log">;
  /** Keys in base64. */
  readonly key: {
    random(): Promise<string>;
    /** What the nodes say of their keys; who says nothing is missing. */
    told(): Promise<ReadonlyMap<number, ToldKeys>>;
    /** Each node writes it to its disk. */
    offer(key: string): Promise<void>;
    withdraw(): Promise<void>;
    /** All nodes of the ring read the key on their disks. */
    reload(): Promise<void>;
  };
}

/** For a turn of the tree and a write, or a reload, on every node. */
const waitMsMax = 30_000;
const byHand =
  "look whether /etc/corosync/authkey is the same on all nodes (sha256sum); where it is not, copy it from a node that is in the ring, and start that node again";

export const rotateKeyPlan: Plan<RotateFacts, RotatePorts> = {
  kind: "rotate-key",
  facts: schema,
  timeMsMax: 180_000,
  steps: [
    {
      name: "choose",
      text: () => "make a new key",
      run: async (facts, { key }) => ({ ...facts, newKey: await key.random() }),
    },
    {
      name: "spread",
      text: ({ members }) =>
        `put it on the disks of ${members.map(({ name }) => name).join(", ")} as /etc/corosync/authkey; the former one is kept beside it`,
      run: async (facts, ports, { signal }) => {
        await spread(facts, ports, keyOf(facts), signal);
      },
      undo: async (facts, ports, context) => {
        if (!(await isOurs(facts, ports, context))) return;
        await spread(await present(facts, ports, context), ports, facts.oldKey, context.signal);
        await ports.key.withdraw();
      },
      byHand: () => byHand,
    },
    {
      name: "use",
      text: () => "have all nodes use it at the same moment",
      commits: true,
      run: async (facts, ports, { signal, isLate }) => {
        const missing = await notRunning(facts, ports, keyOf(facts));
        if (missing.length > 0 && isLate === true) {
          throw new CommandFailure("it was interrupted, and its time is over");
        }
        await use(facts, ports, keyOf(facts), signal);
      },
      undo: async (facts, ports, context) => {
        if (!(await isOurs(facts, ports, context))) return;
        const known = await present(facts, ports, context);
        await spread(known, ports, facts.oldKey, context.signal);
        await use(known, ports, facts.oldKey, context.signal);
      },
      byHand: () => byHand,
    },
    {
      name: "withdraw",
      text: () => "take it out of the tree again",
      run: async (_facts, { key }) => key.withdraw(),
      byHand: () => "remove /etc/pve/priv/quorate/next-key: it holds the ring's key",
    },
    {
      name: "log",
      text: () => "note it in the cluster log",
      run: async ({ log }, { cluster }) => cluster.log(log),
    },
  ],
};

function keyOf({ newKey }: RotateFacts): string {
  if (newKey === undefined) throw new Error("invariant broken: the key is chosen first");
  return newKey;
}

const hashOf = (key: string): string => keyHash(Uint8Array.fromBase64(key));

/** Puts the key on the disks of all, and waits until they say so. */
async function spread(
  facts: RotateFacts,
  ports: RotatePorts,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  await ports.key.offer(key);
  await until(ports, signal, async () => {
    const told = await ports.key.told();
    const without = facts.members.filter(({ nodeid }) => told.get(nodeid)?.disk !== hashOf(key));
    return without.length === 0
      ? ""
      : `${namesOf(without)} has not taken the key: look into the log there, and whether its disk can be written`;
  });
}

/** Has all read it, and waits until they run with it in one ring. */
async function use(
  facts: RotateFacts,
  ports: RotatePorts,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await notRunning(facts, ports, key)).length > 0) await ports.key.reload();
  await until(ports, signal, async () => {
    const without = await notRunning(facts, ports, key);
    const view = await ports.cluster.view();
    const away = facts.members.filter(({ nodeid }) => !view.members.includes(nodeid));
    if (away.length > 0) return `${namesOf(away)} is not in the ring with the key`;
    return without.length === 0
      ? ""
      : `${namesOf(without)} does not use the key: see the log there`;
  });
}

async function notRunning({ members }: RotateFacts, { key }: RotatePorts, wanted: string) {
  const told = await key.told();
  return members.filter(({ nodeid }) => told.get(nodeid)?.running !== hashOf(wanted));
}

/** What was interrupted may be taken back days later, when the key is another one for long. */
async function isOurs(
  { oldKey, newKey = oldKey }: RotateFacts,
  { cluster, key }: RotatePorts,
  { tell }: StepContext,
): Promise<boolean> {
  const { self } = await cluster.view();
  const running = (await key.told()).get(self)?.running ?? "";
  if ([hashOf(oldKey), hashOf(newKey)].includes(running)) return true;
  tell("the cluster has another key by now: it is left as it is");
  return false;
}

/** Who is away cannot be given the former key: it is named for who looks after it. */
async function present(
  facts: RotateFacts,
  { cluster }: RotatePorts,
  { tell }: StepContext,
): Promise<RotateFacts> {
  const { members: inRing } = await cluster.view();
  const isAway = ({ nodeid }: { readonly nodeid: number }): boolean => !inRing.includes(nodeid);
  const away = facts.members.filter(isAway);
  if (away.length > 0) {
    tell(
      `${namesOf(away)} is away: if it does not come back, copy /etc/corosync/authkey of a member to it`,
    );
  }
  return { ...facts, members: facts.members.filter((member) => !isAway(member)) };
}

/** Rejects with what is missing when the time is over. */
async function until(
  { cluster }: RotatePorts,
  signal: AbortSignal,
  problemOf: () => Promise<string>,
): Promise<void> {
  for (let turns = Math.ceil(waitMsMax / turnMs); ; turns -= 1) {
    const problem = await problemOf();
    if (problem === "") return;
    if (turns === 0) throw new CommandFailure(problem);
    signal.throwIfAborted();
    await cluster.turn(signal);
  }
}

function namesOf(members: RotateFacts["members"]): string {
  return members.map(({ name }) => name).join(", ");
}

export interface RotateSurroundings {
  /** base64; undefined: there is none, or it lies where corosync.conf says. */
  readonly oldKey: string | undefined;
  /** A node is on its way into the cluster, with the key of now. */
  readonly isJoining: boolean;
  readonly told: ReadonlyMap<number, ToldKeys>;
}

/** Rejects with why the key cannot be changed now. */
export async function planRotate(
  ports: ChangePorts,
  { oldKey, isJoining, told }: RotateSurroundings,
  user: string,
): Promise<{ readonly facts: RotateFacts; readonly notes: readonly string[] }> {
  const now = await situation(ports);
  checkAllOnline(now);
  if (oldKey === undefined) {
    throw new CommandFailure(
      "this cluster uses no key of /etc/corosync/authkey: corosync.conf has no encryption, or names another key",
    );
  }
  if (isJoining) {
    throw new CommandFailure(
      "a node is joining with the key of now: try again when it is a member",
    );
  }
  checkTold(now.view, now.conf.nodes, told, hashOf(oldKey));
  const ids = membersOf(now);
  const members = now.conf.nodes
    .filter(({ nodeid }) => ids.includes(nodeid))
    .map(({ nodeid, name }) => ({ nodeid, name }));
  return {
    facts: { oldKey, members, log: `${user}: the cluster's key was changed` },
    notes: [
      "Quorum stays: the ring opens both keys while they change. If a node does not come along, all go back to the former key.",
      "A machine that was removed, or that anybody has copied the former key from, cannot send anything to this ring any more. A node that restarts in the middle may need the new key by hand.",
    ],
  };
}

/** All have the same key, and take another one from the tree. */
function checkTold(
  { members }: ClusterView,
  nodes: readonly { readonly nodeid: number; readonly name: string }[],
  told: ReadonlyMap<number, ToldKeys>,
  wanted: string,
): void {
  const here = nodes.filter(({ nodeid }) => members.includes(nodeid));
  const silent = here.filter(({ nodeid }) => told.get(nodeid) === undefined);
  if (silent.length > 0) {
    throw new CommandFailure(
      `${silent.map(({ name }) => name).join(", ")} takes no key from the tree: it is not quorate, or an earlier version. Put a new key on all nodes by hand (corosync-keygen on one, copy /etc/corosync/authkey), then \`quorate reload\``,
    );
  }
  const other = here.filter(({ nodeid }) => {
    const { disk, running } = told.get(nodeid) ?? { disk: "", running: "" };
    return disk !== wanted || running !== wanted;
  });
  if (other.length === 0) return;
  throw new CommandFailure(
    `/etc/corosync/authkey of ${other.map(({ name }) => name).join(", ")} is not the key that this node has, or not in use there: copy it from a node that is right, then \`quorate reload\``,
  );
}
