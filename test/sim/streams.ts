// TCP as the simulator needs it, between the hosts of nodes and the host of the vote server: bytes in order, late, stalled while a
// way is cut, answered by a reset where nobody knows the connection, and silent for ever where a host lost its power.
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";

/** `up`: from a node to the server. */
export type Way = "up" | "down";

export interface ClientEnd {
  connected(): void;
  received(bytes: Uint8Array): void;
  closed(reason: string): void;
}

/** The process that listens, if there is one. */
export interface Listener {
  readonly isRunning: boolean;
  /** Of the process that runs now: connections of an earlier one are unknown to it. */
  readonly incarnation: number;
  accepted(stream: Stream): void;
  received(stream: Stream, bytes: Uint8Array): void;
  /** The client itself ended it, or its system did. */
  closed(stream: Stream): void;
}

export interface StreamWeather {
  readonly floorMs: number;
  readonly meanMs: number;
  /** Probability that a segment takes up to `spikeMsMax`. */
  readonly spike: number;
}

export const calmStreams: StreamWeather = { floorMs: 0.1, meanMs: 0.3, spike: 0 };

export const spikeMsMax = 5000;
const synRetryMs = 1000;
const retransmitMsMax = 2000;
/** A FIN of a node that is lost for good. */
const lostFin = 0.1;

type Item = Uint8Array | "open" | "fin" | "rst";

interface Direction {
  readonly items: { readonly item: Item; readonly at: number }[];
  latest: number;
}

export class Stream {
  readonly id: number;
  readonly host: string;
  readonly client: ClientEnd;
  readonly up: Direction = { items: [], latest: 0 };
  readonly down: Direction = { items: [], latest: 0 };
  clientState: "connecting" | "open" | "closed" = "connecting";
  serverState: "none" | "open" | "closed" = "none";
  incarnation = 0;
  /** Nothing passes any more and nobody is told. */
  isSilent = false;

  constructor(id: number, host: string, client: ClientEnd) {
    this.id = id;
    this.host = host;
    this.client = client;
  }
}

export class Streams {
  weather: StreamWeather = calmStreams;
  isServerPowered = true;
  listener: Listener | undefined;
  readonly #agenda: Agenda;
  readonly #random: SeededRandom;
  readonly #streams = new Set<Stream>();
  /** "host up" or "host down". */
  readonly #cuts = new Set<string>();
  readonly #unpowered = new Set<string>();
  #count = 0;

  constructor(options: { readonly agenda: Agenda; readonly random: SeededRandom }) {
    this.#agenda = options.agenda;
    this.#random = options.random;
  }

  cut(host: string, way: Way): void {
    this.#cuts.add(`${host} ${way}`);
  }
  isReachable(host: string): boolean {
    return !this.#cuts.has(`${host} up`) && !this.#cuts.has(`${host} down`);
  }
  /** What waited goes on, as retransmissions come. */
  heal(host: string): void {
    this.#cuts.delete(`${host} up`);
    this.#cuts.delete(`${host} down`);
    this.#resume((stream) => stream.host === host);
  }
  healAll(): void {
    this.#cuts.clear();
    this.#resume(() => true);
  }

  /** A node's power; what its system had not sent is gone, what is under way may still come. */
  setPower(host: string, isOn: boolean): void {
    if (isOn) {
      this.#unpowered.delete(host);
      return this.#resume((stream) => stream.host === host);
    }
    this.#unpowered.add(host);
    for (const stream of this.#streams) {
      if (stream.host !== host) continue;
      stream.clientState = "closed";
      if (this.#isBlocked(stream, "up")) stream.up.items.length = 0;
    }
  }
  setServerPower(isOn: boolean): void {
    this.isServerPowered = isOn;
    if (isOn) return this.#resume(() => true);
    for (const stream of this.#streams) {
      stream.serverState = "closed";
      stream.down.items.length = 0;
    }
  }

  /** A router forgets the connections of a host. */
  forget(host: string): void {
    for (const stream of this.#streams) if (stream.host === host) stream.isSilent = true;
  }

  connect(host: string, client: ClientEnd): Stream {
    this.#count += 1;
    const stream = new Stream(this.#count, host, client);
    this.#streams.add(stream);
    this.#synchronise(stream);
    return stream;
  }

  #synchronise(stream: Stream): void {
    const again = (): void =>
      this.#agenda.after(synRetryMs * this.#random.between(0.5, 1.5), () =>
        this.#synchronise(stream),
      );
    if (stream.clientState !== "connecting") return void this.#streams.delete(stream);
    if (this.#isBlocked(stream, "up")) return again();
    this.#agenda.after(this.#delay(), () => {
      if (this.#isBlocked(stream, "up")) return again();
      const listener = this.listener;
      const isTaken = listener?.isRunning === true;
      if (isTaken) stream.incarnation = listener.incarnation;
      this.#agenda.after(this.#delay(), () => {
        if (stream.clientState !== "connecting") return void this.#streams.delete(stream);
        if (this.#isBlocked(stream, "down")) return again();
        if (!isTaken) return this.#endClient(stream, "connection refused");
        stream.clientState = "open";
        this.#push(stream, "up", "open");
        stream.client.connected();
      });
    });
  }

