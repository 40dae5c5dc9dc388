// How many messages the main thread has posted to the ring thread, in memory that both share: so the ring thread can wait for the next
// one for a fraction of a millisecond. The runtime's timers count whole milliseconds, and looking for it all the time takes the processor away
// from the very threads that it waits for. Host code.

export class PostCount {
  readonly shared: SharedArrayBuffer;
  readonly #count: Int32Array;
  #taken = 0;

  /** `shared`: of the other thread's count. */
  constructor(shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#count = new Int32Array(shared);
  }

  /** The posting side, behind each post. */
  posted(): void {
    Atomics.add(this.#count, 0, 1);
    Atomics.notify(this.#count, 0);
  }

  /** The receiving side, for each message that came. */
  taken(): void {
    // As an Int32 counts, over its end and on.
    this.#taken = (this.#taken + 1) | 0;
  }

  /** Blocks this thread until something is posted that was not taken, at most `waitMs`. */
  wait(waitMs: number): void {
    Atomics.wait(this.#count, 0, this.#taken, waitMs);
  }
}
