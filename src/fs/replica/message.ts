// What travels in the two process groups of the tree and the status store: headers, tree operations, the index, one
// object, one status value. Spec: pmxcfs.md §4.1–4.3, §4.6, §4.8, §4.11. Little-endian. Decoders return views into the given
// bytes and never throw on them.
import {
  byteString,
  bytesOf,
  type Decoded,
  decoded,
  malformed,
  Reader,
  Writer,
} from "../../bytes.ts";
import type { Answered } from "../../world.ts";
import { directoryType, fileType, type TreeEntry, type TreeOperation } from "../tree/entry.ts";

/** Group names as CPG sees them: the NUL counts. */
export const dcdbGroup = "pve_dcdb_v1\0";
export const kvstoreGroup = "pve_kvstore_v1\0";

export const dcdbProtocol = 1;
export const kvstoreProtocol = 0;

const baseHeaderBytes = 16;
export const normalHeaderBytes = 24;
const stateHeaderBytes = 32;
/** SHA-256. */
export const checksumBytes = 32;

/** Names one state exchange: who started it and when, by that node's own count. All 16 bytes are compared. */
export interface Epoch {
  readonly epoch: number;
  readonly time: number;
  readonly nodeid: number;
  readonly pid: number;
}

export function sameEpoch(a: Epoch, b: Epoch): boolean {
  return a.epoch === b.epoch && a.time === b.time && a.nodeid === b.nodeid && a.pid === b.pid;
}

/** The 16 bytes every message begins with; checked before the rest is decoded. */
export interface Header {
  readonly type: number;
  readonly subtype: number;
  readonly protocol: number;
  /** Unix seconds of the sender's clock. */
  readonly timeS: number;
}

export interface NormalMessage {
  readonly kind: "normal";
  readonly protocol: number;
  readonly timeS: number;
  readonly subtype: number;
  /** 1, 2, 3 … per process and group. */
  readonly count: number;
  readonly body: Uint8Array;
}

interface StateHeader {
  readonly protocol: number;
  readonly timeS: number;
  readonly epoch: Epoch;
}

export type StateMessage =
  | ({ readonly kind: "syncStart" } & StateHeader)
  | ({ readonly kind: "state"; readonly body: Uint8Array } & StateHeader)
  | ({ readonly kind: "update"; readonly body: Uint8Array } & StateHeader)
  | ({ readonly kind: "updateComplete" } & StateHeader)
  | ({ readonly kind: "verifyRequest"; readonly checksumId: number } & StateHeader)
  | ({
      readonly kind: "verify";
      readonly checksumId: number;
      readonly checksum: Uint8Array;
    } & StateHeader);

export type Message = NormalMessage | StateMessage;

const messageTypes = {
  normal: 0,
  syncStart: 1,
  state: 2,
  update: 3,
  updateComplete: 4,
  verifyRequest: 5,
  verify: 6,
} as const;

export function encodeMessage(message: Message): Uint8Array {
  const w = new Writer(stateHeaderBytes + 64 + ("body" in message ? message.body.length : 0));
  w.u16(messageTypes[message.kind]).u16(message.kind === "normal" ? message.subtype : 0);
  w.u32(message.protocol).u32(message.timeS).u32(0);
  if (message.kind === "normal") return w.u64(message.count).put(message.body).finish();
  const { epoch } = message;
  w.u32(epoch.epoch).u32(epoch.time).u32(epoch.nodeid).u32(epoch.pid);
  switch (message.kind) {
    case "syncStart":
    case "updateComplete":
      return w.finish();
    case "state":
    case "update":
      return w.put(message.body).finish();
    case "verifyRequest":
      return w.u64(message.checksumId).finish();
    case "verify":
      return w.u64(message.checksumId).put(message.checksum).finish();
  }
  return message satisfies never;
}

/** The base header alone: the protocol version is checked before anything else (pmxcfs.md §4.1). */
export function decodeHeader(bytes: Uint8Array): Decoded<Header> {
  const r = new Reader(bytes);
  const header = { type: r.u16(), subtype: r.u16(), protocol: r.u32(), timeS: r.u32() };
  r.skip(4);
  return r.failed ? malformed(`header of ${bytes.length} bytes`) : decoded(header);
}

