// A clock on the agenda, for one process: it may run at another rate than the world's, and stops with its process.
import type { Clock } from "../../src/world.ts";
import type { Agenda } from "./agenda.ts";

export interface SimClockOptions {
  readonly agenda: Agenda;
  /** Of this clock against the world's. */
  readonly rate: number;
  /** What it shows when the world begins. */
  readonly offsetMs: number;
}

export class SimClock implements Clock {
  readonly #options: SimClockOptions;
  #isStopped = false;
  #pausedUntil = 0;

  constructor(options: SimClockOptions) {
    this.#options = options;
  }

  readonly now = (): number =>
    this.#options.agenda.now * this.#options.rate + this.#options.offsetMs;

  readonly after = (delayMs: number, act: () => void): (() => void) => {
    let isCancelled = false;
    this.#options.agenda.after(Math.max(0, delayMs) / this.#options.rate, () => {
      this.whenAwake(() => {
        if (!isCancelled && !this.#isStopped) act();
      });
    });
    return () => void (isCancelled = true);
  };

  /** The process gets no processor for so long, in world milliseconds. */
  pause(durationMs: number): void {
    const { now } = this.#options.agenda;
    this.#pausedUntil = Math.max(this.#pausedUntil, now + durationMs);
  }

  /** Runs `act` now, or as soon as the process runs again; what waits keeps its order. */
  whenAwake(act: () => void): void {
    const waitMs = this.#pausedUntil - this.#options.agenda.now;
    if (waitMs > 0) this.#options.agenda.after(waitMs, () => this.whenAwake(act));
    else act();
  }

  /** World milliseconds for `ms` of this clock. */
  worldMs(ms: number): number {
    return ms / this.#options.rate;
  }

  /** Nothing is called any more. */
  stop(): void {
    this.#isStopped = true;
  }
}
