// Named timers of one simulated core on the agenda. A clock of a node may run at another rate than the world's.
import type { Agenda } from "./agenda.ts";

export class SimTimers<Timer extends string> {
  readonly #generation = new Map<Timer, number>();
  readonly #agenda: Agenda;
  /** World milliseconds from now until the node's clock shows `at`. */
  readonly #delayUntil: (at: number) => number;
  readonly #fire: (timer: Timer) => void;
  #count = 0;

  constructor(options: {
    readonly agenda: Agenda;
    readonly delayUntil: (at: number) => number;
    readonly fire: (timer: Timer) => void;
  }) {
    this.#agenda = options.agenda;
    this.#delayUntil = options.delayUntil;
    this.#fire = options.fire;
  }

  arm(timer: Timer, at: number): void {
    this.#count += 1;
    const generation = this.#count;
    this.#generation.set(timer, generation);
    this.#agenda.after(Math.max(0, this.#delayUntil(at)), () => {
      if (this.#generation.get(timer) !== generation) return;
      this.#generation.delete(timer);
      this.#fire(timer);
    });
  }

  disarm(timer: Timer): void {
    this.#generation.delete(timer);
  }

  stop(): void {
    this.#generation.clear();
  }
}
