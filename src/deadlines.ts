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
  /** By `at`. An entry may be older than what holds now: a name that was armed later anew keeps its place until then. */
  readonly #heap = new Heap<Entry<Timer>>((a, b) => a.at < b.at);
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
    this.#heap.clear();
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
      const { first } = this.#heap;
      if (first === undefined) return undefined;
      const at = this.#at.get(first.timer);
      if (at === first.at) return first;
      this.#pop();
      if (at !== undefined && !this.#queued.has(first.timer))
        this.#push({ timer: first.timer, at });
    }
  }

  #push(entry: Entry<Timer>): void {
    this.#queued.set(entry.timer, entry.at);
    this.#heap.push(entry);
  }

  #pop(): void {
    const first = this.#heap.pop();
    if (first !== undefined && this.#queued.get(first.timer) === first.at) {
      this.#queued.delete(first.timer);
    }
  }
}

/** A binary heap: what `isBefore` all others is taken out first. Those of one place in the order come in an order of no meaning. */
export class Heap<Item> {
  readonly #isBefore: (a: Item, b: Item) => boolean;
  readonly #items: Item[] = [];

  constructor(isBefore: (a: Item, b: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  /** Undefined when it is empty. */
  get first(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || !this.#isBefore(item, parent)) break;
      items[place] = parent;
      place = above;
    }
    items[place] = item;
  }

  /** Takes out `first`. */
  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let lower = items[below];
      if (lower === undefined) break;
      const right = items[below + 1];
      if (right !== undefined && this.#isBefore(right, lower)) {
        below += 1;
        lower = right;
      }
      if (!this.#isBefore(lower, last)) break;
      items[place] = lower;
      place = below;
    }
    items[place] = last;
    return first;
  }

  clear(): void {
    this.#items.length = 0;
  }
}
