// Everything that real pmxcfs daemons were recorded to send (pmxcfs-*.jsonl): decoded, compared with the recorder's own
// decoding, encoded again byte for byte. Spec: pmxcfs.md §3.6, §4, §7.
import { describe, expect, test } from "bun:test";
import { textOfByteString } from "../../src/bytes.ts";
import { ClusterLog, decodeRing } from "../../src/fs/replica/cluster-log.ts";
import type { TreeEntry } from "../../src/fs/tree/entry.ts";
import {
  decodeLogEntry,
  encodeLogEntry,
  type LogEntry,
  logEntryBytes,
  textDigest,
} from "../../src/fs/replica/log-entry.ts";
import {
  decodeIndex,
  decodeKvUpdate,
  decodeOperation,
  decodeUpdate,
  encodeIndex,
  encodeKvUpdate,
  encodeMessage,
  encodeOperation,
  encodeUpdate,
  keyFieldBytes,
  kvLog,
  type Message,
} from "../../src/fs/replica/message.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import {
  bytesOfEvent,
  eventsOf,
  hexOf,
  messageOf,
  type Recorded,
  recordings,
  rootOf,
  type Said,
  type SaidInode,
  type SaidLogEntry,
  sha256,
  value,
} from "./pmxcfs-recordings.ts";

const isTree = (event: Recorded) => event.group === "pve_dcdb_v1";
const deliveries = (recording: string) => eventsOf(recording).filter((e) => e.ev === "deliver");

/** Contents are recorded as text or, when long, as size and hash. */
function expectData(data: Uint8Array, recorded: string): void {
  const long = /^<(\d+) bytes sha256 ([0-9a-f]{64})>$/.exec(recorded);
  if (long === null) expect(new TextDecoder().decode(data)).toBe(recorded);
  else expect([data.length, hexOf(sha256([data]))]).toEqual([Number(long[1]), long[2]!]);
}

/** The body decoded and encoded again, and which of its bytes are undefined: [from, to). */
function again(event: Recorded, message: Message): { body: Uint8Array; undefined_: number[][] } {
  const none: number[][] = [];
  if (message.kind === "update") {
    return { body: encodeUpdate(value(decodeUpdate(message.body))), undefined_: none };
  }
  if (message.kind === "state" && isTree(event)) {
    return { body: encodeIndex(value(decodeIndex(message.body))), undefined_: none };
  }
  if (message.kind === "state") {
    const log = new ClusterLog();
    const entries = value(decodeRing(message.body));
    for (const entry of entries) log.insert(entry);
    let end = 8;
    const gaps = entries.map((entry) => {
      const gap = [end + logEntryBytes(entry) - 4, end + logEntryBytes(entry)];
      end = (end + logEntryBytes(entry) + 7) & ~7;
      return gap;
    });
    return { body: log.encode(), undefined_: gaps };
  }
  if (message.kind !== "normal") throw new Error(`no body in ${message.kind}`);
  const { subtype, body } = message;
  if (isTree(event)) {
    const encoded = encodeOperation(value(decodeOperation(subtype, body)));
    expect(encoded.subtype).toBe(subtype);
    return { body: encoded.body, undefined_: none };
  }
  if (subtype === kvLog) {
    const { entry, links } = value(decodeLogEntry(body));
    return { body: encodeLogEntry(entry, links), undefined_: [[body.length - 4, body.length]] };
  }
  const entry = value(decodeKvUpdate(body));
  const gap = [entry.key.length + 1, keyFieldBytes];
  return { body: encodeKvUpdate(entry).body, undefined_: [gap] };
}

describe.each(recordings)("%s", (recording) => {
  test("all messages encode again to the recorded bytes, undefined regions apart", () => {
    for (const event of deliveries(recording)) {
      const bytes = bytesOfEvent(event);
      expect(bytes.length).toBe(event.len);
      const message = messageOf(event);
      expect(hexOf(encodeMessage(message))).toBe(hexOf(bytes));
      if (!("body" in message)) continue;
      const { body, undefined_ } = again(event, message);
      const blank = message.body.slice();
      for (const [from, to] of undefined_) blank.fill(0, from, to);
      expect(hexOf(body)).toBe(hexOf(blank));
    }
  });

  test("all messages mean what the recorder said", () => {
    for (const event of deliveries(recording)) {
      const said = event.decoded;
      const message = messageOf(event);
      const names = {
        normal: "NORMAL",
        syncStart: "SYNC_START",
        state: "STATE",
        update: "UPDATE",
        updateComplete: "UPDATE_COMPLETE",
        verifyRequest: "VERIFY_REQUEST",
        verify: "VERIFY",
      };
      expect(names[message.kind]).toBe(said.type_name);
      expect([message.protocol, message.timeS]).toEqual([said.protocol_version, said.time]);
      if (message.kind === "normal") expectOperation(event, message, said);
      else expect({ ...message.epoch }).toEqual(said.epoch);
      if (message.kind === "verifyRequest") expect(message.checksumId).toBe(said.csum_id);
      if (message.kind === "verify") expect(hexOf(message.checksum)).toBe(said.csum);
      if (message.kind === "update") expectUpdate(message.body, said.inode);
      if (message.kind === "state") expectState(event, message.body, said);
    }
  });
});

