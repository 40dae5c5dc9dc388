// The ASN.1 reader and writer: each form of a length, numbers and names there and back, and bytes that are nothing.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  at,
  bits,
  bmpBytes,
  type Element,
  writeElement,
  integer,
  objectIdentifier,
  octets,
  readElement,
  writeSequence,
  writeSet,
  tags,
  text,
  writeBits,
  writeInteger,
  writeObjectIdentifier,
  writeOctets,
} from "./der.ts";

const hex = (digits: string): Uint8Array => Uint8Array.fromHex(digits.replaceAll(" ", ""));
const readOrThrow = (bytes: Uint8Array, rules: "der" | "ber" = "der"): Element => {
  const read = readElement(bytes, rules);
  if (!read.ok) throw new Error(read.reason);
  return read.value;
};
const refusal = (digits: string, rules: "der" | "ber"): string => {
  const read = readElement(hex(digits), rules);
  return read.ok ? "" : read.reason;
};
const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dir, "../../../test/golden/qnetd", name)));

describe("reading", () => {
  test("what each rule allows", () => {
    expect(readOrThrow(hex("30 03 02 01 05")).children.map(integer)).toEqual([5]);
    expect(readOrThrow(hex("30 80 02 01 05 00 00"), "ber").content).toEqual(hex("02 01 05"));
    expect(refusal("30 80 02 01 05 00 00", "der")).toBe("a length is missing");
    expect(refusal("04 80 00 00", "ber")).toBe("a length is missing");
    expect(refusal("04 81 01 00", "der")).toBe("a length is not in its shortest form");
    expect(refusal("04 82 00 80", "der")).toBe("a length is not in its shortest form");
    expect(readOrThrow(hex("04 82 00 01 07"), "ber").content).toEqual(hex("07"));
    expect(refusal("04 85 00 00 00 00 01 07", "ber")).toBe("a length is too long");
    expect(refusal("1f 81 01 00", "ber")).toBe("it has a tag of another format");
    expect(refusal("02 01 05 00", "ber")).toBe("something follows its end");
    for (const short of ["", "30", "30 05 02 01 05", "30 03 02 02 05", "30 80 02 01 05", "04 84"]) {
      expect(refusal(short, "ber")).toBe("it is cut short");
    }
  });

  test("neither depth nor number is without a bound", () => {
    expect(refusal("30 80".repeat(500), "ber")).toBe("it is nested too deeply");
    expect(refusal(`30 83 00 9c 42 ${"05 00".repeat(20_001)}`, "ber")).toBe(
      "it has too many elements",
    );
  });

  test("pieces of an octet string", () => {
    expect(octets(readOrThrow(hex("24 80 04 01 61 24 03 04 01 62 00 00"), "ber"))).toEqual(
      hex("6162"),
    );
  });

  test("what is not there is empty, at any depth", () => {
    const none = at(readOrThrow(hex("30 03 02 01 05")), 1, 7, 0);
    expect([none.tag, none.content.length, integer(none), bits(none), text(none)]).toEqual([
      -1,
      0,
      undefined,
      undefined,
      undefined,
    ]);
    expect(objectIdentifier(none)).toBe("");
  });

  test("numbers and identifiers that are out of range", () => {
    expect(integer(readOrThrow(hex("02 01 ff")))).toBeUndefined();
    expect(integer(readOrThrow(hex("02 07 01 00 00 00 00 00 00")))).toBeUndefined();
    expect(objectIdentifier(readOrThrow(hex("06 02 2a 86")))).toBe("");
    expect(objectIdentifier(readOrThrow(hex(`06 0c 2a ${"ff".repeat(10)} 7f`)))).toBe("");
    expect(bits(readOrThrow(hex("03 02 01 80")))).toBeUndefined();
  });

  test("strings of every kind; ill-formed ones are none", () => {
    expect(text(readOrThrow(hex("13 03 6c 61 62")))).toBe("lab");
    expect(text(readOrThrow(hex("0c 03 e2 98 83")))).toBe("☃");
    expect(text(readOrThrow(hex("1e 02 26 03")))).toBe("☃");
    expect(text(readOrThrow(hex("0c 02 e2 98")))).toBeUndefined();
    expect(text(readOrThrow(hex("1e 03 26 03 00")))).toBeUndefined();
    expect(text(readOrThrow(hex("04 01 61")))).toBeUndefined();
  });
});

describe("writing", () => {
  test("is read back", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.uint8Array({ maxLength: 70_000 }), (number, bytes) => {
        const made = writeSequence(
          writeOctets(bytes),
          writeSet(writeInteger(number)),
          writeBits(bytes),
        );
        const read = readOrThrow(made);
        expect(octets(at(read, 0)).toHex()).toBe(bytes.toHex());
        expect(bits(at(read, 2))?.toHex()).toBe(bytes.toHex());
        if (number < 2 ** 47) expect(integer(at(read, 1, 0))).toBe(number);
      }),
      { numRuns: 100 },
    );
  });

  test("is the one shortest form", () => {
    expect([0, 127, 128, 65_535, 2 ** 47].map((value) => writeInteger(value).toHex())).toEqual([
      "020100",
      "02017f",
      "02020080",
      "020300ffff",
      "020700800000000000",
    ]);
    for (const size of [0, 127, 128, 255, 256, 65_535, 65_536]) {
      expect(readOrThrow(writeOctets(new Uint8Array(size))).content.length).toBe(size);
    }
    expect(writeObjectIdentifier("1.2.840.113549.1.1.11").toHex()).toBe("06092a864886f70d01010b");
    expect(writeObjectIdentifier("2.16.840.1.101.3.4.2.1").toHex()).toBe("0609608648016503040201");
    const arcs = fc.tuple(fc.nat(2), fc.nat(39), fc.array(fc.nat(2 ** 40), { maxLength: 6 }));
    fc.assert(
      fc.property(arcs, ([first, second, more]) => {
        const dots = [first, second, ...more].join(".");
        expect(objectIdentifier(readOrThrow(writeObjectIdentifier(dots)))).toBe(dots);
      }),
      { numRuns: 300 },
    );
  });

  test("names", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        expect(text(readOrThrow(writeElement(tags.bmpString, bmpBytes(name))))).toBe(name);
      }),
      { numRuns: 100 },
    );
  });
});

describe("hostile bytes", () => {
  const files = ["nss-server.p12", "nss-node.crq"].map(golden);
  /** Every element lies inside its parent, in order and without overlap. */
  function checkInside(parent: Element): void {
    let end = parent.content.byteOffset;
    for (const child of parent.children) {
      expect(child.bytes.byteOffset).toBe(end);
      end += child.bytes.length;
      checkInside(child);
    }
    expect(end).toBe(
      parent.children.length === 0
        ? parent.content.byteOffset
        : parent.content.byteOffset + parent.content.length,
    );
  }

  test("damaged real files: never thrown, never over-read", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...files), damage, fc.nat(), (file, hits, cut) => {
        const bytes = file.slice(0, cut % 4 === 0 ? cut % file.length : undefined);
        for (const [where, value] of hits)
          if (bytes.length > 0) bytes[where % bytes.length] = value;
        for (const rules of ["der", "ber"] as const) {
          const read = readElement(bytes, rules);
          if (read.ok) checkInside(read.value);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const read = readElement(bytes, "ber");
        if (read.ok) checkInside(read.value);
        const wrapped = readElement(writeElement(tags.sequence, bytes), "ber");
        if (wrapped.ok) checkInside(wrapped.value);
      }),
      { numRuns: 3000 },
    );
  });
});
