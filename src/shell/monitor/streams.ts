// Streams of events to those who follow: server-sent events, each reader at its own place in the ring of events, so that nothing is kept for anybody. Who
// does not keep up, or does not read, is ended with a line that says why. Bounded in number, in all and for each user.
import { type Result, failure, success } from "../../result.ts";
import type { Clock } from "../../world.ts";
import type { EventKind, RecordedEvent } from "./event.ts";
import type { EventRing } from "./event-ring.ts";

export interface StreamLimits {
  readonly streamsMax: number;
  readonly streamsPerUserMax: number;
  /** Without an event a comment is sent so often, and who reads is asked for again, milliseconds. */
  readonly idleMs: number;
  /** Whoever has not taken for so long what there is for him is ended. */
  readonly stalledMs: number;
}

export const streamLimits: StreamLimits = {
  streamsMax: 256,
  // Nobody has all of them.
  streamsPerUserMax: 224,
  // Below what a connection may be silent for (door.ts), and a proxy's usual minute.
  idleMs: 10_000,
  stalledMs: 30_000,
};

/** Events that one piece of a stream has at most. */
const pieceEventsMax = 64;

export interface StreamRequest {
  /** "root@pam". */
  readonly user: string;
  readonly kinds: readonly EventKind[];
  /** Behind which event to go on; undefined: with what happens from now on. Any text. */
  readonly lastId: string | undefined;
  /** The event as this reader may see it; undefined: not at all. */
  readonly shown: (event: RecordedEvent) => RecordedEvent | undefined;
  /** Whether the reader may still do so. */
  readonly isStillAllowed: () => Promise<boolean>;
}

export interface StreamCounters {
  opened: number;
  refused: number;
  /** Ended because they did not keep up. */
  dropped: number;
}

export interface StreamsOptions {
  readonly ring: EventRing;
  readonly clock: Clock;
  readonly limits?: StreamLimits;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

export class EventStreams {
  readonly #options: StreamsOptions;
  readonly #limits: StreamLimits;
  readonly #readers = new Set<Reader>();
  readonly counters: StreamCounters = { opened: 0, refused: 0, dropped: 0 };
  #cancelLook: (() => void) | undefined;
  #isEnded = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#limits = options.limits ?? streamLimits;
  }

  get open(): number {
    return this.#readers.size;
  }

  /** A stream as the body of an answer, or why there is no room for one more. */
  start(request: StreamRequest): Result<ReadableStream<Uint8Array>> {
    const reason = this.#refusal(request.user);
    if (reason !== "") {
      this.counters.refused += 1;
      return failure(reason);
    }
    this.counters.opened += 1;
    const { ring, clock } = this.#options;
    const reader = new Reader(request, ring, {
      now: clock.now,
      gone: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    this.#lookLater();
    return success(reader.stream);
  }

  /** A new event is in the ring. */
  published(): void {
    for (const reader of this.#readers) this.#wake(reader);
  }

  /** Who may what has changed: whose login or right has ended is not to read on until the next look. */
  askAgain(): void {
    for (const reader of this.#readers) void this.#ask(reader);
  }

  /** All streams end; none is begun any more. */
  end(reason: string): void {
    this.#isEnded = true;
    this.#cancelLook?.();
    for (const reader of this.#readers) reader.end(reason);
  }

  #refusal(user: string): string {
    if (this.#isEnded) return "the node is ending";
    const { streamsMax, streamsPerUserMax } = this.#limits;
    if (this.#readers.size >= streamsMax) {
      return `${streamsMax} streams of events are open already, which is all that a node has: end some, or ask for the list of events now and then`;
    }
    const own = [...this.#readers].filter((reader) => reader.user === user).length;
    if (own < streamsPerUserMax) return "";
    return `${user} has ${own} streams of events open already, which is all that a user has: end some`;
  }

  #lookLater(): void {
    if (this.#cancelLook !== undefined) return;
    this.#cancelLook = this.#options.clock.after(this.#limits.idleMs, () => {
      this.#cancelLook = undefined;
      this.#look();
      if (this.#readers.size > 0 && !this.#isEnded) this.#lookLater();
    });
  }

  #look(): void {
    const now = this.#options.clock.now();
    for (const reader of this.#readers) {
      if (reader.hasLost) this.#drop(reader, tooSlow);
      else if (now - reader.stalledSince >= this.#limits.stalledMs) {
        this.#drop(reader, "what there was for this reader was not read for too long");
      } else {
        reader.idle();
        void this.#ask(reader);
      }
    }
  }

  #wake(reader: Reader): void {
    if (reader.hasLost) this.#drop(reader, tooSlow);
    else reader.wake();
  }

  #drop(reader: Reader, reason: string): void {
    this.counters.dropped += 1;
    this.#options.log("notice", `a stream of events to ${reader.user} is ended: ${reason}`);
    reader.end(`${reason}: begin again behind the last event that came`);
  }

  async #ask(reader: Reader): Promise<void> {
    const isAllowed = await reader.isStillAllowed().catch(() => false);
    if (!isAllowed) reader.end("the login or the right to read this has ended: log in again");
  }
}

const tooSlow = "this reader was so slow that events it had not read are gone";

/** One reader: its place in the ring, and the piece that it waits for. */
class Reader {
  readonly stream: ReadableStream<Uint8Array>;
  readonly user: string;
  readonly isStillAllowed: StreamRequest["isStillAllowed"];
  readonly #request: StreamRequest;
  readonly #ring: EventRing;
  readonly #host: { readonly now: () => number; readonly gone: () => void };
  #place: number;
  /** Up to which number it knows that events are gone. */
  #toldTo: number;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** It waits for a piece. */
  #isPulling = false;
  #pulled: (() => void) | undefined;
  #givenAt: number;
  #isOver = false;
  #first: string;

