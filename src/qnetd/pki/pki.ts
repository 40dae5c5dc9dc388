// Keys and certificates of the vote server as they lie in files (qnetd.md §4.1–4.2): read, compared, written as PEM. The runtime's own
// parser does it all; what makes new ones is in `pki-issue.ts` and loaded only then. It never touches a file.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { type Result, success, failure } from "../../result.ts";

/** Names that clients look for (§4.1). */
export const authorityName = "QNet CA";
export const serverName = "Qnetd Server";

/** A private key with its certificate, both DER (PKCS#8 and X.509). */
export interface Identity {
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
}

/** An X.509 certificate, DER or PEM (text before the PEM is skipped). */
export function readCertificate(bytes: Uint8Array): Result<X509Certificate> {
  try {
    return success(new X509Certificate(derOf(bytes, /CERTIFICATE/)));
  } catch {
    return failure("it is no certificate (X.509, DER or PEM)");
  }
}

/** A private key without a password, DER (PKCS#8) or PEM; the answer is PKCS#8 DER. */
export function readKey(bytes: Uint8Array): Result<Uint8Array> {
  try {
    const key = privateKeyOf(derOf(bytes, /PRIVATE KEY/));
    return success(new Uint8Array(key.export({ format: "der", type: "pkcs8" })));
  } catch {
    return failure("it is no private key (PKCS#8 without a password, DER or PEM)");
  }
}

/** True when the key is the certificate's. */
export function isPair(identity: Identity): boolean {
  try {
    return new X509Certificate(identity.certificate).checkPrivateKey(privateKeyOf(identity.key));
  } catch {
    return false; // A broken key or certificate is no pair.
  }
}

/** PEM text; `label` as in "CERTIFICATE" or "PRIVATE KEY". */
export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** The DER of the first PEM block whose label fits, or the bytes themselves when they are no PEM. Throws when none fits. */
export function derOf(bytes: Uint8Array, label: RegExp): Uint8Array<ArrayBuffer> {
  const text = Buffer.from(bytes).toString("latin1");
  if (!text.includes("-----BEGIN ")) return new Uint8Array(bytes);
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g);
  for (const [, name = "", body = ""] of blocks) {
    if (new RegExp(`^(?:${label.source})$`).test(name)) {
      return new Uint8Array(Buffer.from(body, "base64"));
    }
  }
  throw new Error(`no PEM block ${label.source}`);
}

export function privateKeyOf(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
}
