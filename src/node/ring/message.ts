// The six totem messages as corosync 3.1 puts them on the wire (totem.md §1), in wire order, little-endian only: the byte
// order of a foreign machine is refused. It must never let through what a receiver would fail on later: list
// lengths, the member index of a commit token and ring sequence numbers are checked here.
import type { RingId } from "../../world.ts";
import { decoded, malformed, Reader, Writer, type Decoded } from "../../bytes.ts";

const totemMagic = 0xc070;
const totemMagicForeign = 0x70c0;
const totemVersion = 3;

export const messageTypes = {
  token: 0,
  mcast: 1,
  mergeDetect: 2,
  join: 3,
  commit: 4,
  holdCancel: 5,
} as const;

/** `encapsulated` of an mcast: plain, or a wrapper around an old-ring mcast. */
export const encapsulations = { wrapper: 1, plain: 2 } as const;

export const headerBytes = 13;
export const mcastHeaderBytes = 45;
/** corosync asserts that no mcast is longer. */
const mcastBytesMax = 65_536;
/** RETRANSMIT_ENTRIES_MAX. */
export const retransmitsMax = 30;
/** PROCESSOR_COUNT_MAX. */
export const nodesMax = 384;
/** The largest ring sequence that is read at all, with room to add; what is believed is less (sequence.ts). */
export const ringSeqMax = 2 ** 52;

interface Header {
  /** The node that built the message (tokens: that passed it on); 0 in a LEAVE. */
  readonly nodeid: number;
  /** knet: the destination, 0 for a multicast. Elsewhere anything at all. */
  readonly target: number;
}

/** struct rtr_item */
export interface RetransmitItem {
  readonly ring: RingId;
  readonly seq: number;
}

/** struct orf_token */
export interface Token extends Header {
  readonly kind: "token";
  readonly seq: number;
  readonly tokenSeq: number;
  readonly aru: number;
  readonly aruNode: number;
  readonly ring: RingId;
  readonly backlog: number;
  readonly fcc: number;
  readonly retransFlag: number;
  readonly retransmits: readonly RetransmitItem[];
}

/** struct mcast */
export interface Mcast extends Header {
  readonly kind: "mcast";
  readonly encapsulated: number;
  /** The originator (system_from). */
  readonly from: number;
  readonly seq: number;
  readonly thisSeqno: number;
  readonly ring: RingId;
  /** node_id: always 0, unused. */
  readonly unused: number;
  readonly guarantee: number;
  /** A view into the message: a totempg packet, or a whole old-ring mcast. */
  readonly body: Uint8Array;
}

/** struct memb_merge_detect */
export interface MergeDetect extends Header {
  readonly kind: "mergeDetect";
  readonly from: number;
  readonly ring: RingId;
}

/** struct memb_join; a LEAVE when `nodeid` is 0. */
export interface Join extends Header {
  readonly kind: "join";
  readonly from: number;
  readonly ringSeq: number;
  readonly proc: readonly number[];
  readonly failed: readonly number[];
}

/** struct memb_commit_token_memb_entry */
export interface CommitEntry {
  readonly ring: RingId;
  readonly aru: number;
  readonly highDelivered: number;
  readonly received: number;
}

/** struct memb_commit_token */
export interface CommitToken extends Header {
  readonly kind: "commit";
  readonly tokenSeq: number;
  readonly ring: RingId;
  readonly retransFlag: number;
  readonly index: number;
  /** Ascending. */
  readonly members: readonly number[];
  readonly entries: readonly CommitEntry[];
}

/** struct token_hold_cancel */
export interface HoldCancel extends Header {
  readonly kind: "holdCancel";
  readonly ring: RingId;
}

export type TotemMessage = Token | Mcast | MergeDetect | Join | CommitToken | HoldCancel;

/**
 * Reads one whole totem message. Views in the value point into `bytes`. Reasons are corosync's words where it has any
 * (totem.md §5), so that they can be logged as they are.
 */
