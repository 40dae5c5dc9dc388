// PKCS#12 files, read and written (RFC 7292; qnetd.md §4.2): how keys leave and enter the databases of NSS, on nodes and on original
// vote servers. PBES2 with AES and an HMAC as NSS ≥ 3.50 writes them; RC2 and 3DES are refused with a way out. It must never throw on
// foreign bytes, derive without a bound, or hold the thread for more than moments while it derives.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  pbkdf2,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { type Decoded, decoded, joinBytes, malformed } from "../../bytes.ts";
import {
  at,
  bmpBytes,
  writeContext,
  type Element,
  writeElement,
  integer,
  objectIdentifier,
  octets,
  readElement,
  writeSequence,
  writeSet,
  tags,
  text,
  writeInteger,
  writeObjectIdentifier,
  writeOctets,
  writtenNull,
} from "./der.ts";

const derive = promisify(pbkdf2);

/** What a file holds; `name`: the friendly name, which NSS calls the nickname. */
export interface Pkcs12 {
  readonly keys: readonly NamedDer[];
  readonly certificates: readonly NamedDer[];
}

/** A key is PKCS#8, a certificate X.509. */
export interface NamedDer {
  readonly name: string | undefined;
  readonly der: Uint8Array;
}

/** The files of the original tools have 3 kB. */
const fileBytesMax = 1 << 20;
const bagsMax = 64;
/** NSS uses 600,000 for each key, for the certificates and for the seal: a file of all three has 1,800,000. */
const iterationsMax = 5_000_000;
const saltBytesMax = 1024;
const version = 3;
/** Rounds of the seal's key between two turns of the event loop: less than a millisecond. */
const roundsPerTurn = 1000;

/** What is written. The password is empty by the tools' custom, so that iterations protect nothing and cost time. */
const iterations = 10_000;
const saltBytes = 16;
const digestWritten = "sha256";

const oids = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.1",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacSha256: "1.2.840.113549.2.9",
  sha256: "2.16.840.1.101.3.4.2.1",
  aes256: "2.16.840.1.101.3.4.1.42",
} as const;

/** HMACs of PBKDF2. */
const derivations: ReadonlyMap<string, string> = new Map([
  ["1.2.840.113549.2.7", "sha1"],
  [oids.hmacSha256, "sha256"],
  ["1.2.840.113549.2.10", "sha384"],
  ["1.2.840.113549.2.11", "sha512"],
]);

const ciphers: ReadonlyMap<string, { readonly name: string; readonly keyBytes: number }> = new Map([
  ["2.16.840.1.101.3.4.1.2", { name: "aes-128-cbc", keyBytes: 16 }],
  ["2.16.840.1.101.3.4.1.22", { name: "aes-192-cbc", keyBytes: 24 }],
  [oids.aes256, { name: "aes-256-cbc", keyBytes: 32 }],
]);

/** Hashes of the seal, with the bytes they take at a time. */
const seals: ReadonlyMap<string, { readonly name: string; readonly blockBytes: number }> = new Map([
  ["1.3.14.3.2.26", { name: "sha1", blockBytes: 64 }],
  [oids.sha256, { name: "sha256", blockBytes: 64 }],
  ["2.16.840.1.101.3.4.2.2", { name: "sha384", blockBytes: 128 }],
  ["2.16.840.1.101.3.4.2.3", { name: "sha512", blockBytes: 128 }],
]);
const sealPurpose = 3;

const reasons = {
  noFile: "it is no PKCS#12 file",
  wrongPassword: "its password is another, or it is damaged",
  unsealed: "it is not sealed by a password",
  oldCipher:
    "it is encrypted in an old way (3DES or RC2); export it again with " +
    '"pk12util -c AES-256-CBC -C AES-256-CBC …"',
  oldSeal: "it is sealed in a way that is not known here; export it again with pk12util of NSS",
  tooMuchWork: "its password is to be hashed more often than any program asks for",
  tooMany: `it holds more than ${bagsMax} things`,
} as const;

