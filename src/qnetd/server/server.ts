// The host of the vote server's core (qnetd.md §1.6–1.8): listener, connections, TLS upgrade, timers. It carries out the core's
// actions in order and gives it events; it decides nothing about votes and never keeps more than the limits allow.
import { createServer, type Server, type Socket } from "node:net";
import { type Result, success, failure } from "../../result.ts";
import { pauseServerWhenScarce } from "../../listening.ts";
import { listenAdvice } from "../../listening.ts";
import { Deadlines, systemClock } from "../../deadlines.ts";
import { Turns } from "../../turns.ts";
import type { LogAction } from "../../world.ts";
import type { VoteServerConfiguration } from "./configuration.ts";
import { Connection, type ConnectionEvents } from "./server-connection.ts";
import type { VoteServerAction, VoteServerEvent, VoteServerTimer } from "../session/events.ts";
import { type ReadLimits, readLimits } from "./read-allowance.ts";
import { LogThrottle, verifiedLimits } from "./server-log.ts";
import { VoteServer } from "../session/qnetd-core.ts";
import type { ServerSnapshot } from "../session/snapshot.ts";
import type { ServerCounters } from "../session/counters.ts";
import type { TlsUpgrade } from "./tls.ts";

/** Connections that we have ended and that the other side has not: the oldest of more is cut off at once. */
export const lingeringMax = 64;

export interface ListenOptions {
  /** An address or a name; undefined: all. */
  readonly address: string | undefined;
  readonly port: number;
  /** 0: one IPv6 socket that takes IPv4 too, or IPv4 alone where there is no IPv6. */
  readonly family: 0 | 4 | 6;
  readonly backlog: number;
}

export interface VoteServerHostOptions {
  readonly configuration: VoteServerConfiguration;
  readonly listen: ListenOptions;
  /** Undefined when TLS is off. */
  readonly tls: TlsUpgrade | undefined;
  /** Takes over connections that begin with TLS; undefined: they are answered as any nonsense. */
  readonly enrol?: (socket: Socket, first: Uint8Array) => void;
  readonly log: (line: LogAction) => void;
  /** For the lines that strangers can cause; undefined: one of its own, onto `log`. */
  readonly strangers?: LogThrottle;
  /** How much of one connection is read; undefined: more than an honest client ever sends. */
  readonly reading?: ReadLimits;
  /** The listener broke; the process should end. */
  readonly onFatal: (reason: string) => void;
}

export class VoteServerHost implements ConnectionEvents {
  readonly #options: VoteServerHostOptions;
  readonly #core: VoteServer;
  readonly #connections = new Map<number, Connection>();
  readonly #deadlines: Deadlines<VoteServerTimer>;
  readonly #strangers: LogThrottle;
  readonly #verified: LogThrottle;
  readonly #turns: Turns<VoteServerEvent>;
  readonly #actions: VoteServerAction[] = [];
  readonly #lingering = new Set<number>();
  #server: Server | undefined;
  #unwatch: () => void = () => undefined;
  #connectionCount = 0;
  #port = 0;

