// The certificate that the API shows while the node has none of a cluster's authority (pvecm.md §4.5 has it from the first start, but only a
// writable tree can hold one): signed by itself, kept on this machine, replaced before it ends.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Directory } from "../../directory.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "./x509.ts";

const dayMs = 86_400_000;
const lifetimeDays = 730;
const renewalDays = 14;

export interface PemIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface SelfSignedOptions {
  /** Holds certificate and key, in one file. */
  readonly path: string;
  readonly name: string;
  /** Addresses and host names. */
  readonly alternativeNames: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What is stored, or a new one where that is missing, broken or soon over. Throws when it cannot be stored. */
export async function selfSignedIdentity(options: SelfSignedOptions): Promise<PemIdentity> {
  const stored = storedIdentity(options.path, options.now);
  if (stored !== undefined) return stored;
  const key = await newRsaKey(2048);
  const der = issueCertificate({
    subject: [
      ["organizationalUnit", "quorate, not yet certified by a cluster"],
      ["commonName", options.name],
    ],
    key,
    issuer: undefined,
    serial: BigInt(Math.floor(options.now / 1000)),
    from: new Date(options.now - dayMs),
    until: new Date(options.now + lifetimeDays * dayMs),
    kind: "server",
    alternativeNames: options.alternativeNames,
  });
  const made: PemIdentity = {
    certificate: pem("CERTIFICATE", der),
    key: key.export({ format: "pem", type: "pkcs8" }),
  };
  using directory = Directory.open(dirname(options.path), { isMade: true });
  directory.replace(
    basename(options.path),
    new TextEncoder().encode(made.certificate + made.key),
    0o600,
  );
  return made;
}

function storedIdentity(path: string, now: number): PemIdentity | undefined {
  try {
    const text = readFileSync(path, "utf8");
    const start = text.indexOf("-----BEGIN PRIVATE KEY-----");
    if (start < 0) return undefined;
    const identity = { certificate: text.slice(0, start), key: text.slice(start) };
    const certificate = new X509Certificate(identity.certificate);
    const isGood =
      certificate.checkPrivateKey(createPrivateKey(identity.key)) &&
      Date.parse(certificate.validTo) - now > renewalDays * dayMs;
    return isGood ? identity : undefined;
  } catch {
    return undefined; // Not there or not usable: another is made.
  }
}
