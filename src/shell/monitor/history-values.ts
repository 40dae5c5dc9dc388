// What of a look at a node becomes history: latency and loss of each link, votes, members, writes. Pure.
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { type Sample, type Samples, seriesMax } from "./history.ts";
import { lossOf } from "./node-metrics.ts";

/** Links that there is room for, beside what is not of links. */
const linksMax = Math.floor((seriesMax - 12) / 2);

export interface WriteCount {
  /** Changes of the tree since the start. */
  readonly writes: number;
  /** When it was so, milliseconds of a steady clock. */
  readonly at: number;
}

/**
 * `before`: of the sample before; undefined: this is the first. Names are those of the API: "link/2/0/latencyUs" is of link 0 to node 2, the median of its
 * last pings, with the fastest and the slowest of them. Links of low numbers come first: where a cluster has more links than there is room, they are kept.
 */
export function historyValues(
  { member, links, rotationUs }: RingSnapshot,
  before: WriteCount | undefined,
  after: WriteCount,
): Samples {
  const { quorum } = member;
  const values = new Map<string, Sample>([
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
  const kept = links.toSorted((a, b) => a.link - b.link).slice(0, linksMax);
  for (const { nodeid, link, connected, recent } of kept) {
    const name = `link/${nodeid}/${link}`;
    const loss = lossOf(connected, recent);
    if (loss !== undefined) values.set(`${name}/loss`, loss);
    if (connected && recent.latencyUs !== undefined) {
      const { min, p50: mean, max } = recent.latencyUs;
      values.set(`${name}/latencyUs`, { min, mean, max });
    }
  }
  return values;
}
