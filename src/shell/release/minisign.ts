// Signatures in minisign's format, prehashed form only: Ed25519 over the BLAKE2b-512 of the bytes, then a second
// signature over the first one and the trusted comment. Checks only; the private key is build/signer.ts's business.
// engineering.md §13 I8, §14 U1.
import { createHash, createPublicKey, verify } from "node:crypto";
import { success, type Result, failure } from "../../result.ts";

export interface PublicKey {
  /** As minisign prints it: 16 upper-case hexadecimal digits. */
  readonly id: string;
  /** The Ed25519 key, 32 bytes. */
  readonly key: Uint8Array;
}

export interface Signature {
  readonly keyId: string;
  /** Over the BLAKE2b-512 of the signed bytes. */
  readonly signature: Uint8Array;
  readonly trustedComment: string;
  /** Over `signature` and the trusted comment. */
  readonly globalSignature: Uint8Array;
}

/** Of a .minisig file. minisign's own comments are at most 8 KiB; ours are a line. */
export const signatureBytesMax = 4096;
const keyIdBytes = 8;
const publicKeyBytes = 2 + keyIdBytes + 32;
const signatureLineBytes = 2 + keyIdBytes + 64;
const prehashed = "ED";
const notPrehashed = "Ed";
const trustedCommentMark = "trusted comment: ";
const untrustedCommentMark = "untrusted comment: ";

/** `text` is the base64 of a public key, or a whole .pub file. */
export function readPublicKey(text: string): Result<PublicKey> {
  const line = text
    .split("\n")
    .map((each) => each.trim())
    .findLast((each) => each !== "");
  const bytes = line === undefined ? undefined : base64(line, publicKeyBytes);
  if (bytes === undefined) return failure("this is no minisign public key");
  if (bytes.toString("latin1", 0, 2) !== notPrehashed)
    return failure("this public key is not an Ed25519 key of minisign");
  return success({ id: keyIdOf(bytes), key: bytes.subarray(2 + keyIdBytes) });
}

/** Reads a .minisig file. Nothing in it is trusted before `checkSignature`. */
export function readSignature(file: Uint8Array): Result<Signature> {
  if (file.length > signatureBytesMax)
    return failure(`a signature has at most ${signatureBytesMax} bytes; this has ${file.length}`);
  const lines = Buffer.from(file).toString("utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const [untrusted, first, comment, second] = lines.map((line) => line.replace(/\r$/, ""));
  if (lines.length !== 4 || untrusted === undefined || comment === undefined)
    return failure("this is no minisign signature: it has four lines");
  if (!untrusted.startsWith(untrustedCommentMark) || !comment.startsWith(trustedCommentMark))
    return failure("this is no minisign signature: a comment line is missing");
  const bytes = base64(first ?? "", signatureLineBytes);
  const globalSignature = base64(second ?? "", 64);
  if (bytes === undefined || globalSignature === undefined)
    return failure("this is no minisign signature: its base64 is damaged");
  const form = bytes.toString("latin1", 0, 2);
  if (form === notPrehashed)
    return failure("the signature is of minisign's old form; sign again without -l");
  if (form !== prehashed) return failure("the signature is of an unknown form");
  return success({
    keyId: keyIdOf(bytes),
    signature: bytes.subarray(2 + keyIdBytes),
    trustedComment: comment.slice(trustedCommentMark.length),
    globalSignature,
  });
}

/** The trusted comment when one of `keys` signed `message`; else one sentence why not. */
export function checkSignature(
  message: Uint8Array,
  signature: Signature,
  keys: readonly PublicKey[],
): Result<string> {
  const key = keys.find(({ id }) => id === signature.keyId);
  if (key === undefined) {
    const known = keys.map(({ id }) => id).join(" and ");
    return failure(
      `it is signed by key ${signature.keyId}, not by ${known === "" ? "a key known here" : known}`,
    );
  }
  if (!isSignedBy(key, blake2b512(message), signature.signature))
    return failure(`it was altered: the signature by key ${key.id} is not over these bytes`);
  const comment = Buffer.from(signature.trustedComment, "utf8");
  const all = Buffer.concat([signature.signature, comment]);
  if (!isSignedBy(key, all, signature.globalSignature))
    return failure(`the signature's trusted comment was altered (key ${key.id})`);
  return success(signature.trustedComment);
}

export function blake2b512(bytes: Uint8Array): Uint8Array {
  return createHash("blake2b512").update(bytes).digest();
}

// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const spkiHead = Buffer.from("302a300506032b6570032100", "hex");

function isSignedBy(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.concat([spkiHead, key.key]);
  return verify(
    null,
    message,
    createPublicKey({ key: der, format: "der", type: "spki" }),
    signature,
  );
}

/** minisign shows the id as a little-endian number. */
function keyIdOf(bytes: Buffer): string {
  return bytes.readBigUInt64LE(2).toString(16).toUpperCase().padStart(16, "0");
}

/** Exactly `length` bytes in canonical base64, or undefined. */
function base64(text: string, length: number): Buffer | undefined {
  if (text.length !== Math.ceil(length / 3) * 4) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === length && bytes.toString("base64") === text ? bytes : undefined;
}
