import { expect, test } from "bun:test";
import { initFlags, initFlags2, protocolMinor } from "./abi.ts";
import {
  DirectoryReply,
  encodeAttributes,
  encodeAttributesInvalid,
  encodeCreate,
  encodeEntry,
  encodeInit,
  encodeOpen,
  encodeReplyHeader,
  encodeStatfs,
  encodeWritten,
  typeBits,
} from "./reply.ts";
import { readNames } from "../../../test/double/fuse-kernel.ts";

const attributes = {
  timeNs: 7,
  ino: 0x0102_0304_0506,
  size: 5000,
  blocks: 2,
  time: 1_700_000_000,
  mode: typeBits("file") | 0o640,
  links: 1,
  uid: 0,
  gid: 33,
};

/** Offsets are those of struct fuse_attr in the kernel's header. */
function checkAttr(view: DataView, at: number): void {
  expect(view.getBigUint64(at, true)).toBe(0x0102_0304_0506n);
  expect(view.getBigUint64(at + 8, true)).toBe(5000n);
  expect(view.getBigUint64(at + 16, true)).toBe(2n);
  for (const time of [24, 32, 40]) expect(view.getBigUint64(at + time, true)).toBe(1_700_000_000n);
  expect([48, 52, 56].map((nanos) => view.getUint32(at + nanos, true))).toEqual([0, 7, 0]);
  expect(view.getUint32(at + 60, true)).toBe(0o100640);
  expect(view.getUint32(at + 64, true)).toBe(1);
  expect(view.getUint32(at + 68, true)).toBe(0);
  expect(view.getUint32(at + 72, true)).toBe(33);
  expect(view.getUint32(at + 76, true)).toBe(0);
  expect(view.getUint32(at + 80, true)).toBe(4096);
  expect(view.getUint32(at + 84, true)).toBe(0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

test("entries and attributes", () => {
  const entry = encodeEntry({ nodeid: 9, attributes });
  expect(entry.length).toBe(128);
  const view = viewOf(entry);
  expect([0, 8, 16, 24].map((at) => view.getBigUint64(at, true))).toEqual([9n, 1n, 3600n, 0n]);
  checkAttr(view, 40);
  const attr = encodeAttributes(attributes, 1);
  expect(attr.length).toBe(104);
  expect(viewOf(attr).getBigUint64(0, true)).toBe(1n);
  checkAttr(viewOf(attr), 16);
  const created = encodeCreate({ nodeid: 9, attributes }, 77, 1);
  expect(created.length).toBe(144);
  expect([...created.subarray(128)]).toEqual([...encodeOpen(77, 1)]);
  expect(encodeOpen(77, 1).toHex()).toBe("4d000000000000000100000000000000");
  expect(encodeWritten(4096).toHex()).toBe("0010000000000000");
});

test("statfs", () => {
  const bytes = encodeStatfs({
    blockSize: 4096,
    blocks: 32_768,
    blocksFree: 31_926,
    files: 262_144,
    filesFree: 262_079,
    nameMax: 256,
  });
  expect(bytes.length).toBe(80);
  const view = viewOf(bytes);
  expect([0, 8, 16, 24, 32].map((at) => Number(view.getBigUint64(at, true)))).toEqual([
    32_768, 31_926, 31_926, 262_144, 262_079,
  ]);
  expect([40, 44, 48].map((at) => view.getUint32(at, true))).toEqual([4096, 256, 4096]);
});

test("INIT is negotiated down, answered up, and refused when too old", () => {
  const init = (major: number, minor: number, flags = 0xffff_ffff, flags2 = 0xffff_ffff) =>
    encodeInit({ major, minor, maxReadahead: 1 << 20, flags, flags2 });
  const now = init(7, 45)!;
  expect(now.length).toBe(64);
  const view = viewOf(now);
  expect([0, 4, 8].map((at) => view.getUint32(at, true))).toEqual([7, protocolMinor, 131_072]);
  expect(view.getUint32(12, true)).toBe(
    initFlags.bigWrites |
      initFlags.autoInvalData |
      initFlags.doReaddirplus |
      initFlags.readdirplusAuto |
      initFlags.parallelDirops |
      initFlags.initExt,
  );
  expect(view.getUint32(20, true)).toBe(131_072);
  expect(view.getUint32(32, true)).toBe(initFlags2.directIoAllowMmap);
  expect(viewOf(init(7, 45, 0xffff_ffff, 0)!).getUint32(32, true)).toBe(0);
  expect(viewOf(init(7, 45, initFlags.bigWrites)!).getUint32(12, true)).toBe(initFlags.bigWrites);
  const old = init(7, 22)!;
  expect(old.length).toBe(24);
  expect(viewOf(old).getUint32(4, true)).toBe(22);
  expect(viewOf(init(8, 1)!).getUint32(0, true)).toBe(7);
  expect(init(7, 11)).toBeUndefined();
  expect(init(6, 99)).toBeUndefined();
});

test("reply headers and invalidations", () => {
  const header = new Uint8Array(16);
  encodeReplyHeader(viewOf(header), { low: 8, high: 0x8000_0000 }, 13, 0);
  expect(header.toHex()).toBe("10000000f3ffffff0800000000000080");
  encodeReplyHeader(viewOf(header), { low: 8, high: 0 }, 0, 104);
  expect(header.toHex()).toBe("78000000000000000800000000000000");
  expect(encodeAttributesInvalid(5).toHex()).toBe(
    "28000000020000000000000000000000" +
      "0500000000000000" +
      "ffffffffffffffff" +
      "0000000000000000",
  );
});

test("directory replies hold whole, padded entries and no more than asked for", () => {
  const names = [".", "..", "a", "seven77", "eight888", "\xc3\xa4", "x".repeat(255)];
  for (const isPlus of [false, true]) {
    for (const size of [0, 23, 32, 64, 200, 256, 500, 4096]) {
      const reply = new DirectoryReply(size, isPlus);
      let count = 0;
      for (const name of names) {
        if (!reply.fits(name)) break;
        const entry = name.startsWith(".") ? undefined : { nodeid: 40 + count, attributes };
        reply.add({ name, ino: 40 + count, type: "file", nextOffset: count + 1 }, entry);
        count += 1;
      }
      const bytes = reply.finish();
      expect(bytes.length).toBeLessThanOrEqual(size);
      expect(bytes.length % 8).toBe(0);
      const read = readNames(bytes, isPlus);
      expect(read.map(({ nextOffset }) => nextOffset)).toEqual(read.map((_, i) => i + 1));
      expect(read.length).toBe(count);
      if (size === 4096) {
        expect(read.map(({ name }) => name)).toEqual(names.with(5, "ä"));
        if (isPlus) expect(read.map(({ nodeid }) => nodeid)).toEqual([0, 0, 42, 43, 44, 45, 46]);
      }
    }
  }
});
