// The socket of the device client (qnetd.md §1.6): TCP, then TLS on the same socket when the client says so. A host without any
// decision about votes. It must never send a byte over TLS before the server's certificate was checked, nor buffer without bound.
import { X509Certificate } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Credentials, CredentialsResult } from "./credentials.ts";
import type { DeviceAction, DeviceEvent } from "./events.ts";

/** Ten of the longest requests, as the original keeps. */
const unsentBytesMax = 10 * 32_768;

/** The name that a vote server's certificate must carry. */
export const serverName = "Qnetd Server";

type ConnectOrder = Extract<DeviceAction, { readonly kind: "connect" }>;
type ConnectionEvent = Extract<DeviceEvent, { readonly id: number }>;

export interface ConnectionPort {
  /** Never called from within a method of the connection. */
  readonly event: (event: ConnectionEvent) => void;
  /** Never rejects. */
  readonly credentials: () => Promise<CredentialsResult>;
  readonly warn: (text: string) => void;
}

export class Connection {
  readonly #id: number;
  readonly #port: ConnectionPort;
  readonly #tcp: Socket;
  #stream: Socket | TLSSocket;
  #ended = false;
  /** Writes that the kernel has not taken. */
  #unsent = 0;
  /** Set from the order to start TLS until the server is verified: what is to be sent then. */
  #held: Uint8Array[] | undefined;
  #heldBytes = 0;
  #isUpgrading = false;

  constructor(order: ConnectOrder, port: ConnectionPort) {
    this.#id = order.id;
    this.#port = port;
    const family = order.ipVersion === 0 ? {} : { family: order.ipVersion };
    this.#tcp = connectTcp({ host: order.host, port: order.port, ...family });
    this.#stream = this.#tcp;
    this.#tcp.setNoDelay(true);
    this.#tcp.once("connect", () => this.#tell({ kind: "connected", id: this.#id }));
    this.#watch(this.#tcp);
  }

  send(bytes: Uint8Array): void {
    if (this.#ended) return;
    if (this.#held !== undefined) {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
    } else this.#write(bytes);
    if (this.#heldBytes + this.#stream.writableLength > unsentBytesMax) {
      const reason = `more than ${unsentBytesMax} bytes wait to be sent: the vote server does not read`;
      queueMicrotask(() => this.#fail(reason, true));
    }
  }

  /** The handshake begins when everything sent before is out. */
  startTls(): void {
    if (this.#ended) return;
    this.#held = [];
    if (this.#unsent === 0) void this.#handshake();
  }

  close(): void {
    this.#ended = true;
    this.#stream.destroy();
    this.#tcp.destroy();
  }

  #write(bytes: Uint8Array): void {
    this.#unsent += 1;
    this.#stream.write(bytes, () => {
      this.#unsent -= 1;
      if (this.#unsent === 0 && this.#held !== undefined) void this.#handshake();
    });
  }

  #watch(stream: Socket | TLSSocket): void {
    stream.on("data", (bytes: Buffer) => {
      // Bytes before the handshake is done would be plain text that somebody slipped in.
      if (this.#held === undefined) this.#tell({ kind: "received", id: this.#id, bytes });
      else if (stream === this.#tcp) this.#fail("plain text after TLS was asked for", true);
    });
    stream.on("error", (error: NodeJS.ErrnoException) => this.#fail(errorText(error), true));
    stream.on("end", () => this.#fail("the vote server closed the connection", true));
    stream.on("close", () => this.#fail("the connection was lost", true));
  }

  async #handshake(): Promise<void> {
    if (this.#ended || this.#isUpgrading) return;
    this.#isUpgrading = true;
    const credentials = await this.#port.credentials();
    if (this.#ended) return;
    if (!credentials.ok) return this.#fail(credentials.reason, false);
    this.#tcp.removeAllListeners("data");
    this.#tcp.removeAllListeners("end");
    try {
      const { ca, cert, key } = credentials.value;
      const secure = connectTls({
        socket: this.#tcp,
        servername: serverName,
        minVersion: "TLSv1.2",
        // Checked below, before a byte is sent: an expired certificate alone must not take a cluster's vote away (§1.6).
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ca: [...ca],
        cert,
        key,
      });
      this.#stream = secure;
      this.#watch(secure);
      secure.once("secureConnect", () => this.#secured(secure, credentials.value));
    } catch (error) {
      this.#fail(`the certificate cannot be used: ${errorText(error)}`, false);
    }
  }

  #secured(stream: TLSSocket, credentials: Credentials): void {
    if (this.#ended) return;
    const fault = this.#serverFault(stream, credentials);
    if (fault !== undefined) return this.#fail(fault, false);
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const bytes of held) this.#write(bytes);
    this.#tell({ kind: "secured", id: this.#id, sentCertificate: true });
  }

  /** Why the other side is not the vote server of our certificate authority; undefined: it is. */
  #serverFault(stream: TLSSocket, credentials: Credentials): string | undefined {
    const { raw } = stream.getPeerCertificate();
    if (raw === undefined) return "the vote server sent no certificate";
    const certificate = new X509Certificate(raw);
    if (!isVoteServer(certificate)) {
      return `the vote server's certificate is for "${certificate.subject}", not for "${serverName}"`;
    }
    if (stream.authorized) return undefined;
    const why = String(stream.authorizationError);
    if (why.includes("EXPIRED") && isIssued(certificate, credentials)) {
      this.#port.warn(
        `the vote server's certificate has expired (${certificate.validTo}); it is used nevertheless, renew it soon`,
      );
      return undefined;
    }
    return `the vote server's certificate is not from our certificate authority (${why}): set the device up again, or correct quorum.device.net.tls_ca_file`;
  }

  #fail(reason: string, mayRetrySoon: boolean): void {
    if (this.#ended) return;
    this.close();
    this.#port.event({ kind: "closed", id: this.#id, reason, mayRetrySoon });
  }

  #tell(event: ConnectionEvent): void {
    if (!this.#ended) this.#port.event(event);
  }
}

/** Alternative names, where there are any, replace the common name; case does not matter. */
export function isVoteServer(certificate: X509Certificate): boolean {
  const wanted = serverName.toLowerCase();
  const { subjectAltName } = certificate;
  const names =
    subjectAltName === undefined || subjectAltName === ""
      ? certificate.subject.split("\n").flatMap((part) => afterPrefix(part, "CN="))
      : subjectAltName.split(", ").flatMap((part) => afterPrefix(part, "DNS:"));
  return names.some((name) => name.toLowerCase() === wanted);
}

function afterPrefix(text: string, prefix: string): string[] {
  return text.startsWith(prefix) ? [text.slice(prefix.length)] : [];
}

/** OpenSSL names only one fault of a chain: that an expired certificate is of our authority is checked on its own. */
function isIssued(certificate: X509Certificate, { ca }: Credentials): boolean {
  return ca.some((bytes) => {
    try {
      const authority = new X509Certificate(bytes);
      return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
    } catch {
      return false; // Not a certificate: it vouches for nobody.
    }
  });
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
