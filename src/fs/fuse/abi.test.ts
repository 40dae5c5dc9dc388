import { expect, test } from "bun:test";
import fc from "fast-check";
import { byteString, joinBytes } from "../../bytes.ts";
import { decodeBody, decodeHeader, opcodes, writeBytesMax, type RequestBody } from "./abi.ts";
import { bodies, encodeRequest } from "../../../test/double/fuse-kernel.ts";

function decodeWhole(bytes: Uint8Array): RequestBody | undefined {
  const header = decodeHeader(bytes);
  if (!header.ok) return undefined;
  const body = decodeBody(header.value.opcode, bytes);
  return body.ok ? body.value : undefined;
}

function request(opcode: number, body: Uint8Array): Uint8Array {
  return encodeRequest({ opcode, unique: 2, nodeid: 1, body });
}

/** Requests of Linux 6.18 (x64) as read from /dev/fuse while a shell ran `ls -la`, `echo hi > a`, `truncate`, `mv`, `rmdir`. */
const recorded: readonly (readonly [string, RequestBody])[] = [
  [
    "680000001a0000000200000000000000000000000000000000000000000000000000000000000000" +
      "070000002d00000000000200fbffff73fd0500000000000000000000000000000000000000000000" +
      "000000000000000000000000000000000000000000000000",
    {
      kind: "init",
      init: { major: 7, minor: 45, maxReadahead: 131_072, flags: 0x73ff_fffb, flags2: 0x5fd },
    },
  ],
  [
    "38000000030000000400000000000000010000000000000000000000000000003103000000000000" +
      "00000000000000000000000000000000",
    { kind: "getattr", byHandle: false },
  ],
  [
    "41000000160000000a00000000000000010000000000000000000000000000003303000000000000" +
      "ff0000000000000073656375726974792e73656c696e757800",
    { kind: "unsupported" },
  ],
  [
    "500000002c0000000800000000000000010000000000000000000000000000003303000000000000" +
      "01000000000000000000000000000000008000000000000000000000000000000088010000000000",
    { kind: "readdir", fh: 1, offset: 0, size: 32_768, plus: true },
  ],
  [
    "500000001c0000000c00000000000000010000000000000000000000000000003303000000000000" +
      "01000000000000000200000000000000008000000000000000000000000000000088010000000000",
    { kind: "readdir", fh: 1, offset: 2, size: 32_768, plus: false },
  ],
  [
    "400000001d0000000e00000000000000010000000000000000000000000000000000000000000000" +
      "010000000000000000880100000000000000000000000000",
    { kind: "releasedir", fh: 1 },
  ],
  [
    "2a000000010000001000000000000000010000000000000000000000000000003103000000000000" + "6100",
    { kind: "lookup", name: "a" },
  ],
  [
    "3a000000230000001200000000000000010000000000000000000000000000003103000000000000" +
      "41820000a481000012000000000000006100",
    { kind: "create", name: "a", exclusive: false, truncate: true },
  ],
  [
    "53000000100000001600000000000000020000000000000000000000000000003103000000000000" +
      "020000000000000000000000000000000300000002000000cb86436b9e1c7e130180000000000000" +
      "68690a",
    {
      kind: "write",
      fh: 2,
      offset: 0,
      data: new TextEncoder().encode("hi\n"),
      append: false,
      isSync: false,
    },
  ],
  [
    "500000000f0000002000000000000000020000000000000000000000000000003403000000000000" +
      "030000000000000000000000000000000000020002000000bd5cc125bb12d4230080000000000000",
    { kind: "read", fh: 3, offset: 0, size: 131_072 },
  ],
  [
    "80000000040000002800000000000000020000000000000000000000000000003503000000000000" +
      "480200000000000004000000000000000100000000000000bd5cc125bb12d4230000000000000000" +
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000" +
      "0000000000000000",
    {
      kind: "setattr",
      change: { mode: undefined, uid: undefined, gid: undefined, mtime: undefined, size: 1 },
    },
  ],
  [
    "32000000090000003600000000000000010000000000000000000000000000003803000000000000" +
      "ed010000120000006400",
    { kind: "mkdir", name: "d" },
  ],
  [
    "3c0000002d0000003c00000000000000010000000000000000000000000000003903000000000000" +
      "0300000000000000010000000000000061006200",
    { kind: "rename", name: "a", targetName: "b", targetParent: 3, flags: 1 },
  ],
  [
    "340000000c0000004200000000000000010000000000000000000000000000003903000000000000" +
      "030000000000000061006200",
    { kind: "rename", name: "a", targetName: "b", targetParent: 3, flags: 0 },
  ],
  [
    "30000000020000005600000000000000030000000000000000000000000000000000000000000000" +
      "0100000000000000",
    { kind: "forget", nodes: [{ nodeid: 0, count: 1 }] },
  ],
  [
    "2a0000000b0000005400000000000000010000000000000000000000000000003b03000000000000" + "6400",
    { kind: "remove", name: "d" },
  ],
];
const recordedLookup = recorded[6]![0];

