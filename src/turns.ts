// The loop around a pure core: takes one event after the other, with everything that follows from it, and is never re-entered.
// An event that comes while another one is taken (an action of the core caused it) waits for its turn.

export interface TurnsOptions<Event extends object> {
  /** Takes one event and carries out its actions in order. */
  readonly take: (event: Event) => void;
  /** Called whenever no event waits any more, before `add` returns; may add events. */
  readonly settle?: () => void;
}

/**
 * A queue of events for one host. When `take` or `settle` throws, the events that wait are taken nevertheless, none twice, and the
 * first error then reaches whoever called `add`: one action that fails does not block the host.
 */
export class Turns<Event extends object> {
  readonly #options: TurnsOptions<Event>;
  readonly #waiting: Event[] = [];
  /** Position of the next event in `#waiting`: shifting a long array costs its length. */
  #next = 0;
  #isRunning = false;

  constructor(options: TurnsOptions<Event>) {
    this.#options = options;
  }

  add(event: Event): void {
    this.#waiting.push(event);
    if (!this.#isRunning) this.#run();
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting.length = 0;
    this.#next = 0;
  }

  #run(): void {
    this.#isRunning = true;
    let failure: { readonly error: unknown } | undefined;
    do {
      try {
        if (this.#takeNext()) continue;
        this.clear();
        this.#options.settle?.();
      } catch (error) {
        failure ??= { error };
      }
    } while (this.#waiting.length > 0);
    this.#isRunning = false;
    if (failure !== undefined) throw failure.error;
  }

  /** False: nothing waits. */
  #takeNext(): boolean {
    const event = this.#waiting[this.#next];
    if (event === undefined) return false;
    this.#next += 1;
    this.#options.take(event);
    return true;
  }
}
