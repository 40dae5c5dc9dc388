// The original's way to a cluster's certificate (qnetd.md §4.5): root's ssh to the vote server and its `corosync-qnetd-certutil`. For
// servers that know no invitation. The key is made here and stays; only the request and certificates travel.
import { existsSync } from "node:fs";
import { type Result, success } from "../../result.ts";
import { createRequest } from "../../qnetd/pki/issue.ts";
import { readCertificate } from "../../qnetd/pki/pki.ts";
import { runProgram } from "../remote/program.ts";
import type { ClusterIdentity } from "./device-identity.ts";

const serverDirectory = "/etc/corosync/qnetd/nssdb";
const copyIdKey = "/root/.ssh/id_rsa";

export interface SshOrder {
  /** An IP address: it stands in command lines. */
  readonly address: string;
  /** A node-name as Proxmox allows it. */
  readonly cluster: string;
  /** Told before each step, in the original's words. */
  readonly step: (words: string) => void;
  /** The programs; tests have their own. */
  readonly programs?: {
    readonly ssh: readonly string[];
    readonly copyId: readonly string[];
    /** Makes root's key where `keyFile` is not there, as Proxmox does when it is installed. */
    readonly makeKey?: readonly string[];
    readonly keyFile?: string;
  };
}

const programsDefault = {
  ssh: ["ssh", "-o", "BatchMode=yes", "-lroot"],
  copyId: ["ssh-copy-id", "-i", copyIdKey],
  makeKey: ["ssh-keygen", "-q", "-t", "rsa", "-b", "4096", "-N", "", "-f", copyIdKey],
  keyFile: `${copyIdKey}.pub`,
} as const;

/** The reason is the failing command and what it said. */
export async function enrolBySsh(order: SshOrder): Promise<Result<ClusterIdentity>> {
  const { address, cluster, step, programs = programsDefault } = order;
  const { makeKey, keyFile } = programs;
  if (makeKey !== undefined && keyFile !== undefined && !existsSync(keyFile)) {
    const made = await runProgram(makeKey);
    if (!made.ok) return made;
  }
  const copied = await runProgram([...programs.copyId, `root@${address}`], { stdio: "terminal" });
  if (!copied.ok) return copied;
  const remote = (command: string, input?: Uint8Array): Promise<Result<Uint8Array>> =>
    runProgram([...programs.ssh, address, command], input === undefined ? {} : { input });
  step("INFO: initializing qnetd server");
  // Fails where it has been done before, as a rule; what is missing then fails below.
  await remote("corosync-qnetd-certutil -i");
  step("INFO: copying CA cert and initializing on all nodes");
  const authority = certificateOf(await remote(`cat ${serverDirectory}/qnetd-cacert.crt`));
  if (!authority.ok) return authority;
  step("INFO: generating cert request");
  const { key, request } = await createRequest(cluster);
  step("INFO: copying exported cert request to qnetd server");
  step("INFO: sign and export cluster cert");
  // A name of ours alone: anybody there could have laid a link at one that is known.
  const sign = `corosync-qnetd-certutil -s -c "$f" -n ${quoted(cluster)}`;
  const signed = await remote(
    `f=$(mktemp) && cat > "$f" && ${sign}; s=$?; rm -f "$f"; exit $s`,
    request,
  );
  if (!signed.ok) return signed;
  step("INFO: copy exported CRT");
  const path = quoted(`${serverDirectory}/cluster-${cluster}.crt`);
  const certificate = certificateOf(await remote(`cat ${path}`));
  if (!certificate.ok) return certificate;
  return success({ key, certificate: certificate.value, authority: authority.value });
}

function certificateOf(bytes: Result<Uint8Array>): Result<Uint8Array> {
  if (!bytes.ok) return bytes;
  const read = readCertificate(bytes.value);
  return read.ok ? success(new Uint8Array(read.value.raw)) : read;
}

/** For the shell on the server. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
