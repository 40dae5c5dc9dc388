// For which clusters the authority has issued certificates: the files that signing leaves beside its key (qnetd.md §4.2), whoever
// signed. A host. Read again when the directory has changed, so that the command line's signing counts at once.
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { CertificateNames } from "./certificate-name.ts";
import { readCertificate } from "./pki.ts";
import { namesOf } from "./tls-names.ts";

const filePattern = /^cluster-(.+)\.crt$/;
const fileBytesMax = 1 << 20;
/** Two changes within so long may leave the same time on the directory. */
const settledMs = 1000;

export class IssuedCertificates {
  readonly #directory: string;
  readonly #authorityPath: string;
  #stamp = "";

  constructor(store: { readonly directory: string; readonly authorityPath: string }) {
    this.#directory = store.directory;
    this.#authorityPath = store.authorityPath;
  }

  /** The names in all of them, when they may have changed since the last call; undefined: nothing is new. `now`: wall clock. */
  changed(now = Date.now()): readonly CertificateNames[] | undefined {
    try {
      const { mtimeMs, ino } = statSync(this.#directory);
      const stamp = `${ino}.${mtimeMs}`;
      if (stamp === this.#stamp) return undefined;
      // The clock may be behind the directory's time: it was set back, or has started in 1970.
      this.#stamp = Math.abs(now - mtimeMs) > settledMs ? stamp : "";
      return this.#read();
    } catch {
      return undefined; // No directory, or none for us: what was known stays so, and setting up TLS says the reason.
    }
  }

  #read(): readonly CertificateNames[] {
    const authority = certificateIn(this.#authorityPath);
    return readdirSync(this.#directory).flatMap((file) => {
      const [, cluster] = filePattern.exec(file) ?? [];
      if (cluster === undefined) return [];
      const certificate = certificateIn(join(this.#directory, file));
      // A damaged file still tells that there is a certificate.
      if (certificate === undefined) return [{ commonName: cluster, alternativeNames: [] }];
      // Of a former authority: nobody can connect with it.
      if (authority !== undefined && !certificate.verify(authority.publicKey)) return [];
      return namesOf(certificate.toLegacyObject()) ?? [];
    });
  }
}

function certificateIn(path: string): X509Certificate | undefined {
  try {
    if (statSync(path).size > fileBytesMax) return undefined;
    const read = readCertificate(new Uint8Array(readFileSync(path)));
    return read.ok ? read.value : undefined;
  } catch {
    return undefined;
  }
}
