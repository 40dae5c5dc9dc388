// The network's way in: one port for the HTTPS API (pvecm.md §4.1). Connections are admitted and timed here, TLS is begun here, and the runtime's HTTP
// parser (llhttp) reads what is inside; `fetch` says what it means. It holds no more than its limits allow, whatever strangers send, and a
// port that is taken does not stop the node: it is tried again, and `fault` says what to do.
import { constants } from "node:crypto";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { listenAdvice, pauseServerWhenScarce } from "../../listening.ts";
import { DoorAdmission, type RateLimits, RequestRate } from "./admission.ts";
import { DoorConnection, type Phase, type PhaseLimits } from "./connection.ts";
import { exchange, type ExchangeOptions } from "./exchange.ts";
import { plainAnswer } from "./plain.ts";

/** Everything that strangers could make grow. */
export interface DoorLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
  /** TLS handshakes of one address: each costs a signature. */
  readonly connectionRate: RateLimits;
  /** Of all together: this thread has the tree's work to do as well. */
  readonly totalConnectionRate: RateLimits;
  /** Requests of one address. */
  readonly requestRate: RateLimits;
  /** Of all together, for the same reason: strangers may ask what needs no login. */
  readonly totalRequestRate: RateLimits;
  readonly phaseMs: PhaseLimits;
}

export const doorLimits: DoorLimits = {
  // Half of them for streams of events, which last (monitor/streams.ts).
  connectionsMax: 512,
  // Browsers open six; a script or a few users behind one address some dozens.
  connectionsPerAddressMax: 64,
  headBytesMax: 16_384,
  bodyBytesMax: 65_536,
  connectionRate: { perSecond: 20, burst: 100 },
  totalConnectionRate: { perSecond: 200, burst: 600 },
  requestRate: { perSecond: 100, burst: 400 },
  totalRequestRate: { perSecond: 500, burst: 2000 },
  phaseMs: { hello: 10_000, idle: 20_000, body: 20_000, work: 300_000, answer: 30_000 },
};

/** Certificate chain and key, PEM. */
export interface DoorIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface DoorOptions {
  /** undefined: all addresses, both families where there are two. */
  readonly host: string | undefined;
  readonly port: number;
  readonly identity: DoorIdentity;
  readonly fetch: ExchangeOptions["fetch"];
  readonly limits?: DoorLimits;
  /** Until a port that is taken is tried again. */
  readonly retryMs?: number;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

/** What has happened since the start, by reason. */
export interface DoorCounters {
  connections: number;
  requests: number;
  /** No room, and nobody idle. */
  refused: number;
  /** Cut for somebody else. */
  evicted: number;
  timedOut: number;
  /** Above the rates of an address. */
  limited: number;
  /** No HTTP, or no TLS that we speak. */
  malformed: number;
  redirected: number;
}

const tlsRecordHandshake = 0x16;

export class Door {
  readonly #options: DoorOptions;
  readonly #limits: DoorLimits;
  readonly #admission: DoorAdmission<DoorConnection>;
  readonly #connectionRate: RequestRate;
  readonly #totalConnectionRate: RequestRate;
  readonly #requestRate: RequestRate;
  readonly #totalRequestRate: RequestRate;
  readonly #http: ReturnType<typeof createHttpServer>;
  readonly #connections = new Set<DoorConnection>();
  /** By the socket that the HTTP server knows. */
  readonly #byTls = new WeakMap<object, DoorConnection>();
  readonly counters: DoorCounters = {
    connections: 0,
    requests: 0,
    refused: 0,
    evicted: 0,
    timedOut: 0,
    limited: 0,
    malformed: 0,
    redirected: 0,
  };
  #context: SecureContext;
  #server: Server | undefined;
  #unwatch: () => void = () => undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #fault = "";
  #port: number;

  /** Begins to listen; throws when the identity is none. Resolves after the first attempt, whatever became of it. */
  static async open(options: DoorOptions): Promise<Door> {
    const door = new Door(options);
    await door.#listen();
    return door;
  }