export function decodeMessage(bytes: Uint8Array): Decoded<TotemMessage> {
  if (bytes.length < headerBytes) {
    return malformed(`Message received is too short...  Ignoring ${bytes.length}.`);
  }
  const reader = new Reader(bytes);
  const magic = reader.u16();
  if (magic === totemMagicForeign) {
    return malformed("Message received has the byte order of another kind of machine... Ignoring");
  }
  if (magic !== totemMagic) {
    return malformed(
      `Message received has bad magic number (probably sent by ${guessSender(magic)}).. Ignoring`,
    );
  }
  const version = reader.u8();
  if (version !== totemVersion) {
    return malformed(`Message received has unsupported version ${version}... Ignoring`);
  }
  const type = reader.u8();
  const encapsulated = reader.u8();
  const header = { nodeid: reader.u32(), target: reader.u32() };
  if (type === messageTypes.mcast) return decodeMcast(reader, header, encapsulated);
  if (encapsulated !== 0) return malformed(`Message received has wrong encapsulation... Ignoring`);
  switch (type) {
    case messageTypes.token:
      return decodeToken(reader, header);
    case messageTypes.mergeDetect:
      return decodeMergeDetect(reader, header);
    case messageTypes.join:
      return decodeJoin(reader, header);
    case messageTypes.commit:
      return decodeCommitToken(reader, header);
    case messageTypes.holdCancel:
      return decodeHoldCancel(reader, header);
    default:
      return malformed(`Message received has wrong type ${type}... Ignoring`);
  }
}

/** corosync's guess at who sends such bytes to this port (totem.md §5). */
function guessSender(magic: number): string {
  if (magic === 0xffff) return "Corosync 2.2";
  if (magic === 0xfefe) return "Corosync 2.3+";
  const first = magic & 0xff;
  if (first === 1) return "unencrypted Kronosnet";
  if (first <= 5) return "unencrypted Corosync 2.0/2.1/1.x/OpenAIS";
  return "encrypted Kronosnet/Corosync 2.0/2.1/1.x/OpenAIS or unknown";
}

function tooShort<T>(type: string): Decoded<T> {
  return malformed(`Received ${type} message is too short...  ignoring.`);
}

function readRing(reader: Reader): RingId {
  const rep = reader.u32();
  return { rep, seq: readRingSeq(reader) };
}

/** Not exact above 2^53, but then above `ringSeqMax`: such a number is named in the reason, not taken for a short message. */
function readRingSeq(reader: Reader): number {
  const low = reader.u32();
  return low + reader.u32() * 0x1_0000_0000;
}

function isRing(ring: RingId): boolean {
  return ring.seq <= ringSeqMax;
}

function readNodeids(reader: Reader, count: number): number[] {
  const nodeids: number[] = [];
  for (let i = 0; i < count; i += 1) nodeids.push(reader.u32());
  return nodeids;
}

function decodeToken(reader: Reader, header: Header): Decoded<Token> {
  const seq = reader.u32();
  const tokenSeq = reader.u32();
  const aru = reader.u32();
  const aruNode = reader.u32();
  const ring = readRing(reader);
  const backlog = reader.u32();
  const fcc = reader.u32();
  const retransFlag = reader.u32();
  const count = reader.u32();
  if (reader.failed) return tooShort("orf_token");
  if (count > retransmitsMax) {
    return malformed(
      "Received orf_token message rtr_entries is corrupted or the message is wrong...  ignoring.",
    );
  }
  const retransmits: RetransmitItem[] = [];
  for (let i = 0; i < count; i += 1) {
    const itemRing = readRing(reader);
    retransmits.push({ ring: itemRing, seq: reader.u32() });
  }
  // Bytes behind the last item are tolerated here and only here (totem.md §1.3).
  if (reader.failed) return tooShort("orf_token");
  const highest = retransmits.reduce((most, item) => Math.max(most, item.ring.seq), ring.seq);
  if (highest > ringSeqMax) {
    return malformed(ringSeqReason("orf_token", header.nodeid, highest));
  }
  return decoded({
    kind: "token",
    ...header,
    seq,
    tokenSeq,
    aru,
    aruNode,
    ring,
    backlog,
    fcc,
    retransFlag,
    retransmits,
  });
}

function decodeMcast(reader: Reader, header: Header, encapsulated: number): Decoded<Mcast> {
  const from = reader.u32();
  const seq = reader.u32();
  const thisSeqno = reader.u32();
  const ring = readRing(reader);
  const unused = reader.u32();
  const guarantee = reader.u32();
  if (reader.failed) return tooShort("mcast");
  if (reader.bytes.length > mcastBytesMax) {
    return malformed("Received mcast message is too long...  ignoring.");
  }
  if (encapsulated !== encapsulations.plain && encapsulated !== encapsulations.wrapper) {
    return malformed("Received mcast message has wrong encapsulation...  ignoring.");
  }
  if (from === 0 || header.nodeid === 0) {
    return malformed("Received mcast message names no sender...  ignoring.");
  }
  if (!isRing(ring)) return malformed(ringSeqReason("mcast", from, ring.seq));
  const body = reader.rest();
  return decoded({
    kind: "mcast",
    ...header,
    encapsulated,
    from,
    seq,
    thisSeqno,
    ring,
    unused,
    guarantee,
    body,
  });
}

