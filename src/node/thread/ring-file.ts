// What the ring keeps on disk: its sequence number (totem.md §3.12), eight bytes that never go back, durable before the ring is
// used; and the floor of expected votes when that is tracked (services.md §4.10), four bytes.
import { mkdirSync, readFileSync } from "node:fs";
import { Reader, Writer } from "../../bytes.ts";
import { replaceDurably } from "../../durable-file.ts";
import { ringSeqFollowedMax } from "../ring/sequence.ts";

const fileMode = 0o600;

export interface StoredNumber {
  /** 0 when there is none, and when what is there cannot be used. */
  readonly value: number;
  /** Why what is there is not used, and what follows, as a sentence; "" when all is well. */
  readonly damage: string;
}

/** What the ring keeps over restarts. What is stored is durable when the call returns; each throws what the disk says. */
export interface RingStorage {
  readonly ringSeq: () => StoredNumber;
  readonly storeRingSeq: (seq: number) => void;
  /** The floor of expected votes; 0 when there is none. */
  readonly tracking: () => number;
  readonly storeTracking: (expectedVotes: number) => void;
}

/** The files of the original in `stateDir`. */
export function ringFiles(stateDir: string, nodeid: number): RingStorage {
  const ring = ringFile(stateDir, nodeid);
  const tracking = trackingFile(stateDir);
  return {
    ringSeq: () => readRingSeq(ring),
    storeRingSeq: (seq) => writeRingSeq(ring, seq),
    tracking: () => readTracking(tracking),
    storeTracking: (expectedVotes) => writeTracking(tracking, expectedVotes),
  };
}

/** The stored ring sequence. Throws what the file system says when the file is there and cannot be read. */
export function readRingSeq(path: string): StoredNumber {
  const { bytes, value } = readNumber(path, (reader) => reader.u64());
  if (bytes === undefined) return { value: 0, damage: "" };
  const begins = "it is replaced, and this node begins to count at 0 again, as a new one";
  if (value === undefined && bytes.length < 8) {
    const damage = `${path}: the stored ring sequence has ${bytes.length} bytes instead of 8: ${begins}`;
    return { value: 0, damage };
  }
  if (value !== undefined && value <= ringSeqFollowedMax) return { value, damage: "" };
  const hex = Buffer.from(bytes.subarray(0, 8).toReversed()).toString("hex");
  const damage = `${path}: no ring can have reached the stored ring sequence 0x${hex} (a damaged file, or a forged message was believed): ${begins}`;
  return { value: 0, damage };
}

/** The stored floor of expected votes; 0 when there is none. */
function readTracking(path: string): number {
  return readNumber(path, (reader) => reader.u32()).value ?? 0;
}

function readNumber(
  path: string,
  read: (reader: Reader) => number,
): { readonly bytes: Uint8Array | undefined; readonly value: number | undefined } {
  try {
    const bytes = readFileSync(path);
    const reader = new Reader(bytes);
    const value = read(reader);
    return { bytes, value: reader.failed ? undefined : value };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      return { bytes: undefined, value: undefined };
    }
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

function writeTracking(path: string, expectedVotes: number): void {
  replaceDurably(path, new Writer(4).u32(expectedVotes).finish(), fileMode);
}

/** `<state dir>/ringid_<nodeid>`; creates the directory when it is missing. */
export function ringFile(stateDir: string, nodeid: number): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  return `${stateDir}/ringid_${nodeid}`;
}

/** `<state dir>/ev_tracking`. */
function trackingFile(stateDir: string): string {
  return `${stateDir}/ev_tracking`;
}
