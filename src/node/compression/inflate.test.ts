// What knet's seven compression libraries made of two messages (test/golden/compressed.json) is opened; damage is refused, and
// nothing opens to more than a message. Spec: knet.md §5.
import { describe, expect, test } from "bun:test";
import { deflateSync, inflateSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import golden from "../../../test/golden/compressed.json";
import { libraries, openLibrary } from "./library.ts";
import { compressionProblem, inflate } from "./inflate.ts";
import { openLz4 } from "./lz4.ts";
import { openLzo } from "./lzo.ts";

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const OPENED_BYTES_MAX = 66_560;

const vectors = golden.flatMap(({ plain, opened }) =>
  opened.map(({ method, library, data }) => ({ method, library, data: bytes(data), plain })),
);

test.each(vectors)("$library opens to the message", ({ method, data, plain }) => {
  expect(inflate(method, data)).toEqual(new Uint8Array(inflateSync(bytes(plain))));
});

test("damaged and cut data is refused or opens to something bounded, and never throws", () => {
  const change = fc.tuple(fc.oneof(fc.nat(30), fc.nat(70_000)), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...vectors),
      fc.array(change, { maxLength: 3 }),
      fc.option(fc.nat(70_000)),
      fc.nat(8),
      ({ method, data }, changes, cut, otherMethod) => {
        const damaged = data.slice(0, cut ?? data.length);
        for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
        for (const as of [method, otherMethod]) {
          const opened = inflate(as, damaged);
          if (typeof opened !== "string") {
            expect(opened.length).toBeLessThanOrEqual(OPENED_BYTES_MAX);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("LZ4 and LZO1X: any bytes end within the room that there is", () => {
  const likely = fc.oneof(fc.constantFrom(0, 15, 16, 17, 31, 32, 240, 255), fc.nat(255));
  fc.assert(
    fc.property(fc.array(likely, { maxLength: 200 }), fc.nat(300), (list, room) => {
      for (const open of [openLz4, openLzo]) {
        const into = new Uint8Array(room);
        expect(open(Uint8Array.from(list), into) ?? 0).toBeLessThanOrEqual(room);
      }
    }),
    { numRuns: 3000 },
  );
});

test("bombs are refused", () => {
  const bomb = new Uint8Array(50_000_000);
  const zeros = new Uint8Array(300_000).fill(255);
  expect(inflate(1, deflateSync(bomb))).toBe("compressed with zlib, but damaged or too large");
  expect(inflate(7, zstdCompressSync(bomb))).toBe("compressed with zstd, but damaged or too large");
  // A literal, then one copy that never ends: 255 is "longer" to LZ4, 0 to LZO1X.
  const lz4 = Uint8Array.from([0x1f, 7, 1, 0, ...zeros]);
  expect(inflate(2, lz4)).toContain("too large");
  const lzo = Uint8Array.from([18, 7, 0x20, ...new Uint8Array(300_000), 1, 0, 0, 17, 0, 0]);
  expect(inflate(4, lzo)).toContain("too large");
  // One million zeros of libbz2 1.0.8.
  const bzip2 = "QlpoOTFBWSZTWXnTnkgAB6jAQMAAAAIACCAAMMwJqmmVJDapSQ8XckU4UJB5055I";
  expect(inflate(6, bytes(bzip2))).toContain("too large");
});

test("lzma gets no more memory than knet's highest level needs", () => {
  const data = vectors.find(({ method }) => method === 5)?.data.slice() ?? new Uint8Array(0);
  // The header of the first block: its length, flags, filter LZMA2 with one byte that is the dictionary's size, padding, CRC.
  const header = data.subarray(12, 24);
  expect([...header.subarray(0, 5)]).toEqual([2, 0, 0x21, 1, 28]);
  const withDictionary = (size: number): Uint8Array => {
    header[4] = size;
    const crc = Bun.hash.crc32(header.subarray(0, 8));
    new DataView(header.buffer, header.byteOffset).setUint32(8, crc, true);
    return data;
  };
  expect(inflate(5, withDictionary(28))).toHaveLength(700);
  // 96 MiB, then 4 GiB.
  expect(inflate(5, withDictionary(29))).toContain("too large");
  expect(inflate(5, withDictionary(40))).toContain("too large");
});

describe("what cannot be opened", () => {
  test("nothing of knet's list is missing where these tests run", () => {
    for (const model of ["none", "zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"]) {
      expect(compressionProblem(model)).toBeUndefined();
    }
  });

  test("a missing library is named, with how to get it", () => {
    const absent = openLibrary({ ...libraries.lzma, names: ["libabsent.so.5", "libabsent.so"] });
    expect(absent).toContain(
      "the library libabsent.so.5 is missing (apt install liblzma5, or the package xz-libs of other distributions): ",
    );
  });

  test("unknown methods and empty data", () => {
    expect(inflate(8, new Uint8Array(4))).toBe("compression method 8 is unknown");
    expect(inflate(0, new Uint8Array(4))).toBe("compression method 0 is unknown");
    for (const method of [1, 2, 3, 4, 5, 6, 7]) {
      expect(inflate(method, new Uint8Array(0))).toContain("damaged or too large");
    }
  });
});
