// The socket of the device client (qnetd.md §1.6): TCP, then TLS on the same socket when the client says so. A host without any
// decision about votes. It must never send a byte over TLS before the server's certificate was checked, nor buffer without bound.
import { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { reasonOf } from "../../result.ts";
import type { Credentials, CredentialsResult } from "./credentials.ts";
import type { DeviceAction, DeviceEvent } from "./events.ts";

/** However many addresses a name has: what one gets at least before the next is tried. */
const addressMsMin = 250;

export type ConnectOrder = Extract<DeviceAction, { readonly kind: "connect" }>;
type ConnectionEvent = Extract<DeviceEvent, { readonly id: number }>;

export interface ConnectionPort {
  /** Never called from within a method of the connection. */
  readonly event: (event: ConnectionEvent) => void;
  /** Never rejects. */
  readonly credentials: () => Promise<CredentialsResult>;
  /** There are some, good or not. */
  readonly hasCredentials: () => boolean;
  readonly warn: (text: string) => void;
  /** The addresses of a host name in the resolver's order; may reject. */
  readonly resolve?: (host: string, family: 0 | 4 | 6) => Promise<readonly string[]>;
}

/** By the machine's resolver. */
async function resolveHost(host: string, family: 0 | 4 | 6): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, family, order: "verbatim" });
  return [...new Set(found.map(({ address }) => address))];
}

export class Connection {
  readonly #id: number;
  readonly #order: ConnectOrder;
  readonly #port: ConnectionPort;
  /** Of the address that is tried or was reached. */
  #tcp: Socket | undefined;
  #stream: Socket | TLSSocket | undefined;
  #ended = false;
  /** Writes that the kernel has not taken. */
  #unsent = 0;
  /** Set from the order to start TLS until the server is verified: what is to be sent then. */
  #pending: Uint8Array[] | undefined;
  #pendingBytes = 0;
  #isUpgrading = false;

  constructor(order: ConnectOrder, port: ConnectionPort) {
    this.#id = order.id;
    this.#order = order;
    this.#port = port;
    void this.#connect();
  }

