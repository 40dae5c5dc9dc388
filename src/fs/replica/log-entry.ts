// One line of the cluster log: its bytes in the ring and in LOG messages, its digests, and how text becomes the ASCII that is
// stored. Spec: pmxcfs.md §3.6. Strings are byte strings; the four bytes behind them are never defined (written as zeros).
import {
  byteString,
  bytesOf,
  byteStringOfText,
  type Decoded,
  decoded,
  malformed,
  Reader,
  Writer,
} from "../../bytes.ts";

/** A whole entry; longer messages are cut. */
export const logEntryBytesMax = 4096;
/** Strings start at 44, yet the size counts from 48. */
export const logEntryHeadBytes = 48;
const stringsOffset = 44;
/** node, ident and tag with their NUL: the length is one byte. */
const shortTextBytesMax = 255;

export interface LogEntry {
  /** Counted by the writing process, from 1. */
  readonly uid: number;
  /** Unix seconds. */
  readonly time: number;
  /** FNV-1a 64 over the node name and its NUL; what the text says is not checked against it. */
  readonly nodeDigest: bigint;
  readonly identDigest: bigint;
  readonly pid: number;
  /** syslog: 0 emergency … 7 debug. */
  readonly priority: number;
  readonly node: string;
  /** The user who caused it. */
  readonly ident: string;
  readonly tag: string;
  /** Escaped: printable ASCII, safe inside JSON quotes. */
  readonly message: string;
}

/** Where an entry stands in a ring; both 0 in a LOG message. */
export interface LogLinks {
  readonly prev: number;
  readonly next: number;
}

export function logEntryBytes(entry: LogEntry): number {
  const { node, ident, tag, message } = entry;
  return logEntryHeadBytes + node.length + ident.length + tag.length + message.length + 4;
}

/** Exactly `logEntryBytes(entry)` bytes. */
export function encodeLogEntry(entry: LogEntry, links: LogLinks): Uint8Array {
  const { node, ident, tag, message } = entry;
  const w = new Writer(logEntryBytes(entry));
  w.u32(links.prev).u32(links.next).u32(entry.uid).u32(entry.time);
  putDigest(w, entry.nodeDigest);
  putDigest(w, entry.identDigest);
  w.u32(entry.pid).u8(entry.priority);
  w.u8(node.length + 1)
    .u8(ident.length + 1)
    .u8(tag.length + 1);
  w.u32(message.length + 1);
  for (const text of [node, ident, tag, message]) w.put(bytesOf(text)).u8(0);
  return w.zeros(logEntryHeadBytes - stringsOffset).finish();
}

/** The entry at the start of `bytes`, which may go on behind it; `size` is what it takes. */
export function decodeLogEntry(
  bytes: Uint8Array,
): Decoded<{ readonly entry: LogEntry; readonly links: LogLinks; readonly size: number }> {
  const r = new Reader(bytes);
  const links = { prev: r.u32(), next: r.u32() };
  const head = { uid: r.u32(), time: r.u32() };
  const digests = { nodeDigest: takeDigest(r), identDigest: takeDigest(r) };
  const numbers = { pid: r.u32(), priority: r.u8() };
  const lengths = [r.u8(), r.u8(), r.u8(), r.u32()];
  const texts = lengths.map((length) => terminated(r.take(length)));
  r.skip(logEntryHeadBytes - stringsOffset);
  const [node, ident, tag, message] = texts;
  if (r.failed) return malformed("log entry is longer than its bytes");
  if (r.offset > logEntryBytesMax) return malformed(`log entry of ${r.offset} bytes`);
  if (node === undefined || ident === undefined || tag === undefined || message === undefined) {
    return malformed("log entry with a text without NUL");
  }
  const entry = { ...head, ...digests, ...numbers, node, ident, tag, message };
  return decoded({ entry, links, size: r.offset });
}

/** What a process says, before it is an entry. `message`: raw bytes in any encoding. */
export interface LogLineFields {
  readonly time: number;
  readonly pid: number;
  readonly priority: number;
  readonly node: string;
  readonly ident: string;
  readonly tag: string;
  readonly message: Uint8Array;
}

