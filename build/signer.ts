// The private half of a release's signature: reads a key, makes one, signs in minisign's prehashed form. Only the builder
// has this; what it makes is checked by src/shell/release/minisign.ts, by minisign(1) and by openssl(1) in the tests.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { blake2b512 } from "../src/shell/release/minisign.ts";

export interface Signer {
  /** Base64, as in a .pub file. */
  readonly publicKey: string;
  /** The text of a .minisig file for `message`; `comment` is signed as well. */
  readonly sign: (message: Uint8Array, comment: string) => string;
}

const seedBytes = 32;
const keyIdBytes = 8;
/** Algorithm, key derivation, checksum kind, salt, two limits, key id, seed, public key, checksum. */
const secretKeyBytes = 2 + 2 + 2 + 32 + 8 + 8 + keyIdBytes + seedBytes + 32 + 32;
const keyIdAt = 54;

/**
 * A signer of what an environment variable holds: a secret key file of minisign made without a password
 * (`minisign -G -W`), its second line alone, or the base64 of a 32-byte seed. Throws a sentence that never repeats `text`.
 */
export function readSigner(text: string): Signer {
  const line = text
    .split("\n")
    .map((each) => each.trim())
    .findLast((each) => each !== "");
  const bytes = Buffer.from(line ?? "", "base64");
  if (bytes.length === seedBytes) return signerOf(bytes);
  if (bytes.length !== secretKeyBytes || bytes.toString("latin1", 0, 2) !== "Ed") {
    throw new Error(
      "the release key is neither a minisign secret key nor the base64 of a 32-byte seed",
    );
  }
  if (bytes.readUInt16LE(2) !== 0) {
    throw new Error(
      "the release key is locked with a password, which nobody could type here; make a copy without: minisign -C -W",
    );
  }
  const id = bytes.subarray(keyIdAt, keyIdAt + keyIdBytes);
  const seed = bytes.subarray(keyIdAt + keyIdBytes, keyIdAt + keyIdBytes + seedBytes);
  const stated = bytes.subarray(
    keyIdAt + keyIdBytes + seedBytes,
    keyIdAt + keyIdBytes + 2 * seedBytes,
  );
  const signer = signerOf(seed, id);
  if (
    !Buffer.from(signer.publicKey, "base64")
      .subarray(2 + keyIdBytes)
      .equals(stated)
  )
    throw new Error("the release key is damaged: its two halves do not belong together");
  return signer;
}

/** The base64 of a new seed, for `readSigner`. */
export function newSeed(): string {
  return randomBytes(seedBytes).toString("base64");
}

/** A bare seed has no id of its own: it gets one that follows from it. */
function signerOf(seed: Buffer, givenId?: Buffer): Signer {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Head, seed]),
    format: "der",
    type: "pkcs8",
  });
  const raw = rawPublicKey(privateKey);
  const id = givenId ?? createHash("sha256").update(raw).digest().subarray(0, keyIdBytes);
  const line = (...parts: Uint8Array[]): string => Buffer.concat(parts).toString("base64");
  return {
    publicKey: line(Buffer.from("Ed"), id, raw),
    sign(message, comment) {
      const signature = sign(null, blake2b512(message), privateKey);
      const all = Buffer.concat([signature, Buffer.from(comment)]);
      return [
        "untrusted comment: verify with minisign -V, or quorate verify",
        line(Buffer.from("ED"), id, signature),
        `trusted comment: ${comment}`,
        line(sign(null, all, privateKey)),
        "",
      ].join("\n");
    },
  };
}

// What stands before the seed in a PKCS#8 key (RFC 8410 §7).
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

function rawPublicKey(privateKey: KeyObject): Buffer {
  const der = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return der.subarray(der.length - 32);
}
