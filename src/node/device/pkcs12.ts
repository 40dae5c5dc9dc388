// Reads the PKCS#12 file that NSS exports on a node (qnetd.md §4.2): key, certificate and authorities under PBES2. TLS libraries
// disagree on what an empty password is, and derive keys while the ring waits; this derives them on another thread.
// A host. It must never throw on bytes from outside, recurse deeper than a PKCS#12 does, or derive without a bound.
import { createDecipheriv, createPrivateKey, pbkdf2, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { decoded, malformed, type Decoded } from "../../bytes.ts";

const derive = promisify(pbkdf2);

const depthMax = 16;
const elementsMax = 10_000;
/** NSS uses 600,000. */
const iterationsMax = 10_000_000;
const bagsMax = 32;

export interface KeyAndCertificates {
  /** PEM, of the key in the file. */
  readonly key: string;
  readonly cert: string;
  /** All other certificates in the file. */
  readonly ca: readonly string[];
}

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Empty when it is primitive. */
  readonly children: readonly Element[];
}

const tags = { integer: 0x02, octets: 0x04, oid: 0x06, sequence: 0x30, inner: 0xa0 } as const;

/** Contents of object identifiers, in hexadecimal. */
const oids = {
  data: "2a864886f70d010701",
  encryptedData: "2a864886f70d010706",
  keyBag: "2a864886f70d010c0a0101",
  shroudedKeyBag: "2a864886f70d010c0a0102",
  certificateBag: "2a864886f70d010c0a0103",
  pbes2: "2a864886f70d01050d",
  pbkdf2: "2a864886f70d01050c",
} as const;

const digests: ReadonlyMap<string, string> = new Map([
  ["2a864886f70d0207", "sha1"],
  ["2a864886f70d0209", "sha256"],
  ["2a864886f70d020a", "sha384"],
  ["2a864886f70d020b", "sha512"],
]);

const ciphers: ReadonlyMap<string, { readonly name: string; readonly keyBytes: number }> = new Map([
  ["608648016503040102", { name: "aes-128-cbc", keyBytes: 16 }],
  ["608648016503040116", { name: "aes-192-cbc", keyBytes: 24 }],
  ["60864801650304012a", { name: "aes-256-cbc", keyBytes: 32 }],
]);

/** Thrown inside this file only. */
class NotPkcs12 extends Error {}

/**
 * The integrity code is not checked: the file is our own, and a wrong password or damage shows when it is deciphered or when
 * key and certificate do not fit. Files of other ciphers than PBES2 with AES are refused.
 */
export async function readPkcs12(
  bytes: Uint8Array,
  password: string,
): Promise<Decoded<KeyAndCertificates>> {
  try {
    const safe = at(parse(bytes), 1);
    if (oidOf(at(safe, 0)) !== oids.data)
      return malformed("it is signed, not sealed by a password");
    const bags: Bag[] = [];
    for (const part of parse(octets(inner(at(safe, 1)))).children) {
      await readSafe(part, password, bags);
    }
    return assemble(bags);
  } catch (error) {
    return malformed(error instanceof Error ? error.message : String(error));
  }
}

type Bag = { readonly kind: "key" | "certificate"; readonly der: Uint8Array };

async function readSafe(part: Element, password: string, bags: Bag[]): Promise<void> {
  const kind = oidOf(at(part, 0));
  let safe: Uint8Array;
  if (kind === oids.data) safe = octets(inner(at(part, 1)));
  else if (kind === oids.encryptedData) {
    const sealed = at(inner(at(part, 1)), 1);
    safe = await decipher(at(sealed, 1), octets(at(sealed, 2)), password);
  } else return;
  for (const bag of parse(safe).children) {
    if (bags.length >= bagsMax) throw new NotPkcs12(`more than ${bagsMax} objects`);
    const value = inner(at(bag, 1));
    switch (oidOf(at(bag, 0))) {
      case oids.keyBag:
        throw new NotPkcs12("the key is not sealed");
      case oids.shroudedKeyBag: {
        const der = await decipher(at(value, 0), octets(at(value, 1)), password);
        bags.push({ kind: "key", der });
        break;
      }
      case oids.certificateBag:
        bags.push({ kind: "certificate", der: octets(inner(at(value, 1))) });
        break;
      default: // Attributes, revocation lists: nothing that TLS needs.
    }
  }
}

