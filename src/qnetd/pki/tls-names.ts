// The names in a certificate as the runtime describes one, of a connection or of a file.
import type { CertificateNames } from "./certificate-name.ts";

const alternativeNamesMax = 64;

/** Undefined: it is none, or has no subject. */
export function namesOf(certificate: object | null): CertificateNames | undefined {
  const { subject, subjectaltname }: Readonly<Record<string, unknown>> = { ...certificate };
  if (typeof subject !== "object" || subject === null) return undefined;
  // Several common names come as a list: which one counts is not for us to guess.
  const commonName: unknown = Object.getOwnPropertyDescriptor(subject, "CN")?.value;
  return {
    commonName: typeof commonName === "string" ? commonName : undefined,
    alternativeNames: dnsNames(typeof subjectaltname === "string" ? subjectaltname : ""),
  };
}

/** From "DNS:a.example, IP Address:…". A name with a comma in it comes in quotes and is none of a host. */
function dnsNames(text: string): readonly string[] {
  return text
    .split(", ")
    .filter((name) => name.startsWith("DNS:") && !name.includes('"'))
    .slice(0, alternativeNamesMax)
    .map((name) => name.slice("DNS:".length));
}
