// A clock that moves when the test says so, and wakes whom it must, in order of time.
import type { Clock } from "../../src/world.ts";

interface Wake {
  readonly at: number;
  readonly act: () => void;
}

export class HandClock implements Clock {
  #now = 0;
  #wakes: Wake[] = [];

  readonly now = (): number => this.#now;

  readonly after = (delayMs: number, act: () => void): (() => void) => {
    const wake = { at: this.#now + delayMs, act };
    this.#wakes.push(wake);
    return () => void (this.#wakes = this.#wakes.filter((other) => other !== wake));
  };

  /** How many wait to be woken. */
  get waiting(): number {
    return this.#wakes.length;
  }

  advance(ms: number): void {
    this.advanceTo(this.#now + ms);
  }

  advanceTo(end: number): void {
    for (;;) {
      const next = this.#wakes.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#wakes = this.#wakes.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.act();
    }
    this.#now = end;
  }
}