function decodeMergeDetect(reader: Reader, header: Header): Decoded<MergeDetect> {
  const from = reader.u32();
  const ring = readRing(reader);
  if (reader.failed) return tooShort("memb_merge_detect");
  if (reader.remaining > 0) return tooLong("memb_merge_detect");
  if (from === 0)
    return malformed("Received memb_merge_detect message names no sender...  ignoring.");
  if (!isRing(ring)) return malformed(ringSeqReason("memb_merge_detect", from, ring.seq));
  return decoded({ kind: "mergeDetect", ...header, from, ring });
}

function decodeJoin(reader: Reader, header: Header): Decoded<Join> {
  const from = reader.u32();
  const procCount = reader.u32();
  const failedCount = reader.u32();
  const ringSeq = readRingSeq(reader);
  if (reader.failed) return tooShort("memb_join");
  if (procCount > nodesMax || failedCount > nodesMax) {
    return malformed(
      "Received memb_join message list_entries exceeds the maximum allowed value...  ignoring.",
    );
  }
  const proc = readNodeids(reader, procCount);
  const failed = readNodeids(reader, failedCount);
  if (reader.failed) return tooShort("memb_join");
  if (reader.remaining > 0) return tooLong("memb_join");
  if (from === 0 || proc.includes(0) || failed.includes(0)) {
    return malformed("Received memb_join message has an impossible nodeid...  ignoring.");
  }
  if (ringSeq > ringSeqMax) return malformed(ringSeqReason("memb_join", from, ringSeq));
  return decoded({ kind: "join", ...header, from, ringSeq, proc, failed });
}

function decodeCommitToken(reader: Reader, header: Header): Decoded<CommitToken> {
  const tokenSeq = reader.u32();
  const ring = readRing(reader);
  const retransFlag = reader.u32();
  const index = reader.u32();
  const count = reader.u32();
  if (reader.failed) return tooShort("memb_commit_token");
  if (count === 0 || count > nodesMax || index > count) {
    return malformed(
      "Received memb_commit_token message addr_entries or memb_index is corrupted...  ignoring.",
    );
  }
  const members = readNodeids(reader, count);
  const entries: CommitEntry[] = [];
  for (let i = 0; i < count; i += 1) {
    entries.push({
      ring: readRing(reader),
      aru: reader.u32(),
      highDelivered: reader.u32(),
      received: reader.u32(),
    });
  }
  if (reader.failed) return tooShort("memb_commit_token");
  if (reader.remaining > 0) return tooLong("memb_commit_token");
  if (!isAscending(members) || ring.rep !== members[0]) {
    return malformed("Received memb_commit_token message has an impossible ring...  ignoring.");
  }
  const highest = entries.reduce((most, entry) => Math.max(most, entry.ring.seq), ring.seq);
  if (highest > ringSeqMax) {
    return malformed(ringSeqReason("memb_commit_token", header.nodeid, highest));
  }
  return decoded({
    kind: "commit",
    ...header,
    tokenSeq,
    ring,
    retransFlag,
    index,
    members,
    entries,
  });
}

function decodeHoldCancel(reader: Reader, header: Header): Decoded<HoldCancel> {
  const ring = readRing(reader);
  if (reader.failed) return tooShort("token_hold_cancel");
  if (reader.remaining > 0) return tooLong("token_hold_cancel");
  if (!isRing(ring)) {
    return malformed(ringSeqReason("token_hold_cancel", header.nodeid, ring.seq));
  }
  return decoded({ kind: "holdCancel", ...header, ring });
}

function tooLong<T>(type: string): Decoded<T> {
  return malformed(`Received ${type} message is too long...  ignoring.`);
}

/** Ring order: ascending, no node twice, none of them 0. */
function isAscending(nodeids: readonly number[]): boolean {
  let before = 0;
  for (const nodeid of nodeids) {
    if (nodeid <= before) return false;
    before = nodeid;
  }
  return true;
}

