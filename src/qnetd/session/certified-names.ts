// The cluster names whose clients must show a certificate: the authority has issued one for the name, or a client has shown one
// (issue 8, A.1). Pure. It only compares names; what is refused for it is the session's business.
import { byteStringOfText } from "../../bytes.ts";
import { certificateHasName, type CertificateNames, lower } from "../pki/certificate-name.ts";

export class CertifiedNames {
  #issued = new Patterns();
  /** Grows by the certificates of the authority only, which the operator counts. */
  readonly #shown = new Patterns();

  /** All that are issued now; replaces those given before. Names of certificates are text. */
  issued(certificates: readonly CertificateNames[]): void {
    const patterns = new Patterns();
    for (const names of certificates) patterns.add(names);
    this.#issued = patterns;
  }

  /** A client has shown this one, and it was good. */
  shown(names: CertificateNames): void {
    this.#shown.add(names);
  }

  /** `name`: a cluster's, a byte string. Letter case does not count, as in the comparison with a certificate. */
  has(name: string): boolean {
    return this.#issued.has(name) || this.#shown.has(name);
  }
}

class Patterns {
  readonly #exact = new Set<string>();
  readonly #wildcards = new Set<string>();

  add({ commonName, alternativeNames }: CertificateNames): void {
    const names = alternativeNames.length > 0 ? alternativeNames : [commonName ?? ""];
    for (const text of names) {
      const pattern = lower(byteStringOfText(text));
      if (pattern.includes("*")) this.#wildcards.add(pattern);
      else this.#exact.add(pattern);
    }
  }

  has(name: string): boolean {
    if (this.#exact.has(lower(name))) return true;
    for (const commonName of this.#wildcards) {
      if (certificateHasName({ commonName, alternativeNames: [] }, name)) return true;
    }
    return false;
  }
}