test("requests as Linux sends them", () => {
  for (const [hex, expected] of recorded)
    expect(decodeWhole(Uint8Array.fromHex(hex))).toEqual(expected);
  expect(decodeHeader(Uint8Array.fromHex(recordedLookup))).toEqual({
    ok: true,
    value: { opcode: 1, unique: { low: 16, high: 0 }, nodeid: 1, uid: 0, gid: 0, pid: 817 },
  });
});

test("request numbers are kept exactly", () => {
  const bytes = Uint8Array.fromHex(recordedLookup);
  bytes.set([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 8);
  const header = decodeHeader(bytes);
  expect(header.ok && header.value.unique).toEqual({ low: 0xffff_fffe, high: 0xffff_ffff });
});

const name = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => byteString(bytes.map((byte) => (byte === 0 || byte === 47 ? 65 : byte))));
const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const small = fc.integer({ min: 0, max: 0xffff_ffff });
const optional = (of: fc.Arbitrary<number>) => fc.option(of, { nil: undefined });

type Sample = readonly [opcode: number, body: Uint8Array, expected: RequestBody];
const sample = (opcode: number, body: Uint8Array, expected: RequestBody): Sample => [
  opcode,
  body,
  expected,
];
const change = fc.record({
  mode: optional(fc.integer({ min: 0, max: 0o7777 })),
  uid: optional(small),
  gid: optional(small),
  size: optional(number),
  mtime: optional(small),
});
const forgotten = fc.array(fc.record({ nodeid: number, count: number }), { maxLength: 9 });

