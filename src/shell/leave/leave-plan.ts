// This node leaves its cluster and becomes standalone (pvecm.md §3.6, row 8 of §6.1), without being installed anew. First it is noted on disk that it
// leaves: from then on a start of a node that corosync.conf does not name is the start of a standalone one. Then the others take it out of
// corosync.conf, which is the commit; then it begins anew in place, and puts its own things in order.
import * as v from "valibot";
import { isSame, moveConf, treeConfPath } from "../change/conf-stage.ts";
import { forgetFormer, formerMemberSchema, rememberFormer } from "../change/former-members.ts";
import { type ChangePorts, turnMs } from "../change/ports.ts";
import { situation, valueOrFail } from "../change/situation.ts";
import { withoutNode } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import { tokensDirectory } from "../join/token-record.ts";
import { NotRepeatable, type Plan, type StepContext } from "../operation/plan.ts";

const schema = v.object({
  name: v.string(),
  nodeid: v.number(),
  /** corosync.conf as it is. */
  before: v.string(),
  /** Without this node; "": it is the only one. */
  after: v.string(),
  /** Names of the others. */
  others: v.array(v.string()),
  /** Unix seconds; in the names of what is kept. */
  stamp: v.number(),
  /** What the others' tree keeps of it. Absent in records of earlier versions, and in a cluster of one. */
  former: v.optional(formerMemberSchema),
});
export type LeaveFacts = v.InferOutput<typeof schema>;

export interface LeavePorts extends ChangePorts {
  /** What this node has on disk of it. */
  readonly leaving: {
    /** From now on a start that corosync.conf does not name this node for is that of a standalone node. Nothing when it is so already. */
    order(leave: { readonly name: string; readonly stamp: number }): Promise<void>;
    /** The next start is that of a standalone node, whatever corosync.conf says. */
    go(): Promise<void>;
    cancel(): Promise<void>;
    /** Where the tree of before is kept; "": no backup could be made. */
    backup(): Promise<string>;
    /** It is standalone for good; where the tree of before is kept. */
    settle(): Promise<string>;
    /** This process is the standalone node. */
    isAlone(): Promise<boolean>;
  };
  /** Begins the node anew. Never resolves on a real node: the next process goes on with the step. */
  readonly restart: (reason: string) => Promise<void>;
}

/** Until the others have been told to read corosync.conf again: a second after it was written, and the way round the ring. */
const toldMsMax = 5000;

export const leavePlan: Plan<LeaveFacts, LeavePorts> = {
  kind: "leave",
  facts: schema,
  timeMsMax: 180_000,
  steps: [
    {
      name: "order",
      text: () => "note on this node that it leaves",
      run: async ({ name, stamp }, { leaving }) => leaving.order({ name, stamp }),
      undo: async (_facts, { leaving }) => {
        if (!(await leaving.isAlone())) return leaving.cancel();
        throw new NotRepeatable("this node is standalone already");
      },
      byHand: () => "look whether the other nodes still have this one in corosync.conf",
    },
    {
      name: "conf",
      text: ({ name, after }) =>
        after === "" ? `give up the cluster of ${name} alone` : `take ${name} out of corosync.conf`,
      commits: true,
      run: takeOut,
      undo: putBack,
      byHand: ({ name }) => `look whether ${name} is in ${treeConfPath} as it should be`,
      changes: ({ before, after }) => [
        { path: treeConfPath, before, after: after === "" ? undefined : after },
      ],
    },
    {
      name: "alone",
      text: () => "become standalone: corosync.conf and key are put aside, the tree stays",
      run: async (_facts, { leaving, restart }) => {
        if (await leaving.isAlone()) return;
        await leaving.go();
        await restart("it has left its cluster");
        if (!(await leaving.isAlone())) throw new Error("the node did not become standalone");
      },
      byHand: () => "start the node again: it becomes standalone by itself",
    },
    {
      name: "tree",
      text: ({ others }) =>
        others.length === 0
          ? "take back the join tokens in this node's tree"
          : `remove the directories of ${others.join(", ")} from this node's tree`,
      run: async ({ others }, ports, { tell }) => {
        // They would let strangers into the cluster that it makes next.
        await removeAll(ports, tokensDirectory);
        // Of a cluster that is gone this may be the last copy of the others' guests.
        if (others.length > 0 && (await ports.leaving.backup()) === "") {
          return tell(
            `there is no backup of the tree: the directories of ${others.join(", ")} stay in it; remove them below /etc/pve/nodes once nobody needs them`,
          );
        }
        for (const other of others) await removeAll(ports, `nodes/${other}`);
      },
      byHand: ({ others }) =>
        others.map((name) => `remove /etc/pve/nodes/${name} on this node`).join("; "),
    },
    {
      name: "settle",
      text: () => "keep the tree of before as a backup",
      run: async (_facts, { leaving }, { tell }) => {
        const backup = await leaving.settle();
        if (backup !== "") tell(`the cluster's tree is kept in '${backup}'`);
      },
    },
  ],
};

