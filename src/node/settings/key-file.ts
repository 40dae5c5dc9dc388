// The cluster's key on disk: where it is read from, what to do when it cannot be, and what ought not to be as it is. Host code.
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { type Conf, parseConf } from "../../conf.ts";
import { fileReasonOf } from "../../result.ts";
import { configVersionOf, cryptoOf, keyBytesMax, keySource } from "./read-settings.ts";
import type { CryptoSettings, KeyOnDisk } from "./settings.ts";

export type KeyResult =
  | {
      readonly ok: true;
      readonly bytes: Uint8Array;
      /** The file that has the key; undefined without crypto. */
      readonly path: string | undefined;
    }
  | {
      readonly ok: false;
      /** What follows the name of the file. */
      readonly reason: string;
      readonly path: string;
    };

/** `confPath`: the file that was read to `conf`, which may hold the key itself. */
export function readKey(conf: Conf, confPath: string, authkey: string): KeyResult {
  const source = keySource(conf);
  if (source === undefined) return { ok: true, bytes: new Uint8Array(0), path: undefined };
  if (source.keyfile === undefined && source.key !== undefined) {
    return { ok: true, bytes: Buffer.from(source.key, "latin1"), path: confPath };
  }
  const path = source.keyfile ?? authkey;
  try {
    const bytes = readFileSync(path);
    return { ok: true, bytes: new Uint8Array(bytes.subarray(0, keyBytesMax)), path };
  } catch (error) {
    return {
      ok: false,
      reason: `the key could not be read: ${fileReasonOf(error)}. ${keyAdvice(error, path)}`,
      path,
    };
  }
}

/** The crypto settings and version of a file and its key, read at once; undefined when they cannot be used. Never throws. */
export function keyOnDisk(confPath: string, authkey: string): KeyOnDisk | undefined {
  try {
    const conf = parseConf(readFileSync(confPath, "latin1"));
    if (!conf.ok) return undefined;
    const crypto = cryptoOf(conf.value, readKey(conf.value, confPath, authkey));
    return crypto && { crypto, configVersion: configVersionOf(conf.value) };
  } catch {
    // The reload that reads the file reports what is wrong.
    return undefined;
  }
}

/** What to do about a key that could not be read. One that is there must not be overwritten: with another one this node is alone. */
export function keyAdvice(error: unknown, path: string): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return `Copy the key from another node of the cluster; for a new cluster make one: (umask 077; head -c 256 /dev/urandom > ${path})`;
    case "EACCES":
    case "EPERM":
      return `The key may be right: start the node as root, or as a user who may read ${path}`;
    default:
      return "It has to be a file with the key of the cluster, as on the other nodes";
  }
}

const groupBits = 0o060;
const otherBits = 0o006;

/** What is allowed and yet weakens the cluster, as sentences with what to do. `port`: of its first link. */
export async function cryptoWarnings(
  crypto: CryptoSettings,
  keyPath: string | undefined,
  port: number,
): Promise<string[]> {
  const remedy =
    'set "secauth: on" in the totem section of corosync.conf, with one authkey on all nodes';
  if (crypto.hash === "none") {
    return [
      `the ring runs without crypto: who can send to UDP port ${port} of a node can disturb the cluster and change its files: ${remedy}`,
    ];
  }
  const warnings =
    crypto.cipher === "none"
      ? [
          `the ring is not encrypted: keys and passwords in the tree cross the network in clear: ${remedy}`,
        ]
      : [];
  const info = keyPath === undefined ? undefined : await stat(keyPath).catch(() => undefined);
  if (info === undefined) return warnings;
  const isOpen = (info.mode & otherBits) !== 0 || (info.gid !== 0 && (info.mode & groupBits) !== 0);
  if (!isOpen) return warnings;
  const mode = (info.mode & 0o7777).toString(8).padStart(4, "0");
  return [
    ...warnings,
    `the key of the cluster in ${keyPath} is open to other users of this machine (mode ${mode}): chmod 400 ${keyPath}, then quorate reload`,
  ];
}
