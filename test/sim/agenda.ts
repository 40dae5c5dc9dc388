// The simulator's one queue: (time, order of insertion) → what to do. Nothing else moves the clock.
import { Heap } from "../../src/deadlines.ts";

interface Item {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

export class Agenda {
  /** Milliseconds since the start of the run. */
  now = 0;
  /** Events carried out so far. */
  steps = 0;
  readonly #heap = new Heap<Item>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  #order = 0;

  /** `delayMs` ≥ 0 from now. */
  after(delayMs: number, act: () => void): void {
    this.#order += 1;
    this.#heap.push({ at: this.now + delayMs, order: this.#order, act });
  }

  /** Runs until nothing is due before `endMs`; the clock ends there. Promises go on between two events. */
  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const next = this.#heap.first;
      if (next === undefined || next.at > endMs) break;
      this.#heap.pop();
      this.now = next.at;
      this.steps += 1;
      next.act();
      await undefined;
    }
    this.now = endMs;
  }
}
