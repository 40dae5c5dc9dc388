// One HTTPS request on a connection of its own: connect, judge the certificate, send, read a bounded answer. Nothing of the request
// leaves this machine before `trust` has agreed. Every way to fail is a value.
import { request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { connect, type TLSSocket } from "node:tls";
import { reasonOf } from "../../result.ts";
import { type Trust, fingerprintOf, shownBy } from "./trust.ts";

const headerBytesMax = 32 * 1024;
/**
 * The runtime says ECONNREFUSED of a machine that is not there, too, when after three seconds nobody in its network answers for the address; a machine that
 * refuses a port does so at once, or a second later if a packet was lost.
 */
const refusedMsMax = 2500;
const brokenOff = "broke off before its answer was complete";

export interface HttpsCall {
  readonly host: string;
  readonly port: number;
  readonly trust: Trust;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Beginning with "/", with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the first packet to the end of the answer; the time that `trust` takes (it may ask a person) does not count. */
  readonly waitMs: number;
  readonly answerBytesMax: number;
}

export interface HttpsAnswer {
  readonly status: number;
  /** The text of the status line: Proxmox puts the first line of its message there. */
  readonly reasonPhrase: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
  /** "9A:3B:…": of the certificate that the other side showed. */
  readonly fingerprint: string;
  /** Our own address on this connection. */
  readonly ownAddress: string;
  /** By our clock (Unix milliseconds), in the middle between the request and the answer; what the connection took does not count. */
  readonly middleAtMs: number;
}

/** Why there is no answer. `isSent`: the request may have been carried out all the same. */
export interface HttpsFailure {
  readonly kind: "unreachable" | "tls" | "untrusted" | "timeout" | "malformed" | "tooLong";
  /** Goes on after "the node at X": a predicate. */
  readonly reason: string;
  readonly isSent: boolean;
}

export type HttpsOutcome =
  { readonly ok: true; readonly answer: HttpsAnswer } | ({ readonly ok: false } & HttpsFailure);

/** Never throws. */
export function callHttps(call: HttpsCall): Promise<HttpsOutcome> {
  return new Call(call).run();
}

class Call {
  readonly #call: HttpsCall;
  readonly #end = Promise.withResolvers<HttpsOutcome>();
  #socket: TLSSocket | undefined;
  readonly #startedAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #phase: "connecting" | "judging" | "sent" = "connecting";

  constructor(call: HttpsCall) {
    this.#call = call;
  }

  async run(): Promise<HttpsOutcome> {
    const { host, port, waitMs } = this.#call;
    this.#startTimer(waitMs);
    try {
      const socket = connect({
        host,
        port,
        ...(isAddress(host) ? {} : { servername: host }),
        minVersion: "TLSv1.2",
        ALPNProtocols: ["http/1.1"],
        // `trust` judges what is shown, below, before anything is sent.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      this.#socket = socket;
      socket.on("error", (error: NodeJS.ErrnoException) => this.#broken(error));
      socket.on("close", () => {
        // Then the request says it, after what has come of the answer.
        if (this.#phase !== "sent") this.#fail("unreachable", "closed the connection");
      });
      socket.once("secureConnect", () => {
        const spentMs = performance.now() - this.#startedAt;
        void this.#judge(socket, waitMs - spentMs);
      });
    } catch (error) {
      this.#fail("unreachable", `cannot be called: ${reasonOf(error)}`);
    }
    const outcome = await this.#end.promise;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    return outcome;
  }

  async #judge(socket: TLSSocket, leftMs: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#phase = "judging";
    try {
      const shown = shownBy(socket, this.#call.host);
      if (shown === undefined) return this.#fail("tls", "shows no certificate that can be read");
      const judged = await this.#call.trust(shown);
      if (!judged.ok) {
        return this.#fail("untrusted", `is not trusted, and nothing was sent: ${judged.reason}`);
      }
      if (socket.destroyed) return this.#fail("unreachable", "closed the connection");
      this.#startTimer(leftMs);
      this.#send(socket, fingerprintOf(shown.server));
    } catch (error) {
      this.#fail("tls", `could not be asked: ${reasonOf(error)}`);
    }
  }

  #send(socket: TLSSocket, fingerprint: string): void {
    const { host, port, method, path, headers, body } = this.#call;
    const ownAddress = socket.localAddress ?? "";
    this.#phase = "sent";
    const sentAtMs = Date.now();
    const request = httpsRequest(
      {
        method,
        path,
        headers: {
          ...headers,
          host: `${host.includes(":") ? `[${host}]` : host}:${port}`,
          connection: "close",
          ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
        },
        createConnection: () => socket,
        maxHeaderSize: headerBytesMax,
      },
      (response) =>
        this.#read(response, { fingerprint, ownAddress, middleAtMs: (sentAtMs + Date.now()) / 2 }),
    );
    request.on("error", (error: NodeJS.ErrnoException) => this.#broken(error));
    request.on("close", () => this.#fail("malformed", brokenOff));
    request.end(body);
  }

  #read(
    response: IncomingMessage,
    seen: Pick<HttpsAnswer, "fingerprint" | "ownAddress" | "middleAtMs">,
  ): void {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    response.on("data", (piece: Uint8Array) => {
      bytes += piece.length;
      if (bytes > this.#call.answerBytesMax) {
        pieces.length = 0;
        return this.#fail(
          "tooLong",
          `sends an answer of more than ${this.#call.answerBytesMax} bytes, which no node does`,
        );
      }
      pieces.push(piece);
    });
    response.on("error", (error: NodeJS.ErrnoException) => this.#broken(error));
    response.on("end", () => {
      if (!response.complete) return this.#fail("malformed", brokenOff);
      this.#end.resolve({
        ok: true,
        answer: {
          status: response.statusCode ?? 0,
          reasonPhrase: response.statusMessage ?? "",
          headers: response.headers,
          body: Buffer.concat(pieces),
          ...seen,
        },
      });
    });
  }

  #startTimer(leftMs: number): void {
    const { waitMs } = this.#call;
    this.#timer = setTimeout(
      () =>
        this.#fail(
          "timeout",
          this.#phase === "sent"
            ? `has not answered within ${waitMs / 1000} s`
            : `cannot be reached: no connection within ${waitMs / 1000} s. Is it up, and is the TCP port open on the way?`,
        ),
      Math.max(leftMs, 1),
    );
  }

  #broken(error: NodeJS.ErrnoException): void {
    const code = error.code ?? "";
    if (code.startsWith("HPE_")) {
      return this.#fail("malformed", `does not speak HTTP (${error.message})`);
    }
    if (this.#phase === "sent") {
      return this.#fail("malformed", `${brokenOff} (${code || error.message})`);
    }
    const isSilent = code === "ECONNREFUSED" && performance.now() - this.#startedAt > refusedMsMax;
    const why =
      this.#phase === "judging"
        ? `closed the connection (${code})`
        : connectFault(isSilent ? "EHOSTUNREACH" : code);
    if (why !== undefined) return this.#fail("unreachable", why);
    this.#fail("tls", `does not speak TLS as it should (${error.message})`);
  }

  /** The first one counts. */
  #fail(kind: HttpsFailure["kind"], reason: string): void {
    this.#end.resolve({ ok: false, kind, reason, isSent: this.#phase === "sent" });
  }
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^\d+(?:\.\d+){3}$/.test(host);
}

/** Undefined: the connection was there, so it is TLS that failed. */
function connectFault(code: string): string | undefined {
  switch (code) {
    case "ECONNREFUSED":
      return "cannot be reached: nothing listens at that address and port. Is the node's daemon running there?";
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "DNS_ENOTFOUND":
      return "cannot be reached: its name is not known here. Use its address, or add the name to /etc/hosts";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `cannot be reached (${code}): no machine answers at that address. Is it on, is the address right, and is this machine in its network?`;
    case "ECONNRESET":
    case "EPIPE":
      return "closed the connection before it showed a certificate: something other than a node listens there, or it refuses this host";
    case "EINVAL":
    case "EADDRNOTAVAIL":
      return `cannot be reached (${code}): that is no address that can be called from here`;
    default:
      return undefined;
  }
}
