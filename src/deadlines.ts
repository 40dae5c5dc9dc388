// The host's side of named timers: a core arms and disarms names, this keeps their deadlines and sets one timer for the earliest.
// A name that was re-armed or disarmed never fires its old deadline (src/world.ts, TimerAction).
import type { Clock } from "./world.ts";

/** The longest wait of a timer of the runtime. */
const waitMsMax = 2 ** 31 - 1;

/** This process's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, act) => {
    const handle = setTimeout(act, delayMs);
    return () => clearTimeout(handle);
  },
};

interface Entry<Timer> {
  readonly timer: Timer;
  readonly at: number;
}

/** Calls `fire` with each name whose deadline has passed, earliest first. Times in milliseconds of the clock. */
export class Deadlines<Timer> {
  readonly #clock: Clock;
  readonly #fire: (timer: Timer) => void;
  readonly #at = new Map<Timer, number>();
  /** A heap by `at`. An entry may be older than what holds now: a name that was armed later anew keeps its place until then. */
  readonly #heap: Entry<Timer>[] = [];
  /** The earliest entry of each name in the heap. */
  readonly #queued = new Map<Timer, number>();
  #cancel: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(options: { readonly clock: Clock; readonly fire: (timer: Timer) => void }) {
    this.#clock = options.clock;
    this.#fire = options.fire;
  }

  arm(timer: Timer, at: number): void {
    this.#at.set(timer, at);
    const queued = this.#queued.get(timer);
    // Timers are put off at every token: that costs no place in the heap.
    if (queued === undefined || at < queued) this.#push({ timer, at });
    if (at < this.#wakeAt) this.#sleepUntil(at);
  }

  /** The wake-up stays: an early wake is cheaper than re-arming at every token. */
  disarm(timer: Timer): void {
    this.#at.delete(timer);
  }

  /** Clears everything; nothing fires afterwards. */
  stop(): void {
    this.#at.clear();
    this.#queued.clear();
    this.#heap.length = 0;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  #sleepUntil(at: number): void {
    this.#cancel?.();
    this.#wakeAt = at;
    // Rounded up: a timer that fires early would find nothing due and spin.
    const waitMs = Math.min(waitMsMax, Math.max(0, Math.ceil(at - this.#clock.now())));
    this.#cancel = this.#clock.after(waitMs, () => this.#wake());
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#cancel = undefined;
    try {
      for (let due = this.#due(); due !== undefined; due = this.#due()) this.#fire(due);
    } finally {
      // Also when a name's action has thrown: the other names still have their turn.
      const next = this.#earliest();
      if (next !== undefined && next.at < this.#wakeAt) this.#sleepUntil(next.at);
    }
  }

  /** Takes out the earliest name if its deadline has passed. */
  #due(): Timer | undefined {
    const first = this.#earliest();
    if (first === undefined || first.at > this.#clock.now()) return undefined;
    this.#pop();
    this.#at.delete(first.timer);
    return first.timer;
  }

  /** The first entry that still says what holds; older ones are dropped or take their new place. */
  #earliest(): Entry<Timer> | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return undefined;
      const at = this.#at.get(first.timer);
      if (at === first.at) return first;
      this.#pop();
      if (at !== undefined && !this.#queued.has(first.timer))
        this.#push({ timer: first.timer, at });
    }
  }

  #push(entry: Entry<Timer>): void {
    const heap = this.#heap;
    this.#queued.set(entry.timer, entry.at);
    let place = heap.length;
    heap.push(entry);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.at <= entry.at) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return;
    if (this.#queued.get(first.timer) === first.at) this.#queued.delete(first.timer);
    if (heap.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      const left = heap[below];
      if (left === undefined) break;
      const right = heap[below + 1];
      const lower = right !== undefined && right.at < left.at ? right : left;
      if (lower === right) below += 1;
      if (last.at <= lower.at) break;
      heap[place] = lower;
      place = below;
    }
    heap[place] = last;
  }
}
