// The host's side of named timers: a core arms and disarms names, this keeps their deadlines and wakes once for the earliest.
// A name that was re-armed or disarmed never fires its old deadline (src/world.ts, TimerAction).

/** Calls `fire` with each name whose deadline has passed, earliest first. Times in milliseconds of `now`. */
export class Deadlines<Timer extends string> {
  readonly #at = new Map<Timer, number>();
  readonly #now: () => number;
  readonly #fire: (timer: Timer) => void;
  #handle: ReturnType<typeof setTimeout> | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(options: { readonly now: () => number; readonly fire: (timer: Timer) => void }) {
    this.#now = options.now;
    this.#fire = options.fire;
  }

  arm(timer: Timer, at: number): void {
    this.#at.set(timer, at);
    if (at < this.#wakeAt) this.#sleepUntil(at);
  }

  disarm(timer: Timer): void {
    // The wake-up stays: an early wake is cheaper than re-arming on every token.
    this.#at.delete(timer);
  }

  /** Clears everything; nothing fires afterwards. */
  stop(): void {
    this.#at.clear();
    clearTimeout(this.#handle);
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  #sleepUntil(at: number): void {
    clearTimeout(this.#handle);
    this.#wakeAt = at;
    // Rounded up: a timer that fires early would find nothing due and spin.
    this.#handle = setTimeout(() => this.#wake(), Math.max(0, Math.ceil(at - this.#now())));
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    for (;;) {
      const due = this.#earliest();
      if (due === undefined) return;
      if (due.at > this.#now()) {
        if (due.at < this.#wakeAt) this.#sleepUntil(due.at);
        return;
      }
      this.#at.delete(due.timer);
      this.#fire(due.timer);
    }
  }

  #earliest(): { readonly timer: Timer; readonly at: number } | undefined {
    let found: { timer: Timer; at: number } | undefined;
    for (const [timer, at] of this.#at) {
      if (found === undefined || at < found.at) found = { timer, at };
    }
    return found;
  }
}
