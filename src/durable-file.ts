// Replaces a file as a whole and durably: a reader, and a restart after a power cut, sees the old content or the new one.
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Writes beside the file, flushes, renames, flushes the directory. `mode` holds whatever the umask. Throws what the disk says. */
export function replaceDurably(path: string, content: Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, "w", mode);
    try {
      for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
      fchmodSync(fd, mode);
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
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
