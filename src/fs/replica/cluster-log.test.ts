// The cluster log: text, digests, ring, duplicates, merge, hostile rings. Spec: pmxcfs.md §3.6.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ClusterLog, decodeRing, ringBytes } from "./cluster-log.ts";
import {
  decodeLogEntry,
  encodeLogEntry,
  escapeLogText,
  type LogEntry,
  logEntryBytes,
  logEntryBytesMax,
  makeLogEntry,
  textDigest,
  unescapedLogText,
} from "./log-entry.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const line = (message: string | Uint8Array, time = 1000, node = "pa") => ({
  time,
  pid: 7,
  priority: 6,
  node,
  ident: "root@pam",
  tag: "test",
  message: typeof message === "string" ? utf8(message) : message,
});
const messages = (entries: Iterable<LogEntry>) => Array.from(entries, ({ message }) => message);

describe("entries", () => {
  test("digests are FNV-1a 64 with the NUL", () => {
    expect(textDigest("pa").toString(16)).toBe("77ca7c195676dd3e");
    expect(textDigest("root@pam").toString(16)).toBe("bf69a5dbf95bb61");
  });

  test.each([
    ['say "hi"', 'say \\"hi\\"'],
    ["back\\slash", "back\\slash"],
    ["tab\tend\u007f", "tab#009end#127"],
    ["ä €", "\\u00e4 \\u20ac"],
    ["\ufeffbom", "\\ufeffbom"],
    ["\ufffd", "\\ufffd"],
    ["a\u{1f600}b", "ab"],
  ])("text %j is stored as %j", (given, stored) => {
    expect(escapeLogText(utf8(given), 1000)).toBe(stored);
  });

  test("invalid UTF-8: control as #0nn, non-ASCII as ?", () => {
    expect(escapeLogText(new Uint8Array([0x41, 0xff, 0x09, 0x22, 0xc3]), 1000)).toBe('A?#009\\"?');
  });

  test("a reader gets back what was said", () => {
    const said = fc.string({ unit: "grapheme", maxLength: 40 }).map((text) =>
      // Control characters and those above U+FFFF are lost; a backslash before u is not told from an escape.
      text.replace(/[\p{Cc}\u{10000}-\u{10ffff}]/gu, "").replaceAll("\\u", "\\v"),
    );
    fc.assert(
      fc.property(fc.oneof(said, fc.constantFrom('a\\"b', "c:\\new", "\\\\host\\x")), (text) => {
        expect(unescapedLogText(escapeLogText(utf8(text), 4000))).toBe(text);
      }),
    );
    // What no writer makes stays as it stands: it would steer a terminal, or be no text.
    const foreign = "\\u0007 \\ud83d \\u12 \\";
    expect(unescapedLogText(foreign)).toBe(foreign);
  });

  test("what is stored is always printable ASCII and ends between two escapes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(90), (bytes, max) => {
        const text = escapeLogText(bytes, max);
        expect(text.length).toBeLessThanOrEqual(max);
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(escapeLogText(bytes, 1000).startsWith(text)).toBe(true);
      }),
    );
  });

  test("an entry has 4,096 bytes at most; short texts 255 with their NUL", () => {
    const entry = makeLogEntry(1, {
      ...line("x".repeat(9000)),
      tag: "t".repeat(400),
      node: "n\0x",
    });
    expect(logEntryBytes(entry)).toBe(logEntryBytesMax);
    expect(entry.tag).toHaveLength(254);
    expect(entry.node).toBe("n");
    const bytes = encodeLogEntry(entry, { prev: 3, next: 4 });
    expect(decodeLogEntry(bytes)).toEqual({
      ok: true,
      value: { entry, links: { prev: 3, next: 4 }, size: logEntryBytesMax },
    });
  });

  test("hostile bytes never throw; what is accepted encodes to itself but for its last four bytes", () => {
    const good = encodeLogEntry(makeLogEntry(1, line("hello")), { prev: 0, next: 0 });
    const changed = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 3 })
      .map((changes) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 120 })), (bytes) => {
        const read = decodeLogEntry(bytes);
        if (!read.ok) return;
        const { entry, links, size } = read.value;
        const text = Buffer.from(encodeLogEntry(entry, links)).subarray(0, -4).toString("hex");
        expect(text).toBe(Buffer.from(bytes.subarray(0, size - 4)).toString("hex"));
      }),
      { numRuns: 2000 },
    );
    expect(decodeLogEntry(good.subarray(0, -1)).ok).toBe(false);
  });
});

