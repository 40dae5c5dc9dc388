// The last events of a node, in order, for who comes later or comes back. Bounded in number: changes of the tree, which may be many, never push out
// what happens seldom. An event's id is the run of the node and a number, so that nobody takes an id of before a restart for one of now. Pure.
import type { EventKind, NodeEvent, RecordedEvent } from "./event.ts";

export interface RingLimits {
  /** Changes of the tree that are kept. */
  readonly treeMax: number;
  /** All other events that are kept. */
  readonly othersMax: number;
}

export const ringLimits: RingLimits = { treeMax: 500, othersMax: 1000 };

interface Numbered {
  readonly number: number;
  readonly event: RecordedEvent;
}

/** Events of some kinds, oldest first; of more than `max` the oldest are gone. */
class Shelf {
  readonly #max: number;
  /** Up to twice as many as are shown, so that the rest moves seldom. */
  #kept: Numbered[] = [];
  /** Number of the newest one that is gone; 0: none is. */
  #goneTo = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(numbered: Numbered): void {
    this.#kept.push(numbered);
    this.#goneTo = this.#kept.at(-this.#max - 1)?.number ?? this.#goneTo;
    if (this.#kept.length >= 2 * this.#max) this.#kept = this.#kept.slice(-this.#max);
  }

  after(number: number): readonly Numbered[] {
    const oldest = Math.max(0, this.#kept.length - this.#max);
    let at = this.#kept.length;
    while (at > oldest && (this.#kept[at - 1]?.number ?? 0) > number) at -= 1;
    return this.#kept.slice(at);
  }

  /** Number of the newest one that is not here any more; 0: all are. */
  get goneTo(): number {
    return this.#goneTo;
  }
}

export interface ReadPiece {
  readonly events: readonly RecordedEvent[];
  /** Behind which number to go on. */
  readonly to: number;
}

/** Where a reader is in the ring: numbers of this run. */
export interface Resumed {
  readonly after: number;
  /** Why events may be missing, a sentence; "": none is. */
  readonly gap: string;
}

export class EventRing {
  readonly #run: string;
  readonly #tree: Shelf;
  readonly #others: Shelf;
  #newest = 0;

  /** `run`: letters and digits that name this run of the node; another one each start. */
  constructor(run: string, limits: RingLimits = ringLimits) {
    this.#run = run;
    this.#tree = new Shelf(limits.treeMax);
    this.#others = new Shelf(limits.othersMax);
  }

  /** Of the newest event; also when there was none yet. */
  get newestId(): string {
    return this.#id(this.#newest);
  }

  get newest(): number {
    return this.#newest;
  }

  append(event: NodeEvent): RecordedEvent {
    this.#newest += 1;
    const recorded = { ...event, id: this.#id(this.#newest) };
    const shelf = event.kind === "tree" ? this.#tree : this.#others;
    shelf.add({ number: this.#newest, event: recorded });
    return recorded;
  }

  /** Where to go on behind the event of `id`; from the newest on when there is none. Any text may come. */
  resume(id: string | undefined, kinds: readonly EventKind[]): Resumed {
    if (id === undefined) return { after: this.#newest, gap: "" };
    const [, run, digits] = /^([0-9a-z]{1,16})-(\d{1,15})$/.exec(id) ?? [];
    if (run === undefined) {
      return { after: this.#newest, gap: "this is no id of an event: read the state anew" };
    }
    const number = Number(digits);
    if (run !== this.#run || number > this.#newest) {
      const gap =
        "the node has begun anew since that event, and remembers none of before: read the state anew";
      return { after: 0, gap };
    }
    const isGone = this.goneTo(kinds) > number;
    const gap = isGone ? "events behind that one are not kept any more: read the state anew" : "";
    return { after: number, gap };
  }

  /** Up to `max` events behind `number`, oldest first, of these kinds. */
  after(number: number, kinds: readonly EventKind[], max: number): ReadPiece {
    const found = this.#shelvesOf(kinds)
      .flatMap((shelf) => shelf.after(number))
      .filter(({ event }) => kinds.includes(event.kind))
      .toSorted((a, b) => a.number - b.number);
    const taken = found.slice(0, max);
    const to = taken.length < found.length ? (taken.at(-1)?.number ?? number) : this.#newest;
    return { events: taken.map(({ event }) => event), to };
  }

  /** Up to which number events of these kinds are not all kept any more; 0: all are. */
  goneTo(kinds: readonly EventKind[]): number {
    return Math.max(0, ...this.#shelvesOf(kinds).map((shelf) => shelf.goneTo));
  }

  #shelvesOf(kinds: readonly EventKind[]): readonly Shelf[] {
    return [
      ...(kinds.includes("tree") ? [this.#tree] : []),
      ...(kinds.some((kind) => kind !== "tree") ? [this.#others] : []),
    ];
  }

  #id(number: number): string {
    return `${this.#run}-${number}`;
  }
}
