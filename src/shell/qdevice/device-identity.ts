// The cluster's certificate for its vote server, as one PKCS#12 file with an empty password: the form that NSS's tools and quorate's
// nodes both read. It comes from an enrolment or from the operator's files; it lies in the tree where root alone may read it.
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { type Result, success, failure, reasonOf } from "../../result.ts";
import { makePkcs12, readPkcs12 } from "../../qnetd/pki/pkcs12.ts";
import { isPair, readCertificate, readKey } from "../../qnetd/pki/pki.ts";

/** In the tree: replicated, root's alone. An original node imports these two (qnetd.md §4.4). */
export const treeDirectory = "priv/qdevice";
export const treeIdentity = `${treeDirectory}/qdevice-net-node.p12`;
export const treeAuthority = `${treeDirectory}/qnetd-cacert.crt`;

const fileBytesMax = 256 * 1024;
/** NSS's nicknames (§4.1). */
const clusterNickname = "Cluster Cert";
const authorityNickname = "QNet CA";

/** All DER; the key PKCS#8. */
export interface ClusterIdentity {
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly authority: Uint8Array;
}

export interface IdentityFiles {
  readonly p12: string | undefined;
  readonly password: string;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly authority: string | undefined;
}

/** The three as they belong together, or the sentence that says what does not. `cluster`: the name that must be in it. */
export function checkedIdentity(
  identity: ClusterIdentity,
  cluster: string,
): Result<ClusterIdentity> {
  if (!isPair(identity)) return failure("the certificate is not that of the key");
  const certificate = new X509Certificate(identity.certificate);
  const authority = new X509Certificate(identity.authority);
  if (!certificate.verify(authority.publicKey)) {
    return failure("the certificate was not issued by the authority beside it");
  }
  const name = certificate.subject.replace(/^CN=/, "");
  // NSS compares without regard to case (qnetd.md §1.6).
  if (name.toLowerCase() === cluster.toLowerCase()) return success(identity);
  return failure(
    `the certificate is for "${name}", this cluster is "${cluster}": the vote server would refuse it`,
  );
}

/** From the operator's files: a PKCS#12, or certificate, key and authority as PEM or DER. The reason names the file. */
export async function identityOfFiles(files: IdentityFiles): Promise<Result<ClusterIdentity>> {
  const authority =
    files.authority === undefined ? undefined : fromFile(files.authority, certificateDer);
  if (authority?.ok === false) return authority;
  if (files.p12 !== undefined) {
    const bytes = fromFile(files.p12, success);
    if (!bytes.ok) return bytes;
    return identityOfPkcs12(bytes.value, {
      name: files.p12,
      password: files.password,
      authority: authority?.value,
    });
  }
  if (files.certificate === undefined || files.key === undefined || authority === undefined) {
    return failure(
      "certificates come as --p12 FILE, or as --cert FILE, --key FILE and --ca FILE together",
    );
  }
  const certificate = fromFile(files.certificate, certificateDer);
  if (!certificate.ok) return certificate;
  const key = fromFile(files.key, readKey);
  if (!key.ok) return key;
  return success({
    key: key.value,
    certificate: certificate.value,
    authority: authority.value,
  });
}

/** `authority` replaces what the file holds or lacks. */
export async function identityOfPkcs12(
  bytes: Uint8Array,
  options: {
    readonly name: string;
    readonly password: string;
    readonly authority: Uint8Array | undefined;
  },
): Promise<Result<ClusterIdentity>> {
  const contents = await readPkcs12(bytes, options.password);
  if (!contents.ok) return failure(`${options.name}: ${contents.reason}`);
  const { keys, certificates } = contents.value;
  for (const key of keys) {
    const own = certificates.find(({ der }) => isPair({ key: key.der, certificate: der }));
    if (own === undefined) continue;
    const authority = options.authority ?? certificates.find((each) => each !== own)?.der;
    if (authority === undefined) {
      return failure(`${options.name} holds no certificate authority: name it with --ca FILE`);
    }
    return success({ key: key.der, certificate: own.der, authority });
  }
  return failure(`${options.name} holds no key with its certificate`);
}

export async function packed(identity: ClusterIdentity): Promise<Uint8Array> {
  const { key, certificate, authority } = identity;
  return makePkcs12(
    {
      key: { name: clusterNickname, der: key },
      certificate: { name: clusterNickname, der: certificate },
      authority: { name: authorityNickname, der: authority },
    },
    "",
  );
}

function certificateDer(bytes: Uint8Array): Result<Uint8Array> {
  const certificate = readCertificate(bytes);
  return certificate.ok ? success(new Uint8Array(certificate.value.raw)) : certificate;
}

function fromFile<T>(path: string, read: (bytes: Uint8Array) => Result<T>): Result<T> {
  try {
    if (statSync(path).size > fileBytesMax) return failure(`${path} is too large`);
    const value = read(new Uint8Array(readFileSync(path)));
    return value.ok ? value : failure(`${path}: ${value.reason}`);
  } catch (error) {
    return failure(reasonOf(error));
  }
}
