// The certificates of a node for its operator, as the API shows them (pvecm.md §4.2). Only reads.
import type { X509Certificate } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { certificateOf } from "./certificate-state.ts";
import { authorityPaths, nodeCertificatePaths } from "./cluster-certificates.ts";

/** As the original's API calls it. */
export interface CertificateInfo {
  /** "pve-ssl.pem". */
  readonly filename: string;
  /** SHA-256 of the DER bytes: upper case, colons. */
  readonly fingerprint: string;
  /** "/OU=PVE Cluster Node/O=…/CN=pve1". */
  readonly subject: string;
  readonly issuer: string;
  /** Unix seconds. */
  readonly notbefore: number;
  readonly notafter: number;
  /** Addresses and host names. */
  readonly san: readonly string[];
  readonly "public-key-type": string;
  readonly "public-key-bits": number;
  readonly pem: string;
}

/** What the tree holds of them: the authority, the node's own, an administrator's. What cannot be read is left out. `node`: in the tree. */
export function certificatesOf(files: Files, node: string): readonly CertificateInfo[] {
  const { certificate, customCertificate } = nodeCertificatePaths(node);
  return [authorityPaths.certificate, certificate, customCertificate].flatMap((path) => {
    const read = files.read(path);
    const found = read.ok ? certificateOf(read.value) : undefined;
    return found === undefined ? [] : [infoOf(path.split("/").at(-1) ?? path, found)];
  });
}

function infoOf(filename: string, certificate: X509Certificate): CertificateInfo {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  return {
    filename,
    fingerprint: certificate.fingerprint256,
    subject: slashed(certificate.subject),
    issuer: slashed(certificate.issuer),
    notbefore: Date.parse(certificate.validFrom) / 1000,
    notafter: Date.parse(certificate.validTo) / 1000,
    san: namesOf(certificate.subjectAltName ?? ""),
    "public-key-type": asymmetricKeyType === "rsa" ? "rsaEncryption" : (asymmetricKeyType ?? ""),
    "public-key-bits":
      asymmetricKeyDetails?.modulusLength ?? curveBits(asymmetricKeyDetails?.namedCurve),
    pem: certificate.toString(),
  };
}

/** An elliptic curve says its size in its name: prime256v1, secp384r1; 0: unknown. */
function curveBits(curve = ""): number {
  return Number(/\d{3}/.exec(curve)?.[0] ?? 0);
}

/** Of the runtime's lines, "CN=a". */
function slashed(name: string): string {
  return name
    .split("\n")
    .map((attribute) => `/${attribute}`)
    .join("");
}

/** Of the runtime's text, "DNS:a, IP Address:b"; what it quotes is no plain name and keeps its quotes. */
function namesOf(text: string): readonly string[] {
  return text.split(", ").flatMap((each) => /^(?:DNS|IP Address):(.+)$/.exec(each)?.[1] ?? []);
}
