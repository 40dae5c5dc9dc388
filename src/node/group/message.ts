// Closed process groups on the wire (services.md §1.5, §1.6): joins, leaves, the lists exchanged after a ring change, and
// messages whole or in fragments. Pure; group names are byte strings, a trailing NUL included. Bytes behind a name's length,
// pads and the sender's connection are sent as zero and never read.
import {
  byteString,
  bytesOf,
  decoded,
  malformed,
  Reader,
  equalBytes,
  type Decoded,
  type Writer,
} from "../../bytes.ts";
import type { GroupReason } from "../../world.ts";
import { openMessage, readHeader, serviceIds, type TotemGroup } from "../member/service.ts";

export const groupNameBytesMax = 128;
/** Largest piece of a message in one totempg message: 1 MiB less 1024, as libcpg has it (services.md §3.6). */
export const fragmentBytesMax = 1_047_552;
export const downlistNodesMax = 384;

const procBytes = 168;
const joinEntryBytes = 144;
const joinlistHeadBytes = 24;
const mcastHeadBytes = 184;
const partialHeadBytes = 200;
const downlistBytes = 1568;
const oldDownlistBytes = 1560;

const functions = {
  join: 0,
  leave: 1,
  joinlist: 2,
  mcast: 3,
  oldDownlist: 4,
  downlist: 5,
  partial: 6,
} as const;

export interface JoinlistEntry {
  readonly group: string;
  readonly pid: number;
}

/** Place of a fragment in its message. */
export type FragmentType = "first" | "continued" | "last";
const fragmentTypes: readonly FragmentType[] = ["first", "continued", "last"];

export type GroupMessage =
  | { readonly kind: "join"; readonly group: string; readonly pid: number }
  | {
      readonly kind: "leave";
      readonly group: string;
      readonly pid: number;
      readonly reason: GroupReason;
    }
  | { readonly kind: "joinlist"; readonly entries: readonly JoinlistEntry[] }
  | {
      readonly kind: "mcast";
      readonly group: string;
      readonly pid: number;
      readonly nodeid: number;
      readonly payload: Uint8Array;
    }
  /** `left`: members of the last finished synchronisation that did not come along. Informative only. */
  | { readonly kind: "downlist"; readonly oldMembers: number; readonly left: readonly number[] }
  /** Never sent by 3.x. */
  | { readonly kind: "oldDownlist" }
  | {
      readonly kind: "partial";
      readonly group: string;
      readonly pid: number;
      readonly nodeid: number;
      /** Bytes of the whole message. */
      readonly total: number;
      readonly type: FragmentType;
      readonly payload: Uint8Array;
    };

function putName(writer: Writer, group: string): Writer {
  return writer
    .u32(group.length)
    .zeros(4)
    .put(bytesOf(group))
    .zeros(groupNameBytesMax - group.length);
}

/**
 * `message.group` must not be longer than groupNameBytesMax. With `prefix` it is a whole totempg message (services.md §1.1): a large
 * payload is then copied once for both.
 */
export function encodeGroupMessage(message: GroupMessage, prefix?: TotemGroup): Uint8Array {
  const open = (fn: number, size: number): Writer =>
    openMessage(serviceIds.groups, fn, size, prefix);
  switch (message.kind) {
    case "join":
      return putName(open(functions.join, procBytes), message.group)
        .u32(message.pid)
        .zeros(4)
        .u32(1)
        .zeros(4)
        .finish();
    case "leave":
      return putName(open(functions.leave, procBytes), message.group)
        .u32(message.pid)
        .zeros(4)
        .u32(message.reason)
        .zeros(4)
        .finish();
    case "joinlist": {
      const size = joinlistHeadBytes + joinEntryBytes * message.entries.length;
      const writer = open(functions.joinlist, size).zeros(8); // A response header: its error field.
      for (const entry of message.entries) putName(writer.u32(entry.pid).zeros(4), entry.group);
      return writer.finish();
    }
    case "mcast": {
      const { payload } = message;
      return putName(open(functions.mcast, mcastHeadBytes + payload.length), message.group)
        .u32(payload.length)
        .zeros(4)
        .u32(message.pid)
        .zeros(4)
        .u32(message.nodeid)
        .zeros(12)
        .put(payload)
        .finish();
    }
    case "downlist": {
      const writer = open(functions.downlist, downlistBytes).u32(message.oldMembers).zeros(4);
      writer.u32(message.left.length).zeros(4);
      for (const nodeid of message.left) writer.u32(nodeid);
      return writer.zeros((downlistNodesMax - message.left.length) * 4).finish();
    }
    case "oldDownlist":
      return open(functions.oldDownlist, oldDownlistBytes)
        .zeros(oldDownlistBytes - 16)
        .finish();
    case "partial": {
      const { payload } = message;
      return putName(open(functions.partial, partialHeadBytes + payload.length), message.group)
        .u32(message.total)
        .zeros(4)
        .u32(payload.length)
        .zeros(4)
        .u32(message.pid)
        .zeros(4)
        .u32(fragmentTypes.indexOf(message.type) + 1)
        .zeros(4)
        .u32(message.nodeid)
        .zeros(12)
        .put(payload)
        .finish();
    }
  }
  message satisfies never;
}

