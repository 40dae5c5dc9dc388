// A client of the vote server on loopback, for tests: plain or TLS, at any pace, with every event awaited.
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { FrameReader } from "../../src/qnetd/session/frames.ts";
import {
  algorithms,
  decodeMessage,
  encodeMessage,
  type Message,
  supportedMessages,
  supportedOptions,
} from "../../src/qnetd/session/message.ts";
import { type Identity, pem } from "../../src/qnetd/pki/pki.ts";

const deadlineMs = 5000;

export class LoopbackClient {
  readonly #frames = new FrameReader({ bytesMax: 1 << 20 });
  readonly #messages: Message[] = [];
  #socket: Socket;
  #wake: () => void = () => undefined;
  isClosed = false;
  /** The code of the failure, if the connection failed. */
  failure = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  static async open(port: number): Promise<LoopbackClient> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve());
    socket.once("error", reject);
    await promise;
    return new LoopbackClient(socket);
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }
  send(...messages: readonly Message[]): void {
    for (const message of messages) this.write(encodeMessage(message));
  }

  /** The next message of the server; "closed" when there will be none. */
  async next(): Promise<Message | "closed"> {
    await this.#until(() => this.#messages.length > 0 || this.isClosed, "a message");
    return this.#messages.shift() ?? "closed";
  }

  async closed(): Promise<void> {
    await this.#until(() => this.isClosed, "the end of the connection");
  }

  /** Begins TLS on this connection; answers whether it came about, as far as a client can know (TLS 1.3: not yet). */
  async startTls(options: {
    readonly authority: Uint8Array;
    readonly identity: Identity | undefined;
  }): Promise<TLSSocket> {
    const { authority, identity } = options;
    const plain = this.#socket;
    plain.removeAllListeners("data");
    const tls = connectTls({
      socket: plain,
      servername: "Qnetd Server",
      ca: pem("CERTIFICATE", authority),
      ...(identity === undefined
        ? {}
        : {
            cert: pem("CERTIFICATE", identity.certificate),
            key: pem("PRIVATE KEY", identity.key),
          }),
      // The name is the server's common name, not the host's.
      checkServerIdentity: () => undefined,
    });
    this.#socket = tls;
    this.#listen(tls);
    let isUp = false;
    tls.once("secureConnect", () => {
      isUp = true;
      this.#wake();
    });
    await this.#until(() => isUp || this.isClosed, "the TLS handshake");
    return tls;
  }

  /** No more is read until `resume`. */
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  end(): void {
    this.#socket.end();
  }
  destroy(): void {
    this.#socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on("data", (bytes: Uint8Array) => {
      this.#frames.push(bytes);
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
        if (frame.kind !== "message") throw new Error(`the server sent a ${frame.kind}`);
        const decoded = decodeMessage(frame.bytes);
        if (!decoded.ok) throw new Error(`the server sent nonsense: ${decoded.reason}`);
        this.#messages.push(decoded.value);
      }
      this.#wake();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.failure = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const end = performance.now() + deadlineMs;
    while (!condition()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, Math.max(0, end - performance.now()));
      await promise;
      clearTimeout(timer);
      if (!condition() && performance.now() >= end) throw new Error(`waited in vain for ${what}`);
    }
  }
}

export const preinit = (clusterName = "lab"): Message => ({ kind: "preinit", seq: 1, clusterName });

export function init(nodeId: number): Message {
  return {
    kind: "init",
    seq: 3,
    supportedMessages,
    supportedOptions,
    nodeId,
    algorithm: algorithms.indexOf("ffsplit"),
    heartbeatMs: 8000,
    tieBreaker: { mode: "lowest" },
    ring: { rep: 1, seq: 1 },
  };
}