function openWriter(capacity: number, type: number, encapsulated: number, header: Header): Writer {
  return new Writer(capacity)
    .u16(totemMagic)
    .u8(totemVersion)
    .u8(type)
    .u8(encapsulated)
    .u32(header.nodeid)
    .u32(header.target);
}

function putRing(writer: Writer, ring: RingId): Writer {
  return writer.u32(ring.rep).u64(ring.seq);
}

export function encodeMessage(message: TotemMessage): Uint8Array {
  switch (message.kind) {
    case "token":
      return encodeToken(message);
    case "mcast": {
      const bytes = new Uint8Array(mcastHeaderBytes + message.body.length);
      writeMcastHeader(bytes, message);
      bytes.set(message.body, mcastHeaderBytes);
      return bytes;
    }
    case "mergeDetect": {
      const writer = openWriter(29, messageTypes.mergeDetect, 0, message).u32(message.from);
      return putRing(writer, message.ring).finish();
    }
    case "join":
      return encodeJoin(message);
    case "commit":
      return encodeCommitToken(message);
    case "holdCancel":
      return putRing(openWriter(25, messageTypes.holdCancel, 0, message), message.ring).finish();
  }
  return message satisfies never;
}

function encodeToken(token: Token): Uint8Array {
  const size = 57 + 16 * token.retransmits.length;
  const writer = openWriter(size, messageTypes.token, 0, token)
    .u32(token.seq)
    .u32(token.tokenSeq)
    .u32(token.aru)
    .u32(token.aruNode);
  putRing(writer, token.ring)
    .u32(token.backlog)
    .u32(token.fcc)
    .u32(token.retransFlag)
    .u32(token.retransmits.length);
  for (const item of token.retransmits) putRing(writer, item.ring).u32(item.seq);
  return writer.finish();
}

function encodeJoin(join: Join): Uint8Array {
  const size = 33 + 4 * (join.proc.length + join.failed.length);
  const writer = openWriter(size, messageTypes.join, 0, join)
    .u32(join.from)
    .u32(join.proc.length)
    .u32(join.failed.length)
    .u64(join.ringSeq);
  for (const nodeid of join.proc) writer.u32(nodeid);
  for (const nodeid of join.failed) writer.u32(nodeid);
  return writer.finish();
}

function encodeCommitToken(token: CommitToken): Uint8Array {
  const size = 41 + 28 * token.members.length;
  const writer = openWriter(size, messageTypes.commit, 0, token).u32(token.tokenSeq);
  putRing(writer, token.ring).u32(token.retransFlag).u32(token.index).u32(token.members.length);
  for (const nodeid of token.members) writer.u32(nodeid);
  for (const entry of token.entries) {
    putRing(writer, entry.ring).u32(entry.aru).u32(entry.highDelivered).u32(entry.received);
  }
  return writer.finish();
}

/** Writes the 45 bytes in front of a body that already stands in `bytes`: the one place without a Writer, to save the copy. */
export function writeMcastHeader(bytes: Uint8Array, mcast: Omit<Mcast, "kind" | "body">): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, mcastHeaderBytes);
  view.setUint16(0, totemMagic, true);
  view.setUint8(2, totemVersion);
  view.setUint8(3, messageTypes.mcast);
  view.setUint8(4, mcast.encapsulated);
  view.setUint32(5, mcast.nodeid, true);
  view.setUint32(9, mcast.target, true);
  view.setUint32(13, mcast.from, true);
  view.setUint32(17, mcast.seq, true);
  view.setUint32(21, mcast.thisSeqno, true);
  view.setUint32(25, mcast.ring.rep, true);
  view.setUint32(29, mcast.ring.seq % 0x1_0000_0000, true);
  view.setUint32(33, Math.floor(mcast.ring.seq / 0x1_0000_0000), true);
  view.setUint32(37, mcast.unused, true);
  view.setUint32(41, mcast.guarantee, true);
}

/** For the operator of node `from`; also true when somebody else sends in its name. */
export function ringSeqReason(type: string, from: number, seq: number): string {
  return (
    `Received ${type} message of node ${from} names ring sequence 0x${seq.toString(16)}, which no ring can have reached...  ignoring. ` +
    `It is forged, or what that node has stored is damaged: stop its cluster service, remove ringid_${from} ` +
    "(in /var/lib/corosync), and start it again."
  );
}
