// Which primary component a tree descends from: its epoch, and where in its history earlier epochs began. Spec: design.md decision 3.
// As the views of Viewstamped Replication and the terms of Raft: (epoch, version) is a place in one history, for two trees of one epoch
// begin alike. Kept in the database's own table, in the transaction of the tree that it tells of. Pure.
import { type Decoded, decoded, malformed, Reader, Writer } from "../../bytes.ts";
import { numberMax } from "../disk/row.ts";
import { type Epoch as Exchange, sameEpoch } from "../replica/message.ts";

/** An epoch: its number, and the state exchange that it followed, which tells apart two that drew one number. */
export interface Mark {
  /** From 1; 0: nobody knows what the tree descends from. */
  readonly number: number;
  readonly exchange: Exchange;
}

/** `version`: of the tree when the epoch began. */
export interface Beginning extends Mark {
  readonly version: number;
}

export interface Lineage {
  readonly mark: Mark;
  /** The highest number that this node has agreed to; the tree's own may be lower. */
  readonly promised: number;
  /** Ascending, the tree's own epoch last; the oldest are forgotten. */
  readonly history: readonly Beginning[];
  /** Another program has changed the tree since it was of an epoch. */
  readonly isForeign: boolean;
}

/** So many epochs back it is known whether a tree has only fallen behind. */
export const beginningsMax = 32;

const exchangeBytes = 16;
const markBytes = 8 + exchangeBytes;
export const unknownMark: Mark = {
  number: 0,
  exchange: { epoch: 0, time: 0, nodeid: 0, pid: 0 },
};
/** Of a tree that nobody knows anything of. `promised` outlives that. */
export function unknownLineage(promised = 0, isForeign = false): Lineage {
  return { mark: unknownMark, promised, history: [], isForeign };
}

export function sameMark(a: Mark, b: Mark): boolean {
  return a.number === b.number && sameEpoch(a.exchange, b.exchange);
}

/** Above 0 when `a` is the newer epoch. Equal numbers come of quorums without a common disk (a device's vote): the later exchange. */
export function compareMarks(a: Mark, b: Mark): number {
  if (a.number !== b.number) return a.number - b.number;
  for (const key of ["time", "nodeid", "pid", "epoch"] as const) {
    if (a.exchange[key] !== b.exchange[key]) return a.exchange[key] - b.exchange[key];
  }
  return 0;
}

/** The lineage of a tree whose epoch begins now, at `version`. */
export function withEpoch(lineage: Lineage, mark: Mark, version: number): Lineage {
  const history = [...lineage.history, { ...mark, version }].slice(-beginningsMax);
  const promised = Math.max(lineage.promised, mark.number);
  return { mark, promised, history, isForeign: false };
}

export function putExchange(w: Writer, { epoch, time, nodeid, pid }: Exchange): Writer {
  return w.u32(epoch).u32(time).u32(nodeid).u32(pid);
}

export function takeExchange(r: Reader): Exchange {
  return { epoch: r.u32(), time: r.u32(), nodeid: r.u32(), pid: r.u32() };
}

export function putLineage(w: Writer, { mark, promised, history, isForeign }: Lineage): Writer {
  putExchange(w.u64(mark.number), mark.exchange).u64(promised);
  w.u8(isForeign ? 1 : 0).u16(history.length);
  for (const { number, exchange, version } of history) {
    putExchange(w.u64(number), exchange).u64(version);
  }
  return w;
}

/** Undefined: too short, too long a list, or numbers that no cluster reaches. */
export function takeLineage(r: Reader): Lineage | undefined {
  const mark = { number: r.u64(), exchange: takeExchange(r) };
  const promised = r.u64();
  const isForeign = r.u8() === 1;
  const count = r.u16();
  if (r.failed || count > beginningsMax || r.remaining < count * (markBytes + 8)) return undefined;
  const history: Beginning[] = [];
  for (let i = 0; i < count; i += 1) {
    history.push({ number: r.u64(), exchange: takeExchange(r), version: r.u64() });
  }
  const numbers = history.flatMap(({ number, version }) => [number, version]);
  if (r.failed || Math.max(mark.number, promised, ...numbers) > numberMax) return undefined;
  return { mark, promised, history, isForeign };
}

/** As the database keeps it; the first byte is the version of the form. */
export function encodeLineage(lineage: Lineage): Uint8Array {
  return putLineage(new Writer(64 + beginningsMax * (markBytes + 8)).u8(1), lineage).finish();
}

export function decodeLineage(bytes: Uint8Array): Decoded<Lineage> {
  const r = new Reader(bytes);
  if (r.u8() !== 1) return malformed("its form is not known to this version");
  const lineage = takeLineage(r);
  if (lineage === undefined || r.remaining > 0) return malformed(`${bytes.length} bytes are none`);
  return decoded(lineage);
}
