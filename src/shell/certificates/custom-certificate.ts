// An administrator's own certificate of a node, which the API shows before the cluster's (pvecm.md §4.2, §4.5): checked as a whole before anything is
// written, for half of a pair would be shown by nobody.
import { X509Certificate } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { type Result, failure, success } from "../../result.ts";
import { certificateOf, keyOf } from "./certificate-state.ts";
import { nodeCertificatePaths } from "./cluster-certificates.ts";

const certificatesMax = 16;

export interface CustomPair {
  /** PEM: the node's, then those above it. */
  readonly certificates: string;
  /** PEM; undefined: the key that is there. */
  readonly key: string | undefined;
  /** What is there may be replaced. */
  readonly isForced: boolean;
}

/** The PEM blocks of a chain without the text around them; undefined: one of them is no certificate, or there is none. */
export function certificateChain(text: string): string | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > certificatesMax) return undefined;
  if (blocks.some((block) => certificateOf(bytesOf(block)) === undefined)) return undefined;
  return `${blocks.join("\n")}\n`;
}

/** The PEM block of a private key without a password; undefined: there is none. */
export function privateKey(text: string): string | undefined {
  const block = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^-]+-----END \1-----/.exec(text)?.[0];
  if (block === undefined) return undefined;
  return keyOf(bytesOf(block)) === undefined ? undefined : `${block}\n`;
}

/** True: a key is there for a certificate that comes without one. */
export function hasCustomKey(files: Files, node: string): boolean {
  return files.stat(nodeCertificatePaths(node).customKey).ok;
}

/** Writes the pair; `certificates` and `key` are as the functions above give them. A failure is a sentence, and leaves what was there. */
export async function setCustomCertificate(
  files: Files,
  node: string,
  { certificates, key, isForced }: CustomPair,
): Promise<Result<undefined>> {
  const { customKey, customCertificate } = nodeCertificatePaths(node);
  if (!isForced && files.stat(customCertificate).ok) {
    return failure("Custom certificate file exists but force flag is not set.");
  }
  if (!isForced && key !== undefined && files.stat(customKey).ok) {
    return failure("Custom certificate key file exists but force flag is not set.");
  }
  const before = files.read(customKey);
  const used =
    key === undefined ? (before.ok ? keyOf(before.value) : undefined) : keyOf(bytesOf(key));
  if (used === undefined || !new X509Certificate(certificates).checkPrivateKey(used)) {
    return failure("Setting certificate files failed - key does not match the certificate (chain)");
  }
  const made = await files.mkdir(`nodes/${node}`);
  if (!made.ok && made.errno !== "EEXIST") return failure(made.reason);
  if (key !== undefined) {
    const written = await files.replace(customKey, bytesOf(key));
    if (!written.ok) return failure(written.reason);
  }
  const written = await files.replace(customCertificate, bytesOf(certificates));
  if (written.ok) return success(undefined);
  if (key !== undefined && before.ok) await files.replace(customKey, before.value);
  return failure(written.reason);
}

/** Takes both away; none there is as good. */
export async function removeCustomCertificate(
  files: Files,
  node: string,
): Promise<Result<undefined>> {
  const { customKey, customCertificate } = nodeCertificatePaths(node);
  for (const path of [customCertificate, customKey]) {
    const removed = await files.remove(path);
    if (!removed.ok && removed.errno !== "ENOENT") return failure(removed.reason);
  }
  return success(undefined);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