  private constructor(options: DoorOptions) {
    this.#options = options;
    this.#limits = options.limits ?? doorLimits;
    this.#port = options.port;
    this.#context = contextOf(options.identity);
    this.#admission = new DoorAdmission(this.#limits);
    this.#connectionRate = new RequestRate(this.#limits.connectionRate);
    this.#totalConnectionRate = new RequestRate(this.#limits.totalConnectionRate);
    this.#requestRate = new RequestRate(this.#limits.requestRate);
    this.#totalRequestRate = new RequestRate(this.#limits.totalRequestRate);
    this.#http = createHttpServer(
      {
        maxHeaderSize: this.#limits.headBytesMax,
        keepAliveTimeout: this.#limits.phaseMs.idle,
      },
      (incoming, outgoing) => void this.#request(incoming, outgoing),
    );
    // An "Expect" that is not "100-continue": the runtime would keep the connection.
    this.#http.on("checkExpectation", (incoming: IncomingMessage, outgoing: ServerResponse) => {
      this.counters.malformed += 1;
      outgoing.writeHead(417, "Expectation Failed", { connection: "close", "content-length": "0" });
      this.#byTls.get(incoming.socket)?.enter("answer");
      outgoing.end();
    });
    this.#http.on("clientError", (_, socket) => {
      this.counters.malformed += 1;
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
      this.#byTls.get(socket)?.enter("answer");
      socket.resume();
    });
  }

  /** Why nobody is listening, a sentence with what to do; "" while it is. */
  get fault(): string {
    return this.#fault;
  }
  /** That is listened on; differs from the wanted one only when that is 0. */
  get port(): number {
    return this.#port;
  }
  get connections(): number {
    return this.#connections.size;
  }

  /** Shown to everybody who connects from now on; who is connected stays. Throws when it is none. */
  present(identity: DoorIdentity): void {
    this.#context = contextOf(identity);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#unwatch();
    const server = this.#server;
    this.#server = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (server === undefined) resolve();
    else server.close(() => resolve());
    for (const connection of this.#connections) connection.destroy();
    this.#http.close();
    await promise;
  }

  async #listen(): Promise<void> {
    const { host, log } = this.#options;
    let reason = "";
    for (const each of host === undefined ? ["::", "0.0.0.0"] : [host]) {
      reason = await this.#listenOn(each);
      if (reason === "") break;
    }
    if (this.#isClosed) return;
    const where = `${host ?? "all addresses"} port ${this.#port}`;
    if (reason === "") {
      this.#fault = "";
      return log("notice", `the HTTPS API listens on ${where}`);
    }
    const fault =
      `the HTTPS API cannot listen on ${where}: ${reason}${listenAdvice(reason)}. ` +
      `The node runs without it and tries again; --api ADDRESS:PORT chooses another place, --no-api does without`;
    if (fault !== this.#fault) log("warning", fault);
    this.#fault = fault;
    this.#retry = setTimeout(() => void this.#listen(), this.#options.retryMs ?? 10_000);
  }

  /** "" or why not. */
  #listenOn(host: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) =>
      this.#accept(socket),
    );
    const options = { host, port: this.#port, exclusive: true, backlog: 128 };
    server.once("error", (error) => resolve(error.message));
    server.listen(options, () => {
      server.removeAllListeners("error");
      const address = server.address();
      if (address !== null && typeof address === "object") this.#port = address.port;
      this.#unwatch = pauseServerWhenScarce(
        server,
        { ...options, port: this.#port },
        { onError: (error) => this.#options.log("warning", `the HTTPS API: ${error.message}`) },
      );
      this.#server = server;
      if (this.#isClosed) server.close();
      resolve("");
    });
    return promise;
  }

  #accept(socket: Socket): void {
    // A client went away: nothing is lost.
    socket.on("error", () => socket.destroy());
    const { remoteAddress } = socket;
    // Gone before it was accepted.
    if (remoteAddress === undefined) return void socket.destroy();
    this.counters.connections += 1;
    const now = performance.now();
    // Who is above the rate of an address takes nothing from the others.
    const isTaken =
      this.#connectionRate.take(remoteAddress, now) && this.#totalConnectionRate.take("", now);
    if (!isTaken) {
      this.counters.limited += 1;
      return void socket.destroy();
    }
    const connection = new DoorConnection({
      socket,
      address: remoteAddress,
      limits: this.#limits.phaseMs,
      onTimeout: () => void (this.counters.timedOut += 1),
    });
    const admitted = this.#admission.admit(connection);
    if (!admitted.isTaken) {
      this.counters.refused += 1;
      return connection.destroy();
    }
    if (admitted.evicted !== undefined) {
      this.counters.evicted += 1;
      admitted.evicted.destroy();
    }
    this.#connections.add(connection);
    socket.on("close", () => {
      connection.closed();
      this.#connections.delete(connection);
      this.#admission.left(connection);
    });
    socket.once("data", (first: Uint8Array) => {
      if (first[0] === tlsRecordHandshake) this.#startTls(connection, socket, first);
      else this.#redirect(socket, first);
    });
  }

  #startTls(connection: DoorConnection, socket: Socket, first: Uint8Array): void {
    // A flowing socket without listeners would lose what is put back.
    socket.pause();
    socket.unshift(first);
    const tls = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: ["http/1.1"],
    });
    let isSecure = false;
    tls.on("secure", () => {
      isSecure = true;
      connection.enter("idle");
    });
    tls.on("error", () => {
      if (!isSecure) this.counters.malformed += 1;
      socket.destroy();
    });
    tls.on("close", () => socket.destroy());
    this.#byTls.set(tls, connection);
    this.#http.emit("connection", tls);
  }

  #redirect(socket: Socket, first: Uint8Array): void {
    const host = `${hostText(socket.localAddress ?? "")}:${this.#port}`;
    let received = "";
    const take = (bytes: Uint8Array): void => {
      received += Buffer.from(bytes).toString("latin1");
      const answer = plainAnswer(received, host);
      if (answer === undefined) return;
      this.counters[answer.includes("location:") ? "redirected" : "malformed"] += 1;
      socket.off("data", take);
      socket.resume(); // A body is thrown away.
      socket.end(answer);
    };
    socket.on("data", take);
    take(first);
  }

  async #request(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const connection = this.#byTls.get(incoming.socket);
    // Requests that do not wait for the answer to the one before: no client of ours does that, and each would be work at once.
    if (connection === undefined || !["idle", "hello"].includes(connection.phase)) {
      this.counters.malformed += 1;
      return void incoming.socket.destroy();
    }
    connection.enter("work");
    this.counters.requests += 1;
    const now = performance.now();
    const isTaken =
      this.#requestRate.take(connection.address, now) && this.#totalRequestRate.take("", now);
    if (!isTaken) {
      this.counters.limited += 1;
      outgoing.writeHead(429, "Too many requests", { connection: "close", "retry-after": "1" });
      connection.enter("answer");
      return void outgoing.end();
    }
    await exchange(incoming, outgoing, {
      address: connection.address,
      bodyBytesMax: this.#limits.bodyBytesMax,
      fetch: this.#options.fetch,
      enter: (phase: Phase) => connection.enter(phase),
    });
    connection.enter("idle");
  }
}

function contextOf({ certificate, key }: DoorIdentity): SecureContext {
  return createSecureContext({
    cert: certificate,
    key,
    minVersion: "TLSv1.2",
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

function hostText(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return plain.includes(":") ? `[${plain}]` : plain;
}