export function decodeMessage(bytes: Uint8Array): Decoded<Message> {
  const head = decodeHeader(bytes);
  if (!head.ok) return head;
  const { type, subtype, protocol, timeS } = head.value;
  const r = new Reader(bytes);
  r.skip(baseHeaderBytes);
  if (type === messageTypes.normal) {
    const count = r.u64();
    const body = r.rest();
    if (r.failed) return malformed(tooShortOrHigh("operation header", bytes, normalHeaderBytes));
    return decoded({ kind: "normal", protocol, timeS, subtype, count, body });
  }
  const epoch = { epoch: r.u32(), time: r.u32(), nodeid: r.u32(), pid: r.u32() };
  if (r.failed) return malformed(`short state header of ${bytes.length} bytes`);
  return decodeStateBody(r, type, { protocol, timeS, epoch });
}

function decodeStateBody(r: Reader, type: number, head: StateHeader): Decoded<Message> {
  switch (type) {
    case messageTypes.syncStart:
      return ended(r, { kind: "syncStart", ...head });
    case messageTypes.state:
      return decoded({ kind: "state", ...head, body: r.rest() });
    case messageTypes.update:
      return decoded({ kind: "update", ...head, body: r.rest() });
    case messageTypes.updateComplete:
      return ended(r, { kind: "updateComplete", ...head });
    case messageTypes.verifyRequest:
      return ended(r, { kind: "verifyRequest", ...head, checksumId: r.u64() });
    case messageTypes.verify:
      return ended(r, {
        kind: "verify",
        ...head,
        checksumId: r.u64(),
        checksum: r.take(checksumBytes),
      });
    default:
      return malformed(`unknown message type ${type}`);
  }
}

/** Why reading failed: less than `leastBytes` that must be there, or a 64-bit number that we do not follow. */
function tooShortOrHigh(what: string, bytes: Uint8Array, leastBytes: number): string {
  return bytes.length < leastBytes
    ? `${what} of ${bytes.length} bytes is too short`
    : `${what} with a number above 2^53, which is not followed`;
}

function ended(r: Reader, message: StateMessage): Decoded<Message> {
  if (r.failed) {
    const leastBytes = stateHeaderBytes + 8 + (message.kind === "verify" ? checksumBytes : 0);
    return malformed(tooShortOrHigh(`${message.kind} message`, r.bytes, leastBytes));
  }
  if (r.remaining > 0) return malformed(`${r.remaining} bytes behind the ${message.kind} body`);
  return decoded(message);
}

// Operations on the tree (dcdb NORMAL, protocol 1)

const operationSubtypes = {
  write: 1,
  mkdir: 2,
  delete: 3,
  rename: 4,
  create: 5,
  setMtime: 6,
  unlockRequest: 7,
  unlock: 8,
} as const;
const truncateFlag = 1;

export interface Body {
  readonly subtype: number;
  readonly body: Uint8Array;
  /** As in GroupRequest. */
  readonly answered?: Answered | undefined;
  /** Those of one unit leave whole or up to some place: when one is given up, so are those behind it. */
  readonly unit?: number | undefined;
}

/** An operation as subtype and body of a NORMAL message. */
export function encodeOperation(operation: TreeOperation): Body {
  const subtype = operationSubtypes[operation.kind];
  switch (operation.kind) {
    case "write": {
      const { path, offset, data, truncate } = operation;
      return { subtype, body: encodeFuse({ path, offset, data, flags: truncate ? 1 : 0 }) };
    }
    case "rename":
      return { subtype, body: encodeFuse({ path: operation.path, to: operation.to }) };
    case "setMtime":
      return { subtype, body: encodeFuse({ path: operation.path, offset: operation.mtime }) };
    case "mkdir":
    case "delete":
    case "create":
      return { subtype, body: encodeFuse({ path: operation.path }) };
    case "unlockRequest":
    case "unlock": {
      const w = new Writer(checksumBytes + operation.path.length + 1);
      return { subtype, body: putText(w.put(operation.checksum), operation.path).finish() };
    }
  }
  return operation satisfies never;
}

