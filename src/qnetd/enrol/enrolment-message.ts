// The messages of an enrolment, inside TLS: the server shows its authority, the node asks, the server answers, both close.
// Each is four bytes of length (big-endian) and one JSON object. The node sends its secret only after it has checked the
// authority against its token. Pure; it must never hold more than the limit or throw on what comes.
import { type Decoded, decoded, joinBytes, malformed, Reader, Writer } from "../../bytes.ts";
import { parsed, type RefusalCode, type EnrolmentRefusal, refusal } from "./enrolment.ts";

/** The first byte of a TLS handshake record; a vote message would be of an unknown type with it. */
export const tlsRecordByte = 0x16;
/** A request with an RSA 2048 key has 1 kB. */
export const requestBytesMax = 16_384;
/** An answer holds one certificate. */
export const answerBytesMax = 65_536;
const lengthBytes = 4;
const base64Pattern = /^[A-Za-z0-9+/]+={0,2}$/;
const version = 1;

export interface EnrolmentOffer {
  /** The authority's certificate, DER. */
  readonly authority: Uint8Array;
}

export interface EnrolmentRequest {
  readonly secret: Uint8Array;
  readonly cluster: string;
  /** PKCS#10, DER. */
  readonly request: Uint8Array;
}

export type EnrolmentAnswer =
  { readonly kind: "signed"; readonly certificate: Uint8Array } | EnrolmentRefusal;

export function encodeOffer({ authority }: EnrolmentOffer): Uint8Array {
  return framed({ version, authority: base64(authority) });
}

export function decodeOffer(text: string): Decoded<EnrolmentOffer> {
  const value = parsed(text);
  if (value === undefined) return malformed("it did not answer as a vote server of quorate does");
  if (value["version"] !== version) {
    return malformed(`it speaks version ${String(value["version"])} of enrolment, not ${version}`);
  }
  const authority = bytesOf64(value["authority"]);
  return authority === undefined ? malformed("it showed no authority") : decoded({ authority });
}

export function encodeRequest({ secret, cluster, request }: EnrolmentRequest): Uint8Array {
  return framed({ version, secret: base64(secret), cluster, request: base64(request) });
}

export function decodeRequest(text: string): Decoded<EnrolmentRequest> {
  const value = parsed(text) ?? {};
  const secret = bytesOf64(value["secret"]);
  const request = bytesOf64(value["request"]);
  const cluster = value["cluster"];
  if (secret === undefined || request === undefined || typeof cluster !== "string") {
    return malformed("it is no request for a certificate");
  }
  return decoded({ secret, cluster, request });
}

export function encodeAnswer(answer: EnrolmentAnswer): Uint8Array {
  return answer.kind === "signed"
    ? framed({ version, certificate: base64(answer.certificate) })
    : framed({ version, refused: answer.code, reason: answer.reason });
}

const codes: readonly RefusalCode[] = [
  "secret",
  "expired",
  "used",
  "cluster",
  "request",
  "malformed",
  "server",
];

export function decodeAnswer(text: string): Decoded<EnrolmentAnswer> {
  const value = parsed(text) ?? {};
  const certificate = bytesOf64(value["certificate"]);
  if (certificate !== undefined) return decoded({ kind: "signed", certificate });
  const code = codes.find((each) => each === value["refused"]);
  const reason = value["reason"];
  if (code === undefined || typeof reason !== "string") {
    return malformed("it did not answer as a vote server of quorate does");
  }
  return decoded(refusal(code, reason));
}

/** Collects one framed object from pieces of any size, and refuses a longer one at its length. */
export class EnrolmentFrame {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The text once it is whole; undefined while it is not. The piece is copied. */
  push(piece: Uint8Array): Decoded<string> | undefined {
    this.#pieces.push(piece.slice());
    this.#length += piece.length;
    if (this.#length < lengthBytes) return undefined;
    const bytes = joinBytes(this.#pieces);
    this.#pieces = [bytes];
    const length = new Reader(bytes).u32be();
    if (length > this.#bytesMax) return malformed(`it announces ${length} bytes, too many`);
    if (bytes.length < lengthBytes + length) return undefined;
    if (bytes.length > lengthBytes + length) return malformed("more bytes follow than announced");
    return decoded(new TextDecoder().decode(bytes.subarray(lengthBytes)));
  }
}

function framed(value: Readonly<Record<string, string | number>>): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  return new Writer(lengthBytes + text.length).u32be(text.length).put(text).finish();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function bytesOf64(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string" || value.length > answerBytesMax || !base64Pattern.test(value)) {
    return undefined;
  }
  return new Uint8Array(Buffer.from(value, "base64"));
}
