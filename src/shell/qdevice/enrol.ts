// The node's side of enrolment: asks the vote server for the cluster's certificate, with the token of an invitation. The secret
// leaves this machine only after the other side has proved that it is the server of the authority that the token names.
import { createHash, X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { type Result, success, failure } from "../../result.ts";
import { isVoteServer } from "../../node/device/connection.ts";
import {
  answerBytesMax,
  decodeAnswer,
  decodeOffer,
  EnrolmentFrame,
  encodeRequest,
} from "../../qnetd/enrol/enrolment-message.ts";
import { serverName } from "../../qnetd/pki/pki.ts";
import type { InviteToken } from "../../qnetd/enrol/enrolment-token.ts";

/** For one address, from the first packet to the answer. */
const attemptMsMax = 15_000;

/** What the cluster has then; certificates DER. */
export interface Enrolled {
  readonly certificate: Uint8Array;
  readonly authority: Uint8Array;
  /** The address that worked. */
  readonly address: string;
}

/** `request`: PKCS#10, DER. The same request may be sent again: it gets the same answer. */
export async function enrol(token: InviteToken, request: Uint8Array): Promise<Result<Enrolled>> {
  const failures: string[] = [];
  for (const address of token.addresses) {
    const outcome = await new Attempt(token, address, request).run();
    if (outcome.kind === "enrolled") return success(outcome.value);
    // A server that knows us has spoken: others would only say the same.
    if (outcome.kind === "refused") return failure(outcome.reason);
    if (outcome.kind === "failed") failures.push(`${address}: ${outcome.reason}`);
  }
  return failure(unreachedText(token, failures));
}

/**
 * Is the server of the invitation there? The address that has proved it first; nothing secret is sent, and the invitation stays good. To the server it is
 * an attempt that failed, of which it takes some each minute.
 */
export async function knock(token: InviteToken): Promise<Result<string>> {
  const failures: string[] = [];
  const found = Promise.withResolvers<Result<string>>();
  const asked = token.addresses.map(async (address) => {
    const outcome = await new Attempt(token, address, undefined).run();
    if (outcome.kind === "met") found.resolve(success(address));
    else if (outcome.kind !== "enrolled") failures.push(`${address}: ${outcome.reason}`);
  });
  void Promise.all(asked).then(
    () => found.resolve(failure(unreachedText(token, failures))),
    found.reject,
  );
  return found.promise;
}

function unreachedText({ port }: InviteToken, failures: readonly string[]): string {
  return `no vote server could be reached at port ${port} (${failures.join("; ")}): is it running, and is that TCP port open on the way?`;
}

type Outcome =
  | { readonly kind: "enrolled"; readonly value: Enrolled }
  /** It is the server of the invitation; nothing was asked of it. */
  | { readonly kind: "met" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

class Attempt {
  readonly #token: InviteToken;
  readonly #address: string;
  readonly #request: Uint8Array | undefined;
  readonly #end = Promise.withResolvers<Outcome>();
  #frame = new EnrolmentFrame(answerBytesMax);
  /** Once it is checked. */
  #authority: Uint8Array | undefined;

  /** `request`: undefined to see who is there, and ask nothing. */
  constructor(token: InviteToken, address: string, request: Uint8Array | undefined) {
    this.#token = token;
    this.#address = address;
    this.#request = request;
  }

  async run(): Promise<Outcome> {
    const stream = connect({
      host: this.#address,
      port: this.#token.port,
      servername: serverName,
      minVersion: "TLSv1.2",
      // There is no chain to trust yet: the authority is compared with the token's fingerprint below, before anything is sent.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const fail = (reason: string): void => this.#end.resolve({ kind: "failed", reason });
    const deadline = setTimeout(() => fail(`no answer in ${attemptMsMax / 1000} s`), attemptMsMax);
    stream.on("error", (error: NodeJS.ErrnoException) =>
      fail(error.code === undefined ? error.message : errorText(error.code)),
    );
    stream.on("close", () =>
      fail(
        "it closed the connection: it is no vote server of quorate with TLS, or it refuses this host for a minute after failed attempts",
      ),
    );
    stream.on("data", (bytes: Uint8Array) => this.#received(stream, bytes));
    const outcome = await this.#end.promise;
    clearTimeout(deadline);
    stream.destroy();
    return outcome;
  }

  #received(stream: TLSSocket, bytes: Uint8Array): void {
    const text = this.#frame.push(bytes);
    if (text === undefined) return;
    if (!text.ok) return this.#end.resolve({ kind: "failed", reason: text.reason });
    if (this.#authority === undefined) {
      const checked = this.#checkServer(stream, text.value);
      if (!checked.ok) return this.#end.resolve({ kind: "refused", reason: checked.reason });
      const request = this.#request;
      if (request === undefined) return this.#end.resolve({ kind: "met" });
      this.#authority = checked.value;
      this.#frame = new EnrolmentFrame(answerBytesMax);
      const { secret, cluster } = this.#token;
      stream.write(encodeRequest({ secret, cluster, request }));
      return;
    }
    const authority = this.#authority;
    const answer = decodeAnswer(text.value);
    if (!answer.ok) return this.#end.resolve({ kind: "failed", reason: answer.reason });
    if (answer.value.kind === "refuse") {
      return this.#end.resolve({ kind: "refused", reason: answer.value.reason });
    }
    const { certificate } = answer.value;
    this.#end.resolve({
      kind: "enrolled",
      value: { certificate, authority, address: this.#address },
    });
  }

  /** The authority that was shown, once it is the token's and the server on the other side of this very connection is its. */
  #checkServer(stream: TLSSocket, text: string): Result<Uint8Array> {
    const offer = decodeOffer(text);
    if (!offer.ok) return failure(`${this.#address}: ${offer.reason}`);
    const digest = createHash("sha256").update(offer.value.authority).digest();
    if (!digest.equals(this.#token.fingerprint)) {
      return failure(
        `${this.#address} port ${this.#token.port} is another vote server than the one that made the invitation (its authority differs): nothing was sent to it`,
      );
    }
    const authority = certificateOf(offer.value.authority);
    const server = certificateOf(stream.getPeerCertificate().raw);
    const isRight =
      authority !== undefined &&
      server !== undefined &&
      isVoteServer(server, serverName) &&
      server.verify(authority.publicKey);
    if (isRight) return success(offer.value.authority);
    return failure(
      `${this.#address} shows the right authority but no certificate of it: somebody may stand between; nothing was sent`,
    );
  }
}

/** Undefined: the bytes are none. */
function certificateOf(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined; // Foreign bytes: the caller names what is wrong.
  }
}

function errorText(code: string): string {
  switch (code) {
    case "ECONNREFUSED":
      return "nothing listens there";
    case "ENOTFOUND":
      return "the name is not known";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return "not reachable";
    case "ECONNRESET":
      return "it closed the connection";
    default:
      return code;
  }
}
