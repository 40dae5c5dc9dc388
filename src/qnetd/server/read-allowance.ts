// How much one connection may make the vote server read: a burst, then so many bytes a second. A client that sends more is not read
// for a while, so that its kernel waits and not the other clients; one that sends far more is no client. Honest ones send a few
// hundred bytes a heartbeat, a node of the largest cluster, 384, some 10 kB for a changed ring.

export interface ReadLimits {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
  /** Read beyond the burst before the client could be stopped; more ends the connection. */
  readonly overdraftBytes: number;
}

/** No longer pause than this, so that the end of a connection is noticed. */
const pauseMsMax = 4000;

/** `messageBytesMax`: the longest legal message. */
export function readLimits(messageBytesMax: number): ReadLimits {
  const burstBytes = Math.max(64 * 1024, 2 * messageBytesMax);
  return { burstBytes, bytesPerSecond: 16 * 1024, overdraftBytes: 2 * burstBytes };
}

export class ReadAllowance {
  readonly #limits: ReadLimits;
  #credit: number;
  #at: number;

  /** `now`: milliseconds, monotonic, as in `take`. */
  constructor(limits: ReadLimits, now: number) {
    this.#limits = limits;
    this.#credit = limits.burstBytes;
    this.#at = now;
  }

  /** Books what was read; answers for how many milliseconds nothing more may be read, 0 mostly. Undefined: it was too much. */
  take(bytes: number, now: number): number | undefined {
    const { burstBytes, bytesPerSecond, overdraftBytes } = this.#limits;
    const earned = (Math.max(0, now - this.#at) / 1000) * bytesPerSecond;
    this.#credit = Math.min(burstBytes, this.#credit + earned) - bytes;
    this.#at = now;
    if (this.#credit >= 0) return 0;
    if (-this.#credit > overdraftBytes) return undefined;
    return Math.min(pauseMsMax, Math.ceil((-this.#credit / bytesPerSecond) * 1000));
  }
}
