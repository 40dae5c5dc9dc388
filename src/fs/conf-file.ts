// The local copy of corosync.conf on disk: read, and replaced atomically. Spec: pmxcfs.md §1.1, §2.8. A reader sees the old
// file or the new one, whole; the file is never removed.
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { type Decoded, decoded, malformed } from "../bytes.ts";
import { fileBytesMax } from "./rules.ts";

/** Content of the file; undefined when it is missing, unreadable or larger than a file of the tree can be. */
export function readConf(path: string): Uint8Array | undefined {
  try {
    if (statSync(path).size > fileBytesMax) return undefined;
    return new Uint8Array(readFileSync(path));
  } catch {
    // Not there or not ours to read: the same to the caller, who goes on without it.
    return undefined;
  }
}

/** Writes beside the file, flushes, renames. */
export function replaceConf(path: string, content: Uint8Array): Decoded<undefined> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, "w", 0o644);
    try {
      for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
      fchmodSync(fd, 0o644);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    const directory = openSync(dirname(path), "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
    return decoded(undefined);
  } catch (error) {
    rmSync(temporary, { force: true });
    return malformed(
      `${path} could not be written (${String(error)}); the ring keeps its old configuration`,
    );
  }
}