function encodeFuse(fields: {
  readonly path: string;
  readonly to?: string;
  readonly offset?: number;
  readonly data?: Uint8Array;
  readonly flags?: number;
}): Uint8Array {
  const { path, to, offset = 0, data, flags = 0 } = fields;
  const w = new Writer(22 + path.length + (to?.length ?? 0) + (data?.length ?? 0));
  w.u32(data?.length ?? 0).u32(offset);
  w.u32(path.length + 1).u32(to === undefined ? 0 : to.length + 1);
  w.u32(flags);
  putText(w, path);
  if (to !== undefined) putText(w, to);
  return data === undefined ? w.finish() : w.put(data).finish();
}

/** The operation of a dcdb NORMAL message; `data` and `checksum` are views into `body`. */
export function decodeOperation(subtype: number, body: Uint8Array): Decoded<TreeOperation> {
  switch (subtype) {
    case operationSubtypes.write:
    case operationSubtypes.mkdir:
    case operationSubtypes.delete:
    case operationSubtypes.rename:
    case operationSubtypes.create:
    case operationSubtypes.setMtime:
      return decodeFuse(subtype, body);
    case operationSubtypes.unlockRequest:
    case operationSubtypes.unlock: {
      const r = new Reader(body);
      const checksum = r.take(checksumBytes);
      const path = terminated(r.rest());
      if (r.failed || path === undefined) return malformed("unlock body without path");
      const kind = subtype === operationSubtypes.unlock ? "unlock" : "unlockRequest";
      return decoded({ kind, path, checksum });
    }
    default:
      return malformed(`unknown operation ${subtype}`);
  }
}

function decodeFuse(subtype: number, body: Uint8Array): Decoded<TreeOperation> {
  const r = new Reader(body);
  const size = r.u32();
  const offset = r.u32();
  const pathBytes = r.u32();
  const toBytes = r.u32();
  const flags = r.u32();
  if (r.failed || size + pathBytes + toBytes !== r.remaining) {
    return malformed(`operation ${subtype}: lengths do not add up to ${body.length} bytes`);
  }
  const path = terminated(r.take(pathBytes));
  const to = toBytes === 0 ? "" : terminated(r.take(toBytes));
  const data = r.take(size);
  if (path === undefined || to === undefined) {
    return malformed(`operation ${subtype}: path without NUL`);
  }
  switch (subtype) {
    case operationSubtypes.write: {
      const truncate = (flags & truncateFlag) !== 0;
      return decoded({ kind: "write", path, offset, data, truncate });
    }
    case operationSubtypes.mkdir:
      return decoded({ kind: "mkdir", path });
    case operationSubtypes.delete:
      return decoded({ kind: "delete", path });
    case operationSubtypes.rename:
      if (toBytes === 0) return malformed("rename without target");
      return decoded({ kind: "rename", path, to });
    case operationSubtypes.create:
      return decoded({ kind: "create", path });
    default:
      return decoded({ kind: "setMtime", path, mtime: offset });
  }
}

// The index: which objects a tree has, each with its digest

export interface IndexEntry {
  readonly inode: number;
  /** SHA-256, 32 bytes. */
  readonly digest: Uint8Array;
}

/** A member's state in the dcdb group (pmxcfs.md §4.6). */
export interface TreeIndex {
  readonly version: number;
  readonly lastInode: number;
  readonly writer: number;
  readonly mtime: number;
  /** Strictly ascending by inode, the root first. */
  readonly entries: readonly IndexEntry[];
}

const indexHeaderBytes = 32;
const indexEntryBytes = 40;

export function encodeIndex(index: TreeIndex): Uint8Array {
  const bytes = indexHeaderBytes + indexEntryBytes * index.entries.length;
  const w = new Writer(bytes);
  w.u64(index.version).u64(index.lastInode).u32(index.writer).u32(index.mtime);
  w.u32(index.entries.length).u32(bytes);
  for (const entry of index.entries) w.u64(entry.inode).put(entry.digest);
  return w.finish();
}

