// One TCP connection of the vote server: plain, then TLS. It counts what the kernel does not take, and ends exactly once. It knows
// nothing of the protocol.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { tlsRecordByte } from "../enrol/enrolment-message.ts";
import type { CertificateNames } from "../pki/certificate-name.ts";
import { ReadAllowance, type ReadLimits } from "./read-allowance.ts";
import { peerNames, type TlsUpgrade } from "./tls.ts";

/** From StartTLS to the end of the handshake. */
const handshakeMsMax = 20_000;
/** A connection that we close may take so long to send what is queued. */
const lingerMsMax = 3000;

export interface ConnectionEvents {
  received(connection: number, bytes: Uint8Array): void;
  /** A connection begins with TLS, as no vote client does; true when the enrolment server has taken its socket over. */
  enrolling(socket: Socket, first: Uint8Array): boolean;
  secured(connection: number): void;
  /** The client does not read: so many messages wait. */
  congested(connection: number, queued: number): void;
  /** Gone; `why`: what the log should say beyond that, or "". */
  closed(connection: number, isPeerAware: boolean, why: string): void;
}

export class Connection {
  readonly #id: number;
  readonly #name: string;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #allowance: ReadAllowance;
  #tls: TLSSocket | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  #queued = 0;
  #isPeerAware = false;
  #hasSpoken = false;
  #isClosing = false;
  #isOver = false;
  #why = "";

  constructor(id: number, socket: Socket, events: ConnectionEvents, reading: ReadLimits) {
    this.#id = id;
    this.#name = `client ${socket.remoteAddress}:${socket.remotePort}`;
    this.#socket = socket;
    this.#events = events;
    this.#allowance = new ReadAllowance(reading, performance.now());
    socket.on("data", (bytes: Uint8Array) => this.#received(bytes));
    socket.on("end", () => (this.#isPeerAware = true));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
    socket.on("close", () => this.#over());
  }

  send(bytes: Uint8Array): void {
    const stream = this.#tls ?? this.#socket;
    if (this.#isClosing || !stream.writable) return;
    this.#queued += 1;
    const isTaken = stream.write(bytes, () => void (this.#queued -= 1));
    if (!isTaken || stream.writableLength > 0) this.#events.congested(this.#id, this.#queued);
  }

  /** Begins the handshake; a reason when there are no certificates. */
  startTls(tls: TlsUpgrade, rest: Uint8Array): string | undefined {
    this.#socket.removeAllListeners("data");
    const upgraded = tls.upgrade(this.#socket, rest);
    if (!upgraded.ok) return upgraded.reason;
    const stream = upgraded.value;
    this.#tls = stream;
    this.#deadline = setTimeout(() => {
      this.#why = `${this.#name} did not end its TLS handshake in ${handshakeMsMax} ms`;
      this.destroy();
    }, handshakeMsMax);
    stream.once("secure", () => {
      clearTimeout(this.#deadline);
      if (!this.#isClosing) this.#events.secured(this.#id);
    });
    stream.on("data", (bytes: Uint8Array) => this.#received(bytes));
    stream.on("end", () => (this.#isPeerAware = true));
    stream.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
    stream.on("close", () => this.#over());
    return undefined;
  }

  /** What the client's certificate says after the handshake. */
  peerNames(): CertificateNames | undefined {
    return this.#tls === undefined ? undefined : peerNames(this.#tls);
  }

  /** Sends what is queued, then ends; the other side need not agree. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    (this.#tls ?? this.#socket).end();
    // What still comes is read and thrown away, so that the end of the other side is seen.
    clearTimeout(this.#pause);
    (this.#tls ?? this.#socket).resume();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.destroy(), lingerMsMax);
  }

  /** Ends at once. */
  destroy(): void {
    this.#isClosing = true;
    this.#tls?.destroy();
    this.#socket.destroy();
  }

  #received(bytes: Uint8Array): void {
    if (this.#isClosing) return;
    const isFirst = !this.#hasSpoken;
    this.#hasSpoken = true;
    if (isFirst && bytes[0] === tlsRecordByte && this.#events.enrolling(this.#socket, bytes))
      return;
    const waitMs = this.#allowance.take(bytes.length, performance.now());
    if (waitMs === undefined) {
      this.#why = `${this.#name} sends more than any client would; its connection is closed`;
      return this.destroy();
    }
    const stream = this.#tls ?? this.#socket;
    this.#events.received(this.#id, bytes);
    this.#slow(stream, waitMs);
  }

  /** A client that sends more than it may is not read for a while. */
  #slow(stream: Socket, waitMs: number): void {
    // A socket that has just been handed to TLS is paused and resumed by it.
    if (waitMs === 0 || this.#isClosing || stream !== (this.#tls ?? this.#socket)) return;
    stream.pause();
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => stream.resume(), waitMs);
  }

  #failed(error: NodeJS.ErrnoException): void {
    // A reset comes from the client's own system: the client is gone or wants to be.
    if (error.code === "ECONNRESET" || error.code === "EPIPE") this.#isPeerAware = true;
    else if (!this.#isClosing)
      this.#why = `${this.#name} ${failureText(error.code ?? error.message)}`;
    this.destroy();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#pause);
    this.destroy();
    this.#events.closed(this.#id, this.#isPeerAware, this.#why);
  }
}

function failureText(code: string): string {
  if (code === "CERT_NOT_YET_VALID" || code === "CERT_HAS_EXPIRED") {
    const clock = new Date().toISOString().slice(0, 16).replace("T", " ");
    const which = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet";
    return `showed a certificate that ${which} by the clock of this host, ${clock} UTC: if that is wrong, set the clock (no restart is needed)`;
  }
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return "showed no certificate";
  if (/CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED/.test(code) && !code.startsWith("ERR_SSL")) {
    return `showed a certificate that is not of this server's authority (${code})`;
  }
  return `is lost: ${code}`;
}
