// The cluster's authority and a node's certificate below it, as Proxmox's tools keep them in the tree (pvecm.md §4.5): what is missing is made, what is
// soon over is renewed, what an administrator put there stays. Keys are made before the cluster's lock is taken, so that it is held for moments; what
// another node made meanwhile wins. The authority itself is never renewed.
import { randomUUID, X509Certificate } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { type Result, failure, success } from "../../result.ts";
import { withTreeLock } from "../api/tree-file.ts";
import { certificateOf, daysLeft, keyOf, renewalDays, renewalReason } from "./certificate-state.ts";
import { issueCertificate, newRsaKey } from "./x509.ts";

/** Paths in the tree. */
export const authorityPaths = {
  key: "priv/pve-root-ca.key",
  certificate: "pve-root-ca.pem",
  serial: "priv/pve-root-ca.srl",
} as const;
export const wwwKeyPath = "pve-www.key";
export function nodeCertificatePaths(node: string) {
  return {
    key: `nodes/${node}/pve-ssl.key`,
    certificate: `nodes/${node}/pve-ssl.pem`,
    /** An administrator's own, which goes first. */
    customKey: `nodes/${node}/pveproxy-ssl.key`,
    customCertificate: `nodes/${node}/pveproxy-ssl.pem`,
  } as const;
}

const dayMs = 86_400_000;
const authorityDays = 3650;
const certificateDays = 730;
/** A node's certificate ends this much before its authority. */
const marginDays = 2;
const authorityLock = "pve-root-ca";
/** Of whoever makes keys of logins (shell/access). */
const loginLock = "authkey";
const firstSerial = "0000000000000000";
const serialDigitsMax = 38;

