// Tells when the ring thread got no processor for too long (totem.md §5, "was not scheduled"): a look at every third of the token's
// timeout that comes later than four fifths of it has cost the ring its token, or nearly. Pure.

const missesMax = 10;

/** `at`: monotonic milliseconds. */
export interface SchedulingMiss {
  readonly at: number;
  readonly delayMs: number;
}

export class SchedulingWatch {
  #tokenMs: number;
  #lookedAt: number;
  readonly #misses: SchedulingMiss[] = [];

  constructor(tokenMs: number, now: number) {
    this.#tokenMs = tokenMs;
    this.#lookedAt = now;
  }

  /** When to look next. */
  get dueAt(): number {
    return this.#lookedAt + this.#tokenMs / 3;
  }

  /** The last ten, newest first. */
  get misses(): readonly SchedulingMiss[] {
    return [...this.#misses];
  }

  reconfigure(tokenMs: number): void {
    this.#tokenMs = tokenMs;
  }

  /** Called at `dueAt` or later; a sentence when it was much later. */
  look(now: number): string | undefined {
    const waitedMs = now - this.#lookedAt;
    const thresholdMs = this.#tokenMs * 0.8;
    this.#lookedAt = now;
    if (waitedMs <= thresholdMs) return undefined;
    this.#misses.unshift({ at: now, delayMs: waitedMs });
    this.#misses.length = Math.min(this.#misses.length, missesMax);
    return `the ring thread was not scheduled for ${waitedMs.toFixed(0)} ms (threshold is ${thresholdMs.toFixed(0)} ms): this machine is overloaded or stood still. Give it more room, or all nodes a longer totem.token`;
  }
}
