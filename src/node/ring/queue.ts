// The sort queue (totem.md §3.1, §3.4): the mcasts of one ring by sequence number, in a fixed window above the highest number
// released. It must never hold a message outside that window: a slot is a sequence number modulo the window.
import { assert } from "../../assert.ts";
import { serialAtMost, serialBefore, serialDistance, serialPlus } from "./serial.ts";

/** QUEUE_RTR_ITEMS_SIZE_MAX. */
export const windowMax = 16_384;
const slotMask = windowMax - 1;

/** A stored mcast. `bytes` is what a retransmission sends. */
export interface StoredMcast {
  readonly bytes: Uint8Array;
  /** The originator. */
  readonly from: number;
  /** The node whose assembly buffer the body goes to (header.nodeid). */
  readonly source: number;
}

export class SortQueue {
  readonly #slots: (StoredMcast | undefined)[] = Array.from<StoredMcast | undefined>({
    length: windowMax,
  }).fill(undefined);
  readonly #misses = new Uint16Array(windowMax);
  #released = 0;
  #aru = 0;
  #highest = 0;

  /** Everything up to here is gone: received by all, delivered by us. */
  get released(): number {
    return this.#released;
  }
  /** All received up to. */
  get aru(): number {
    return this.#aru;
  }
  /** The highest sequence number ever put. */
  get highest(): number {
    return this.#highest;
  }

  isInWindow(seq: number): boolean {
    return serialDistance(serialPlus(this.#released, 1), seq) < windowMax;
  }

  get(seq: number): StoredMcast | undefined {
    return this.isInWindow(seq) ? this.#slots[seq & slotMask] : undefined;
  }

  /** Stores a message inside the window and moves `aru` and `highest`. */
  put(seq: number, mcast: StoredMcast): void {
    assert(this.isInWindow(seq), "a message is stored inside the window of its sort queue");
    this.#slots[seq & slotMask] = mcast;
    this.#misses[seq & slotMask] = 0;
    if (serialBefore(this.#highest, seq)) this.#highest = seq;
    for (let next = serialPlus(this.#aru, 1); this.get(next) !== undefined;) {
      this.#aru = next;
      next = serialPlus(next, 1);
    }
  }

  /** Counts a token visit at which `seq` (inside the window) was missing; returns the count, which stops at 65535. */
  miss(seq: number): number {
    const slot = seq & slotMask;
    const count = Math.min((this.#misses[slot] ?? 0) + 1, 0xffff);
    this.#misses[slot] = count;
    return count;
  }

  /** Forgets every message up to `seq`, which must not lie above `highest`; nothing happens when it is gone already. */
  releaseTo(seq: number): void {
    if (!serialBefore(this.#released, seq)) return;
    assert(serialAtMost(seq, this.#highest), "only messages that were seen are released");
    let next = this.#released;
    while (next !== seq) {
      next = serialPlus(next, 1);
      this.#slots[next & slotMask] = undefined;
      this.#misses[next & slotMask] = 0;
    }
    this.#released = seq;
    if (serialBefore(this.#aru, seq)) this.#aru = seq;
  }

  /** Forgets what lies behind a hole. */
  dropAboveAru(): void {
    for (let seq = this.#aru; seq !== this.#highest;) {
      seq = serialPlus(seq, 1);
      this.#slots[seq & slotMask] = undefined;
    }
    this.#highest = this.#aru;
  }

  /** An empty queue for a new ring, whose first message has the number 1. */
  clear(): void {
    this.#slots.fill(undefined);
    this.#misses.fill(0);
    this.#released = 0;
    this.#aru = 0;
    this.#highest = 0;
  }
}