function expectOperation(event: Recorded, message: Message & { kind: "normal" }, said: Said): void {
  expect([message.count, message.subtype]).toEqual([said.count, said.subtype]);
  if (isTree(event)) {
    const operation = value(decodeOperation(message.subtype, message.body));
    expect(textOfByteString(operation.path)).toBe(said.path);
    if ("checksum" in operation) expect(hexOf(operation.checksum)).toBe(said.csum);
    if (operation.kind === "rename") expect(textOfByteString(operation.to)).toBe(said.to);
    if (operation.kind === "setMtime") expect(operation.mtime).toBe(said.offset);
    if (operation.kind !== "write") return;
    expect([operation.offset, operation.truncate]).toEqual([said.offset, said.flags === 1]);
    expect(operation.data.length).toBe(said.size);
    return expectData(operation.data, said.data);
  }
  if (message.subtype === kvLog) {
    return expectLogEntry(value(decodeLogEntry(message.body)).entry, said.entry);
  }
  const entry = value(decodeKvUpdate(message.body));
  expect(entry.key).toBe(said.key);
  expectData(entry.value, said.data);
}

function expectUpdate(body: Uint8Array, said: SaidInode): void {
  const entry = value(decodeUpdate(body));
  const { parent, inode, version, writer, mtime, type, name, data } = entry;
  expect({ parent, inode, version, writer, mtime, type, size: data.length }).toEqual({
    parent: said.parent,
    inode: said.inode,
    version: said.version,
    writer: said.writer,
    mtime: said.mtime,
    type: said.type,
    size: said.size,
  });
  expect(textOfByteString(name)).toBe(said.name);
  expectData(data, said.data);
  expect(hexOf(indexDigest(entry))).toBe(said.index_digest);
}

/** Digest of one entry by the real tree: inside a tree that has nothing else. */
function indexDigest(entry: TreeEntry): Uint8Array {
  const root = rootOf({ version: entry.version, writer: 0, mtime: 0 });
  const parent = { ...root, inode: entry.parent, name: "parent" };
  const rows = entry.inode === 0 ? [entry] : [root, entry];
  if (entry.parent !== 0) rows.push(parent);
  return value(Tree.load(rows, { sha256, rootName: "" })).digest(entry.inode)!;
}

function expectState(event: Recorded, body: Uint8Array, said: Said): void {
  if (isTree(event)) {
    const index = value(decodeIndex(body));
    const { version, lastInode, writer, mtime, entries } = index;
    const recorded = said.index;
    expect([version, lastInode, writer, mtime, entries.length]).toEqual([
      recorded.version,
      recorded.last_inode,
      recorded.writer,
      recorded.mtime,
      recorded.size,
    ]);
    expect(entries.map(({ inode, digest }): [number, string] => [inode, hexOf(digest)])).toEqual(
      recorded.entries,
    );
    // The root's digest follows from the header alone.
    expect(hexOf(indexDigest(rootOf(index)))).toBe(recorded.entries[0]![1]);
    return;
  }
  const entries = value(decodeRing(body));
  const recorded = said.clog.entries;
  expect(entries.length).toBe(recorded.length);
  const oldestFirst = recorded.toSorted((a, b) => a.pos - b.pos);
  entries.forEach((entry, i) => expectLogEntry(entry, oldestFirst[i]!));
}

function expectLogEntry(entry: LogEntry, said: SaidLogEntry): void {
  expect(digestText(entry.nodeDigest)).toBe(said.node_digest);
  expect(digestText(entry.identDigest)).toBe(said.ident_digest);
  expect([textDigest(entry.node), textDigest(entry.ident)]).toEqual([
    entry.nodeDigest,
    entry.identDigest,
  ]);
  const { uid, time, pid, priority, node, ident, tag, message } = entry;
  expect({ uid, time, pid, priority, node, ident, tag, message }).toEqual({
    uid: said.uid,
    time: said.time,
    pid: said.pid,
    priority: said.priority,
    node: said.node,
    ident: said.ident,
    tag: said.tag,
    message: said.msg,
  });
}

function digestText(digest: bigint): string {
  return digest.toString(16).padStart(16, "0");
}

test("undefined regions: how many there are", () => {
  let keys = 0;
  let entries = 0;
  for (const event of recordings.flatMap(deliveries)) {
    const message = messageOf(event);
    if (isTree(event) || !("body" in message)) continue;
    if (message.kind === "state") entries += value(decodeRing(message.body)).length;
    else if (message.kind === "normal" && message.subtype === kvLog) entries += 1;
    else keys += 1;
  }
  // 256-byte key fields, and the four bytes behind the strings of a log entry (all zero in these recordings).
  expect({ keys, entries }).toEqual({ keys: 53, entries: 79 });
});
