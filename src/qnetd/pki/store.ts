// The vote server's certificates on disk (qnetd.md §4.2): one directory, the original's, with PEM files of ours beside what an NSS
// database may have left. Every file is written whole or not at all; a key is never readable by others and never overwritten,
// except by the renewal of the server's own.
import { existsSync, fchownSync, readdirSync, statSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { type Result, success, failure, reasonOf } from "../../result.ts";
import { Directory } from "../../directory.ts";
import type { FileOwner } from "../../durable-file.ts";
import { closeFd, errnoName, errnos } from "../../libc.ts";
import { type Identity, isPair, pem, readCertificate, readKey, serverName } from "./pki.ts";

/** The certificate that nodes import; the name is the original's, and `pvecm` fetches it from here. */
const authorityFile = "qnetd-cacert.crt";
/** Key and certificate in one file each, so that they can only change together. */
const authorityKeyFile = "qnetd-ca.pem";
const serverKeyFile = "qnetd-server.pem";
const serialFile = "serial.txt";
const lockName = "quorate.lock";
/** The original's first serial is one more. */
const serialBefore = 100;
const serialMax = 2 ** 48;
const clusterNameBytesMax = 200;
const fileBytesMax = 1 << 20;
const lockTries = 50;
const lockTryMs = 100;

/** A warning appears, and the server's certificate is renewed, so long before its end. */
export const renewalDays = 90;
const dayMs = 86_400_000;

/** What a daemon needs to speak TLS; all PEM. `identity`: the server's key and certificate. */
export interface ServerFiles {
  readonly authority: string;
  readonly identity: string;
}

export interface CertificateState {
  readonly file: string;
  readonly isServer: boolean;
  readonly subject: string;
  readonly serial: number;
  readonly notAfterMs: number;
  readonly daysLeft: number;
  /** A sentence when something is to be done, else "". */
  readonly warning: string;
}

export class CertificateStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** "ours": complete; "nss": only a database of the original; "none": nothing. */
  state(): "ours" | "nss" | "none" {
    const has = (name: string): boolean => existsSync(join(this.directory, name));
    if (has(serverKeyFile) && has(authorityFile)) return "ours";
    return has("cert9.db") || has("cert8.db") ? "nss" : "none";
  }

  get authorityPath(): string {
    return join(this.directory, authorityFile);
  }
  /** Changes when TLS must be set up anew: replaced files have other numbers, and what cannot be reached has none. */
  stamp(): string {
    return [authorityFile, serverKeyFile]
      .map((name) => {
        const stat = this.#try(() => statSync(join(this.directory, name)));
        if (!stat.ok) return "-";
        const { ino, mtimeMs, size } = stat.value;
        return `${ino}.${mtimeMs}.${size}`;
      })
      .join(" ");
  }

  /** Makes the directory as the original does: owner of the one above, for its group too unless told otherwise. */
  prepare(options: { readonly isGroupWritable: boolean }): Result<void> {
    return this.#try(() => {
      const mode = options.isGroupWritable ? 0o770 : 0o750;
      Directory.make(this.directory, mode, { isOfParent: true });
    });
  }

  /** A new authority and the server's certificate (serials 101 and 102). `now`: wall clock, milliseconds. */
  async create(now: number): Promise<Result<void>> {
    return this.#locked(async (directory) => {
      if (this.state() === "ours") return failure(`${this.directory} has certificates already`);
      const serial = this.#nextSerial(directory);
      if (!serial.ok) return serial;
      const from = new Date(now);
      const { createAuthority, createIdentity } = await import("./issue.ts");
      const authority = await createAuthority(serial.value, from);
      const server = await createIdentity({
        authority,
        commonName: serverName,
        serial: serial.value + 1,
        from,
      });
      return this.#adopt(directory, authority, server, serial.value + 1);
    });
  }

  /** Takes over what an original server had; `serial`: its last one is kept when it is in the directory. */
  async adopt(
    authority: Identity,
    server: Identity | undefined,
    now: number,
  ): Promise<Result<void>> {
    if (!isPair(authority)) return failure("the key of the authority is not its certificate's");
    if (server !== undefined && !isPair(server)) {
      return failure("the key of the server is not its certificate's");
    }
    const issuer = new X509Certificate(authority.certificate);
    if (!issuer.ca) return failure("the certificate of the authority is none of an authority");
    if (server !== undefined && !new X509Certificate(server.certificate).verify(issuer.publicKey)) {
      return failure("the server's certificate is of another authority");
    }
    return this.#locked(async (directory) => {
      if (this.state() === "ours") return failure(`${this.directory} has certificates already`);
      const next = this.#nextSerial(directory);
      if (!next.ok) return next;
      // NSS refuses two certificates of one authority with one serial number.
      const used = [authority, ...(server === undefined ? [] : [server])].map(serialOf);
      const serial = Math.max(next.value, ...used.map((number) => number + 1));
      if (server !== undefined) return this.#adopt(directory, authority, server, serial - 1);
      const { createIdentity } = await import("./issue.ts");
      const made = await createIdentity({
        authority,
        commonName: serverName,
        serial,
        from: new Date(now),
      });
      return this.#adopt(directory, authority, made, serial);
    });
  }

  /** Signs a node's request (§4.3). Answers the file of the certificate and the name in it. */
  async sign(
    bytes: Uint8Array,
    cluster: string,
    now: number,
  ): Promise<Result<{ readonly path: string; readonly commonName: string }>> {
    const nameFault = clusterNameFault(cluster);
    if (nameFault !== undefined) return failure(nameFault);
    const { readRequest, signRequest } = await import("./issue.ts");
    const request = await readRequest(bytes);
    if (!request.ok) return request;
    const { commonName } = request.value;
    const isReserved = /^(?:qnet ca|qnetd server)$/i.test(commonName.trim());
    // Such a certificate could stand for the server, or for clusters of other names.
    if (isReserved || commonName.includes("*")) {
      return failure(`its name "${commonName}" is none of a cluster`);
    }
    return this.#locked(async (directory) => {
      const authority = this.#authority(directory);
      if (!authority.ok) return authority;
      const serial = this.#nextSerial(directory);
      if (!serial.ok) return serial;
      this.#write(directory, serialFile, String(serial.value), 0o660);
      const certificate = signRequest({
        authority: authority.value,
        request: request.value,
        serial: serial.value,
        from: new Date(now),
      });
      const path = join(this.directory, `cluster-${cluster}.crt`);
      this.#write(directory, `cluster-${cluster}.crt`, certificate, 0o640);
      return success({ path, commonName });
    });
  }

  /** A new key and certificate for the server, of the same authority: nodes notice nothing. */
  async renewServer(now: number): Promise<Result<void>> {
    return this.#locked(async (directory) => {
      const authority = this.#authority(directory);
      if (!authority.ok) return authority;
      const serial = this.#nextSerial(directory);
      if (!serial.ok) return serial;
      const { createIdentity } = await import("./issue.ts");
      const server = await createIdentity({
        authority: authority.value,
        commonName: serverName,
        serial: serial.value,
        from: new Date(now),
      });
      this.#write(directory, serialFile, String(serial.value), 0o660);
      this.#writeIdentity(directory, serverKeyFile, server, this.#serverKeyMode(directory));
      return success(undefined);
    });
  }

  /** What the daemon needs, as it stands in the files: TLS itself compares key and certificate. The reason names the file. */
  server(): Result<ServerFiles> {
    const text = (bytes: Uint8Array): Result<string> => success(new TextDecoder().decode(bytes));
    return this.#within((directory) => {
      const authority = this.#read(directory, authorityFile, text);
      if (!authority.ok) return authority;
      const identity = this.#read(directory, serverKeyFile, text);
      if (!identity.ok) return identity;
      return success({ authority: authority.value, identity: identity.value });
    });
  }

  /** The authority with its key, for whoever may read it. */
  authority(): Result<Identity> {
    return this.#within((directory) => this.#authority(directory));
  }

  /** All certificates of the directory that can be read, with what they will need. */
  certificates(now: number): readonly CertificateState[] {
    const states = this.#within((directory) => {
      const found = readdirSync(this.directory)
        .toSorted()
        .flatMap((file) => {
          const isOurs = file === authorityFile || file === serverKeyFile;
          if (!isOurs && !/^cluster-.+\.crt$/.test(file)) return [];
          const certificate = this.#read(directory, file, readCertificate);
          return certificate.ok ? [stateOf(file, certificate.value, now)] : [];
        });
      return success(found);
    });
    return states.ok ? states.value : [];
  }

  #adopt(
    directory: Directory,
    authority: Identity,
    server: Identity,
    serial: number,
  ): Result<void> {
    this.#write(directory, serialFile, String(serial), 0o660);
    this.#writeIdentity(directory, authorityKeyFile, authority, 0o600);
    this.#write(directory, authorityFile, pem("CERTIFICATE", authority.certificate), 0o644);
    // Last: the store counts as complete with it.
    this.#writeIdentity(directory, serverKeyFile, server, this.#serverKeyMode(directory));
    return success(undefined);
  }

  #authority(directory: Directory): Result<Identity> {
    const identity = this.#identity(directory, authorityKeyFile);
    if (!identity.ok || existsSync(this.authorityPath)) return identity;
    this.#write(directory, authorityFile, pem("CERTIFICATE", identity.value.certificate), 0o644);
    return identity;
  }

  #identity(directory: Directory, file: string): Result<Identity> {
    const key = this.#read(directory, file, readKey);
    if (!key.ok) return key;
    const certificate = this.#read(directory, file, readCertificate);
    if (!certificate.ok) return certificate;
    const identity = { key: key.value, certificate: new Uint8Array(certificate.value.raw) };
    if (!isPair(identity)) {
      return failure(`${join(this.directory, file)} holds a key and a certificate of another`);
    }
    return success(identity);
  }

  #read<T>(directory: Directory, file: string, read: (bytes: Uint8Array) => Result<T>): Result<T> {
    const path = join(this.directory, file);
    const bytes = this.#try(() => directory.read(file, fileBytesMax));
    if (!bytes.ok) return bytes;
    const value = read(bytes.value);
    return value.ok ? value : failure(`${path}: ${value.reason}`);
  }

  #nextSerial(directory: Directory): Result<number> {
    const path = join(this.directory, serialFile);
    if (directory.statOf(serialFile) === undefined) return success(serialBefore + 1);
    const text = new TextDecoder().decode(directory.read(serialFile, fileBytesMax)).trim();
    const serial = /^\d{1,15}$/.test(text) ? Number(text) : serialMax;
    if (serial < serialMax) return success(serial + 1);
    return failure(`${path} does not hold the last serial number in decimal`);
  }

  /** A root-owned directory with a group of its own is read by a daemon of that group; else the owner is the daemon. */
  #serverKeyMode(directory: Directory): number {
    const { uid, gid, mode } = directory.stat();
    return uid === 0 && gid !== 0 && (mode & 0o050) === 0o050 ? 0o640 : 0o600;
  }

  #writeIdentity(directory: Directory, file: string, identity: Identity, mode: number): void {
    const text = pem("PRIVATE KEY", identity.key) + pem("CERTIFICATE", identity.certificate);
    this.#write(directory, file, text, mode);
  }

  /** Whole or not at all, with its final mode and owner from the start. */
  #write(directory: Directory, file: string, content: string | Uint8Array, mode: number): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    directory.replace(file, bytes, mode, ownerIn(directory));
  }

  /** One change at a time, over all processes. */
  async #locked<T>(change: (directory: Directory) => Promise<Result<T>>): Promise<Result<T>> {
    const path = join(this.directory, lockName);
    try {
      using directory = Directory.open(this.directory);
      for (let tries = 1; ; tries += 1) {
        const lock = directory.lock(lockName);
        if (lock.ok) {
          try {
            const owner = ownerIn(directory);
            if (owner !== undefined) fchownSync(lock.fd, owner.uid, owner.gid);
            return await change(directory);
          } finally {
            closeFd(lock.fd);
          }
        }
        if (lock.errno !== errnos.EAGAIN) {
          return failure(`${path} cannot be written (${errnoName(lock.errno)})`);
        }
        if (tries >= lockTries) return failure(`${path} is held by another process`);
        await Bun.sleep(lockTryMs);
      }
    } catch (error) {
      return failure(reasonOf(error));
    }
  }

  #within<T>(read: (directory: Directory) => Result<T>): Result<T> {
    try {
      using directory = Directory.open(this.directory);
      return read(directory);
    } catch (error) {
      return failure(reasonOf(error));
    }
  }

  #try<T>(act: () => T): Result<T> {
    try {
      return success(act());
    } catch (error) {
      return failure(reasonOf(error));
    }
  }
}