/** Payloads are views of `bytes`. */
export function decodeGroupMessage(bytes: Uint8Array): Decoded<GroupMessage> {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  if (!header.ok) return header;
  switch (header.value.fn) {
    case functions.join:
    case functions.leave:
      return decodeProcess(reader, header.value.fn === functions.join);
    case functions.joinlist:
      return decodeJoinlist(reader);
    case functions.mcast:
      return decodeMcast(reader);
    case functions.oldDownlist:
      return decoded({ kind: "oldDownlist" });
    case functions.downlist:
      return decodeDownlist(reader);
    case functions.partial:
      return decodePartial(reader);
    default:
      return malformed(`cpg: unknown message ${header.value.fn}`);
  }
}

/** The name that was read last, and its bytes: one group sends nearly everything. */
let lastName = { bytes: new Uint8Array(0), text: "" };

function nameOf(bytes: Uint8Array): string {
  if (!equalBytes(bytes, lastName.bytes)) {
    lastName = { bytes: new Uint8Array(bytes), text: byteString(bytes) };
  }
  return lastName.text;
}

/** `mar_cpg_name_t`; undefined when it is not one. */
function readName(reader: Reader): string | undefined {
  const size = reader.u32();
  reader.skip(4);
  const field = reader.take(groupNameBytesMax);
  if (reader.failed || size > groupNameBytesMax) return undefined;
  return nameOf(field.subarray(0, size));
}

function readPadded(reader: Reader): number {
  const value = reader.u32();
  reader.skip(4);
  return value;
}

function decodeProcess(reader: Reader, isJoin: boolean): Decoded<GroupMessage> {
  const group = readName(reader);
  const pid = readPadded(reader);
  const reason = readPadded(reader);
  if (group === undefined || reader.failed || reader.remaining > 0) {
    return malformed("cpg process: length");
  }
  if (isJoin) return decoded({ kind: "join", group, pid });
  // Passed on to programs: only what they know.
  return decoded({ kind: "leave", group, pid, reason: reason === 5 ? 5 : 2 });
}

function decodeJoinlist(reader: Reader): Decoded<GroupMessage> {
  reader.skip(8);
  if (reader.failed || reader.remaining % joinEntryBytes !== 0) {
    return malformed("cpg joinlist: length");
  }
  const entries: JoinlistEntry[] = [];
  while (reader.remaining > 0) {
    const pid = readPadded(reader);
    const group = readName(reader);
    if (group === undefined) return malformed("cpg joinlist: name");
    entries.push({ group, pid });
  }
  return decoded({ kind: "joinlist", entries });
}

function decodeMcast(reader: Reader): Decoded<GroupMessage> {
  const group = readName(reader);
  const size = readPadded(reader);
  const pid = readPadded(reader);
  const nodeid = reader.u32();
  reader.skip(12);
  if (group === undefined || reader.failed || reader.remaining !== size) {
    return malformed("cpg mcast: length");
  }
  return decoded({ kind: "mcast", group, pid, nodeid, payload: reader.rest() });
}

function decodePartial(reader: Reader): Decoded<GroupMessage> {
  const group = readName(reader);
  const total = readPadded(reader);
  const size = readPadded(reader);
  const pid = readPadded(reader);
  const type = fragmentTypes[readPadded(reader) - 1];
  const nodeid = reader.u32();
  reader.skip(12);
  if (group === undefined || reader.failed || reader.remaining !== size || size > total) {
    return malformed("cpg partial mcast: length");
  }
  if (type === undefined) return malformed("cpg partial mcast: type");
  return decoded({ kind: "partial", group, pid, nodeid, total, type, payload: reader.rest() });
}

function decodeDownlist(reader: Reader): Decoded<GroupMessage> {
  const oldMembers = readPadded(reader);
  const count = readPadded(reader);
  if (reader.failed || reader.bytes.length !== downlistBytes || count > downlistNodesMax) {
    return malformed("cpg downlist: length");
  }
  const left: number[] = [];
  for (let i = 0; i < count; i += 1) left.push(reader.u32());
  return decoded({ kind: "downlist", oldMembers, left });
}
