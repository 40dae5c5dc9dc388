// Datagrams on their way into one socket: order kept, batches, what to do when the kernel says no. Spec: knet.md §7 (retry of a
// full socket), §4.3 (too large). Pure: the socket itself is given as a function; socket.ts is its host.

/** What the kernel did with a batch: how many of its first datagrams it took, and why it stopped before the end. */
export interface Sent {
  readonly count: number;
  /**
   * "full": try again later. "tooLarge": the next datagram, or one before it, exceeds the MTU. "failed": the next datagram, or
   * an earlier one whose error comes only now, cannot go.
   */
  readonly stop: "none" | "full" | "tooLarge" | "failed";
}

export interface Destination {
  readonly nodeid: number;
  readonly link: number;
  readonly address: string;
  readonly port: number;
}

export interface Datagram {
  readonly to: Destination;
  readonly bytes: Uint8Array;
}

export interface SendQueueOptions {
  readonly send: (batch: readonly Datagram[]) => Sent;
  readonly refused: (datagram: Datagram) => void;
}

export const BATCH_MAX = 64;
/** Bounds the datagrams that the kernel does not take. Nobody waits, the oldest are dropped: the ring asks again for what it needs. */
export const WAITING_MAX = 8192;
/**
 * The kernel reports an ICMP error at the next send, whatever that is, and repeats a local "too large" once. So one answer says
 * nothing about the datagram at hand; this many in a row do.
 */
const TOO_LARGE_ANSWERS = 2;
const FAILED_ANSWERS = 3;

export class SendQueue {
  readonly #options: SendQueueOptions;
  #waiting: Datagram[] = [];
  #head = 0;
  #tooLarge = 0;
  #failed = 0;
  #dropped = 0;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }
  /** Datagrams given up: the kernel refused them for another reason than size, or too many were waiting. */
  get dropped(): number {
    return this.#dropped;
  }

  push(datagram: Datagram): void {
    this.#waiting.push(datagram);
    if (this.waiting <= WAITING_MAX) return;
    this.#dropped += 1;
    this.#skip(1);
  }

  /** Sends all that is waiting, in order. False when the socket is full: call again when it has room. */
  flush(): boolean {
    while (this.waiting > 0) {
      const batch = this.#waiting.slice(this.#head, this.#head + BATCH_MAX);
      const { count, stop } = this.#options.send(batch);
      if (count > 0) this.#skip(count);
      const next = batch[count];
      if (next === undefined) continue;
      if (stop === "full" || (stop === "none" && count === 0)) return false;
      if (stop === "none") continue;
      if (stop === "tooLarge") this.#tooLarge += 1;
      else this.#failed += 1;
      if (this.#tooLarge >= TOO_LARGE_ANSWERS) {
        this.#skip(1);
        this.#options.refused(next);
      } else if (this.#failed >= FAILED_ANSWERS) {
        this.#skip(1);
        this.#dropped += 1;
      }
    }
    this.#waiting = [];
    this.#head = 0;
    return true;
  }

  /** The head moves on: what the kernel said belonged to the one before. */
  #skip(count: number): void {
    this.#head += count;
    this.#tooLarge = 0;
    this.#failed = 0;
    if (this.#head < BATCH_MAX || this.#head * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
