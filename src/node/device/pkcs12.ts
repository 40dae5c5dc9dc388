// What TLS needs out of the PKCS#12 file that a node's set-up leaves (qnetd.md §4.2): the key, its certificate, the authorities.
// A host. It must never throw on bytes from outside.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { decoded, malformed, type Decoded } from "../../bytes.ts";
import { type Pkcs12, readPkcs12 as readFile } from "../../qnetd/pki/pkcs12.ts";

export interface KeyAndCertificates {
  /** PEM, of the key in the file. */
  readonly key: string;
  readonly cert: string;
  /** All other certificates in the file. */
  readonly ca: readonly string[];
}

/** All PEM. The reason is a clause for the operator. Never rejects. */
export async function readPkcs12(
  bytes: Uint8Array,
  password: string,
): Promise<Decoded<KeyAndCertificates>> {
  const file = await readFile(bytes, password);
  if (!file.ok) return file;
  try {
    return assemble(file.value);
  } catch {
    return malformed("it holds a key or a certificate that cannot be used");
  }
}

/** Throws when the runtime cannot read a key or a certificate. */
function assemble(file: Pkcs12): Decoded<KeyAndCertificates> {
  const [first] = file.keys;
  if (first === undefined) return malformed("there is no key in it");
  const key = createPrivateKey({ key: Buffer.from(first.der), format: "der", type: "pkcs8" });
  const certificates = file.certificates.map(({ der }) => new X509Certificate(der));
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (own === undefined) return malformed("no certificate in it belongs to the key");
  return decoded({
    key: key.export({ format: "pem", type: "pkcs8" }),
    cert: own.toString(),
    ca: certificates.filter((one) => one !== own).map((one) => one.toString()),
  });
}
