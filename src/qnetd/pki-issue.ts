// New keys, certificates and requests of the vote server (qnetd.md §4.1), as NSS on the nodes expects them: RSA 2048, SHA-256, no
// extensions but the authority's own. ASN.1 is pkijs's, cryptography is the runtime's. Loaded when something is made only: a
// serving daemon must not carry it.
import { createPublicKey, generateKeyPair, sign, webcrypto, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { BitString, Integer, Null, PrintableString, Utf8String } from "asn1js";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  CertificationRequest,
  Extension,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from "pkijs";
import { assert } from "../assert.ts";
import { type Decoded, decoded, malformed } from "../bytes.ts";
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
const oids = {
  commonName: "2.5.4.3",
  basicConstraints: "2.5.29.19",
  sha256WithRsa: "1.2.840.113549.1.1.11",
} as const;

/** A verified request: its owner holds the private key. `subject` is the DER of the whole name. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

interface Issue {
  readonly subject: RelativeDistinguishedNames;
  readonly publicKey: Uint8Array;
  readonly issuer: RelativeDistinguishedNames;
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
    subject: RelativeDistinguishedNames.fromBER(options.request.subject),
    publicKey: options.request.publicKey,
    issuer: subjectOf(options.authority.certificate),
    issuerKey: options.authority.key,
    serial: options.serial,
    from: options.from,
    isAuthority: false,
  });
}

/** A PKCS#10 request, DER or PEM, whose signature is verified. The reason is a clause for the operator. */
export async function readRequest(bytes: Uint8Array): Promise<Decoded<CertificateRequest>> {
  if (bytes.length > requestBytesMax) {
    return malformed(`it has ${bytes.length} bytes, more than a certificate request can have`);
  }
  try {
    const request = CertificationRequest.fromBER(derOf(bytes, /(?:NEW )?CERTIFICATE REQUEST/));
    const publicKey = new Uint8Array(request.subjectPublicKeyInfo.toSchema().toBER());
    const weakness = keyWeakness(publicKey);
    if (weakness !== undefined) return malformed(weakness);
    if (!(await request.verify())) return malformed("its signature is wrong");
    const commonName = commonNameOf(request.subject);
    if (commonName === undefined) return malformed("it does not carry exactly one common name");
    return decoded({
      commonName,
      subject: new Uint8Array(request.subject.toSchema().toBER()),
      publicKey,
    });
  } catch {
    // The library's words for broken ASN.1 help nobody.
    return malformed("it is no certificate request (PKCS#10, DER or PEM)");
  }
}

/** A request as `corosync-qdevice-net-certutil -r` makes it, DER; for nodes of ours. */
export async function createRequest(
  commonName: string,
): Promise<{ readonly key: Uint8Array; readonly request: Uint8Array }> {
  const pair = await newKeyPair();
  const request = new CertificationRequest({ version: 0, subject: nameOf(commonName) });
  request.subjectPublicKeyInfo = PublicKeyInfo.fromBER(pair.publicKey);
  const key = await webcrypto.subtle.importKey(
    "pkcs8",
    new Uint8Array(pair.key),
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    false,
    ["sign"],
  );
  await request.sign(key, "SHA-256");
  request.signatureAlgorithm = signatureAlgorithm();
  return { key: pair.key, request: new Uint8Array(request.toSchema(true).toBER()) };
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

/** RSA with SHA-256. The parameters must be there (RFC 4055 §5), which the library leaves out. */
function signatureAlgorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithmId: oids.sha256WithRsa, algorithmParams: new Null() });
}

function issue(order: Issue): Uint8Array {
  const certificate = new Certificate({
    version: 2,
    serialNumber: new Integer({ value: order.serial }),
    issuer: order.issuer,
    subject: order.subject,
    notBefore: timeOf(order.from),
    notAfter: timeOf(monthsAfter(order.from, validityMonths)),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(new Uint8Array(order.publicKey)),
  });
  if (order.isAuthority) certificate.extensions = [authorityConstraints()];
  certificate.signature = signatureAlgorithm();
  certificate.signatureAlgorithm = signatureAlgorithm();
  certificate.tbsView = new Uint8Array(certificate.encodeTBS().toBER());
  const issuerKey = privateKeyOf(order.issuerKey);
  const mark = sign(signatureHash, certificate.tbsView, issuerKey);
  certificate.signatureValue = new BitString({ valueHex: new Uint8Array(mark).buffer });
  const der = new Uint8Array(certificate.toSchema(true).toBER());
  const isSigned = new X509Certificate(der).verify(createPublicKey(issuerKey));
  assert(isSigned, "a new certificate bears its issuer's mark");
  return der;
}

/** It signs leaves only (§4.1). */
function authorityConstraints(): Extension {
  const constraints = new BasicConstraints({ cA: true, pathLenConstraint: 0 });
  return new Extension({
    extnID: oids.basicConstraints,
    critical: true,
    extnValue: constraints.toSchema().toBER(),
    parsedValue: constraints,
  });
}

function nameOf(commonName: string): RelativeDistinguishedNames {
  // NSS writes printable names so; the original's CA and server certificates have this form.
  const isPrintable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(commonName);
  const value = isPrintable
    ? new PrintableString({ value: commonName })
    : new Utf8String({ value: commonName });
  return new RelativeDistinguishedNames({
    typesAndValues: [new AttributeTypeAndValue({ type: oids.commonName, value })],
  });
}

function subjectOf(certificate: Uint8Array): RelativeDistinguishedNames {
  return Certificate.fromBER(new Uint8Array(certificate)).subject;
}

function commonNameOf(name: RelativeDistinguishedNames): string | undefined {
  const [first, ...more] = name.typesAndValues.filter(({ type }) => type === oids.commonName);
  const value: unknown = first?.value.valueBlock.value;
  if (typeof value !== "string" || more.length > 0) return undefined;
  const isFit = value.length > 0 && value.length <= commonNameCharactersMax;
  return isFit && !value.includes("\0") ? value : undefined;
}

function keyWeakness(publicKey: Uint8Array): string | undefined {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  if (key.asymmetricKeyType !== "rsa") return "its key is not an RSA key";
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits >= modulusBitsMin && bits <= modulusBitsMax) return undefined;
  return `its RSA key has ${bits} bits; ${modulusBitsMin} to ${modulusBitsMax} are signed`;
}

function timeOf(date: Date): Time {
  const isGeneralized = date.getUTCFullYear() >= generalizedTimeFromYear;
  const value = new Date(date);
  value.setUTCMilliseconds(0);
  return new Time({ type: isGeneralized ? 1 : 0, value });
}

function monthsAfter(date: Date, months: number): Date {
  const later = new Date(date);
  later.setUTCMonth(later.getUTCMonth() + months);
  return later;
}
