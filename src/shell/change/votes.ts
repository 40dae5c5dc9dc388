// Another number of votes for a node, for good: in corosync.conf of all nodes, which take it while they run (pvecm.md §5.8). What `expected` and the running
// votes do is in memory only.
import type { ClusterNode } from "../conf/cluster-conf.ts";
import { withVotes } from "../conf/nodes.ts";
import { CommandFailure } from "../exit.ts";
import { type Staged, stagedPlan } from "./conf-stage.ts";
import type { Planned } from "./links.ts";
import type { ChangePorts } from "./ports.ts";
import { checkAllOnline, membersOf, situation, valueOrFail } from "./situation.ts";

export const votesPlan = stagedPlan("votes", 1);

/** `votes`: 0 to 255. Undefined: it has as many already. Rejects with why it cannot be. */
export async function planVotes(
  ports: ChangePorts,
  { node: name, votes }: { readonly node: string; readonly votes: number },
  user: string,
): Promise<Planned<Staged> | undefined> {
  const now = await situation(ports);
  const edit = valueOrFail(withVotes(now.text, name, votes));
  const { node } = edit;
  const before = now.conf.nodes.find(({ nodeid }) => nodeid === node.nodeid)?.votes;
  if (before === votes) return undefined;
  checkAllOnline(now);
  const after = now.conf.nodes.map((each) => (each.nodeid === node.nodeid ? node : each));
  return {
    facts: {
      before: now.text,
      stages: [
        {
          title: `give ${node.name} ${votesText(votes)} on all nodes`,
          after: edit.text,
          links: [],
        },
      ],
      members: membersOf(now),
      log: `${user}: node ${node.name} has ${votesText(votes)}`,
    },
    notes: [...effectOf(after), ...edit.notes],
  };
}

/** What the nodes' votes mean then, without those of a quorum device. Rejects when nobody would have one. */
function effectOf(nodes: readonly ClusterNode[]): string[] {
  const all = nodes.reduce((sum, { votes }) => sum + votes, 0);
  if (all === 0) throw new CommandFailure("no node would have a vote: one must keep its own");
  const needed = Math.floor(all / 2) + 1;
  const first = nodes.find(({ votes }) => votes >= needed);
  const notes = [
    `Quorum stays: the nodes have ${votesText(all)} then, and ${needed} ${needed === 1 ? "is" : "are"} needed.`,
  ];
  if (first !== undefined && nodes.length > 1) {
    notes.push(
      `${first.name} is quorate alone then, and without it nobody is: whatever stops that one machine stops the cluster.`,
    );
  }
  return notes;
}

function votesText(count: number): string {
  return `${count} ${count === 1 ? "vote" : "votes"}`;
}
