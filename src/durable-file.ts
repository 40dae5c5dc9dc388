// Replaces a file as a whole and durably: a reader, and a restart after a power cut, sees the old content or the new one.
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Writes beside the file, flushes, renames, flushes the directory. `mode` holds whatever the umask; `owner`: undefined is who writes.
 * Others may write in the directory: the draft is never opened through a link of theirs. Throws what the disk says.
 */
export function replaceDurably(
  path: string,
  content: Uint8Array,
  mode: number,
  owner?: FileOwner,
): void {
  const draft = `${path}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  const fd = openSync(draft, "wx", mode);
  try {
    writeDraft(fd, content, mode, owner);
    renameSync(draft, path);
    flushDirectory(dirname(path));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** Writes, flushes and closes the file. */
export function writeDraft(
  fd: number,
  content: Uint8Array,
  mode: number,
  owner: FileOwner | undefined,
): void {
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The name of a file is durable only with its directory. */
export function flushDirectory(directory: string): void {
  const fd = openSync(directory, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
