// The ring sequence number on disk (totem.md §3.12): eight bytes that never go back, durable before the ring is used.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Reader, Writer } from "../bytes.ts";

const fileMode = 0o600;

/** The stored sequence, 0 when there is none or the file is short. Throws what the file system says otherwise. */
export function readRingSeq(path: string): number {
  try {
    const reader = new Reader(readFileSync(path));
    const seq = reader.u64();
    return reader.failed ? 0 : seq;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0;
    throw error;
  }
}

/**
 * Replaces the file and makes it durable before returning. Corosync writes in place without a flush; a torn or lost
 * write there lets a ring id be used twice after a power cut, so this goes further at the same path and format.
 */
export function writeRingSeq(path: string, seq: number): void {
  const next = `${path}.new`;
  const handle = openSync(next, "w", fileMode);
  try {
    writeSync(handle, new Writer(8).u64(seq).finish());
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(next, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** `<state dir>/ringid_<nodeid>`; creates the directory when it is missing. */
export function ringFile(stateDir: string, nodeid: number): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  return `${stateDir}/ringid_${nodeid}`;
}
