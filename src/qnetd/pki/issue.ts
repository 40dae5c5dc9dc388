// New keys, certificates and requests of the vote server (qnetd.md §4.1), as NSS on the nodes expects them: RSA 2048, SHA-256, no
// extensions but the authority's own. Loaded when something is made only: a serving daemon must not carry it.
import {
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from "node:crypto";
import { promisify } from "node:util";
import { assert } from "../../assert.ts";
import { type Result, success, failure } from "../../result.ts";
import {
  at,
  bits,
  writeContext,
  type Element,
  writeElement,
  integer,
  objectIdentifier,
  readElement,
  writeSequence,
  writeSet,
  tags,
  text,
  writeBits,
  writeInteger,
  writeObjectIdentifier,
  writeOctets,
  writtenNull,
  writtenTrue,
} from "./der.ts";
import { authorityName, derOf, type Identity, privateKeyOf } from "./pki.ts";

/** What the original gives every certificate. */
const validityMonths = 1200;
const modulusBits = 2048;
/** A request with a weaker key is not signed, one with a larger key only wastes time. */
const modulusBitsMin = 2048;
const modulusBitsMax = 8192;
/** A request of the original tool has 600 bytes. */
export const requestBytesMax = 65_536;
const commonNameCharactersMax = 255;
const generalizedTimeFromYear = 2050;
const signatureHash = "sha256";
const certificateVersion3 = 2;
const requestVersion1 = 0;
const oids = {
  commonName: "2.5.4.3",
  basicConstraints: "2.5.29.19",
  sha256WithRsa: "1.2.840.113549.1.1.11",
} as const;

/** How a request may be signed: that proves only that its sender has the key. */
const requestHashes: ReadonlyMap<string, string> = new Map([
  ["1.2.840.113549.1.1.5", "sha1"],
  [oids.sha256WithRsa, "sha256"],
  ["1.2.840.113549.1.1.12", "sha384"],
  ["1.2.840.113549.1.1.13", "sha512"],
]);

/** A verified request: its owner holds the private key. `subject` is the DER of the whole name. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

interface Issue {
  /** The DER of a name. */
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly issuer: Uint8Array;
  readonly issuerKey: Uint8Array;
  readonly serial: number;
  readonly from: Date;
  readonly isAuthority: boolean;
}

/** A new authority of its own. `from`: now, the beginning of its validity. */
export async function createAuthority(serial: number, from: Date): Promise<Identity> {
  const pair = await newKeyPair();
  const subject = nameOf(authorityName);
  const certificate = issue({
    subject,
    publicKey: pair.publicKey,
    issuer: subject,
    issuerKey: pair.key,
    serial,
    from,
    isAuthority: true,
  });
  return { key: pair.key, certificate };
}

/** A new key with a certificate of the authority; the server's, unless `commonName` is another. */
export async function createIdentity(options: {
  readonly authority: Identity;
  readonly commonName: string;
  readonly serial: number;
  readonly from: Date;
}): Promise<Identity> {
  const pair = await newKeyPair();
  const certificate = issue({
    subject: nameOf(options.commonName),
    publicKey: pair.publicKey,
    issuer: subjectOf(options.authority.certificate),
    issuerKey: options.authority.key,
    serial: options.serial,
    from: options.from,
    isAuthority: false,
  });
  return { key: pair.key, certificate };
}

/** The certificate (DER) for a request; its name is taken as it is (§4.3). */
export function signRequest(options: {
  readonly authority: Identity;
  readonly request: CertificateRequest;
  readonly serial: number;
  readonly from: Date;
}): Uint8Array {
  return issue({
    subject: options.request.subject,
    publicKey: options.request.publicKey,
    issuer: subjectOf(options.authority.certificate),
    issuerKey: options.authority.key,
    serial: options.serial,
    from: options.from,
    isAuthority: false,
  });
}

/** A PKCS#10 request, DER or PEM, whose signature is verified; never rejects. The reason is a clause for the operator. */
export async function readRequest(bytes: Uint8Array): Promise<Result<CertificateRequest>> {
  if (bytes.length > requestBytesMax) {
    return failure(`it has ${bytes.length} bytes, more than a certificate request can have`);
  }
  try {
    return requestOf(derOf(bytes, /(?:NEW )?CERTIFICATE REQUEST/));
  } catch {
    return failure(noRequest); // No PEM block of that name, or a key that the runtime refuses.
  }
}

const noRequest = "it is no certificate request (PKCS#10, DER or PEM)";

/** CertificationRequest (RFC 2986 §4). Throws when the key is none. */
function requestOf(bytes: Uint8Array): Result<CertificateRequest> {
  const request = readElement(bytes, "der");
  if (!request.ok) return failure(noRequest);
  const [info, subject, publicKey] = [
    at(request.value, 0),
    at(request.value, 0, 1),
    at(request.value, 0, 2),
  ];
  const signature = bits(at(request.value, 2));
  const isWhole =
    request.value.tag === tags.sequence &&
    info.tag === tags.sequence &&
    integer(at(info, 0)) === requestVersion1 &&
    subject.tag === tags.sequence &&
    publicKey.tag === tags.sequence;
  if (!isWhole || signature === undefined) return failure(noRequest);
  const key = createPublicKey({ key: Buffer.from(publicKey.bytes), format: "der", type: "spki" });
  const weakness = keyWeakness(key);
  if (weakness !== undefined) return failure(weakness);
  const hash = requestHashes.get(objectIdentifier(at(request.value, 1, 0)));
  if (hash === undefined) return failure("its signature is not one of RSA with SHA");
  if (!verify(hash, info.bytes, key, signature)) return failure("its signature is wrong");
  const commonName = commonNameOf(subject);
  if (commonName === undefined) return failure("it does not carry exactly one common name");
  return success({
    commonName,
    subject: subject.bytes.slice(),
    publicKey: publicKey.bytes.slice(),
  });
}

