// Whose disks a change hurries for: with the writer's own so many as make a majority, others in turn. The rest take it with what comes next,
// and only step in when the chosen are late. So each follower of three flushes half as often, and nobody decides anything: it is a hint. Pure.
import { type VoteCounts, votesOf } from "./votes-needed.ts";

export interface Choice {
  /** Of the tree with the change. */
  readonly version: number;
  /** nodeid */
  readonly writer: number;
  /** nodeids of the group, ascending. */
  readonly members: readonly number[];
  /** Votes of a majority (votes-needed.ts). */
  readonly needed: number;
  readonly view: VoteCounts;
}

/** nodeids, without the writer's. The same on all nodes that see the same members. */
export function chosenDisks({ version, writer, members, needed, view }: Choice): readonly number[] {
  // A disk without a vote brings nobody nearer.
  const others = members.filter((nodeid) => nodeid !== writer && votesOf(view, [nodeid]) > 0);
  const chosen: number[] = [];
  const first = spread(version) % Math.max(1, others.length);
  for (const nodeid of [...others.slice(first), ...others.slice(0, first)]) {
    if (votesOf(view, [writer, ...chosen]) >= needed) break;
    chosen.push(nodeid);
  }
  return chosen;
}

/** Versions of one writer's changes may all be even, or all divisible by three. */
function spread(version: number): number {
  return Math.imul(version, 0x9e37_79b1) >>> 16;
}
