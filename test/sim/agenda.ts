// The simulator's one queue: (time, order of insertion) → what to do. Nothing else moves the clock.

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
  readonly #heap: Item[] = [];
  #order = 0;

  /** `delayMs` ≥ 0 from now. */
  after(delayMs: number, act: () => void): void {
    this.#order += 1;
    this.#push({ at: this.now + delayMs, order: this.#order, act });
  }

  /** Runs until nothing is due before `endMs`; the clock ends there. Promises go on between two events. */
  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > endMs) break;
      this.#pop();
      this.now = next.at;
      this.steps += 1;
      next.act();
      await undefined;
    }
    this.now = endMs;
  }

  #before(a: Item, b: Item): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(item: Item): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !this.#before(item, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      let smaller = heap[child];
      if (smaller === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && this.#before(right, smaller)) {
        child += 1;
        smaller = right;
      }
      if (!this.#before(smaller, last)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}