/** Escapes the message, cuts everything to its limits and adds the digests. */
export function makeLogEntry(uid: number, fields: LogLineFields): LogEntry {
  const node = cString(fields.node, shortTextBytesMax - 1);
  const ident = cString(fields.ident, shortTextBytesMax - 1);
  const tag = cString(fields.tag, shortTextBytesMax - 1);
  const room = logEntryBytesMax - logEntryHeadBytes - node.length - ident.length - tag.length - 4;
  return {
    uid,
    time: fields.time,
    nodeDigest: textDigest(node),
    identDigest: textDigest(ident),
    pid: fields.pid,
    priority: fields.priority & 7,
    node,
    ident,
    tag,
    message: escapeLogText(fields.message, room),
  };
}

const fnvBasis = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;
const mask64 = 0xffff_ffff_ffff_ffffn;

/** FNV-1a 64 over a byte string and the NUL behind it. */
export function textDigest(text: string): bigint {
  let hash = fnvBasis;
  for (let i = 0; i < text.length; i += 1) {
    hash = ((hash ^ BigInt(text.charCodeAt(i) & 0xff)) * fnvPrime) & mask64;
  }
  return (hash * fnvPrime) & mask64;
}

/**
 * Any bytes as printable ASCII that may stand inside JSON quotes; at most `lengthMax` characters, cut between two escapes.
 * A backslash stays as it is: what was escaped by the sender is not escaped twice.
 */
export function escapeLogText(bytes: Uint8Array, lengthMax: number): string {
  let text = "";
  for (const piece of escapedPieces(bytes)) {
    if (text.length + piece.length > lengthMax) break;
    text += piece;
  }
  return text;
}

function* escapedPieces(bytes: Uint8Array): IterableIterator<string> {
  const characters = utf8Text(bytes);
  if (characters !== undefined) {
    for (const character of characters) yield escapedCharacter(character.codePointAt(0) ?? 0);
    return;
  }
  for (const byte of bytes) {
    if (isControl(byte)) yield `#0${String(byte).padStart(2, "0")}`;
    else yield byte > 127 ? "?" : escapedCharacter(byte);
  }
}

function escapedCharacter(code: number): string {
  if (code === 0x22) return '\\"';
  if (isControl(code)) return `#${String(code).padStart(3, "0")}`;
  if (code < 127) return String.fromCharCode(code);
  return code < 0x1_0000 ? `\\u${code.toString(16).padStart(4, "0")}` : "";
}

/**
 * What `escapeLogText` was given, of the text of a stored message: the quotes and letters that it writes as escapes. Any other backslash was
 * there before, and stays; what was a control character shows as `#` and its number.
 */
export function unescapedLogText(message: string): string {
  return message.replace(/\\(?:(")|u([0-9a-f]{4}))/g, (escape, quote, hex) => {
    if (typeof quote === "string") return quote;
    const code = Number.parseInt(String(hex), 16);
    const isSurrogate = code >= 0xd800 && code < 0xe000;
    return code < 128 || isSurrogate ? escape : String.fromCharCode(code);
  });
}

function isControl(code: number): boolean {
  return code < 32 || code === 127;
}

/** The text of valid UTF-8; undefined for anything else. */
function utf8Text(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (!text.includes("\ufffd")) return text;
  // The replacement character may have been sent as such.
  return byteStringOfText(text) === byteString(bytes) ? text : undefined;
}

function cString(text: string, lengthMax: number): string {
  const end = text.indexOf("\0");
  return text.slice(0, Math.min(end < 0 ? text.length : end, lengthMax));
}

function terminated(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) return undefined;
  return byteString(bytes.subarray(0, bytes.length - 1));
}

function putDigest(w: Writer, digest: bigint): void {
  w.u32(Number(digest & 0xffff_ffffn)).u32(Number(digest >> 32n));
}

function takeDigest(r: Reader): bigint {
  const low = BigInt(r.u32());
  return (BigInt(r.u32()) << 32n) | low;
}
