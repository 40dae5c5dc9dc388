// Tells a node with another key than the cluster's early: when it has just started, hears its peers, and none of what they say
// authenticates. Later it never judges: strangers must not be able to end a node that has once heard its cluster.

const startMsMax = 60_000;
const heardMsMin = 5_000;
const packetsMin = 5;

export class KeyWatch {
  readonly #peers: ReadonlyMap<string, string>;
  readonly #startedAt: number;
  #first: number | undefined;
  #packets = 0;
  #isOver = false;

  /** `peers`: names by source address. Times in monotonic milliseconds. */
  constructor(peers: ReadonlyMap<string, string>, startedAt: number) {
    this.#peers = peers;
    this.#startedAt = startedAt;
  }

  authenticated(): void {
    this.#isOver = true;
  }

  /** A packet that no key of ours opens. Returns the sentence that ends this node, once it is certain. */
  failed(address: string, now: number): string | undefined {
    const name = this.#peers.get(address);
    if (this.#isOver || name === undefined) return undefined;
    if (now - this.#startedAt > startMsMax) {
      this.#isOver = true;
      return undefined;
    }
    this.#first ??= now;
    this.#packets += 1;
    if (this.#packets < packetsMin || now - this.#first < heardMsMin) return undefined;
    return (
      `${name} (${address}) is heard, but none of its packets can be authenticated: the key or the crypto settings of this ` +
      "node are not the cluster's. Copy authkey and corosync.conf from a node that is in the cluster"
    );
  }
}
