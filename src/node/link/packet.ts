// knet packets in the clear: types, decode, encode. Spec: knet.md §1.1–§1.4.
// Node and sequence numbers are big-endian, the size of a path MTU probe is little-endian (§1.4). Never throws on outside bytes.
import { type Decoded, Reader, Writer, decoded, malformed } from "../../bytes.ts";

const VERSION = 1;
const HEADER_BYTES = 6;
const DATA_HEADER_BYTES = 14;
export const PING_BYTES = 26;
export const PROBE_BYTES_MIN = 9;
const TIME_BYTES = 16;
/** Largest user message; also the largest opened packet a receiver looks at (§1.6, §3.4). */
export const MESSAGE_BYTES_MAX = 65_536;
/** Newer receivers refuse 255 fragments (§1.6). */
export const FRAGMENTS_MAX = 254;
export const LINKS_MAX = 8;
export const SEQ_MAX = 65_535;
/** A message that takes a multiple of this number is announced by untimed pings (§1.7). */
export const PING_EVERY_SEQ = 8191;

const TARGET_OFFSET = 9;
const TOTEM_HEADER_BYTES = 13;
const TYPE_OFFSET = 1;
const NODE_OFFSET = 2;
const TYPE = { data: 0x00, ping: 0x81, pong: 0x82, pmtud: 0x83, pmtudReply: 0x84 } as const;

export interface DataPacket {
  readonly kind: "data";
  readonly nodeid: number;
  /** 1..65535 */
  readonly seq: number;
  /** 0: plain; else a compression method of §5. */
  readonly method: number;
  readonly multicast: boolean;
  readonly fragments: number;
  /** 0 when there is one fragment, else 1..fragments. */
  readonly fragment: number;
  readonly channel: number;
  readonly data: Uint8Array;
}

export interface PingPacket {
  readonly kind: "ping" | "pong";
  readonly nodeid: number;
  readonly link: number;
  /** The pinger's clock: opaque to everybody else. */
  readonly time: Uint8Array;
  /** The last data sequence number the pinger used. */
  readonly seq: number;
  readonly timed: boolean;
}

export interface ProbePacket {
  readonly kind: "pmtud" | "pmtudReply";
  readonly nodeid: number;
  readonly link: number;
  /** Size of the probe's whole IP packet. */
  readonly size: number;
  /** Zero bytes behind the header; 0 in a reply. */
  readonly fill: number;
}

export type Packet = DataPacket | PingPacket | ProbePacket;
export type PacketKind = Packet["kind"];

/** What kind of packet this claims to be; undefined: none that knet has. */
export function kindOf(bytes: Uint8Array): PacketKind | undefined {
  switch (bytes[TYPE_OFFSET]) {
    case TYPE.data:
      return "data";
    case TYPE.ping:
      return "ping";
    case TYPE.pong:
      return "pong";
    case TYPE.pmtud:
      return "pmtud";
    case TYPE.pmtudReply:
      return "pmtudReply";
    default:
      return undefined;
  }
}

/** Decodes one opened packet. `data` and `time` are views. Extra bytes behind a ping, pong or reply are ignored, as knet does. */
export function decodePacket(bytes: Uint8Array): Decoded<Packet> {
  if (bytes.length <= HEADER_BYTES) return malformed("short packet");
  if (bytes.length > MESSAGE_BYTES_MAX) return malformed("long packet");
  const reader = new Reader(bytes);
  if (reader.u8() !== VERSION) return malformed("unknown version");
  const type = reader.u8();
  const nodeid = reader.u16be();
  reader.skip(2);
  if (nodeid === 0) return malformed("node 0");
  switch (type) {
    case TYPE.data:
      return decodeData(reader, nodeid);
    case TYPE.ping:
      return decodePing(reader, "ping", nodeid);
    case TYPE.pong:
      return decodePing(reader, "pong", nodeid);
    case TYPE.pmtud:
      return decodeProbe(reader, "pmtud", nodeid);
    case TYPE.pmtudReply:
      return decodeProbe(reader, "pmtudReply", nodeid);
    default:
      return malformed("unknown type");
  }
}

/** Whether the first two bytes are those of a packet; one of 13,000 encrypted ones looks so too. */
export function isPacketHead(bytes: Uint8Array): boolean {
  const type = bytes[TYPE_OFFSET] ?? 0;
  return (
    bytes[0] === VERSION && (type === TYPE.data || (type >= TYPE.ping && type <= TYPE.pmtudReply))
  );
}

