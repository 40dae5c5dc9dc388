// The state of the cluster as it is now: read every few seconds while somebody looks, and at once when the node tells of an event; events are kept for
// the time line. Time, network and visibility come from outside.
import * as v from "valibot";
import { type Overview, overviewAnswer } from "../../answers/ring.ts";
import { eventSchema, type RecordedEvent } from "../../monitor/event.ts";
import type { Api, Failure } from "./api.ts";
import { parsedJson } from "./shown.ts";
import { Store } from "./store.ts";

export interface View {
  /** The last that could be read. */
  readonly overview: Overview | undefined;
  /** When, milliseconds of `now`. */
  readonly readAt: number;
  /** Why the last reading failed. */
  readonly failure: Failure | undefined;
  /** Since when it is asked without an answer, milliseconds of `now`; infinite: nobody asks. */
  readonly askedFrom: number;
  /** Whether events come by themselves. */
  readonly isLive: boolean;
}

/** A stream of events of the node. */
export interface EventSourceLike {
  close: () => void;
}

export interface LiveOptions {
  readonly api: Api;
  readonly now: () => number;
  /** Returns how to cancel it. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly openEvents: (heard: {
    /** Behind which event to go on; undefined: with what happens from now on. */
    readonly lastId: string | undefined;
    readonly onReady: () => void;
    readonly onEvent: (data: string) => void;
    /** It ended, or could not be begun. */
    readonly onGone: () => void;
  }) => EventSourceLike;
}

const everyMs = 5000;
const soonMs = 150;
const againMs = 5000;
export const eventsMax = 300;
/** Older than this it is called stale (pvecm.md §5.9). */
export const staleMs = 15_000;

const nothing: View = {
  ...{ overview: undefined, readAt: 0, failure: undefined },
  ...{ askedFrom: Infinity, isLive: false },
};

/** What is shown is old because the node is silent, not because nobody looked. Milliseconds. */
export function isSilent({ overview, readAt, failure, askedFrom }: View, now: number): boolean {
  if (overview === undefined || now - readAt < staleMs) return false;
  return failure !== undefined || now - askedFrom >= staleMs;
}

export class Live {
  readonly view = new Store<View>(nothing);
  /** Newest first. */
  readonly events = new Store<readonly RecordedEvent[]>([]);
  readonly #options: LiveOptions;
  #isRunning = false;
  #isReading = false;
  /** An event came while the state was being read. */
  #isOld = false;
  #cancelRead: () => void = () => undefined;
  #cancelOpen: () => void = () => undefined;
  #source: EventSourceLike | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Somebody looks. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#change({ askedFrom: this.#options.now() });
    this.#open();
    void this.#read();
  }

  /** Nobody is logged in any more: what was read is not for whoever comes next. */
  end(): void {
    this.stop();
    this.view.set(nothing);
    this.events.set([]);
  }

  /** Nobody looks. */
  stop(): void {
    this.#isRunning = false;
    this.#cancelRead();
    this.#cancelOpen();
    this.#source?.close();
    this.#source = undefined;
    this.#change({ askedFrom: Infinity, isLive: false });
  }

  /** Something was changed here: its effect is wanted at once. */
  refresh(): void {
    if (this.#isReading) this.#isOld = true;
    else this.#readIn(soonMs);
  }

  #change(what: Partial<View>): void {
    this.view.set({ ...this.view.value, ...what });
  }

  #readIn(ms: number): void {
    this.#cancelRead();
    if (this.#isRunning) this.#cancelRead = this.#options.after(ms, () => void this.#read());
  }

  async #read(): Promise<void> {
    const { api, now } = this.#options;
    this.#cancelRead();
    if (this.#isReading) return;
    this.#isReading = true;
    this.#isOld = false;
    const answer = await api.get(overviewAnswer, "/api/v1/overview");
    this.#isReading = false;
    if (!this.#isRunning) return;
    if (answer.ok) {
      const readAt = now();
      this.#change({ overview: answer.data, readAt, askedFrom: readAt, failure: undefined });
    } else this.#change({ failure: answer });
    this.#readIn(this.#isOld ? soonMs : everyMs);
  }

  #open(): void {
    this.#source = this.#options.openEvents({
      lastId: this.events.value[0]?.id,
      onReady: () => {
        this.#change({ isLive: true });
        this.refresh();
      },
      onEvent: (data) => this.#heard(data),
      onGone: () => {
        this.#source?.close();
        this.#source = undefined;
        this.#change({ isLive: false });
        if (!this.#isRunning) return;
        this.#cancelOpen = this.#options.after(againMs, () => this.#open());
      },
    });
  }

  #heard(data: string): void {
    // What is cut off in its middle is none: the next reading has its effect.
    const event = v.safeParse(eventSchema, parsedJson(data));
    if (!event.success) return;
    const { id } = event.output;
    const others = this.events.value.filter((each) => each.id !== id);
    this.events.set([event.output, ...others].slice(0, eventsMax));
    this.refresh();
  }
}