/** Opens a file; never rejects. The reason is a clause for the operator. Large iteration counts take seconds, on other threads. */
export async function readPkcs12(bytes: Uint8Array, password: string): Promise<Decoded<Pkcs12>> {
  if (bytes.length > fileBytesMax) return malformed(`it has ${bytes.length} bytes, too many`);
  const file = readElement(bytes, "ber");
  if (!file.ok) return malformed(reasons.noFile);
  const content = at(file.value, 1);
  const isFile = file.value.tag === tags.sequence && integer(at(file.value, 0)) === version;
  if (!isFile || objectIdentifier(at(content, 0)) !== oids.data) return malformed(reasons.noFile);
  const opening = new Opening(password);
  const safes = octets(at(content, 1, 0));
  const fault =
    (await opening.checkSeal(safes, at(file.value, 2))) ?? (await opening.openAll(safes));
  return fault === undefined ? decoded(opening.contents()) : malformed(fault);
}

/** One file while it is read. Methods answer a reason when it cannot be. */
class Opening {
  readonly #password: string;
  readonly #keys: NamedDer[] = [];
  readonly #certificates: NamedDer[] = [];
  #bags = 0;
  #iterations = 0;

  constructor(password: string) {
    this.#password = password;
  }

  contents(): Pkcs12 {
    return { keys: this.#keys, certificates: this.#certificates };
  }

  /** The HMAC over everything (MacData). */
  async checkSeal(safes: Uint8Array, mac: Element): Promise<string | undefined> {
    if (mac.tag !== tags.sequence) return reasons.unsealed;
    const hash = seals.get(objectIdentifier(at(mac, 0, 0, 0)));
    if (hash === undefined) return reasons.oldSeal;
    const expected = octets(at(mac, 0, 1));
    const salt = octets(at(mac, 1));
    const count = at(mac, 2).tag === -1 ? 1 : this.#spend(integer(at(mac, 2)));
    if (count === undefined || salt.length > saltBytesMax) return reasons.tooMuchWork;
    for (const secret of passwordForms(this.#password)) {
      const key = await sealKey({ hash, secret, salt, count });
      const got = createHmac(hash.name, key).update(safes).digest();
      if (got.length === expected.length && timingSafeEqual(got, expected)) return undefined;
    }
    return reasons.wrongPassword;
  }

  async openAll(safes: Uint8Array): Promise<string | undefined> {
    const all = readElement(safes, "ber");
    if (!all.ok) return reasons.noFile;
    for (const safe of all.value.children) {
      const fault = await this.#openSafe(safe);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  async #openSafe(safe: Element): Promise<string | undefined> {
    const kind = objectIdentifier(at(safe, 0));
    let content: Uint8Array;
    if (kind === oids.data) content = octets(at(safe, 1, 0));
    else if (kind === oids.encryptedData) {
      const sealed = at(safe, 1, 0, 1);
      const opened = await this.#decipher(at(sealed, 1), octets(at(sealed, 2)));
      if (!opened.ok) return opened.reason;
      content = opened.value;
    } else return undefined; // Sealed for somebody's public key: nothing that these tools write.
    const bags = readElement(content, "ber");
    if (!bags.ok) return reasons.wrongPassword;
    for (const bag of bags.value.children) {
      const fault = await this.#openBag(bag);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  async #openBag(bag: Element): Promise<string | undefined> {
    this.#bags += 1;
    if (this.#bags > bagsMax) return reasons.tooMany;
    const name = friendlyName(at(bag, 2));
    const value = at(bag, 1, 0);
    switch (objectIdentifier(at(bag, 0))) {
      case oids.keyBag:
        this.#keys.push({ name, der: value.bytes.slice() });
        return undefined;
      case oids.shroudedKeyBag: {
        const key = await this.#decipher(at(value, 0), octets(at(value, 1)));
        if (!key.ok) return key.reason;
        this.#keys.push({ name, der: key.value });
        return undefined;
      }
      case oids.certificateBag:
        if (objectIdentifier(at(value, 0)) === oids.x509Certificate) {
          this.#certificates.push({ name, der: octets(at(value, 1, 0)).slice() });
        }
        return undefined;
      default:
        return undefined; // Revocation lists and secrets: nothing that TLS needs.
    }
  }

  /** PBES2 (RFC 8018 §6.2). */
  async #decipher(algorithm: Element, sealed: Uint8Array): Promise<Decoded<Uint8Array>> {
    if (objectIdentifier(at(algorithm, 0)) !== oids.pbes2) return malformed(reasons.oldCipher);
    const derivation = at(algorithm, 1, 0);
    const encryption = at(algorithm, 1, 1);
    const cipher = ciphers.get(objectIdentifier(at(encryption, 0)));
    const parameters = at(derivation, 1);
    const salt = octets(at(parameters, 0));
    const prf = parameters.children.find(({ tag }) => tag === tags.sequence);
    const digest = prf === undefined ? "sha1" : derivations.get(objectIdentifier(at(prf, 0)));
    const isKnown = objectIdentifier(at(derivation, 0)) === oids.pbkdf2;
    if (!isKnown || cipher === undefined || digest === undefined) {
      return malformed(reasons.oldCipher);
    }
    const count = this.#spend(integer(at(parameters, 1)));
    if (count === undefined || salt.length > saltBytesMax) return malformed(reasons.tooMuchWork);
    const key = await derive(this.#password, salt, count, cipher.keyBytes, digest);
    try {
      const stream = createDecipheriv(cipher.name, key, octets(at(encryption, 1)));
      return decoded(new Uint8Array(Buffer.concat([stream.update(sealed), stream.final()])));
    } catch {
      return malformed(reasons.wrongPassword);
    }
  }

  /** The iterations asked for, if the file as a whole does not ask for too many. */
  #spend(count: number | undefined): number | undefined {
    if (count === undefined || count < 1) return undefined;
    this.#iterations += count;
    return this.#iterations <= iterationsMax ? count : undefined;
  }
}

function friendlyName(attributes: Element): string | undefined {
  const attribute = attributes.children.find(
    (each) => objectIdentifier(at(each, 0)) === oids.friendlyName,
  );
  return attribute === undefined ? undefined : text(at(attribute, 1, 0));
}

/** The seal's password is UTF-16 with an end mark; of an empty one some programs leave out the mark as well. */
function passwordForms(password: string): readonly Uint8Array[] {
  const form = bmpBytes(`${password}\0`);
  return password === "" ? [form, new Uint8Array(0)] : [form];
}

/** RFC 7292 appendix B.2, for a key as long as the hash: then one block is all of it. */
async function sealKey(options: {
  readonly hash: { readonly name: string; readonly blockBytes: number };
  readonly secret: Uint8Array;
  readonly salt: Uint8Array;
  readonly count: number;
}): Promise<Uint8Array> {
  const { hash, secret, salt, count } = options;
  const purpose = new Uint8Array(hash.blockBytes).fill(sealPurpose);
  let key: Uint8Array = joinBytes([
    purpose,
    repeated(salt, hash.blockBytes),
    repeated(secret, hash.blockBytes),
  ]);
  for (let round = 1; round <= count; round += 1) {
    key = createHash(hash.name).update(key).digest();
    if (round % roundsPerTurn === 0) await nextTurn();
  }
  return key;
}

/** As often as fills whole blocks. */
function repeated(bytes: Uint8Array, blockBytes: number): Uint8Array {
  const filled = new Uint8Array(Math.ceil(bytes.length / blockBytes) * blockBytes);
  for (let index = 0; index < filled.length; index += 1) {
    filled[index] = bytes[index % bytes.length] ?? 0;
  }
  return filled;
}

/** Makes a file with one key, its certificate, and the authority's, which `pk12util -i` and all others can read. */
export async function makePkcs12(
  contents: {
    readonly key: NamedDer;
    readonly certificate: NamedDer;
    readonly authority: NamedDer;
  },
  password: string,
): Promise<Uint8Array> {
  const { key, certificate, authority } = contents;
  const keyId = localKeyId(key.der);
  const sealedKey = await encipher(key.der, password);
  const keyBag = bagOf(
    oids.shroudedKeyBag,
    writeSequence(sealedKey.algorithm, writeOctets(sealedKey.bytes)),
    key.name,
    keyId,
  );
  const certificates = writeSequence(
    bagOf(oids.certificateBag, certificateValue(authority.der), authority.name, undefined),
    bagOf(oids.certificateBag, certificateValue(certificate.der), certificate.name, keyId),
  );
  const sealed = await encipher(certificates, password);
  const sealedContent = writeSequence(
    writeObjectIdentifier(oids.data),
    sealed.algorithm,
    // Implicit, so primitive.
    writeElement(tags.context & ~0x20, sealed.bytes),
  );
  const safes = writeSequence(
    dataInfo(writeSequence(keyBag)),
    writeSequence(
      writeObjectIdentifier(oids.encryptedData),
      writeContext(0, writeSequence(writeInteger(0), sealedContent)),
    ),
  );
  return writeSequence(writeInteger(version), dataInfo(safes), await sealOf(safes, password));
}

function dataInfo(content: Uint8Array): Uint8Array {
  return writeSequence(writeObjectIdentifier(oids.data), writeContext(0, writeOctets(content)));
}

function algorithmOf(oid: string, parameters: Uint8Array = writtenNull): Uint8Array {
  return writeSequence(writeObjectIdentifier(oid), parameters);
}

async function encipher(
  bytes: Uint8Array,
  password: string,
): Promise<{ readonly algorithm: Uint8Array; readonly bytes: Uint8Array }> {
  const salt = randomBytes(saltBytes);
  const initial = randomBytes(16);
  const key = await derive(password, salt, iterations, 32, digestWritten);
  const stream = createCipheriv("aes-256-cbc", key, initial);
  const derivation = writeSequence(
    writeOctets(salt),
    writeInteger(iterations),
    algorithmOf(oids.hmacSha256),
  );
  return {
    algorithm: algorithmOf(
      oids.pbes2,
      writeSequence(
        algorithmOf(oids.pbkdf2, derivation),
        algorithmOf(oids.aes256, writeOctets(initial)),
      ),
    ),
    bytes: Buffer.concat([stream.update(bytes), stream.final()]),
  };
}

async function sealOf(safes: Uint8Array, password: string): Promise<Uint8Array> {
  const salt = randomBytes(saltBytes);
  const key = await sealKey({
    hash: { name: digestWritten, blockBytes: 64 },
    secret: bmpBytes(`${password}\0`),
    salt,
    count: iterations,
  });
  const mark = createHmac(digestWritten, key).update(safes).digest();
  return writeSequence(
    writeSequence(algorithmOf(oids.sha256), writeOctets(mark)),
    writeOctets(salt),
    writeInteger(iterations),
  );
}

function certificateValue(der: Uint8Array): Uint8Array {
  return writeSequence(
    writeObjectIdentifier(oids.x509Certificate),
    writeContext(0, writeOctets(der)),
  );
}

function bagOf(
  type: string,
  value: Uint8Array,
  name: string | undefined,
  keyId: Uint8Array | undefined,
): Uint8Array {
  const attributes: Uint8Array[] = [];
  if (name !== undefined) {
    attributes.push(attributeOf(oids.friendlyName, writeElement(tags.bmpString, bmpBytes(name))));
  }
  if (keyId !== undefined) attributes.push(attributeOf(oids.localKeyId, writeOctets(keyId)));
  return writeSequence(
    writeObjectIdentifier(type),
    writeContext(0, value),
    writeSet(...attributes),
  );
}

function attributeOf(type: string, value: Uint8Array): Uint8Array {
  return writeSequence(writeObjectIdentifier(type), writeSet(value));
}

/** Any octets do, as long as key and certificate have the same. */
function localKeyId(pkcs8: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
  return createHash("sha1").update(publicKey).digest();
}
