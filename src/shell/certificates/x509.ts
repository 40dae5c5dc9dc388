// New X.509 certificates in the form of Proxmox's own (pvecm.md §4.5): RSA with SHA-256, an authority that may sign, servers with their addresses as
// alternative names. The DER is written by hand (ARCHITECTURE.md, "Certificates by hand"); the runtime makes keys and signatures.
import { createHash, createPublicKey, generateKeyPair, type KeyObject, sign } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import {
  at,
  readElement,
  tags,
  writeBits,
  writeContext,
  writeElement,
  writeInteger,
  writeObjectIdentifier,
  writeOctets,
  writeSequence,
  writeSet,
  writtenNull,
  writtenTrue,
} from "../../qnetd/pki/der.ts";
import { subjectOf } from "../../qnetd/pki/issue.ts";

const oids = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  organizationalUnit: "2.5.4.11",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  sha256WithRsa: "1.2.840.113549.1.1.11",
} as const;

const certificateVersion3 = 2;
const generalizedTimeFromYear = 2050;
/** Key usage bits, from the first: digital signature, key encipherment; certificate and list signing. */
const serverUsage = { unused: 5, bits: 0b1010_0000 } as const;
const authorityUsage = { unused: 1, bits: 0b0000_0110 } as const;

/** One attribute of a name. Names are written in the order given. */
export type NameAttribute = readonly ["commonName" | "organization" | "organizationalUnit", string];

export interface CertificateOrder {
  readonly subject: readonly NameAttribute[];
  /** Whose certificate it becomes. */
  readonly key: KeyObject;
  /** Undefined: it signs itself. */
  readonly issuer: { readonly certificate: Uint8Array; readonly key: KeyObject } | undefined;
  /** From 1; at most 20 octets. */
  readonly serial: bigint;
  readonly from: Date;
  readonly until: Date;
  /** "server": with `alternativeNames`, addresses or host names. */
  readonly kind: "authority" | "server";
  readonly alternativeNames: readonly string[];
}

/** A new RSA key, made by the runtime's pool, not on the calling thread. */
export async function newRsaKey(modulusBits: 2048 | 4096): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: modulusBits });
  return privateKey;
}

/** The certificate, DER (RFC 5280 §4.1). */
export function issueCertificate(order: CertificateOrder): Uint8Array {
  const publicKey = spkiOf(order.key);
  const issuer = order.issuer;
  const subject = nameOf(order.subject);
  const tbs = writeSequence(
    writeContext(0, writeInteger(certificateVersion3)),
    writeSerial(order.serial),
    signatureAlgorithm(),
    issuer === undefined ? subject : subjectOf(issuer.certificate),
    writeSequence(timeOf(order.from), timeOf(order.until)),
    subject,
    publicKey,
    writeContext(3, writeSequence(...extensionsOf(order, publicKey))),
  );
  const mark = sign("sha256", tbs, issuer?.key ?? order.key);
  return writeSequence(tbs, signatureAlgorithm(), writeBits(mark));
}

/** A positive number of any length. */
function writeSerial(serial: bigint): Uint8Array {
  const digits = serial.toString(16);
  const octets = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  // Without the zero it would be negative.
  const isHigh = (octets[0] ?? 0) >= 0x80;
  return writeElement(tags.integer, ...(isHigh ? [Uint8Array.of(0)] : []), octets);
}

function extensionsOf(order: CertificateOrder, publicKey: Uint8Array): readonly Uint8Array[] {
  const { issuer, kind, alternativeNames } = order;
  const own = keyIdentifier(publicKey);
  const signer = issuer === undefined ? own : keyIdentifier(spkiOf(issuer.key));
  const identifiers = [
    extension(oids.subjectKeyIdentifier, writeOctets(own)),
    // [0] keyIdentifier, implicit.
    extension(oids.authorityKeyIdentifier, writeSequence(writeElement(0x80, signer))),
  ];
  if (kind === "authority") {
    return [
      ...identifiers,
      extension(oids.basicConstraints, writeSequence(writtenTrue), true),
      extension(oids.keyUsage, usage(authorityUsage), true),
    ];
  }
  return [
    ...identifiers,
    extension(oids.basicConstraints, writeSequence()),
    extension(oids.keyUsage, usage(serverUsage), true),
    extension(oids.extendedKeyUsage, writeSequence(writeObjectIdentifier(oids.serverAuth))),
    extension(oids.alternativeName, writeSequence(...alternativeNames.map(alternativeName))),
  ];
}

function extension(oid: string, value: Uint8Array, isCritical = false): Uint8Array {
  return writeSequence(
    writeObjectIdentifier(oid),
    ...(isCritical ? [writtenTrue] : []),
    writeOctets(value),
  );
}

function usage({ unused, bits }: { readonly unused: number; readonly bits: number }): Uint8Array {
  return writeElement(tags.bitString, Uint8Array.of(unused, bits));
}

/** GeneralName: [2] dNSName or [7] iPAddress, both implicit. */
function alternativeName(name: string): Uint8Array {
  if (isIP(name) === 0) return writeElement(0x82, new TextEncoder().encode(name));
  return writeElement(0x87, addressBytes(name));
}

/** Four or sixteen octets of an address that `isIP` knows, without a zone. */
function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split(".").map(Number));
  // The URL parser writes every IPv6 address in one form, hexadecimal groups and at most one "::".
  const [head = "", tail = ""] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string) =>
    text === "" ? [] : text.split(":").map((each) => Number.parseInt(each, 16));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Uint8Array.from(
    [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]),
  );
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
}

/** RFC 5280 §4.2.1.2, method 1: SHA-1 of the public key's bits. */
function keyIdentifier(spki: Uint8Array): Uint8Array {
  const read = readElement(spki, "der");
  const bits = read.ok ? at(read.value, 1).content.subarray(1) : spki;
  return new Uint8Array(createHash("sha1").update(bits).digest());
}

function signatureAlgorithm(): Uint8Array {
  return writeSequence(writeObjectIdentifier(oids.sha256WithRsa), writtenNull);
}

function nameOf(attributes: readonly NameAttribute[]): Uint8Array {
  return writeSequence(
    ...attributes.map(([attribute, value]) =>
      writeSet(
        writeSequence(
          writeObjectIdentifier(oids[attribute]),
          writeElement(tags.utf8String, new TextEncoder().encode(value)),
        ),
      ),
    ),
  );
}

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
function timeOf(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/\.\d+Z$|[-:T]/g, "");
  const isGeneralized = date.getUTCFullYear() >= generalizedTimeFromYear;
  const content = new TextEncoder().encode(`${isGeneralized ? digits : digits.slice(2)}Z`);
  return writeElement(isGeneralized ? tags.generalizedTime : tags.utcTime, content);
}
