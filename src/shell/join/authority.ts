// Which cluster a join token is of: by its own authority, whose fingerprint the token carries and its record keeps.
import { X509Certificate } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { type Result, failure, success } from "../../result.ts";

/** In the tree. */
export const authorityPath = "pve-root-ca.pem";

/** SHA-256 of the certificate that the member's API shows the chain of. The reason is for whoever makes a token. */
export function authorityOf(files: Pick<Files, "read">): Result<Uint8Array> {
  const read = files.read(authorityPath);
  const missing = `the cluster has no authority yet (${authorityPath}): it is made once the node is quorate; try again in some seconds`;
  return read.ok ? fingerprintOf(read.value) : failure(missing);
}

/** `certificate`: PEM or DER. */
export function fingerprintOf(certificate: Uint8Array): Result<Uint8Array> {
  try {
    const { fingerprint256 } = new X509Certificate(certificate);
    return success(new Uint8Array(Buffer.from(fingerprint256.replaceAll(":", ""), "hex")));
  } catch {
    return failure(`${authorityPath} in the tree is no certificate: restore it from a backup`);
  }
}
