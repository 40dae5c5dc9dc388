// `quorate qnetd invite CLUSTER`: a token with which one node of that cluster gets the cluster's certificate, once, without a login on
// this machine. The command writes an invitation beside the certificates; the running server reads it there when a node comes.
import { closeSync, fchmodSync, fchownSync, statSync } from "node:fs";
import { randomBytes, createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { basename, dirname } from "node:path";
import { Directory } from "../../directory.ts";
import { openFlags } from "../../libc.ts";
import {
  addressesMax,
  encodeToken,
  isAddress,
  isClusterName,
  secretBytes,
} from "../../qnetd/enrol/enrolment-token.ts";
import { lifetimeMsDefault, type Invite } from "../../qnetd/enrol/enrolment.ts";
import { hashOf, InviteStore, isOpen, layoutOf } from "../../qnetd/enrol/enrolment-invites.ts";
import type { AdvancedSettings } from "../../qnetd/server/configuration.ts";
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import { CertificateStore } from "../../qnetd/pki/store.ts";
import { CommandFailure, exitOk, exitUsage } from "../exit.ts";
import { table } from "../cli/text-table.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";

const portDefault = 5403;
const pidBytesMax = 64;
/** Names of the store's files (store.ts). */
const authorityKeyFile = "qnetd-ca.pem";
const lockName = "quorate.lock";
const serialFile = "serial.txt";

export interface QnetdInviteOptions {
  /** Of the certificates; /etc/corosync/qnetd/nssdb on a real machine. */
  readonly directory: string;
  /** What the running server serves; undefined: it does not answer. */
  readonly server:
    | {
        readonly address: string;
        readonly port: number;
        readonly tls: string;
        /** Whose process it is; undefined: unknown. */
        readonly uid: number | undefined;
      }
    | undefined;
  readonly verb:
    | { readonly kind: "invite"; readonly cluster: string }
    | { readonly kind: "list" }
    | { readonly kind: "revoke"; readonly cluster: string };
  /** Where nodes reach this machine; none: the addresses of its interfaces. */
  readonly addresses: readonly string[];
  /** Undefined: the running server's, or 5403. */
  readonly port: number | undefined;
  /** Undefined: one hour. */
  readonly lifetimeMs: number | undefined;
  /** The server's group may read the authority's key. */
  readonly letServerSign: boolean;
  readonly json: boolean;
  readonly write: (text: string) => void;
  /** Notes that are not for scripts. */
  readonly note: (text: string) => void;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

export async function inviteCommand(options: QnetdInviteOptions): Promise<number> {
  switch (options.verb.kind) {
    case "invite":
      return invite(options, options.verb.cluster);
    case "list":
      return list(options);
    case "revoke":
      return revoke(options, options.verb.cluster);
  }
  return options.verb satisfies never;
}

function invite(options: QnetdInviteOptions, cluster: string): number {
  if (!isClusterName(cluster)) {
    throw new CommandFailure(
      `"${cluster}" cannot be the name of a cluster (totem.cluster_name of its corosync.conf)`,
      exitUsage,
    );
  }
  const { lifetimeMs = lifetimeMsDefault } = options;
  const authority = authorityOf(options);
  const now = options.now();
  const secret = new Uint8Array(randomBytes(secretBytes));
  const made: Invite = {
    cluster,
    secretHash: hashOf(secret),
    createdAt: now,
    expiresAt: now + lifetimeMs,
    used: undefined,
  };
  const addresses = options.addresses.length > 0 ? options.addresses : ownAddresses(options);
  const wrong = addresses.find((address) => !isAddress(address));
  if (wrong !== undefined) {
    throw new CommandFailure(
      `--address is a name or an IP address of this server, not "${wrong}"`,
      exitUsage,
    );
  }
  const port = portOf(options);
  letServerSign(options);
  const stored = new InviteStore(options.directory).add(made, now);
  if (!stored.ok) throw new CommandFailure(`the invitation is not made: ${stored.reason}`);
  const expiresAt = Math.floor(made.expiresAt / 1000);
  const token = encodeToken({
    cluster,
    addresses,
    port,
    fingerprint: new Uint8Array(createHash("sha256").update(authority).digest()),
    secret,
    expiresAt,
  });
  const until = new Date(made.expiresAt).toISOString();
  if (options.json) {
    options.write(
      `${JSON.stringify({ cluster, addresses, port, expiresAt: until, token }, undefined, 2)}\n`,
    );
    return exitOk;
  }
  options.note(
    `Invitation for the cluster "${cluster}", to be used once, until ${until} (${addresses.join(", ")} port ${port}).\n` +
      "Whoever has the token gets the cluster's certificate: keep it to yourself. Run on one node of the cluster\n" +
      "(with - in place of the token it is asked for, and no other user of that node can read it meanwhile):\n\n",
  );
  options.write(`quorate qdevice setup ${token}\n`);
  return exitOk;
}

/** The authority's certificate, DER; without one no server serves TLS. */
function authorityOf({ directory, server }: QnetdInviteOptions): Uint8Array {
  if (server?.tls === "off") {
    throw new CommandFailure(
      "the vote server runs without TLS (off): then no certificates are needed and none can be handed out. " +
        'Set the device up with "quorate qdevice setup ADDRESS --tls off", or start the server with TLS',
    );
  }
  const store = new CertificateStore(directory);
  switch (store.state()) {
    case "none":
      throw new CommandFailure(
        `there are no certificates in ${directory}: start the vote server once ("quorate qnetd"), it makes them`,
      );
    case "nss":
      throw new CommandFailure(
        `${directory} holds an NSS database of an original vote server: take it over with "quorate qnetd certificates import"`,
      );
    case "ours": {
      const authority = store.authority();
      if (authority.ok) return authority.value.certificate;
      throw new CommandFailure(
        `the authority's key cannot be read, so nothing could be signed: ${authority.reason}` +
          (process.geteuid?.() === 0 ? "" : "; repeat as root"),
      );
    }
  }
}

/**
 * A server without root in a directory of root's, as Debian installs the original, cannot read the authority's key. It may do so as
 * one of the directory's group, as the original's group may by default; but only if the operator says so.
 */
function letServerSign(options: QnetdInviteOptions): void {
  const { server, note } = options;
  using directory = Directory.open(options.directory);
  const { uid, gid, isSharedWithGroup } = layoutOf(directory.stat());
  if (server?.uid === undefined || server.uid === 0 || server.uid === uid) return;
  const keyMode = directory.statOf(authorityKeyFile)?.mode ?? 0;
  if (isSharedWithGroup && (keyMode & 0o040) !== 0) return;
  if (!options.letServerSign) {
    throw new CommandFailure(
      `the vote server runs without root's rights and may not read the authority's key in ${directory.path}, so it could not sign. ` +
        "Repeat with --let-server-sign: then the group of the directory may read the key and write there, as with the original's default",
    );
  }
  if (process.geteuid?.() !== 0) throw new CommandFailure("--let-server-sign needs root's rights");
  for (const file of [authorityKeyFile, lockName, serialFile]) {
    const fd = directory.openFile(file, openFlags.WRONLY | openFlags.CREAT);
    try {
      fchownSync(fd, uid, gid);
      fchmodSync(fd, file === authorityKeyFile ? 0o640 : 0o660);
    } finally {
      closeSync(fd);
    }
  }
  directory.changeMode(0o770);
  note(`The group of ${directory.path} may read the authority's key and write there now.\n`);
}

/** What a running server says of itself; undefined: none answers. */
export async function runningServer({
  localSocketFile,
  lockFile,
}: Pick<AdvancedSettings, "localSocketFile" | "lockFile">): Promise<QnetdInviteOptions["server"]> {
  const answer = await askTool(localSocketFile, {
    command: "snapshot",
    isVerbose: false,
    cluster: undefined,
  });
  if (answer.kind !== "ok") return undefined;
  const { server }: QnetdStatus = JSON.parse(new TextDecoder().decode(answer.text));
  return { address: server.address, port: server.port, tls: server.tls, uid: ownerOf(lockFile) };
}

/** Of the process whose number is in the file. */
function ownerOf(lockFile: string): number | undefined {
  try {
    using directory = Directory.open(dirname(lockFile));
    const text = directory.read(basename(lockFile), pidBytesMax);
    const pid = Number(new TextDecoder().decode(text));
    return pid > 0 ? statSync(`/proc/${pid}`).uid : undefined;
  } catch {
    return undefined; // Without /proc, or gone meanwhile: the server will say itself what it cannot read.
  }
}

function portOf({ port, server, note }: QnetdInviteOptions): number {
  if (port !== undefined) return port;
  if (server !== undefined) return server.port;
  note(
    `Warning: no vote server answers here; the token names port ${portDefault}. Start it with "quorate qnetd".\n`,
  );
  return portDefault;
}

/** The server's own address if it serves one only; else those of all interfaces that others may reach. */
function ownAddresses({ server }: QnetdInviteOptions): readonly string[] {
  const served = server?.address ?? "*";
  if (served !== "*") return [served];
  const found = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^fe80:/i.test(address))
    .toSorted((a, b) => a.family.localeCompare(b.family))
    .map(({ address }) => address)
    .slice(0, addressesMax);
  if (found.length > 0) return found;
  throw new CommandFailure(
    "this host has no address that others could reach: name one with --address",
    exitUsage,
  );
}

function list({ directory, json, write, note, now }: QnetdInviteOptions): number {
  const invites = new InviteStore(directory)
    .all((sentence) => note(`Warning: ${sentence}\n`))
    .filter((each) => isOpen(each, now()))
    .toSorted((a, b) => a.expiresAt - b.expiresAt)
    .map(({ cluster, createdAt, expiresAt }) => ({
      cluster,
      state: "open",
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
    }));
  if (json) write(`${JSON.stringify(invites, undefined, 2)}\n`);
  else if (invites.length === 0) write("There are no open invitations.\n");
  else {
    const columns = ["CLUSTER", "MADE", "EXPIRES"].map((title) => ({ title }));
    const rows = invites.map(({ cluster, createdAt, expiresAt }) => [
      cluster,
      createdAt,
      expiresAt,
    ]);
    write(`${table(columns, rows).join("\n")}\n`);
  }
  return exitOk;
}

function revoke({ directory, write, now }: QnetdInviteOptions, cluster: string): number {
  const revoked = new InviteStore(directory).revoke(cluster, now());
  if (!revoked.ok) throw new CommandFailure(revoked.reason);
  const { open, ended } = revoked.value;
  if (open === 0) {
    const rest = ended > 0 ? ` (${ended} used or expired one(s) were removed)` : "";
    throw new CommandFailure(
      `there is no open invitation for "${cluster}"${rest}; \`quorate qnetd invite --list\` shows those that are open`,
    );
  }
  write(`${open} open invitation(s) for "${cluster}" revoked.\n`);
  return exitOk;
}
