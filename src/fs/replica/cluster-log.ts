// The cluster log: the lines of this node and of the others, as the ring of 131,072 bytes that members exchange.
// Spec: pmxcfs.md §3.6, §4.10. In memory it is a list; positions are kept only to forget exactly what a ring forgets.
import { type Decoded, decoded, malformed, Reader, Writer } from "../../bytes.ts";
import {
  decodeLogEntry,
  encodeLogEntry,
  type LogEntry,
  logEntryBytes,
  logEntryBytesMax,
  logEntryHeadBytes,
  type LogLineFields,
  makeLogEntry,
} from "./log-entry.ts";

export const ringBytes = 131_072;
const firstEntryAt = 8;
/** What a merge of several logs keeps at most. */
const mergedBytesMax = ringBytes - firstEntryAt - logEntryBytesMax;

interface Placed {
  readonly entry: LogEntry;
  readonly at: number;
  readonly next: number;
  /** How often the ring had begun anew before this entry. */
  readonly lap: number;
}

interface Seen {
  readonly time: number;
  readonly uid: number;
}

export class ClusterLog {
  #placed: Placed[] = [];
  #uid = 0;
  /** The newest entry of each node that was accepted: whatever is not newer is a duplicate. */
  #seen = new Map<bigint, Seen>();

  /** Oldest first. */
  get entries(): readonly LogEntry[] {
    return this.#placed.map(({ entry }) => entry);
  }

  /** Newest first. */
  *newest(): IterableIterator<LogEntry> {
    for (let i = this.#placed.length - 1; i >= 0; i -= 1) {
      const placed = this.#placed[i];
      if (placed !== undefined) yield placed.entry;
    }
  }

  /** A line of this process. */
  append(fields: LogLineFields): LogEntry {
    this.#uid += 1;
    const entry = makeLogEntry(this.#uid, fields);
    this.#remember(entry);
    this.#place(entry);
    return entry;
  }

  /** A line of another node; false: it is older than what we have of that node, and was dropped. */
  insert(entry: LogEntry): boolean {
    const seen = this.#seen.get(entry.nodeDigest);
    if (seen !== undefined) {
      if (entry.time < seen.time) return false;
      if (entry.time === seen.time && entry.uid <= seen.uid) return false;
    }
    this.#remember(entry);
    this.#place(entry);
    return true;
  }

  /** The ring as the others get it: sorted, without duplicates, always `ringBytes` long. */
  encode(): Uint8Array {
    this.#rebuild(sortedUnique(this.entries));
    return encodeRing(this.#placed);
  }

  /** Makes one log of all members' logs; `own` is our position among them, for equal times the lowest position wins. */
  merge(logs: readonly (readonly LogEntry[])[], own: number): void {
    const all = logs.map((log, i) => (i === own ? this.entries : log));
    const kept: LogEntry[] = [];
    const known = new Set<string>();
    let bytes = 0;
    for (const entry of newestFirst(all)) {
      const key = `${entry.time}/${entry.nodeDigest}/${entry.uid}`;
      if (known.has(key)) continue;
      bytes += rounded(logEntryBytes(entry));
      if (bytes > mergedBytesMax) break;
      known.add(key);
      kept.push(entry);
    }
    this.#rebuild(sortedUnique(kept));
  }

  #rebuild(entries: readonly LogEntry[]): void {
    this.#placed = [];
    this.#seen = new Map();
    for (const entry of entries) {
      this.#remember(entry);
      this.#place(entry);
    }
  }

  #remember(entry: LogEntry): void {
    const { time, uid } = entry;
    const seen = this.#seen.get(entry.nodeDigest);
    if (seen !== undefined && (time < seen.time || (time === seen.time && uid <= seen.uid))) return;
    this.#seen.set(entry.nodeDigest, { time, uid });
  }

  #place(entry: LogEntry): void {
    const size = rounded(logEntryBytes(entry));
    const newest = this.#placed.at(-1);
    let at = newest?.next ?? firstEntryAt;
    let lap = newest?.lap ?? 0;
    if (at + size >= ringBytes) {
      at = firstEntryAt;
      lap += 1;
    }
    this.#placed.push({ entry, at, next: at + size, lap });
    // A reader walks back no further than one whole entry in front of the newest: that much may be overwritten already.
    let gone = 0;
    for (const old of this.#placed) {
      if (old.lap === lap || (old.lap === lap - 1 && old.at > at + logEntryBytesMax)) break;
      gone += 1;
    }
    if (gone > 0) this.#placed.splice(0, gone);
  }
}

/** The entries of another member's state, oldest first. */
export function decodeRing(ring: Uint8Array): Decoded<readonly LogEntry[]> {
  const r = new Reader(ring);
  const size = r.u32();
  const newest = r.u32();
  if (r.failed || size !== ring.length || size <= firstEntryAt) {
    return malformed(`cluster log of ${ring.length} bytes says ${size}`);
  }
  const entries: LogEntry[] = [];
  const entriesMax = Math.floor(size / logEntryHeadBytes);
  let at = newest;
  while (at !== 0) {
    if (at < firstEntryAt || at >= size || entries.length >= entriesMax) {
      return malformed(`cluster log with an entry at ${at}`);
    }
    const read = decodeLogEntry(ring.subarray(at));
    if (!read.ok) return read;
    entries.push(read.value.entry);
    const { prev } = read.value.links;
    if (at < prev && prev <= newest) break;
    at = prev;
    if (at > newest && at <= newest + logEntryBytesMax) break;
  }
  return decoded(entries.toReversed());
}

/** A zeroed ring with these entries, each where it stands. */
function encodeRing(placed: readonly Placed[]): Uint8Array {
  const ring = new Uint8Array(ringBytes);
  let prev = 0;
  for (const { entry, at, next } of placed) {
    ring.set(encodeLogEntry(entry, { prev, next }), at);
    prev = at;
  }
  ring.set(new Writer(firstEntryAt).u32(ringBytes).u32(prev).finish());
  return ring;
}

function rounded(size: number): number {
  return (size + 7) & ~7;
}

function sortedUnique(entries: readonly LogEntry[]): LogEntry[] {
  const sorted = entries.toSorted(order);
  return sorted.filter((entry, i) => {
    const before = sorted[i - 1];
    return before === undefined || order(before, entry) !== 0;
  });
}

/** By (time, node, uid), each as the 32-bit difference that the original computes. */
function order(a: LogEntry, b: LogEntry): number {
  const byTime = (a.time - b.time) | 0;
  if (byTime !== 0) return byTime;
  const byNode = Number(BigInt.asIntN(32, a.nodeDigest - b.nodeDigest));
  return byNode !== 0 ? byNode : (a.uid - b.uid) | 0;
}

/** All entries of logs that are oldest first each; always the newest of what is left, for equal times the first log's. */
function* newestFirst(logs: readonly (readonly LogEntry[])[]): IterableIterator<LogEntry> {
  const left = logs.map((log) => log.length);
  for (;;) {
    let best = 0;
    let found: LogEntry | undefined;
    for (const [i, log] of logs.entries()) {
      const entry = log[(left[i] ?? 0) - 1];
      if (entry === undefined || (found !== undefined && entry.time <= found.time)) continue;
      best = i;
      found = entry;
    }
    if (found === undefined) return;
    left[best] = (left[best] ?? 1) - 1;
    yield found;
  }
}
