// Votes that may outlive their connection: a client that the server lost in silence learns of it only from its own missed echo
// replies, up to two heartbeats after it was last heard, and counts on its ACK until then (qnetd.md §3.3, §3.5).
import type { OutstandingVote } from "./algorithm.ts";
import { nodesText, type NodeSet } from "./node-set.ts";

/** Two heartbeat intervals, and a little for clocks that do not run alike. */
const silentHeartbeats = 2.1;

/** Until when a client that was last heard at `heardAt` may count on its vote. */
export function outstandingUntil(heardAt: number, heartbeatMs: number): number {
  return heardAt + Math.ceil(silentHeartbeats * heartbeatMs);
}

interface Lost {
  readonly until: number;
  /** Its membership, itself included. */
  readonly members: NodeSet;
}

export class OutstandingVotes {
  readonly #byNode = new Map<number, Lost>();

  get isEmpty(): boolean {
    return this.#byNode.size === 0;
  }
  /** When the first of them is over. */
  get nextAt(): number | undefined {
    let at: number | undefined;
    for (const { until } of this.#byNode.values()) at = Math.min(at ?? until, until);
    return at;
  }

  add(nodeId: number, lost: Lost): void {
    this.#byNode.set(nodeId, lost);
  }
  /** The node is back, so it has given up its old vote. True if there was one. */
  remove(nodeId: number): boolean {
    return this.#byNode.delete(nodeId);
  }
  /** How many there are of other nodes. */
  besides(nodeId: number): number {
    return this.#byNode.size - (this.#byNode.has(nodeId) ? 1 : 0);
  }
  expire(now: number): void {
    for (const [nodeId, { until }] of this.#byNode) if (until <= now) this.#byNode.delete(nodeId);
  }

  /** A vote that would stand against one for `partition`. */
  against(partition: NodeSet, now: number): OutstandingVote | undefined {
    let outstanding: OutstandingVote | undefined;
    for (const [nodeId, { until, members }] of this.#byNode) {
      if (until <= now || !members.isDisjointFrom(partition)) continue;
      if (outstanding !== undefined && outstanding.until >= until) continue;
      const why =
        `waits until ${nodesText([nodeId])}, lost in silence with the vote of ${members.text}, ` +
        `must have given it up`;
      outstanding = { until, why };
    }
    return outstanding;
  }
}