function decodeData(reader: Reader, nodeid: number): Decoded<Packet> {
  const seq = reader.u16be();
  const method = reader.u8();
  reader.skip(1);
  const multicast = reader.u8() !== 0;
  const fragments = reader.u8();
  const fragment = reader.u8();
  const channel = reader.u8();
  if (reader.failed || reader.remaining === 0) return malformed("short data packet");
  if (seq === 0) return malformed("data with sequence number 0");
  if (fragments === 0) return malformed("data of 0 fragments");
  if (fragments > 1 && (fragment === 0 || fragment > fragments)) {
    return malformed("fragment number out of range");
  }
  const data = reader.rest();
  return decoded({
    kind: "data",
    nodeid,
    seq,
    method,
    multicast,
    fragments,
    fragment,
    channel,
    data,
  });
}

function decodePing(reader: Reader, kind: "ping" | "pong", nodeid: number): Decoded<Packet> {
  const link = reader.u8();
  const time = reader.take(TIME_BYTES);
  const seq = reader.u16be();
  const timed = reader.u8() !== 0;
  if (reader.failed) return malformed(`short ${kind}`);
  return decoded({ kind, nodeid, link, time, seq, timed });
}

function decodeProbe(
  reader: Reader,
  kind: "pmtud" | "pmtudReply",
  nodeid: number,
): Decoded<Packet> {
  const link = reader.u8();
  const size = reader.u16();
  if (reader.failed) return malformed(`short ${kind}`);
  return decoded({ kind, nodeid, link, size, fill: reader.remaining });
}

/** The bytes of a packet, before protection. */
export function encodePacket(packet: Packet): Uint8Array {
  switch (packet.kind) {
    case "data":
      return header(packet, DATA_HEADER_BYTES + packet.data.length)
        .u16be(packet.seq)
        .u8(packet.method)
        .u8(0)
        .u8(packet.multicast ? 1 : 0)
        .u8(packet.fragments)
        .u8(packet.fragment)
        .u8(packet.channel)
        .put(packet.data)
        .finish();
    case "ping":
    case "pong":
      return header(packet, PING_BYTES)
        .u8(packet.link)
        .put(packet.time)
        .u16be(packet.seq)
        .u8(packet.timed ? 1 : 0)
        .finish();
    case "pmtud":
    case "pmtudReply":
      return header(packet, PROBE_BYTES_MIN + packet.fill)
        .u8(packet.link)
        .u16(packet.size)
        .zeros(packet.fill)
        .finish();
  }
  packet satisfies never;
}

function header(packet: Packet, capacity: number): Writer {
  return new Writer(capacity).u8(VERSION).u8(TYPE[packet.kind]).u16be(packet.nodeid).u16(0);
}

/** A ping sent now; `timed`: a periodic one (§1.7). */
export function pingOf(
  nodeid: number,
  link: number,
  seq: number,
  timed: boolean,
  now: number,
): Uint8Array {
  return encodePacket({ kind: "ping", nodeid, link, time: encodeTime(now), seq, timed });
}

/** The answer to a ping: its first 26 bytes with type and node changed and everything else echoed (§1.3). */
export function pongOf(ping: Uint8Array, nodeid: number): Uint8Array {
  return answer(ping.subarray(0, PING_BYTES), TYPE.pong, nodeid);
}

/** The answer to a path MTU probe: its first 9 bytes with type and node changed (§1.4). */
export function probeReplyOf(probe: Uint8Array, nodeid: number): Uint8Array {
  return answer(probe.subarray(0, PROBE_BYTES_MIN), TYPE.pmtudReply, nodeid);
}

function answer(head: Uint8Array, type: number, nodeid: number): Uint8Array {
  const bytes = new Uint8Array(head);
  bytes[TYPE_OFFSET] = type;
  bytes[NODE_OFFSET] = nodeid >> 8;
  bytes[NODE_OFFSET + 1] = nodeid & 255;
  return bytes;
}

const NS_PER_MS = 1_000_000;

/** The 16 time bytes of a ping for a monotonic time in milliseconds: seconds, nanoseconds, both 64-bit little-endian. */
export function encodeTime(now: number): Uint8Array {
  const seconds = Math.floor(now / 1000);
  const nanoseconds = Math.floor((now - seconds * 1000) * NS_PER_MS);
  return new Writer(TIME_BYTES).u64(seconds).u64(nanoseconds).finish();
}

/** Milliseconds of the 16 time bytes of a ping; undefined when its sender writes clocks in another way. */
export function decodeTime(time: Uint8Array): number | undefined {
  const reader = new Reader(time);
  const seconds = reader.u64();
  const nanoseconds = reader.u64();
  if (reader.failed || nanoseconds >= 1000 * NS_PER_MS) return undefined;
  return seconds * 1000 + nanoseconds / NS_PER_MS;
}

/** target_nodeid of a totem message (§2.3); undefined when it is too short to have one. */
export function targetOf(message: Uint8Array): number | undefined {
  if (message.length < TOTEM_HEADER_BYTES) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = message.subarray(TARGET_OFFSET, TOTEM_HEADER_BYTES);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}
