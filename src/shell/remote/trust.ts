// Whom a call to another node may talk to: the certificate that the other side shows is judged before a byte of the request is sent.
// Spec: pvecm.md §3.2 (fingerprint), §4.5 (the cluster's authority).
import { createHash, X509Certificate } from "node:crypto";
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { type Result, failure, success } from "../../result.ts";

/** Of the chain that a server shows; nobody needs more, and a hostile one may show many. */
const chainLengthMax = 8;

/** What the other side of a connection has shown. */
export interface ShownCertificates {
  readonly server: X509Certificate;
  /** What came with it, nearest first, without the server's own; nothing about them is checked yet. */
  readonly others: readonly X509Certificate[];
  /** Why the system's certificates and the host's name do not vouch for it, as a sentence's end; "": they do. */
  readonly systemFault: string;
}

/** Judges what a server has shown: success, or the sentence that says why nothing was sent. */
export type Trust = (shown: ShownCertificates) => Result<undefined> | Promise<Result<undefined>>;

/** "9A:3B:…:F0" of a certificate: SHA-256 of its DER bytes, as Proxmox prints it. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256;
}

/** 32 bytes of a fingerprint in hex, with or without colons, any case; undefined when the text is none. */
export function fingerprintBytes(text: string): Uint8Array | undefined {
  const hex = text.trim();
  if (!/^(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$|^[0-9A-Fa-f]{64}$/.test(hex)) return undefined;
  return new Uint8Array(Buffer.from(hex.replaceAll(":", ""), "hex"));
}

/** Only the certificate with this fingerprint; the host's name and the dates do not count (pvecm.md §3.2). */
export function trustFingerprint(fingerprint: Uint8Array): Trust {
  return ({ server }) =>
    digestOf(server).equals(fingerprint)
      ? success(undefined)
      : failure(
          `it shows the certificate with the fingerprint ${fingerprintOf(server)}, not the one that was given: compare it with the one that the node itself names; it changes whenever its certificate is renewed`,
        );
}

/** Any node with a certificate of this authority (a cluster's pve-root-ca.pem). */
export function trustAuthority(authority: X509Certificate): Trust {
  return ({ server }) =>
    isIssuedBy(server, authority)
      ? success(undefined)
      : failure(
          "it shows a certificate that the cluster's authority has not issued: it belongs to another cluster, or has a certificate of its own",
        );
}

/** As `trustAuthority`, of the authority with this fingerprint, which the server must show itself. */
export function trustAuthorityFingerprint(fingerprint: Uint8Array): Trust {
  return ({ server, others }) => {
    const authority = others.find((certificate) => digestOf(certificate).equals(fingerprint));
    if (authority === undefined) {
      return failure(
        "it does not show the authority with the fingerprint that was given: it belongs to another cluster, or the cluster has a new authority",
      );
    }
    return trustAuthority(authority)({ server, others, systemFault: "" });
  };
}

/**
 * Whom the system's certificates vouch for under the host's name; for all others `ask` is called with the fingerprint, once:
 * the certificate that it accepted is the only one accepted from then on (pvecm.md §1.2).
 */
export function trustSystemOr(ask: (fingerprint: string) => Promise<boolean>): Trust {
  let accepted: Uint8Array | undefined;
  return async (shown) => {
    if (accepted !== undefined) return trustFingerprint(accepted)(shown);
    if (shown.systemFault !== "") {
      if (!(await ask(fingerprintOf(shown.server)))) {
        return failure("its fingerprint was not accepted");
      }
    }
    accepted = new Uint8Array(digestOf(shown.server));
    return success(undefined);
  };
}

/** Signed by the authority's key, meant for a server, and within its dates. */
function isIssuedBy(server: X509Certificate, authority: X509Certificate): boolean {
  const now = new Date();
  return (
    authority.ca &&
    server.checkIssued(authority) &&
    server.verify(authority.publicKey) &&
    [server, authority].every(
      (certificate) => certificate.validFromDate <= now && now <= certificate.validToDate,
    )
  );
}

function digestOf(certificate: X509Certificate): Buffer {
  return createHash("sha256").update(certificate.raw).digest();
}

/** What a connection whose handshake is over has shown; undefined: nothing that can be read. `host`: as it was called. */
export function shownBy(socket: TLSSocket, host: string): ShownCertificates | undefined {
  const chain: X509Certificate[] = [];
  let leaf: DetailedPeerCertificate | undefined;
  try {
    leaf = socket.getPeerCertificate(true);
    // The last one names itself as its issuer.
    for (let at = leaf; chain.length < chainLengthMax; at = at.issuerCertificate) {
      chain.push(new X509Certificate(at.raw));
      if (at.issuerCertificate === undefined || at.issuerCertificate === at) break;
      if (Buffer.from(at.issuerCertificate.raw).equals(Buffer.from(at.raw))) break;
    }
  } catch {
    if (chain.length === 0) return undefined; // Foreign bytes; what was read of a chain counts.
  }
  const [server, ...others] = chain;
  if (server === undefined || leaf === undefined) return undefined;
  return { server, others, systemFault: systemFault(socket, host, leaf) };
}

function systemFault(socket: TLSSocket, host: string, leaf: DetailedPeerCertificate): string {
  if (!socket.authorized) {
    return `the system's certificates do not vouch for it (${String(socket.authorizationError)})`;
  }
  return checkServerIdentity(host, leaf)?.message ?? "";
}