  constructor(options: VoteServerHostOptions) {
    this.#options = options;
    this.#strangers = options.strangers ?? new LogThrottle(options.log);
    this.#verified = new LogThrottle(options.log, verifiedLimits);
    this.#turns = new Turns({ take: (event) => this.#take(event) });
    this.#deadlines = new Deadlines({
      clock: systemClock,
      fire: (timer) => this.#turns.add({ kind: "timedOut", timer }),
    });
    this.#core = new VoteServer({
      configuration: options.configuration,
      startedAt: systemClock.now(),
    });
  }

  /** Listens, or says why not. */
  async start(): Promise<Result<void>> {
    const { listen } = this.#options;
    let reason = "";
    for (const host of hostsOf(listen)) {
      const tried = await this.#listen(host);
      if (tried.ok) return tried;
      reason = tried.reason;
    }
    return failure(listenFailure(listen, reason));
  }

  /** The port that is listened on; differs from the wanted one only when that is 0. */
  get port(): number {
    return this.#port;
  }
  /** Connections that are still there, refused ones too until they are gone. */
  get connections(): number {
    return this.#connections.size;
  }

  /** What has happened since the start. */
  get counters(): Readonly<ServerCounters> {
    return this.#core.counters;
  }

  snapshot(): ServerSnapshot {
    this.#tellCertified();
    return this.#core.snapshot(systemClock.now());
  }

  /** Closes everything; nobody's vote is computed again. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#unwatch();
    this.#turns.add({ kind: "stopped" });
    for (const connection of this.#connections.values()) connection.destroy();
    this.#deadlines.stop();
    this.#strangers.stop();
    this.#verified.stop();
    if (server === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    await promise;
  }

  received(connection: number, bytes: Uint8Array): void {
    this.#turns.add({ kind: "received", connection, bytes });
  }
  enrolling(socket: Socket, first: Uint8Array): boolean {
    this.#options.enrol?.(socket, first);
    return this.#options.enrol !== undefined;
  }
  secured(connection: number): void {
    const certificate = this.#connections.get(connection)?.peerNames();
    this.#turns.add({ kind: "tlsDone", connection, certificate });
  }
  congested(connection: number, queued: number): void {
    this.#turns.add({ kind: "congested", connection, queued });
  }
  closed(connection: number, isPeerAware: boolean, why: string): void {
    this.#connections.delete(connection);
    this.#lingering.delete(connection);
    if (why !== "") this.#log("warning", why);
    this.#turns.add({ kind: "closed", connection, isPeerAware });
  }

  #listen(host: string): Promise<Result<void>> {
    const { listen } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Result<void>>();
    const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) =>
      this.#accept(socket),
    );
    server.once("error", (error) => resolve(failure(error.message)));
    const { port, backlog, family } = listen;
    const options = { host, port, backlog, ipv6Only: family === 6, exclusive: true };
    server.listen(options, () => {
      server.removeAllListeners("error");
      const address = server.address();
      this.#port = address !== null && typeof address === "object" ? address.port : port;
      this.#unwatch = pauseServerWhenScarce(
        server,
        { ...options, port: this.#port },
        {
          onError: (error) => this.#options.onFatal(`the listener failed: ${error.message}`),
        },
      );
      this.#server = server;
      resolve(success(undefined));
    });
    return promise;
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    // Gone before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
    this.#tellCertified();
    this.#connectionCount += 1;
    const id = this.#connectionCount;
    const { configuration } = this.#options;
    const reading = this.#options.reading ?? readLimits(configuration.receiveBytesMax);
    this.#connections.set(id, new Connection(id, socket, this, reading));
    this.#turns.add({
      kind: "connected",
      connection: id,
      address: remoteAddress,
      port: remotePort,
    });
  }

  #tellCertified(): void {
    const names = this.#options.tls?.newlyIssued();
    if (names !== undefined) this.#turns.add({ kind: "certified", names });
  }

  #take(event: VoteServerEvent): void {
    const out = this.#actions;
    this.#core.step(event, systemClock.now(), out);
    for (const action of out.splice(0)) this.#carryOut(action);
  }

  #carryOut(action: VoteServerAction): void {
    switch (action.kind) {
      case "send":
        this.#connections.get(action.connection)?.send(action.bytes);
        return;
      case "startTls":
        this.#startTls(action.connection, action.rest);
        return;
      case "close":
        this.#close(action.connection);
        return;
      case "arm":
        this.#deadlines.arm(action.timer, action.at);
        return;
      case "disarm":
        this.#deadlines.disarm(action.timer);
        return;
      case "log":
        (action.isVerified ? this.#verified : this.#strangers).log(action);
        return;
    }
    action satisfies never;
  }

  /** Descriptors of closed connections are bounded too: strangers may keep their side open. */
  #close(connection: number): void {
    this.#connections.get(connection)?.close();
    this.#lingering.add(connection);
    if (this.#lingering.size <= lingeringMax) return;
    for (const oldest of this.#lingering) {
      this.#lingering.delete(oldest);
      this.#connections.get(oldest)?.destroy();
      return;
    }
  }

  #startTls(connection: number, rest: Uint8Array): void {
    const { tls } = this.#options;
    const reason =
      tls === undefined
        ? "TLS is off on this server"
        : this.#connections.get(connection)?.startTls(tls, rest);
    if (reason === undefined) return;
    this.#log("error", `TLS cannot be used: ${reason}`);
    this.#connections.get(connection)?.destroy();
  }

  #log(level: LogAction["level"], text: string): void {
    this.#strangers.log({ kind: "log", level, subsystem: "QNETD", text });
  }
}

/** Why nobody could listen there now, as a sentence; undefined: it is free. Asked before anything on disk is touched. */
export async function listenFault(listen: ListenOptions): Promise<string | undefined> {
  let reason = "";
  for (const host of hostsOf(listen)) {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const server = createServer();
    server.once("error", (error) => resolve(error.message));
    const options = { host, port: listen.port, ipv6Only: listen.family === 6, exclusive: true };
    server.listen(options, () => server.close(() => resolve(undefined)));
    const fault = await promise;
    if (fault === undefined) return undefined;
    reason = fault;
  }
  return listenFailure(listen, reason);
}

function listenFailure({ address, port }: ListenOptions, reason: string): string {
  const where = `${address ?? "all addresses"} port ${port}`;
  return `the vote server cannot listen on ${where}: ${reason}${listenAdvice(reason)}`;
}

function hostsOf({ address, family }: ListenOptions): readonly string[] {
  if (address !== undefined) return [address];
  if (family === 4) return ["0.0.0.0"];
  return family === 6 ? ["::"] : ["::", "0.0.0.0"];
}
