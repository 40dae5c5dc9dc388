// Codecs of the two groups: both ways, limits, and hostile bytes. The recorded bytes of real daemons: test/golden/pmxcfs.test.ts.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { byteString, bytesOf } from "../../bytes.ts";
import type { TreeEntry, TreeOperation } from "../tree/entry.ts";
import {
  decodeHeader,
  decodeIndex,
  decodeKvUpdate,
  decodeMessage,
  decodeOperation,
  decodeUpdate,
  encodeIndex,
  encodeKvUpdate,
  encodeMessage,
  encodeOperation,
  encodeUpdate,
  type Message,
  sameEpoch,
} from "./message.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const u32 = fc.nat(0xffff_ffff);
const u53 = fc.maxSafeNat();
const data = fc.uint8Array({ maxLength: 60 });
const checksum = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** Byte strings without NUL, any other byte. */
const path = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => byteString(bytes.map((byte) => (byte === 0 ? 1 : byte))));

const epoch = fc.record({ epoch: u32, time: u32, nodeid: u32, pid: u32 });
const stateHead = { protocol: u32, timeS: u32, epoch };
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant("normal" as const),
    protocol: u32,
    timeS: u32,
    subtype: fc.nat(0xffff),
    count: u53,
    body: data,
  }),
  fc.record({
    kind: fc.constantFrom("syncStart" as const, "updateComplete" as const),
    ...stateHead,
  }),
  fc.record({
    kind: fc.constantFrom("state" as const, "update" as const),
    ...stateHead,
    body: data,
  }),
  fc.record({ kind: fc.constant("verifyRequest" as const), ...stateHead, checksumId: u53 }),
  fc.record({ kind: fc.constant("verify" as const), ...stateHead, checksumId: u53, checksum }),
);

const operation: fc.Arbitrary<TreeOperation> = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    path,
    offset: u32,
    data,
    truncate: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom("mkdir" as const, "delete" as const, "create" as const),
    path,
  }),
  fc.record({ kind: fc.constant("rename" as const), path, to: path }),
  fc.record({ kind: fc.constant("setMtime" as const), path, mtime: u32 }),
  fc.record({
    kind: fc.constantFrom("unlock" as const, "unlockRequest" as const),
    path,
    checksum,
  }),
);

const entry: fc.Arbitrary<TreeEntry> = fc.record({
  inode: u53,
  parent: u53,
  version: u53,
  writer: u32,
  mtime: u32,
  type: fc.constantFrom(4 as const, 8 as const),
  name: path,
  data,
});

