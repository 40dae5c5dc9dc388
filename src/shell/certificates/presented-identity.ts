// Which certificate the API of a node shows: an administrator's own, else the cluster's (pvecm.md §3.2, §4.5); undefined while the tree has none
// that can be used, with what is wrong with it.
import type { Files } from "../../fs/tree/files.ts";
import { certificateOf, keyOf } from "./certificate-state.ts";
import { authorityPaths, nodeCertificatePaths } from "./cluster-certificates.ts";
import type { PemIdentity } from "./self-signed.ts";

export interface Presented {
  readonly identity: PemIdentity | undefined;
  /** Of a certificate that is there and cannot be used, a sentence; "": none. */
  readonly fault: string;
}

/** `node`: of this node in the tree. */
export function presentedIdentity(files: Files, node: string): Presented {
  const paths = nodeCertificatePaths(node);
  let fault = "";
  for (const [certificatePath, keyPath] of [
    [paths.customCertificate, paths.customKey],
    [paths.certificate, paths.key],
  ] as const) {
    const certificate = textOf(files, certificatePath);
    const key = textOf(files, keyPath);
    if (certificate === undefined || key === undefined) continue;
    if (isPair(certificate, key)) {
      return { identity: { certificate: withAuthority(files, certificate), key }, fault };
    }
    fault ||= `/etc/pve/${certificatePath} and /etc/pve/${keyPath} are not a certificate with its key, and are not shown: put a pair there, or remove both`;
  }
  return { identity: undefined, fault };
}

/** Who has only the authority's fingerprint (a join token) has to see the authority, too: it goes with what it has issued. */
function withAuthority(files: Files, certificate: string): string {
  const text = textOf(files, authorityPaths.certificate);
  if (text === undefined) return certificate;
  const [issued, authority] = [certificateOf(bytesOf(certificate)), certificateOf(bytesOf(text))];
  const isIssuer =
    authority !== undefined &&
    issued?.checkIssued(authority) === true &&
    issued.verify(authority.publicKey);
  return isIssuer ? `${certificate.trimEnd()}\n${text}` : certificate;
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function textOf(files: Files, path: string): string | undefined {
  const read = files.read(path);
  return read.ok && read.value.length > 0 ? Buffer.from(read.value).toString("latin1") : undefined;
}

function isPair(certificate: string, key: string): boolean {
  const privateKey = keyOf(bytesOf(key));
  const read = certificateOf(bytesOf(certificate));
  return read !== undefined && privateKey !== undefined && read.checkPrivateKey(privateKey);
}
