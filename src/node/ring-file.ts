// What the ring keeps on disk: its sequence number (totem.md §3.12), eight bytes that never go back, durable before the ring is
// used; and the floor of expected votes when that is tracked (services.md §4.10), four bytes.
import { mkdirSync, readFileSync } from "node:fs";
import { Reader, Writer } from "../bytes.ts";
import { replaceDurably } from "../durable-file.ts";

const fileMode = 0o600;

/** The stored sequence, 0 when there is none or the file is short. Throws what the file system says otherwise. */
export function readRingSeq(path: string): number {
  return readNumber(path, (reader) => reader.u64());
}

/** The stored floor of expected votes; 0 when there is none. */
export function readTracking(path: string): number {
  return readNumber(path, (reader) => reader.u32());
}

function readNumber(path: string, read: (reader: Reader) => number): number {
  try {
    const reader = new Reader(readFileSync(path));
    const value = read(reader);
    return reader.failed ? 0 : value;
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
  replaceDurably(path, new Writer(8).u64(seq).finish(), fileMode);
}

export function writeTracking(path: string, expectedVotes: number): void {
  replaceDurably(path, new Writer(4).u32(expectedVotes).finish(), fileMode);
}

/** `<state dir>/ringid_<nodeid>`; creates the directory when it is missing. */
export function ringFile(stateDir: string, nodeid: number): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  return `${stateDir}/ringid_${nodeid}`;
}

/** `<state dir>/ev_tracking`. */
export function trackingFile(stateDir: string): string {
  return `${stateDir}/ev_tracking`;
}