describe("both ways", () => {
  test("messages", () => {
    fc.assert(
      fc.property(message, (each) => {
        expect(decodeMessage(encodeMessage(each))).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("operations", () => {
    fc.assert(
      fc.property(operation, (each) => {
        const { subtype, body } = encodeOperation(each);
        expect(decodeOperation(subtype, body)).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("updates", () => {
    fc.assert(
      fc.property(entry, (each) => {
        expect(decodeUpdate(encodeUpdate(each))).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("indices", () => {
    const inodes = fc.uniqueArray(u53, { maxLength: 20 });
    fc.assert(
      fc.property(inodes, u53, u32, u32, (list, version, writer, mtime) => {
        const entries = list
          .toSorted((a, b) => a - b)
          .map((inode) => ({ inode, digest: new Uint8Array(32).fill(inode & 0xff) }));
        const index = { version, lastInode: entries.at(-1)?.inode ?? 0, writer, mtime, entries };
        expect(decodeIndex(encodeIndex(index))).toEqual({ ok: true, value: index });
      }),
    );
  });

  test("status values; a key is cut to 255 bytes", () => {
    fc.assert(
      fc.property(path, data, (key, value) => {
        const { body } = encodeKvUpdate({ key, value });
        expect(decodeKvUpdate(body)).toEqual({ ok: true, value: { key, value } });
      }),
    );
    const cut = decodeKvUpdate(encodeKvUpdate({ key: "k".repeat(300), value: bytesOf("v") }).body);
    expect(cut).toEqual({ ok: true, value: { key: "k".repeat(255), value: bytesOf("v") } });
  });
});

describe("layout", () => {
  test("CREATE of golden-a by node 1, the specification's example", () => {
    const { subtype, body } = encodeOperation({ kind: "create", path: "golden-a" });
    const head = { kind: "normal", protocol: 1, timeS: 0x6b00f965, count: 1 } as const;
    expect(hex(encodeMessage({ ...head, subtype, body }))).toBe(
      "000005000100000065f9006b00000000" +
        "0100000000000000" +
        "0000000000000000090000000000000000000000" +
        "676f6c64656e2d6100",
    );
  });

  test("the path ends at its first NUL, as in C", () => {
    const { subtype, body } = encodeOperation({ kind: "mkdir", path: "a/b" });
    body[body.indexOf(0x2f)] = 0;
    expect(decodeOperation(subtype, body)).toEqual({
      ok: true,
      value: { kind: "mkdir", path: "a" },
    });
  });

  test("epochs are equal in all four fields only", () => {
    const one = { epoch: 1, time: 2, nodeid: 3, pid: 4 };
    expect(sameEpoch(one, { ...one })).toBe(true);
    for (const field of ["epoch", "time", "nodeid", "pid"]) {
      expect(sameEpoch(one, { ...one, [field]: 9 })).toBe(false);
    }
  });
});

describe("refused", () => {
  const good = encodeOperation({ kind: "rename", path: "from", to: "to" });
  const write = encodeOperation({
    kind: "write",
    path: "p",
    offset: 0,
    data: bytesOf("x"),
    truncate: false,
  });
  const at = (bytes: Uint8Array, offset: number, value: number) => {
    const changed = bytes.slice();
    changed[offset] = value;
    return changed;
  };
  const refused = (read: { ok: boolean }) => expect(read.ok).toBe(false);

  test("operations: unknown, short, long, lengths that do not add up, paths without NUL", () => {
    refused(decodeOperation(0, good.body));
    refused(decodeOperation(9, good.body));
    refused(decodeOperation(4, good.body.subarray(0, 19)));
    refused(decodeOperation(4, good.body.subarray(0, -1)));
    refused(decodeOperation(4, new Uint8Array([...good.body, 0])));
    refused(decodeOperation(4, at(good.body, 24, 65)));
    refused(decodeOperation(4, at(good.body, good.body.length - 1, 65)));
    refused(decodeOperation(1, at(write.body, 0, 255)));
    refused(decodeOperation(1, at(write.body, 3, 255)));
    refused(decodeOperation(1, at(write.body, 8, 0)));
    const { body } = encodeOperation({ kind: "mkdir", path: "p" });
    refused(decodeOperation(4, body));
    refused(decodeOperation(7, new Uint8Array(32)));
    refused(decodeOperation(8, new Uint8Array(33).fill(1)));
  });

  test("messages: headers, bodies that are too short or too long, unknown types, huge numbers", () => {
    refused(decodeHeader(new Uint8Array(15)));
    refused(decodeMessage(new Uint8Array(23)));
    const epoch_ = { epoch: 1, time: 1, nodeid: 1, pid: 1 };
    const start = encodeMessage({ kind: "syncStart", protocol: 1, timeS: 1, epoch: epoch_ });
    refused(decodeMessage(start.subarray(0, 31)));
    refused(decodeMessage(new Uint8Array([...start, 0])));
    refused(decodeMessage(at(start, 0, 7)));
    refused(decodeMessage(at(start, 0, 5)));
    refused(decodeMessage(at(start, 0, 6)));
    refused(decodeMessage(at(new Uint8Array(24), 23, 255)));
  });

  test("a number that is not followed is named as what it is, and a short message as short", () => {
    const high = /a number above 2\^53, which is not followed/;
    const entries = [0, 2].map((inode) => ({ inode, digest: new Uint8Array(32) }));
    const index = encodeIndex({ version: 1, lastInode: 2, writer: 1, mtime: 1, entries });
    const numbers = { inode: 2, parent: 0, version: 2, writer: 1, mtime: 1 };
    const update = encodeUpdate({ ...numbers, type: 8, name: "n", data: bytesOf("x") });
    const epoch_ = { epoch: 1, time: 1, nodeid: 1, pid: 1 };
    const head = { protocol: 1, timeS: 1, epoch: epoch_, checksumId: 1 };
    const verify = encodeMessage({ ...head, kind: "verify", checksum: new Uint8Array(32) });
    for (const [decode, bytes, offset] of [
      [decodeIndex, index, 7],
      [decodeIndex, index, 79],
      [decodeUpdate, update, 23],
      [decodeMessage, new Uint8Array(24), 23],
      [decodeMessage, verify, 39],
    ] as const) {
      expect(reasonFor(decode(at(bytes, offset, 255)))).toMatch(high);
      expect(reasonFor(decode(bytes.subarray(0, 23)))).toMatch(/too short|short state header/);
    }
    expect(reasonFor(decodeMessage(verify.subarray(0, 71)))).toMatch(/too short/);
  });

  test("indices: lengths, order", () => {
    const entries = [0, 2].map((inode) => ({ inode, digest: new Uint8Array(32) }));
    const index = encodeIndex({ version: 1, lastInode: 2, writer: 1, mtime: 1, entries });
    refused(decodeIndex(index.subarray(0, -1)));
    refused(decodeIndex(at(index, 24, 3)));
    refused(decodeIndex(at(index, 28, 3)));
    refused(decodeIndex(at(index, 72, 0)));
    refused(decodeIndex(at(index, 79, 255)));
    refused(decodeIndex(new Uint8Array(31)));
  });

  test("updates: lengths, type, name without NUL", () => {
    const numbers = { inode: 2, parent: 0, version: 2, writer: 1, mtime: 1 };
    const update = encodeUpdate({ ...numbers, type: 8, name: "n", data: bytesOf("x") });
    refused(decodeUpdate(update.subarray(0, -1)));
    refused(decodeUpdate(at(update, 32, 2)));
    refused(decodeUpdate(at(update, 36, 0)));
    refused(decodeUpdate(at(update, 40, 5)));
    refused(decodeUpdate(at(update, 42, 65)));
    refused(decodeUpdate(new Uint8Array(40)));
  });

  test("status values: short, key without NUL", () => {
    refused(decodeKvUpdate(new Uint8Array(255)));
    refused(decodeKvUpdate(new Uint8Array(300).fill(65)));
  });
});

function reasonFor(result: { readonly ok: boolean; readonly reason?: string }): string {
  return result.ok ? "accepted" : (result.reason ?? "");
}

test("hostile bytes: no decoder throws, and what it accepts has one meaning", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Near misses: a good message with some bytes changed.
    fc
      .tuple(message, operation, fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 4 }))
      .map(([head, op, changes]) => {
        const { subtype, body } = encodeOperation(op);
        const all = encodeMessage(
          head.kind === "normal" ? { ...head, subtype, body } : ({ ...head, body } as Message),
        );
        for (const [offset, value] of changes) if (offset < all.length) all[offset] = value;
        return all;
      }),
  );
  fc.assert(
    fc.property(bytes, fc.nat(12), (all, subtype) => {
      const read = decodeMessage(all);
      if (read.ok) {
        const twice = decodeMessage(encodeMessage(read.value));
        expect(twice).toEqual(read);
      }
      const op = decodeOperation(subtype, all);
      if (op.ok) {
        const encoded = encodeOperation(op.value);
        expect(decodeOperation(encoded.subtype, encoded.body)).toEqual(op);
      }
      const index = decodeIndex(all);
      if (index.ok) expect(hex(encodeIndex(index.value))).toBe(hex(all));
      const update = decodeUpdate(all);
      if (update.ok) expect(decodeUpdate(encodeUpdate(update.value))).toEqual(update);
      const kv = decodeKvUpdate(all);
      if (kv.ok) expect(decodeKvUpdate(encodeKvUpdate(kv.value).body)).toEqual(kv);
    }),
    { numRuns: 3000 },
  );
});