/** Digests are views into `body`. Anything but the exact length or an unsorted list is refused. */
export function decodeIndex(body: Uint8Array): Decoded<TreeIndex> {
  const r = new Reader(body);
  const head = { version: r.u64(), lastInode: r.u64(), writer: r.u32(), mtime: r.u32() };
  const size = r.u32();
  const bytes = r.u32();
  if (r.failed) return malformed(tooShortOrHigh("index", body, indexHeaderBytes));
  if (bytes !== body.length || bytes !== indexHeaderBytes + indexEntryBytes * size) {
    return malformed(`index says ${size} entries in ${bytes} bytes, but has ${body.length}`);
  }
  const entries: IndexEntry[] = [];
  let before = -1;
  for (let i = 0; i < size; i += 1) {
    const inode = r.u64();
    if (r.failed) return malformed(tooShortOrHigh("index", body, 0));
    if (inode <= before) return malformed(`index is not ascending at inode ${inode}`);
    before = inode;
    entries.push({ inode, digest: r.take(checksumBytes) });
  }
  return decoded({ ...head, entries });
}

// One object of the tree (UPDATE)

const updateHeaderBytes = 41;

/** The root travels as inode 0 with an empty name. */
export function encodeUpdate(entry: TreeEntry): Uint8Array {
  const w = new Writer(updateHeaderBytes + entry.name.length + 1 + entry.data.length);
  w.u64(entry.parent).u64(entry.inode).u64(entry.version);
  w.u32(entry.writer).u32(entry.mtime);
  w.u32(entry.data.length).u32(entry.name.length + 1);
  w.u8(entry.type);
  return putText(w, entry.name).put(entry.data).finish();
}

/** `data` is a view into `body`. */
export function decodeUpdate(body: Uint8Array): Decoded<TreeEntry> {
  const r = new Reader(body);
  const numbers = { parent: r.u64(), inode: r.u64(), version: r.u64() };
  const stamp = { writer: r.u32(), mtime: r.u32() };
  const size = r.u32();
  const nameBytes = r.u32();
  const type = r.u8();
  if (r.failed) return malformed(tooShortOrHigh("update", body, updateHeaderBytes));
  if (size + nameBytes !== r.remaining) {
    return malformed(`update: lengths do not add up to ${body.length} bytes`);
  }
  if (type !== directoryType && type !== fileType) return malformed(`update: type ${type}`);
  const name = terminated(r.take(nameBytes));
  if (name === undefined) return malformed("update: name without NUL");
  return decoded({ ...numbers, ...stamp, type, name, data: r.take(size) });
}

// Status store (kvstore NORMAL, protocol 0)

/** Subtype 2, "update complete", is in the protocol's list but never sent. */
export const kvUpdate = 1;
export const kvLog = 3;

export const keyFieldBytes = 256;

export interface KvEntry {
  /** Byte string, at most 255 bytes. */
  readonly key: string;
  /** Empty removes the key. */
  readonly value: Uint8Array;
}

export function encodeKvUpdate(entry: KvEntry): Body {
  const key = bytesOf(entry.key.slice(0, keyFieldBytes - 1));
  const w = new Writer(keyFieldBytes + entry.value.length);
  w.put(key).zeros(keyFieldBytes - key.length);
  return { subtype: kvUpdate, body: w.put(entry.value).finish() };
}

/** The key ends at the first NUL; what follows it in its field is left-over memory of the sender. */
export function decodeKvUpdate(body: Uint8Array): Decoded<KvEntry> {
  const r = new Reader(body);
  const field = r.take(keyFieldBytes);
  if (r.failed) return malformed(`status update of ${body.length} bytes`);
  const end = field.indexOf(0);
  if (end < 0) return malformed("status key without NUL");
  return decoded({ key: byteString(field.subarray(0, end)), value: r.rest() });
}

function putText(w: Writer, text: string): Writer {
  return w.put(bytesOf(text)).u8(0);
}

/** Text whose last byte must be NUL; like every C reader, stops at the first one. */
function terminated(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes[bytes.length - 1] !== 0) return undefined;
  return byteString(bytes.subarray(0, bytes.indexOf(0)));
}