/** A request as `corosync-qdevice-net-certutil -r` makes it, DER; for nodes of ours. */
export async function createRequest(
  commonName: string,
): Promise<{ readonly key: Uint8Array; readonly request: Uint8Array }> {
  const pair = await newKeyPair();
  const noAttributes = writeContext(0);
  const info = writeSequence(
    writeInteger(requestVersion1),
    nameOf(commonName),
    pair.publicKey,
    noAttributes,
  );
  const mark = sign(signatureHash, info, privateKeyOf(pair.key));
  return { key: pair.key, request: writeSequence(info, signatureAlgorithm(), writeBits(mark)) };
}

async function newKeyPair(): Promise<{
  readonly key: Uint8Array;
  readonly publicKey: Uint8Array;
}> {
  const pair = await promisify(generateKeyPair)("rsa", { modulusLength: modulusBits });
  return {
    key: new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" })),
    publicKey: new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" })),
  };
}

/** RSA with SHA-256; the parameters must be there (RFC 4055 §5). */
function signatureAlgorithm(): Uint8Array {
  return writeSequence(writeObjectIdentifier(oids.sha256WithRsa), writtenNull);
}

/** Certificate (RFC 5280 §4.1). */
function issue(order: Issue): Uint8Array {
  const tbs = writeSequence(
    writeContext(0, writeInteger(certificateVersion3)),
    writeInteger(order.serial),
    signatureAlgorithm(),
    order.issuer,
    writeSequence(timeOf(order.from), timeOf(monthsAfter(order.from, validityMonths))),
    order.subject,
    order.publicKey,
    ...(order.isAuthority ? [writeContext(3, writeSequence(authorityConstraints()))] : []),
  );
  const issuerKey = privateKeyOf(order.issuerKey);
  const mark = sign(signatureHash, tbs, issuerKey);
  const der = writeSequence(tbs, signatureAlgorithm(), writeBits(mark));
  const isSigned = new X509Certificate(der).verify(createPublicKey(issuerKey));
  assert(isSigned, "a new certificate bears its issuer's mark");
  return der;
}

/** It signs leaves only (§4.1): cA true, pathLenConstraint 0, critical. */
function authorityConstraints(): Uint8Array {
  const constraints = writeSequence(writtenTrue, writeInteger(0));
  return writeSequence(
    writeObjectIdentifier(oids.basicConstraints),
    writtenTrue,
    writeOctets(constraints),
  );
}

function nameOf(commonName: string): Uint8Array {
  // NSS writes printable names so; the original's CA and server certificates have this form.
  const isPrintable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(commonName);
  const tag = isPrintable ? tags.printableString : tags.utf8String;
  const value = writeElement(tag, new TextEncoder().encode(commonName));
  return writeSequence(writeSet(writeSequence(writeObjectIdentifier(oids.commonName), value)));
}

/** The subject, as DER, of a certificate that the runtime has read before; throws for a form that it has not. */
export function subjectOf(certificate: Uint8Array): Uint8Array {
  const read = readElement(certificate, "der");
  const tbs = read.ok ? at(read.value, 0) : undefined;
  // The version stands first unless it is 1.
  const shift = tbs !== undefined && at(tbs, 0).tag === tags.context ? 1 : 0;
  const subject = tbs === undefined ? undefined : at(tbs, 4 + shift);
  if (subject?.tag === tags.sequence) return subject.bytes;
  throw new Error("the authority's certificate has a form that it cannot sign with");
}

function commonNameOf(name: Element): string | undefined {
  const all = name.children.flatMap((set) => set.children);
  const [first, ...more] = all.filter((each) => objectIdentifier(at(each, 0)) === oids.commonName);
  const value = first === undefined ? undefined : text(at(first, 1));
  if (value === undefined || more.length > 0) return undefined;
  const isFit = value.length > 0 && value.length <= commonNameCharactersMax;
  return isFit && !value.includes("\0") ? value : undefined;
}

function keyWeakness(key: KeyObject): string | undefined {
  if (key.asymmetricKeyType !== "rsa") return "its key is not an RSA key";
  const bitCount = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bitCount >= modulusBitsMin && bitCount <= modulusBitsMax) return undefined;
  return `its RSA key has ${bitCount} bits; ${modulusBitsMin} to ${modulusBitsMax} are signed`;
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
function timeOf(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, "");
  const isGeneralized = date.getUTCFullYear() >= generalizedTimeFromYear;
  const content = new TextEncoder().encode(`${isGeneralized ? digits : digits.slice(2)}Z`);
  return writeElement(isGeneralized ? tags.generalizedTime : tags.utcTime, content);
}

function monthsAfter(date: Date, months: number): Date {
  const later = new Date(date);
  later.setUTCMonth(later.getUTCMonth() + months);
  return later;
}
