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

interface Who {
  readonly nodeId: number;
  /** It has shown a certificate: only who shows one is the same node come back. */
  readonly isVerified: boolean;
}

interface Lost extends Who {
  readonly until: number;
  /** Its membership, itself included. */
  readonly members: NodeSet;
}

export class OutstandingVotes {
  /** By node, those with and without a certificate apart. */
  readonly #lost = new Map<string, Lost>();

  get isEmpty(): boolean {
    return this.#lost.size === 0;
  }
  /** When the first of them is over. */
  get nextAt(): number | undefined {
    let at: number | undefined;
    for (const { until } of this.#lost.values()) at = Math.min(at ?? until, until);
    return at;
  }

  add(lost: Lost): void {
    this.#lost.set(keyOf(lost), lost);
  }
  /** The node is back, so it has given up its old vote. True if there was one. */
  remove({ nodeId, isVerified }: Who): boolean {
    const isPlain = this.#lost.delete(keyOf({ nodeId, isVerified: false }));
    return (isVerified && this.#lost.delete(keyOf({ nodeId, isVerified }))) || isPlain;
  }
  /** How many there are that this node does not take back. */
  besides(who: Who): number {
    return this.#lost.size - (this.#lost.has(keyOf(who)) ? 1 : 0);
  }
  expire(now: number): void {
    for (const [key, { until }] of this.#lost) if (until <= now) this.#lost.delete(key);
  }

  /** A vote that would stand against one for `partition`. */
  against(partition: NodeSet, now: number): OutstandingVote | undefined {
    let outstanding: OutstandingVote | undefined;
    for (const { nodeId, until, members } of this.#lost.values()) {
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

function keyOf({ nodeId, isVerified }: Who): string {
  return `${nodeId}.${isVerified}`;
}
