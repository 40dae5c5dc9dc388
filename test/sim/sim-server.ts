// The simulated vote server: the production core with a simulated clock, streams and process. It may restart with nothing in
// memory, lose its power without a word, or stand still for a while and then work off what has come.
import type { VoteServerConfiguration } from "../../src/qnetd/server/configuration.ts";
import { defaultConfiguration } from "../../src/qnetd/server/configuration.ts";
import type {
  VoteServerAction,
  VoteServerEvent,
  VoteServerTimer,
} from "../../src/qnetd/session/events.ts";
import { Deadlines } from "../../src/deadlines.ts";
import { Turns } from "../../src/turns.ts";
import { decodeMessage, type Message } from "../../src/qnetd/session/message.ts";
import { VoteServer } from "../../src/qnetd/session/qnetd-core.ts";
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";
import type { Listener, Stream, Streams } from "./streams.ts";
import { SimClock } from "./clock.ts";

export interface SimServerOptions {
  readonly agenda: Agenda;
  readonly streams: Streams;
  readonly random: SeededRandom;
  readonly clockRate: number;
  readonly isWaitingAfterStart: boolean;
  /** Every message that leaves, and for whom. */
  readonly said: (host: string, message: Message) => void;
  readonly trace: (text: string) => void;
}

export class SimServer implements Listener {
  incarnation = 0;
  readonly #options: SimServerOptions;
  readonly #clock: SimClock;
  readonly #turns: Turns<VoteServerEvent>;
  readonly #configuration: VoteServerConfiguration;
  readonly #byConnection = new Map<number, Stream>();
  readonly #connections = new Map<Stream, number>();
  #core: VoteServer | undefined;
  readonly #deadlines: Deadlines<VoteServerTimer>;
  #connectionCount = 0;
  #pausedUntil = 0;
  readonly #inbox: VoteServerEvent[] = [];

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.#clock = new SimClock({ agenda: options.agenda, rate: options.clockRate, offsetMs: 0 });
    this.#turns = new Turns({ take: (event) => this.#step(event) });
    this.#deadlines = new Deadlines({
      clock: this.#clock,
      fire: (timer) => this.#timedOut(timer),
    });
    this.#configuration = {
      ...defaultConfiguration,
      tls: "off",
      isWaitingAfterStart: options.isWaitingAfterStart,
    };
    options.streams.listener = this;
  }

  get isRunning(): boolean {
    return this.#core !== undefined;
  }

  start(): void {
    if (this.isRunning) return;
    this.#options.trace("starts");
    this.incarnation += 1;
    this.#core = new VoteServer({
      configuration: this.#configuration,
      startedAt: this.#clock.now(),
    });
    this.#options.streams.setServerPower(true);
  }

  /** The process ends; its system closes its connections. */
  kill(): void {
    if (!this.isRunning) return;
    this.#options.trace("ends");
    this.#end();
    this.#options.streams.serverEnded();
  }

  powerOff(): void {
    this.#options.trace("loses power");
    this.#end();
    this.#options.streams.setServerPower(false);
  }

  /** Stands still; what comes meanwhile is worked off afterwards, in its order. */
  pause(ms: number): void {
    const { agenda } = this.#options;
    if (!this.isRunning || this.#pausedUntil > agenda.now) return;
    this.#options.trace(`stands still for ${ms.toFixed(0)} ms`);
    this.#pausedUntil = agenda.now + ms;
    const { incarnation } = this;
    agenda.after(ms, () => {
      if (this.incarnation !== incarnation) return;
      for (const event of this.#inbox.splice(0)) this.#turns.add(event);
    });
  }

  accepted(stream: Stream): void {
    this.#connectionCount += 1;
    const connection = this.#connectionCount;
    this.#byConnection.set(connection, stream);
    this.#connections.set(stream, connection);
    this.#take({ kind: "connected", connection, address: stream.host, port: stream.id });
  }
  received(stream: Stream, bytes: Uint8Array): void {
    const connection = this.#connections.get(stream);
    if (connection !== undefined) this.#take({ kind: "received", connection, bytes });
  }
  closed(stream: Stream): void {
    const connection = this.#connections.get(stream);
    if (connection === undefined) return;
    this.#forget(connection);
    this.#take({ kind: "closed", connection, isPeerAware: true });
  }

  /** Why the votes of a cluster are what they are. */
  reasons(): string[] {
    const snapshot = this.#core?.snapshot(this.#clock.now());
    return (snapshot?.clusters ?? []).flatMap((cluster) =>
      cluster.nodes.map((node) => `${cluster.name}.${node.nodeId}: ${node.why}`),
    );
  }

  #end(): void {
    this.#core = undefined;
    this.#deadlines.stop();
    this.#inbox.length = 0;
    this.#pausedUntil = 0;
    this.#byConnection.clear();
    this.#connections.clear();
  }

  #forget(connection: number): void {
    const stream = this.#byConnection.get(connection);
    this.#byConnection.delete(connection);
    if (stream !== undefined) this.#connections.delete(stream);
  }

  #timedOut(timer: VoteServerTimer): void {
    const { agenda, random, clockRate } = this.#options;
    if (this.#pausedUntil > agenda.now) {
      // A timer that ran out in the pause: the runtime may take it before what came over the network, or after.
      const lateMs = random.chance(0.5) ? 0 : 1;
      this.#deadlines.arm(timer, (this.#pausedUntil + lateMs) * clockRate);
      return;
    }
    this.#turns.add({ kind: "timedOut", timer });
  }

  #take(event: VoteServerEvent): void {
    if (this.#pausedUntil > this.#options.agenda.now) this.#inbox.push(event);
    else this.#turns.add(event);
  }

  #step(event: VoteServerEvent): void {
    const out: VoteServerAction[] = [];
    this.#core?.step(event, this.#clock.now(), out);
    for (const action of out) this.#carryOut(action);
  }

  #carryOut(action: VoteServerAction): void {
    switch (action.kind) {
      case "send": {
        const stream = this.#byConnection.get(action.connection);
        if (stream === undefined) return;
        const message = decodeMessage(action.bytes);
        if (message.ok) this.#options.said(stream.host, message.value);
        return this.#options.streams.send(stream, "down", action.bytes);
      }
      case "close": {
        const stream = this.#byConnection.get(action.connection);
        this.#forget(action.connection);
        if (stream !== undefined) this.#options.streams.closeServer(stream);
        return;
      }
      case "arm":
        return this.#deadlines.arm(action.timer, action.at);
      case "disarm":
        return this.#deadlines.disarm(action.timer);
      case "log":
        return this.#options.trace(`[${action.level}] ${action.text}`);
      case "startTls":
        throw new Error("TLS is off in the simulator");
      default:
        action satisfies never;
    }
  }
}
