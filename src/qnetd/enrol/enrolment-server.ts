// The enrolment server, on the vote server's port: a connection whose first byte is a TLS record's, where a vote client's is
// 0. Nobody has a certificate yet; who knows an invitation's secret gets one for its cluster, everybody else nothing. A host.
// It must never wait longer than its deadline, hold more than one small request, or block those who vote.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { readFileSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { reasonOf, type Result, success, failure } from "../../result.ts";
import type { LogAction } from "../../world.ts";
import { findInvite, checkRequest, refusal, type EnrolmentDecision } from "./enrolment.ts";
import { EnrolmentAdmission } from "./enrolment-admission.ts";
import { hashOf, InviteStore } from "./enrolment-invites.ts";
import {
  decodeRequest,
  encodeAnswer,
  encodeOffer,
  EnrolmentFrame,
  type EnrolmentAnswer,
  type EnrolmentRequest,
  requestBytesMax,
} from "./enrolment-message.ts";
import { readCertificate } from "../pki/pki.ts";
import type { CertificateStore } from "../pki/store.ts";
import type { TlsUpgrade } from "../server/tls.ts";

/** From the first byte to the last of ours. */
const deadlineMsDefault = 10_000;

export interface EnrolmentServerOptions {
  readonly tls: TlsUpgrade;
  readonly store: CertificateStore;
  readonly log: (line: LogAction) => void;
  /** Wall clock, milliseconds. */
  readonly clock: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** For one connection as a whole; undefined: 10 s. */
  readonly deadlineMs?: number;
}

export class EnrolmentServer {
  readonly #options: EnrolmentServerOptions;
  readonly #invites: InviteStore;
  readonly #admission = new EnrolmentAdmission();
  readonly #connections = new Map<number, EnrolmentConnection>();
  #connectionCount = 0;
  /** One request at a time decides and signs: an invitation must not serve two. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: EnrolmentServerOptions) {
    this.#options = options;
    this.#invites = new InviteStore(options.store.directory);
  }

  /** Takes over a connection after its first bytes. The socket ends with it, by a deadline at the latest. */
  open(socket: Socket, first: Uint8Array): void {
    const address = socket.remoteAddress ?? "";
    this.#connectionCount += 1;
    const id = this.#connectionCount;
    const admitted = this.#admission.admit(id, address, this.#options.now());
    if (admitted.kind === "refused") {
      this.#log("warning", `enrolment of ${address} is refused: ${admitted.why}`);
      return void socket.destroy();
    }
    if (admitted.evicted !== undefined) this.#connections.get(admitted.evicted)?.end();
    let hasFailed = true;
    const connection = new EnrolmentConnection(
      socket,
      this.#options.deadlineMs ?? deadlineMsDefault,
      {
        answer: async (text) => {
          this.#admission.asked(id);
          const answer = await this.#answer(text, address);
          // A client that knows a secret has not failed, even if its request is refused.
          hasFailed =
            answer.kind === "refuse" && (answer.code === "secret" || answer.code === "malformed");
          return answer;
        },
        ended: () => {
          this.#connections.delete(id);
          this.#admission.leave(id);
          if (hasFailed) this.#admission.failed(address, this.#options.now());
        },
      },
    );
    this.#connections.set(id, connection);
    const offer = this.#offer();
    const context = this.#options.tls.refresh();
    if (!offer.ok || !context.ok) {
      const reason = offer.ok ? (context.ok ? "" : context.reason) : offer.reason;
      this.#log("error", `nobody can be enrolled: ${reason}`);
      hasFailed = false;
      return connection.end();
    }
    socket.removeAllListeners("data");
    // A flowing socket without listeners would lose what is put back.
    socket.pause();
    socket.unshift(first);
    const secureContext = context.value;
    connection.begin(
      new TLSSocket(socket, { isServer: true, secureContext, requestCert: false }),
      encodeOffer({ authority: offer.value }),
    );
  }

