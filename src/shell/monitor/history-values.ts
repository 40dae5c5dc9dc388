// What of a look at a node becomes history: latency and loss of each link, votes, members, writes. Pure.
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { lossOf } from "./node-metrics.ts";

export interface WriteCount {
  /** Changes of the tree since the start. */
  readonly writes: number;
  /** When it was so, milliseconds of a steady clock. */
  readonly at: number;
}

/** `before`: of the sample before; undefined: this is the first. Names are those of the API: "link/2/0/latencyUs" is of link 0 to node 2. */
export function historyValues(
  { member, links, rotationUs }: RingSnapshot,
  before: WriteCount | undefined,
  after: WriteCount,
): ReadonlyMap<string, number> {
  const { quorum } = member;
  const values = new Map<string, number>([
    ["quorate", quorum.quorate ? 1 : 0],
    ["votes", quorum.totalVotes],
    ["votesNeeded", quorum.quorum],
    ["members", quorum.members.length],
  ]);
  if (rotationUs.p99 > 0) values.set("tokenUs", rotationUs.p99);
  if (before !== undefined && after.at > before.at) {
    const seconds = (after.at - before.at) / 1000;
    values.set("writesPerSecond", Math.max(0, after.writes - before.writes) / seconds);
  }
  for (const { nodeid, link, connected, recent } of links) {
    const name = `link/${nodeid}/${link}`;
    const loss = lossOf(connected, recent);
    if (loss !== undefined) values.set(`${name}/loss`, loss);
    if (connected && recent.latencyUs !== undefined) {
      values.set(`${name}/latencyUs`, recent.latencyUs.p50);
    }
  }
  return values;
}