  /** All addresses of the name in turn, as the original; one that is silent has only its share of the time. */
  async #connect(): Promise<void> {
    const { host, port, ipVersion, timeoutMs } = this.#order;
    let addresses: readonly string[];
    try {
      addresses = await (this.#port.resolve ?? resolveHost)(host, ipVersion);
    } catch (error) {
      return this.#fail(nameFault(host, ipVersion, errorCode(error)), true);
    }
    if (addresses.length === 0) return this.#fail(nameFault(host, ipVersion, "no address"), true);
    const shareMs = Math.max(addressMsMin, Math.trunc(timeoutMs / addresses.length));
    const faults: string[] = [];
    for (const address of addresses) {
      if (this.#ended) return;
      const tcp = connectTcp({ host: address, port });
      this.#tcp = tcp;
      const fault = await whenConnected(tcp, shareMs);
      if (fault === undefined) return this.#connected(tcp);
      tcp.destroy();
      faults.push(addressFault(address, port, fault));
    }
    this.#fail(faults.join("; "), true);
  }

  #connected(tcp: Socket): void {
    if (this.#ended) return;
    this.#stream = tcp;
    tcp.setNoDelay(true);
    this.#watch(tcp);
    const hasCertificate = this.#port.hasCredentials();
    this.#tell({ kind: "connected", id: this.#id, hasCertificate });
  }

  send(bytes: Uint8Array): void {
    if (this.#ended) return;
    if (this.#pending !== undefined) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
    } else this.#write(bytes);
    const { unsentBytesMax } = this.#order;
    if (this.#pendingBytes + (this.#stream?.writableLength ?? 0) > unsentBytesMax) {
      const reason = `more than ${unsentBytesMax} bytes wait to be sent: the vote server does not read`;
      queueMicrotask(() => this.#fail(reason, true));
    }
  }

  /** The handshake begins when everything sent before is out. */
  startTls(): void {
    if (this.#ended) return;
    this.#pending = [];
    if (this.#unsent === 0) void this.#handshake();
  }

  close(): void {
    this.#ended = true;
    this.#stream?.destroy();
    this.#tcp?.destroy();
  }

  #write(bytes: Uint8Array): void {
    this.#unsent += 1;
    this.#stream?.write(bytes, () => {
      this.#unsent -= 1;
      if (this.#unsent === 0 && this.#pending !== undefined) void this.#handshake();
    });
  }

  #watch(stream: Socket | TLSSocket): void {
    const isPlain = stream === this.#tcp;
    let hasHeard = false;
    stream.on("data", (bytes: Buffer) => {
      hasHeard = true;
      // Bytes before the handshake is done would be plain text that somebody slipped in.
      if (this.#pending === undefined) this.#tell({ kind: "received", id: this.#id, bytes });
      else if (isPlain) this.#fail("plain text after TLS was asked for", true);
    });
    // With TLS 1.3 a server that does not like our certificate says so only after the handshake, if at all.
    const lost = (reason: string): void =>
      this.#fail(isPlain || hasHeard ? reason : `${reason}; ${unheardText}`, true);
    stream.on("error", (error: NodeJS.ErrnoException) => lost(lossText(error)));
    stream.on("end", () => lost("the vote server closed the connection"));
    stream.on("close", () => lost("the connection was lost"));
  }

  async #handshake(): Promise<void> {
    if (this.#ended || this.#isUpgrading) return;
    this.#isUpgrading = true;
    const credentials = await this.#port.credentials();
    if (this.#ended) return;
    if (!credentials.ok) return this.#fail(credentials.reason, false);
    const tcp = this.#tcp;
    if (tcp === undefined) return;
    tcp.removeAllListeners("data");
    tcp.removeAllListeners("end");
    try {
      const { ca, cert, key } = credentials.value;
      const secure = connectTls({
        socket: tcp,
        servername: this.#order.serverName,
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
      this.#fail(`the certificate cannot be used: ${reasonOf(error)}`, false);
    }
  }

  #secured(stream: TLSSocket, credentials: Credentials): void {
    if (this.#ended) return;
    const fault = this.#serverFault(stream, credentials);
    if (fault !== undefined) return this.#fail(fault, false);
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    this.#pendingBytes = 0;
    for (const bytes of pending) this.#write(bytes);
    this.#tell({ kind: "secured", id: this.#id, sentCertificate: true });
  }

  /** Why the other side is not the vote server of our certificate authority; undefined: it is. */
  #serverFault(stream: TLSSocket, credentials: Credentials): string | undefined {
    const { raw } = stream.getPeerCertificate();
    if (raw === undefined) return "the vote server sent no certificate";
    const certificate = new X509Certificate(raw);
    const { serverName } = this.#order;
    if (!isVoteServer(certificate, serverName)) {
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
    if (why.includes("NOT_YET_VALID") && isIssued(certificate, credentials)) {
      return `the vote server's certificate is valid from ${certificate.validFrom} on, and the clock of this node says ${new Date().toUTCString()}: set the clock`;
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
export function isVoteServer(certificate: X509Certificate, serverName: string): boolean {
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

/** OpenSSL names only one fault of a chain: that such a certificate is of our authority is checked on its own. */
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

const unheardText =
  "it said nothing over TLS, so it may refuse our certificate: that must be for this cluster's name and of the server's certificate authority";

/** Undefined once TCP stands; otherwise the errno's name, or "silent" when there was neither within `limitMs`. */
function whenConnected(tcp: Socket, limitMs: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const timeout = setTimeout(() => resolve("silent"), limitMs);
  tcp.once("connect", () => resolve(undefined));
  tcp.once("error", (error) => resolve(errorCode(error)));
  tcp.once("close", () => resolve("closed"));
  return promise.finally(() => {
    clearTimeout(timeout);
    tcp.removeAllListeners("close");
    // Destroyed or watched from here on; what it still says of this attempt is known.
    tcp.on("error", () => undefined);
  });
}

function nameFault(host: string, ipVersion: 0 | 4 | 6, why: string): string {
  const kind = ipVersion === 0 ? "" : ` as an IPv${ipVersion} address`;
  return `the name ${host} cannot be resolved${kind} (${why}): correct quorum.device.net.host or the resolver`;
}

function addressFault(address: string, port: number, errno: string): string {
  switch (errno) {
    case "ECONNREFUSED":
      // Bun says this of every connection that fails at once, without a route too.
      return `${address} refuses connections to port ${port}, or there is no way to it: start the vote server (quorate qnetd or corosync-qnetd) there, correct quorum.device.net.host and port, or check the network`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `${address} cannot be reached (${errno}): check the network between this node and the vote server`;
    case "ETIMEDOUT":
    case "silent":
      return `${address} does not answer on port ${port}: is it up, and is there no firewall between?`;
    default:
      return `${address} cannot be connected (${errno})`;
  }
}

/** What ended a connection that stood. */
function lossText(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNRESET":
    case "EPIPE":
      return `the vote server cut the connection (${error.code})`;
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
      return `the vote server can no longer be reached (${error.code})`;
    default:
      return reasonOf(error);
  }
}

function errorCode(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && code !== "" ? code : reasonOf(error);
}