  constructor(
    request: StreamRequest,
    ring: EventRing,
    host: { readonly now: () => number; readonly gone: () => void },
  ) {
    this.#request = request;
    this.#ring = ring;
    this.#host = host;
    this.user = request.user;
    this.isStillAllowed = request.isStillAllowed;
    this.#givenAt = host.now();
    const { after, gap } = ring.resume(request.lastId, request.kinds);
    this.#place = after;
    this.#toldTo = ring.goneTo(request.kinds);
    this.#first = readyText(gap, request.lastId === undefined ? ring.newestId : undefined);
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#finish(),
      },
      // Nothing is made before somebody asks for it.
      { highWaterMark: 0 },
    );
  }

  /** Events that it has not taken are not kept any more. */
  get hasLost(): boolean {
    return this.#ring.goneTo(this.#request.kinds) > Math.max(this.#place, this.#toldTo);
  }

  /** Since when it has not come back for more, of the host's clock. */
  get stalledSince(): number {
    return this.#isPulling ? this.#host.now() : this.#givenAt;
  }

  wake(): void {
    if (this.#isPulling) this.#give();
  }

  /** A comment, so that everything between here and its reader knows that the stream lives. */
  idle(): void {
    if (this.#isPulling) this.#send(": still here\n\n");
  }

  /** Ends with a reason, which whoever reads still gets. */
  end(reason: string): void {
    if (this.#isOver) return;
    this.#isPulling = true;
    this.#send(sseText({ event: "end", data: { reason } }));
    this.#controller?.close();
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pulled?.();
    this.#host.gone();
  }

  #pull(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pulled = resolve;
    this.#isPulling = true;
    if (this.#first === "") this.#give();
    else {
      const first = this.#first;
      this.#first = "";
      this.#send(first);
    }
    return promise;
  }

  /** Sends what there is, if there is anything that it may see. */
  #give(): void {
    const { kinds, shown } = this.#request;
    while (this.#isPulling && this.#place < this.#ring.newest) {
      const { events, to } = this.#ring.after(this.#place, kinds, pieceEventsMax);
      this.#place = to;
      const text = events
        .flatMap((event) => shown(event) ?? [])
        .map(eventText)
        .join("");
      if (text !== "") this.#send(text);
    }
  }

  #send(text: string): void {
    if (this.#isOver || !this.#isPulling) return;
    this.#isPulling = false;
    this.#givenAt = this.#host.now();
    this.#controller?.enqueue(new TextEncoder().encode(text));
    this.#pulled?.();
  }
}

/** `id`: where whoever comes back goes on, when nothing happens until then. `gap`: "" when none is missing. */
function readyText(gap: string, id?: string): string {
  const data = { isComplete: gap === "", reason: gap };
  return `retry: 2000\n${sseText({ event: "ready", data, ...(id === undefined ? {} : { id }) })}`;
}

const texts = new WeakMap<RecordedEvent, string>();

/** Made once for all who see the same. */
function eventText(event: RecordedEvent): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = sseText({ event: event.kind, data: event, id: event.id });
  texts.set(event, text);
  return text;
}

/** JSON has no line feeds of its own, so that each is one line. */
function sseText({
  event,
  data,
  id,
}: {
  readonly event: string;
  readonly data: object;
  readonly id?: string;
}): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