  #offer(): Result<Uint8Array> {
    const files = this.#options.store.server();
    if (!files.ok) return files;
    const read = readCertificate(new TextEncoder().encode(files.value.authority));
    return read.ok ? success(new Uint8Array(read.value.raw)) : read;
  }

  async #answer(text: Result<string>, address: string): Promise<EnrolmentAnswer> {
    const request = text.ok ? decodeRequest(text.value) : text;
    if (!request.ok) {
      this.#log("warning", `enrolment of ${address} failed: ${request.reason}`);
      return refusal("malformed", `the request is not understood: ${request.reason}`);
    }
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      const answer = await this.#decide(request.value);
      if (answer.kind === "refuse") {
        this.#log("warning", `enrolment of ${address} is refused: ${answer.reason}`);
      } else {
        const { cluster } = request.value;
        this.#log("notice", `${address} got the certificate of cluster "${cluster}"`);
      }
      return answer;
    } catch (error) {
      // Of the runtime, while keys or files are handled: it must not end a server that others vote with.
      const reason = reasonOf(error);
      this.#log("error", `enrolment of ${address} failed: ${reason}`);
      return refusal("server", "the vote server met an error; its log says which");
    } finally {
      resolve();
    }
  }

  async #decide(request: EnrolmentRequest): Promise<EnrolmentAnswer> {
    const now = this.#options.clock();
    const invites = this.#invites.all((sentence) => this.#log("warning", sentence));
    const invite = findInvite(invites, hashOf(request.secret), now);
    if ("kind" in invite) return invite;
    const { readRequest } = await import("../pki/issue.ts");
    const read = await readRequest(request.request);
    if (!read.ok) return refusal("request", `the certificate request is not good: ${read.reason}`);
    const requestHash = hashOf(request.request);
    const decision: EnrolmentDecision = checkRequest(invite, {
      cluster: request.cluster,
      commonName: read.value.commonName,
      requestHash,
    });
    switch (decision.kind) {
      case "refuse":
        return decision;
      case "repeat":
        return {
          kind: "signed",
          certificate: new Uint8Array(Buffer.from(decision.certificate, "base64")),
        };
      case "issue": {
        const signed = await this.#sign(request, invite.cluster, now);
        if (!signed.ok) {
          this.#log("error", `the request cannot be signed: ${signed.reason}`);
          return refusal("server", `the vote server cannot sign: ${signed.reason}`);
        }
        const certificate = Buffer.from(signed.value).toString("base64");
        const used = this.#invites.use(invite, { requestHash, certificate, at: now });
        if (used.ok) return { kind: "signed", certificate: signed.value };
        this.#log("error", `an invitation cannot be marked as used: ${used.reason}`);
        return refusal("server", `the vote server cannot store its answer: ${used.reason}`);
      }
    }
    return decision satisfies never;
  }

  async #sign(
    { request }: EnrolmentRequest,
    cluster: string,
    now: number,
  ): Promise<Result<Uint8Array>> {
    const signed = await this.#options.store.sign(request, cluster, now);
    if (!signed.ok) return signed;
    try {
      return success(new Uint8Array(new X509Certificate(readFileSync(signed.value.path)).raw));
    } catch (error) {
      return failure(reasonOf(error));
    }
  }

  #log(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "ENROL", text });
  }
}

interface ConnectionEvents {
  readonly answer: (text: Result<string>) => Promise<EnrolmentAnswer>;
  /** Once, whatever happened. */
  readonly ended: () => void;
}

/** One connection: our offer, one request, one answer. */
class EnrolmentConnection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #frame = new EnrolmentFrame(requestBytesMax);
  readonly #deadline: NodeJS.Timeout;
  #stream: TLSSocket | undefined;
  #hasAsked = false;
  #isOver = false;

  constructor(socket: Socket, deadlineMs: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#deadline = setTimeout(() => this.end(), deadlineMs);
    socket.once("close", () => this.end());
  }

  begin(stream: TLSSocket, offer: Uint8Array): void {
    this.#stream = stream;
    // Garbage instead of a handshake, and a peer that goes: the connection is over, and counted as a failure.
    stream.on("error", () => this.end());
    stream.on("close", () => this.end());
    stream.on("data", (bytes: Uint8Array) => void this.#received(bytes));
    stream.once("secure", () => void stream.write(offer));
  }

  async #received(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) return;
    if (this.#hasAsked) return this.end();
    const text = this.#frame.push(bytes);
    if (text === undefined) return;
    this.#hasAsked = true;
    const answer = await this.#events.answer(text);
    this.#stream?.end(encodeAnswer(answer));
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#stream?.destroy();
    this.#socket.destroy();
    this.#events.ended();
  }
}
