// The server's side of TLS (qnetd.md §1.6): an accepted plain connection is upgraded after StartTLS. Certificates are read again when
// their files have changed, so that `corosync-qnetd-certutil -i` and a renewal need no restart. It decides nothing about clusters.
import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { type Result, success, failure, reasonOf } from "../../result.ts";
import type { CertificateNames } from "../pki/certificate-name.ts";
import { IssuedCertificates } from "../pki/issued-certificates.ts";
import type { CertificateStore } from "../pki/store.ts";
import { namesOf } from "../pki/tls-names.ts";

/** NSS of the original refuses older versions too. */
const versionMin = "TLSv1.2";

export class TlsUpgrade {
  readonly #store: CertificateStore;
  readonly #isClientCertificateRequired: boolean;
  readonly #onUnusable: (reason: string) => void;
  readonly #issued: IssuedCertificates;
  #context: SecureContext | undefined;
  #stamp = "";

  constructor(options: {
    readonly store: CertificateStore;
    readonly isClientCertificateRequired: boolean;
    readonly onUnusable: (reason: string) => void;
  }) {
    this.#store = options.store;
    this.#issued = new IssuedCertificates(options.store);
    this.#onUnusable = options.onUnusable;
    this.#isClientCertificateRequired = options.isClientCertificateRequired;
  }

  /**
   * Reads the certificates if their files have changed. Those that were good stay in use when the new ones are not: the reason
   * comes only when there are none at all, and names the file.
   */
  refresh(): Result<SecureContext> {
    const stamp = this.#store.stamp();
    if (this.#context !== undefined && stamp === this.#stamp) return success(this.#context);
    this.#stamp = stamp;
    const fresh = this.#read();
    if (fresh.ok) this.#context = fresh.value;
    else if (this.#context !== undefined) {
      this.#onUnusable(`${fresh.reason}; the former certificates stay in use`);
      return success(this.#context);
    }
    return fresh;
  }

  /** The names for which the authority has issued certificates, when they may have changed since the last call. */
  newlyIssued(): readonly CertificateNames[] | undefined {
    return this.#issued.changed();
  }

  #read(): Result<SecureContext> {
    const files = this.#store.server();
    if (!files.ok) return files;
    try {
      return success(
        createSecureContext({
          ca: files.value.authority,
          cert: files.value.identity,
          key: files.value.identity,
          minVersion: versionMin,
          // Sessions are not resumed: every connection shows its certificate.
          secureOptions: constants.SSL_OP_NO_TICKET,
        }),
      );
    } catch (error) {
      const reason = reasonOf(error);
      return failure(`the certificates in ${this.#store.directory} do not serve: ${reason}`);
    }
  }

  /**
   * Begins the handshake on a socket without listeners of its own; `rest`: what has already been read of it. The socket must not
   * be used any more; failures come as "error" and "close" of the answer, success as "secure".
   */
  upgrade(socket: Socket, rest: Uint8Array): Result<TLSSocket> {
    const context = this.refresh();
    if (!context.ok) return context;
    // A flowing socket without listeners would lose what is put back.
    socket.pause();
    if (rest.length > 0) socket.unshift(rest);
    return success(
      new TLSSocket(socket, {
        isServer: true,
        secureContext: context.value,
        requestCert: this.#isClientCertificateRequired,
        rejectUnauthorized: this.#isClientCertificateRequired,
      }),
    );
  }
}

/** The names of the certificate that the client showed and that stands below our authority; undefined: none. */
export function peerNames(socket: TLSSocket): CertificateNames | undefined {
  return socket.authorized ? namesOf(socket.getPeerCertificate()) : undefined;
}