async function takeOut(facts: LeaveFacts, ports: LeavePorts, context: StepContext): Promise<void> {
  const { name, before, after, former } = facts;
  const { cluster, leaving } = ports;
  // Written, and begun anew before that was noted.
  if (await leaving.isAlone()) return;
  if (after === "") return leaving.go();
  if (!isSame(await cluster.conf(), after)) {
    await cluster.log(`node ${name} leaves the cluster`);
    if (former !== undefined) await rememberFormer(ports, former);
  }
  await moveConf(ports, before, after, context);
  // Once this node refuses the file, which does not name it, the others have read it.
  for (let turns = Math.ceil(toldMsMax / turnMs); turns > 0; turns -= 1) {
    const { refusal } = await cluster.view();
    if (refusal !== "") return;
    await cluster.turn(context.signal);
  }
}

async function putBack(facts: LeaveFacts, ports: LeavePorts): Promise<void> {
  const { name, before, after, former } = facts;
  if (await ports.leaving.isAlone()) throw new NotRepeatable("this node is standalone already");
  if (after !== "" && isSame(await ports.cluster.conf(), after)) {
    await moveConf(ports, after, before, { isRepeated: true });
  }
  if (former !== undefined) await forgetFormer(ports, name);
}

/** A directory with all that is in it. */
async function removeAll(ports: LeavePorts, path: string): Promise<void> {
  for (const name of await ports.tree.list(path)) {
    if (name.endsWith("/")) await removeAll(ports, `${path}/${name.slice(0, -1)}`);
    else await ports.tree.remove(`${path}/${name}`);
  }
  await ports.tree.remove(path);
}

/** Rejects with why it may not leave now. `stamp`: Unix seconds. `user`: who asks. */
export async function planLeave(
  ports: ChangePorts,
  stamp: number,
  user: string,
): Promise<{ readonly facts: LeaveFacts; readonly notes: readonly string[] }> {
  const { view, text, conf } = await situation(ports, { isSelf: true });
  const own = conf.nodes.find(({ nodeid }) => nodeid === view.self);
  if (own === undefined) {
    throw new CommandFailure("corosync.conf of the tree does not name this node: see its log");
  }
  const { name, nodeid } = own;
  const others = conf.nodes.filter((node) => node !== own);
  const common = { name, nodeid, before: text, others: others.map((node) => node.name), stamp };
  const stays = `What ${name} has in the tree stays with it: the guests of /etc/pve/nodes/${name} run on.`;
  if (others.length === 0) {
    return {
      facts: { ...common, after: "" },
      notes: ["It is the only node of its cluster.", stays],
    };
  }
  const votes = others.reduce((sum, node) => sum + node.votes, 0);
  const present = others
    .filter((node) => view.members.includes(node.nodeid))
    .reduce((sum, node) => sum + node.votes, 0);
  const needed = Math.floor(votes / 2) + 1;
  if (present < needed) {
    throw new CommandFailure(
      `the other nodes would have no quorum without ${name}: ${present} of their ${votes} votes are here, ${needed} are needed. Start them first, or remove those that are dead for good`,
    );
  }
  const edit = valueOrFail(withoutNode(text, name));
  const former = {
    ...{ name, nodeid, addresses: [...own.addresses.values()] },
    ...({ at: stamp, by: user, how: "left" } as const),
  };
  return {
    facts: { ...common, after: edit.text, former },
    notes: [
      `Then the other nodes have ${votes} vote${votes === 1 ? "" : "s"}, ${needed} of them needed; ${present} are here.`,
      ...edit.notes,
      `${stays} In the cluster a copy of it is left: remove /etc/pve/nodes/${name} there once nobody needs it.`,
      "The cluster's key stays as it is: to change it, type `quorate rotate-key` on one of its nodes afterwards.",
    ],
  };
}