describe("ring", () => {
  test("empty: a size, cpos 0, zeros", () => {
    const ring = new ClusterLog().encode();
    expect(ring.length).toBe(ringBytes);
    expect(Buffer.from(ring.subarray(0, 16)).toString("hex")).toBe("00000200" + "0".repeat(24));
    expect(decodeRing(ring)).toEqual({ ok: true, value: [] });
  });

  test("both ways, oldest first", () => {
    const log = new ClusterLog();
    for (let i = 0; i < 10; i += 1) log.append(line(`line ${i}`, 1000 + i));
    const read = decodeRing(log.encode());
    expect(read).toEqual({ ok: true, value: [...log.entries] });
    expect(messages(log.newest())[0]).toBe("line 9");
    expect(log.entries.map(({ uid }) => uid)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("full: the oldest are forgotten, the newest always kept, what is left fits a ring again", () => {
    const log = new ClusterLog();
    for (let i = 0; i < 4000; i += 1) log.append(line("m".repeat(i % 300), 1000 + i));
    const kept = log.entries;
    expect(kept.at(-1)?.time).toBe(4999);
    const bytes = kept.reduce((sum, entry) => sum + logEntryBytes(entry), 0);
    expect(bytes).toBeLessThan(ringBytes - 4096);
    expect(bytes).toBeGreaterThan(ringBytes / 2);
    expect(decodeRing(log.encode())).toEqual({ ok: true, value: [...kept] });
  });

  test("duplicates: only what is newer of a node is taken", () => {
    const log = new ClusterLog();
    const entry = (uid: number, time: number, node: string) =>
      makeLogEntry(uid, line("x", time, node));
    expect(log.insert(entry(5, 100, "a"))).toBe(true);
    expect(log.insert(entry(5, 100, "a"))).toBe(false);
    expect(log.insert(entry(6, 100, "a"))).toBe(true);
    expect(log.insert(entry(9, 99, "a"))).toBe(false);
    expect(log.insert(entry(1, 101, "a"))).toBe(true);
    expect(log.insert(entry(1, 50, "b"))).toBe(true);
    expect(log.entries).toHaveLength(4);
  });

  test("sent sorted by time, then node, then uid", () => {
    const log = new ClusterLog();
    for (const [uid, time, node] of [
      [2, 300, "a"],
      [1, 200, "b"],
      [7, 200, "c"],
    ] as const) {
      log.insert(makeLogEntry(uid, line(`${node}${uid}`, time, node)));
    }
    const sorted = decodeRing(log.encode());
    if (!sorted.ok) throw new Error(sorted.reason);
    expect(sorted.value.map(({ time }) => time)).toEqual([200, 200, 300]);
  });
});

describe("merge", () => {
  function logOf(node: string, times: number[]): ClusterLog {
    const log = new ClusterLog();
    for (const time of times) log.append(line(`${node}@${time}`, time, node));
    return log;
  }

  test("all members come to the same log; every line once", () => {
    const logs = [logOf("a", [1, 5, 9]), logOf("b", [2, 5, 8]), logOf("c", [])];
    const states = logs.map((log) => {
      const read = decodeRing(log.encode());
      if (!read.ok) throw new Error(read.reason);
      return read.value;
    });
    logs.forEach((log, own) => log.merge(states, own));
    expect(messages(logs[0]!.entries)).toHaveLength(6);
    const rings = logs.map((log) => Buffer.from(log.encode()).toString("hex"));
    expect(rings[1]).toBe(rings[0]);
    expect(rings[2]).toBe(rings[0]);
    // Again: nothing new.
    logs[0]!.merge(
      logs.map((log) => log.entries),
      0,
    );
    expect(logs[0]!.entries).toHaveLength(6);
    // And the table of duplicates knows the others' lines.
    expect(logs[0]!.insert(makeLogEntry(2, line("again", 5, "b")))).toBe(false);
  });

  test("the same lines in every log count once", () => {
    const log = new ClusterLog();
    for (let i = 0; i < 50; i += 1) log.append(line("z".repeat(1700), i));
    const copies = [log.entries, log.entries, log.entries];
    log.merge(copies, 0);
    expect(log.entries).toHaveLength(50);
  });

  test("too much for one ring: the newest win", () => {
    const long = (node: string) => {
      const log = new ClusterLog();
      for (let i = 0; i < 60; i += 1) log.append(line("y".repeat(1800), i, node));
      return log;
    };
    const logs = [long("a"), long("b"), long("c")];
    const all = logs.map((log) => log.entries);
    logs[0]!.merge(all, 0);
    const times = logs[0]!.entries.map(({ time }) => time);
    expect(times.at(-1)).toBe(59);
    expect(Math.min(...times)).toBeGreaterThan(30);
  });
});

describe("hostile rings", () => {
  test("loops, places outside, wrong sizes", () => {
    const log = new ClusterLog();
    for (let i = 0; i < 3; i += 1) log.append(line("x", i));
    const ring = log.encode();
    const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);
    const newest = view(ring).getUint32(4, true);
    const looped = ring.slice();
    view(looped).setUint32(newest, newest, true);
    expect(decodeRing(looped).ok).toBe(false);
    for (const place of [1, 7, ringBytes - 3, ringBytes, 0xffff_ffff]) {
      const wrong = ring.slice();
      view(wrong).setUint32(4, place, true);
      expect(decodeRing(wrong).ok).toBe(false);
    }
    expect(decodeRing(ring.subarray(0, -1)).ok).toBe(false);
    expect(decodeRing(new Uint8Array([8, 0, 0, 0, 0, 0, 0, 0])).ok).toBe(false);
    expect(decodeRing(new Uint8Array(0)).ok).toBe(false);
  });

  test("changed bytes never throw and end soon", () => {
    const log = new ClusterLog();
    for (let i = 0; i < 40; i += 1) log.append(line("x".repeat(i), i));
    const ring = log.encode();
    const changes = fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = ring.slice();
        for (const [at, value] of list) bytes[at] = value;
        const read = decodeRing(bytes);
        if (!read.ok) return;
        expect(read.value.length).toBeLessThan(3000);
        const merged = new ClusterLog();
        merged.merge([read.value, []], 1);
        expect(decodeRing(merged.encode()).ok).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

test("a node that writes a line keeps it although its clock went back", () => {
  const log = new ClusterLog();
  log.append(line("later", 500));
  log.append(line("earlier", 400));
  expect(messages(log.entries)).toEqual(["later", "earlier"]);
});