const samples: fc.Arbitrary<Sample> = fc.oneof(
  name.map((n) => sample(opcodes.lookup, bodies.name(n), { kind: "lookup", name: n })),
  name.map((n) => sample(opcodes.rmdir, bodies.name(n), { kind: "remove", name: n })),
  name.map((n) => sample(opcodes.mkdir, bodies.mkdir(n), { kind: "mkdir", name: n })),
  name.map((n) =>
    sample(opcodes.create, bodies.create(n), {
      kind: "create",
      name: n,
      exclusive: false,
      truncate: false,
    }),
  ),
  fc
    .tuple(name, small)
    .map(([n, mode]) =>
      sample(opcodes.mknod, bodies.mknod(n, mode), { kind: "mknod", name: n, mode }),
    ),
  fc.tuple(name, name, number, small).map(([n, targetName, targetParent, flags]) =>
    sample(opcodes.rename2, bodies.rename2(targetParent, flags, n, targetName), {
      kind: "rename",
      name: n,
      targetName,
      targetParent,
      flags,
    }),
  ),
  fc.tuple(name, name, number).map(([n, targetName, targetParent]) =>
    sample(opcodes.rename, bodies.rename(targetParent, n, targetName), {
      kind: "rename",
      name: n,
      targetName,
      targetParent,
      flags: 0,
    }),
  ),
  change.map((c) => sample(opcodes.setattr, bodies.setattr(c), { kind: "setattr", change: c })),
  fc
    .tuple(number, number, small)
    .map(([fh, offset, size]) =>
      sample(opcodes.read, bodies.read(fh, offset, size), { kind: "read", fh, offset, size }),
    ),
  fc.tuple(number, number, small).map(([fh, offset, size]) =>
    sample(opcodes.readdirplus, bodies.read(fh, offset, size), {
      kind: "readdir",
      fh,
      offset,
      size,
      plus: true,
    }),
  ),
  fc
    .tuple(number, number, fc.uint8Array({ minLength: 1, maxLength: 200 }))
    .map(([fh, offset, data]) =>
      sample(opcodes.write, bodies.write(fh, offset, data), {
        kind: "write",
        fh,
        offset,
        data,
        append: false,
        isSync: false,
      }),
    ),
  number.map((count) =>
    sample(opcodes.forget, bodies.forget(count), { kind: "forget", nodes: [{ nodeid: 0, count }] }),
  ),
  forgotten.map((nodes) =>
    sample(opcodes.batchForget, bodies.batchForget(nodes), { kind: "forget", nodes }),
  ),
  small.map((low) =>
    sample(opcodes.interrupt, bodies.interrupt(low), {
      kind: "interrupt",
      unique: { low, high: 0 },
    }),
  ),
);
/** What may be cut behind its first field: later versions of the protocol made these longer. */
const growing: fc.Arbitrary<Sample> = fc.oneof(
  number.map((fh) => sample(opcodes.release, bodies.release(fh), { kind: "release", fh })),
  number.map((fh) => sample(opcodes.releasedir, bodies.release(fh), { kind: "releasedir", fh })),
  fc.tuple(small, small, small).map(([major, minor, flags]) =>
    sample(opcodes.init, bodies.init(major, minor, flags), {
      kind: "init",
      init: { major, minor, maxReadahead: 131_072, flags, flags2: 0 },
    }),
  ),
);

test("every request comes out as it went in", () => {
  fc.assert(
    fc.property(fc.oneof(samples, growing), ([opcode, body, expected]) => {
      expect(decodeWhole(request(opcode, body))).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

test("a request that is cut anywhere before its end is refused", () => {
  fc.assert(
    fc.property(samples, fc.nat(), ([opcode, body], at) => {
      const cut = request(opcode, body.subarray(0, at % body.length));
      expect(decodeWhole(cut)).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

test("hostile bytes never throw", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(
        fc.oneof(samples, growing),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
      )
      .map(([[opcode, body], edits]) => {
        const mutated = request(opcode, body).slice();
        for (const [at, value] of edits) mutated[at % mutated.length] = value;
        return mutated;
      }),
  );
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 60 }), (input, opcode) => {
      decodeWhole(input);
      decodeBody(opcode, input);
    }),
    { numRuns: 10_000 },
  );
});

test("lengths, names and counts are checked", () => {
  expect(decodeHeader(new Uint8Array(39)).ok).toBe(false);
  const lookup = request(opcodes.lookup, bodies.name("a"));
  expect(decodeHeader(joinBytes([lookup, new Uint8Array(1)])).ok).toBe(false);
  for (const bad of ["", "a/b", "x".repeat(4097)])
    expect(decodeWhole(request(opcodes.lookup, bodies.name(bad)))).toBeUndefined();
  const unended = bodies.name("abc").subarray(0, 3);
  expect(decodeWhole(request(opcodes.lookup, unended))).toBeUndefined();
  const large = new Uint8Array(writeBytesMax + 1);
  expect(decodeWhole(request(opcodes.write, bodies.write(1, 0, large)))).toBeUndefined();
  expect(decodeWhole(request(opcodes.write, bodies.write(1, 0, large.subarray(1))))?.kind).toBe(
    "write",
  );
  const forget = bodies.batchForget([{ nodeid: 5, count: 1 }]);
  new DataView(forget.buffer, forget.byteOffset).setUint32(0, 0xffff_ffff, true);
  expect(decodeWhole(request(opcodes.batchForget, forget))).toBeUndefined();
});

test("what we do not know is said to be unsupported", () => {
  for (const opcode of [0, 6, 21, 22, 23, 34, 39, 43, 46, 47, 50, 52, 4096])
    expect(decodeWhole(request(opcode, bodies.empty()))).toEqual({ kind: "unsupported" });
});