/** Only root can give files away; anybody else is the owner anyhow. */
function ownerIn(directory: Directory): FileOwner | undefined {
  return process.geteuid?.() === 0 ? directory.stat() : undefined;
}

/** Others than ours may have longer ones: those are far from any that we give. */
function serialOf(identity: Identity): number {
  const serial = Number.parseInt(new X509Certificate(identity.certificate).serialNumber, 16);
  return serial < serialMax ? serial : 0;
}

function clusterNameFault(cluster: string): string | undefined {
  // eslint-disable-next-line no-control-regex -- such names would reach a terminal and a file name
  const isFit = cluster !== "" && !/[/\u0000-\u001f\u007f]/.test(cluster);
  if (isFit && new TextEncoder().encode(cluster).length <= clusterNameBytesMax) return undefined;
  return `"${cluster}" cannot be the name of a cluster`;
}

function stateOf(file: string, certificate: X509Certificate, now: number): CertificateState {
  const notAfterMs = Date.parse(certificate.validTo);
  const daysLeft = Math.floor((notAfterMs - now) / dayMs);
  return {
    file,
    isServer: file === serverKeyFile,
    subject: certificate.subject.replace(/^CN=/, ""),
    serial: Number.parseInt(certificate.serialNumber, 16),
    notAfterMs,
    daysLeft,
    warning: clockWarning(file, certificate, now) || expiryWarning(file, daysLeft),
  };
}

/** A machine without a battery for its clock begins in 1970. Said once, of the authority. */
function clockWarning(file: string, { validFrom }: X509Certificate, now: number): string {
  const from = Date.parse(validFrom);
  if (file !== authorityFile || now >= from) return "";
  const [clock, begin] = [now, from].map((ms) => new Date(ms).toISOString().slice(0, 10));
  return `The clock of this host says ${clock}, and its certificates begin on ${begin}: set the clock. Until then no client can use TLS; no restart is needed.`;
}

function expiryWarning(file: string, daysLeft: number): string {
  if (daysLeft >= renewalDays) return "";
  const when = daysLeft < 0 ? "has expired" : `expires in ${daysLeft} days`;
  switch (file) {
    case serverKeyFile:
      return `The server's certificate ${when}: renew it with "quorate qnetd certificates renew"; nodes notice nothing.`;
    case authorityFile:
      return `The authority's certificate ${when}: move the directory away, start the vote server again (it makes a new one) and set the device up again on every cluster.`;
    default:
      return `The certificate of ${file.slice("cluster-".length, -".crt".length)} ${when}: set the device up again on one of its nodes ("quorate qdevice remove", then "setup" with a new token; or pvecm qdevice).`;
  }
}
