// Does a certificate carry a cluster's name (qnetd.md §1.6)? As NSS compares: alternative names if there are any, else the
// common name; case-insensitive; a wildcard only at the end of the first of three or more labels.

/** The names of a client's certificate, whose chain the TLS layer has already verified. */
export interface CertificateNames {
  readonly commonName: string | undefined;
  /** DNS names of the subject's alternative names. */
  readonly alternativeNames: readonly string[];
}

export function certificateHasName(names: CertificateNames, name: string): boolean {
  const patterns = names.alternativeNames.length > 0 ? names.alternativeNames : [names.commonName];
  return patterns.some((pattern) => pattern !== undefined && matches(pattern, name));
}

function matches(pattern: string, name: string): boolean {
  const wanted = lower(name);
  const given = lower(pattern);
  if (given === wanted) return given !== "";
  const labels = given.split(".");
  const first = labels[0] ?? "";
  if (labels.length < 3 || !first.endsWith("*") || first.indexOf("*") !== first.length - 1) {
    return false;
  }
  const stem = first.slice(0, -1);
  if (stem.startsWith("xn--")) return false;
  const dot = wanted.indexOf(".");
  return dot >= 0 && wanted.slice(dot) === given.slice(first.length) && wanted.startsWith(stem);
}

/** ASCII only: other characters have no agreed case here. */
export function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
