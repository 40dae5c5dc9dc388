// Whether the certificate of a node still serves (pvecm.md §4.5): read, held against its key, its authority, its addresses and the time. Pure but
// for the runtime's parser.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

const dayMs = 86_400_000;
/** A certificate that ends sooner is renewed; an authority that ends sooner signs no more. */
export const renewalDays = 14;
/** One that is good for longer is replaced: browsers refuse such. */
const lifetimeDaysMax = 730;

export interface CertificateFacts {
  /** PEM, as it lies in the tree. */
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
  readonly authority: X509Certificate;
  /** Which it must name: addresses and host names. */
  readonly names: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Why a certificate has to be made anew, a clause; "": it serves. */
export function renewalReason(facts: CertificateFacts): string {
  const certificate = certificateOf(facts.certificate);
  const key = keyOf(facts.key);
  if (certificate === undefined) return "it cannot be read";
  if (key === undefined || !certificate.checkPrivateKey(key))
    return "it does not belong to its key";
  const { authority, names, now } = facts;
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    return "another authority has signed it";
  }
  const left = daysLeft(certificate, now);
  if (left <= 0) return "it has expired";
  if (left < renewalDays) return `it expires in less than ${renewalDays} days`;
  if (left > lifetimeDaysMax) return "it is valid for more than two years";
  const absent = names.find((name) => !namesIt(certificate, name));
  return absent === undefined ? "" : `it does not name ${absent}`;
}

/** Days until it ends; below 0: since when it has ended. */
export function daysLeft(certificate: X509Certificate, now: number): number {
  return (Date.parse(certificate.validTo) - now) / dayMs;
}

/** The first certificate of a PEM file; undefined: there is none. */
export function certificateOf(pem: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined; // Not a certificate.
  }
}

/** A private key without a password; undefined: there is none. */
export function keyOf(pem: Uint8Array): KeyObject | undefined {
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch {
    return undefined; // Not a key, or one with a password.
  }
}

function namesIt(certificate: X509Certificate, name: string): boolean {
  const found = isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name);
  return found !== undefined;
}