export interface CertificatePorts {
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** The search domain of this machine; "" where there is none. */
  readonly domain: string;
  /** Under which others reach this node; undefined: unknown. */
  readonly address: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface EnsureOptions {
  /** A new certificate of this node whatever there is (after a join, `updatecerts --force`). */
  readonly isForced?: boolean;
  /** Progress, one line each: "(re)generate node files", "generate new node certificate" as the original prints. */
  readonly note?: (line: string) => void;
}

/** What was made: paths in the tree, none when all was there. */
export interface Ensured {
  readonly made: readonly string[];
  /** Why the node's certificate is new, a clause; "" when it is not. */
  readonly reason: string;
}

/**
 * Sees to it that the tree holds an authority, this node's certificate below it, and the secret of the web's tokens. Needs a writable
 * tree; a failure says what is missing. Repeated, it makes nothing twice.
 */
export async function ensureCertificates(
  ports: CertificatePorts,
  options: EnsureOptions = {},
): Promise<Result<Ensured>> {
  try {
    const made: string[] = [];
    await ensureDirectories(ports);
    // A certificate without its key is not given another key: it would no longer be the authority that everybody knows.
    const isNew = () => read(ports, authorityPaths.certificate) === undefined;
    await ensureKey(ports, { path: authorityPaths.key, modulusBits: 4096, isNew }, made);
    await ensureKey(ports, { path: wwwKeyPath, modulusBits: 2048, lock: loginLock }, made);
    const paths = nodeCertificatePaths(ports.nodeName);
    await ensureKey(ports, { path: paths.key, modulusBits: 2048 }, made);
    const reason = await locked(ports, async (held) => {
      await ensureAuthority(held, made);
      return ensureNodeCertificate(held, options, made);
    });
    return success({ made, reason });
  } catch (error) {
    if (error instanceof Refused) return failure(error.message);
    throw error;
  }
}

/** What ends the work with a sentence. */
class Refused extends Error {}

async function locked<Value>(
  ports: CertificatePorts,
  work: (held: CertificatePorts) => Promise<Value>,
  lock = authorityLock,
): Promise<Value> {
  const done = await withTreeLock(ports.files, lock, (files) => work({ ...ports, files }));
  if (!done.ok) throw new Refused(done.reason);
  return done.value;
}

async function ensureDirectories({ files, nodeName }: CertificatePorts): Promise<void> {
  for (const path of ["priv", "nodes", `nodes/${nodeName}`]) {
    if (files.stat(path).ok) continue;
    const made = await files.mkdir(path);
    // Another node may have been faster.
    if (!made.ok && made.errno !== "EEXIST")
      throw new Refused(`${path} cannot be made: ${made.reason}`);
  }
}

interface MissingKey {
  readonly path: string;
  readonly modulusBits: 2048 | 4096;
  /** Who else makes it holds the same one. */
  readonly lock?: string;
  /** False: there must not be another than the one that was there. */
  readonly isNew?: () => boolean;
}

/** A key that is not there is made outside the lock, and written under it unless somebody else was faster. */
async function ensureKey(
  ports: CertificatePorts,
  { path, modulusBits, lock = authorityLock, isNew = () => true }: MissingKey,
  made: string[],
): Promise<void> {
  const isThere = () => read(ports, path) !== undefined || !isNew();
  if (isThere()) return;
  // Taken, the lock says that this tree is the cluster's own, not one that is still to be brought up to date.
  await locked(ports, async () => undefined, lock);
  if (isThere()) return;
  const key = await newRsaKey(modulusBits);
  const write = async (held: CertificatePorts): Promise<void> => {
    if (isThere()) return;
    await put(held, path, key.export({ format: "pem", type: "pkcs8" }));
    made.push(path);
  };
  await locked(ports, write, lock);
}

async function ensureAuthority(ports: CertificatePorts, made: string[]): Promise<void> {
  const { key: keyPath, certificate: path, serial } = authorityPaths;
  if (read(ports, path) !== undefined) return;
  const key = keyOf(needed(ports, keyPath));
  if (key === undefined) {
    throw new Refused(
      `/etc/pve/${keyPath} is no private key without a password: put the right one there`,
    );
  }
  const now = ports.now();
  const der = issueCertificate({
    subject: [
      ["commonName", "Proxmox Virtual Environment"],
      ["organizationalUnit", randomUUID()],
      ["organization", "PVE Cluster Manager CA"],
    ],
    key,
    issuer: undefined,
    serial: BigInt(`0x${randomUUID().replaceAll("-", "")}`),
    from: new Date(now - dayMs),
    until: new Date(now + authorityDays * dayMs),
    kind: "authority",
    alternativeNames: [],
  });
  await put(ports, path, pem("CERTIFICATE", der));
  await put(ports, serial, `${firstSerial}\n`);
  made.push(path, serial);
}

/** Answers why it was made, "" when it was not. */
async function ensureNodeCertificate(
  ports: CertificatePorts,
  { isForced = false, note = () => undefined }: EnsureOptions,
  made: string[],
): Promise<string> {
  const authority = authorityOf(ports);
  const paths = nodeCertificatePaths(ports.nodeName);
  const key = keyOf(needed(ports, paths.key));
  if (key === undefined) {
    throw new Refused(
      `/etc/pve/${paths.key} is no private key without a password: remove it, and another is made`,
    );
  }
  const names = namesOf(ports);
  const reason = isForced
    ? "it was asked for"
    : replacementReason(ports, authority.certificate, names);
  if (reason === "") return "";
  note("generate new node certificate");
  const now = ports.now();
  const left = daysLeft(authority.certificate, now);
  if (left < renewalDays) {
    throw new Refused("CA expires in less than 2 weeks, unable to generate certificate.");
  }
  const serial = await nextSerial(ports);
  const der = issueCertificate({
    subject: [
      ["organizationalUnit", "PVE Cluster Node"],
      ["organization", "Proxmox Virtual Environment"],
      ["commonName", names.at(-1) ?? ports.nodeName],
    ],
    key,
    issuer: { certificate: new Uint8Array(authority.certificate.raw), key: authority.key },
    serial,
    from: new Date(now - dayMs),
    until: new Date(now + Math.min(certificateDays, Math.floor(left) - marginDays) * dayMs),
    kind: "server",
    alternativeNames: names,
  });
  await put(ports, paths.certificate, pem("CERTIFICATE", der));
  made.push(paths.certificate);
  return reason;
}

function replacementReason(
  ports: CertificatePorts,
  authority: X509Certificate,
  names: readonly string[],
): string {
  const paths = nodeCertificatePaths(ports.nodeName);
  const certificate = read(ports, paths.certificate);
  if (certificate === undefined) return "there was none";
  const key = needed(ports, paths.key);
  return renewalReason({ certificate, key, authority, names, now: ports.now() });
}

function authorityOf(ports: CertificatePorts) {
  const certificate = certificateOf(needed(ports, authorityPaths.certificate));
  const key = keyOf(read(ports, authorityPaths.key) ?? new Uint8Array());
  if (certificate === undefined || key === undefined || !certificate.checkPrivateKey(key)) {
    throw new Refused(
      `/etc/pve/${authorityPaths.certificate} and /etc/pve/${authorityPaths.key} are not an authority that can sign: put back the pair that belongs together, or remove both for a new one`,
    );
  }
  return { certificate, key };
}

/** As in the original's certificates; the last is the full name. */
function namesOf({ nodeName, domain, address }: CertificatePorts): readonly string[] {
  const own = address === undefined ? [] : [address];
  const full = domain === "" ? [] : [`${nodeName}.${domain}`];
  return [...new Set(["127.0.0.1", "::1", "localhost", ...own, nodeName, ...full])];
}

/** Counts up the serial file (openssl's form: hex digits), before anything is signed with the number. */
async function nextSerial(ports: CertificatePorts): Promise<bigint> {
  const stored = new TextDecoder()
    .decode(read(ports, authorityPaths.serial) ?? new Uint8Array())
    .trim();
  const digits = stored === "" ? firstSerial : stored;
  if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length > serialDigitsMax) {
    throw new Refused(
      `/etc/pve/${authorityPaths.serial} holds no serial number: write the highest that was given out, in hex, into it`,
    );
  }
  const next = BigInt(`0x${digits}`) + 1n;
  const hex = next.toString(16).toUpperCase();
  await put(ports, authorityPaths.serial, `${hex.length % 2 === 0 ? hex : `0${hex}`}\n`);
  return next;
}

function read({ files }: CertificatePorts, path: string): Uint8Array | undefined {
  const found = files.read(path);
  return found.ok && found.value.length > 0 ? found.value : undefined;
}

function needed(ports: CertificatePorts, path: string): Uint8Array {
  const found = read(ports, path);
  if (found !== undefined) return found;
  throw new Refused(`/etc/pve/${path} is missing: somebody removed it meanwhile; try again`);
}

async function put({ files }: CertificatePorts, path: string, text: string): Promise<void> {
  const written = await files.replace(path, new TextEncoder().encode(text));
  if (!written.ok) throw new Refused(`/etc/pve/${path} cannot be written: ${written.reason}`);
}