  send(stream: Stream, way: Way, bytes: Uint8Array): void {
    const state = way === "up" ? stream.clientState : stream.serverState;
    if (state === "open") this.#push(stream, way, bytes.slice());
  }

  closeClient(stream: Stream): void {
    const before = stream.clientState;
    stream.clientState = "closed";
    if (before === "connecting") return void this.#streams.delete(stream);
    if (before === "closed") return;
    if (this.#random.chance(lostFin)) stream.isSilent = true;
    else this.#push(stream, "up", "fin");
  }

  closeServer(stream: Stream): void {
    if (stream.serverState !== "open") return;
    stream.serverState = "closed";
    this.#push(stream, "down", "fin");
  }

  /** The process ended: its system ends its connections, if it still has power. */
  serverEnded(): void {
    for (const stream of this.#streams) this.closeServer(stream);
  }

  #isBlocked(stream: Stream, way: Way): boolean {
    if (stream.isSilent || this.#cuts.has(`${stream.host} ${way}`)) return true;
    return way === "up" ? !this.isServerPowered : this.#unpowered.has(stream.host);
  }

  #delay(): number {
    const { floorMs, meanMs, spike } = this.weather;
    const late = this.#random.chance(spike) ? this.#random.between(0, spikeMsMax) : 0;
    return floorMs + this.#random.exponential(meanMs) + late;
  }

  #push(stream: Stream, way: Way, item: Item): void {
    const direction = stream[way];
    const at = Math.max(this.#agenda.now + this.#delay(), direction.latest);
    direction.latest = at;
    direction.items.push({ item, at });
    this.#agenda.after(at - this.#agenda.now, () => this.#pump(stream, way));
  }

  #resume(isMeant: (stream: Stream) => boolean): void {
    for (const stream of this.#streams) {
      if (!isMeant(stream)) continue;
      for (const way of ["up", "down"] as const) {
        const direction = stream[way];
        if (direction.items.length === 0) continue;
        const delay = this.#random.between(0, retransmitMsMax);
        const latest = direction.items.at(-1)?.at ?? 0;
        const at = Math.max(this.#agenda.now + delay, latest);
        this.#agenda.after(at - this.#agenda.now, () => this.#pump(stream, way));
      }
    }
  }

  #pump(stream: Stream, way: Way): void {
    const { items } = stream[way];
    for (let head = items[0]; head !== undefined; head = items[0]) {
      if (head.at > this.#agenda.now || this.#isBlocked(stream, way)) return;
      items.shift();
      if (way === "up") this.#arriveUp(stream, head.item);
      else this.#arriveDown(stream, head.item);
    }
    if (stream.clientState !== "closed" || stream.serverState !== "closed") return;
    if (stream.up.items.length + stream.down.items.length === 0) this.#streams.delete(stream);
  }

  #arriveUp(stream: Stream, item: Item): void {
    const listener = this.listener;
    const isKnown = listener?.isRunning === true && listener.incarnation === stream.incarnation;
    if (item === "open") {
      if (!isKnown) return this.#push(stream, "down", "rst");
      stream.serverState = "open";
      return listener.accepted(stream);
    }
    if (!isKnown || stream.serverState !== "open") {
      if (item !== "fin" && item !== "rst") this.#push(stream, "down", "rst");
      return;
    }
    if (item !== "fin" && item !== "rst") return listener.received(stream, item);
    stream.serverState = "closed";
    listener.closed(stream);
  }

  #arriveDown(stream: Stream, item: Item): void {
    if (stream.clientState === "closed") {
      if (item !== "fin" && item !== "rst") this.#push(stream, "up", "rst");
      return;
    }
    if (item === "fin" || item === "rst") {
      const reason = item === "fin" ? "the vote server closed the connection" : "ECONNRESET";
      return this.#endClient(stream, reason);
    }
    if (item !== "open") stream.client.received(item);
  }

  #endClient(stream: Stream, reason: string): void {
    stream.clientState = "closed";
    if (stream.serverState === "open") this.#push(stream, "up", "fin");
    else if (stream.up.items.length + stream.down.items.length === 0) this.#streams.delete(stream);
    stream.client.closed(reason);
  }
}