async function decipher(
  algorithm: Element,
  sealed: Uint8Array,
  password: string,
): Promise<Uint8Array> {
  if (oidOf(at(algorithm, 0)) !== oids.pbes2)
    throw new NotPkcs12("sealed by another scheme than PBES2");
  const derivation = at(at(algorithm, 1), 0);
  const encryption = at(at(algorithm, 1), 1);
  if (oidOf(at(derivation, 0)) !== oids.pbkdf2)
    throw new NotPkcs12("the key derivation is not PBKDF2");
  const parameters = at(derivation, 1);
  const salt = octets(at(parameters, 0));
  const iterations = integer(at(parameters, 1));
  if (iterations < 1 || iterations > iterationsMax) throw new NotPkcs12(`${iterations} iterations`);
  const prf = parameters.children.find((child) => child.tag === tags.sequence);
  const digest = prf === undefined ? "sha1" : digests.get(oidOf(at(prf, 0)));
  const cipher = ciphers.get(oidOf(at(encryption, 0)));
  if (digest === undefined || cipher === undefined) throw new NotPkcs12("an unknown cipher");
  const key = await derive(password, salt, iterations, cipher.keyBytes, digest);
  try {
    const stream = createDecipheriv(cipher.name, key, octets(at(encryption, 1)));
    return Buffer.concat([stream.update(sealed), stream.final()]);
  } catch {
    throw new NotPkcs12("the password does not fit");
  }
}

function assemble(bags: readonly Bag[]): Decoded<KeyAndCertificates> {
  const sealedKey = bags.find((bag) => bag.kind === "key");
  if (sealedKey === undefined) return malformed("there is no key in it");
  const key = createPrivateKey({ key: Buffer.from(sealedKey.der), format: "der", type: "pkcs8" });
  const certificates = bags
    .filter((bag) => bag.kind === "certificate")
    .map((bag) => new X509Certificate(bag.der));
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (own === undefined) return malformed("no certificate in it belongs to the key");
  return decoded({
    key: key.export({ format: "pem", type: "pkcs8" }),
    cert: own.toString(),
    ca: certificates.filter((one) => one !== own).map((one) => one.toString()),
  });
}

function at(element: Element, index: number): Element {
  const child = element.children[index];
  if (child === undefined) throw new NotPkcs12("not a PKCS#12 file");
  return child;
}

/** What an explicit context tag wraps. */
function inner(element: Element): Element {
  if (element.tag !== tags.inner) throw new NotPkcs12("not a PKCS#12 file");
  return at(element, 0);
}

function oidOf(element: Element): string {
  return element.tag === tags.oid ? Buffer.from(element.content).toString("hex") : "";
}

function integer(element: Element): number {
  if (element.tag !== tags.integer || element.content.length > 5) throw new NotPkcs12("a number");
  return element.content.reduce((value, byte) => value * 256 + byte, 0);
}

/** NSS writes long strings in pieces. */
function octets(element: Element): Uint8Array {
  if (element.children.length === 0) return element.content;
  return Buffer.concat(element.children.map(octets));
}

/** One BER element and all below it. Definite and indefinite lengths. */
function parse(bytes: Uint8Array): Element {
  const cursor = { at: 0, elements: 0 };
  return readElement(bytes, bytes.length, cursor, 0);
}

function readElement(
  bytes: Uint8Array,
  end: number,
  cursor: { at: number; elements: number },
  depth: number,
): Element {
  cursor.elements += 1;
  if (depth > depthMax || cursor.elements > elementsMax) throw new NotPkcs12("nested too deeply");
  const tag = bytes[cursor.at];
  const first = bytes[cursor.at + 1];
  if (cursor.at + 2 > end || tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) {
    throw new NotPkcs12("cut short");
  }
  cursor.at += 2;
  const isConstructed = (tag & 0x20) !== 0;
  const isIndefinite = first === 0x80;
  let stop = end;
  if (!isIndefinite) {
    const length = first < 0x80 ? first : readLength(bytes, first & 0x7f, cursor);
    stop = cursor.at + length;
    if (stop > end) throw new NotPkcs12("cut short");
  } else if (!isConstructed) throw new NotPkcs12("a length is missing");
  const begin = cursor.at;
  if (!isConstructed) {
    cursor.at = stop;
    return { tag, content: bytes.subarray(begin, stop), children: [] };
  }
  const children: Element[] = [];
  for (;;) {
    if (!isIndefinite && cursor.at === stop) break;
    if (isIndefinite && bytes[cursor.at] === 0 && bytes[cursor.at + 1] === 0) break;
    children.push(readElement(bytes, stop, cursor, depth + 1));
  }
  const content = bytes.subarray(begin, cursor.at);
  if (isIndefinite) cursor.at += 2;
  return { tag, content, children };
}

function readLength(bytes: Uint8Array, size: number, cursor: { at: number }): number {
  if (size > 4) throw new NotPkcs12("a length is too long");
  let length = 0;
  for (let count = 0; count < size; count += 1)
    length = length * 256 + (bytes[cursor.at + count] ?? 0);
  cursor.at += size;
  return length;
}
