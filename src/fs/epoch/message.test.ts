// Codecs of our own group and of the database's own table: both ways, limits, hostile bytes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { numberMax } from "../disk/row.ts";
import { beginningsMax, decodeLineage, encodeLineage, type Lineage } from "./lineage.ts";
import { decodeOwn, encodeOwn, type OwnMessage } from "./message.ts";

const u32 = fc.nat(0xffff_ffff);
const number = fc.nat({ max: numberMax });
const exchange = fc.record({ epoch: u32, time: u32, nodeid: u32, pid: u32 });
const lineage: fc.Arbitrary<Lineage> = fc.record({
  mark: fc.record({ number, exchange }),
  promised: number,
  history: fc.array(fc.record({ number, exchange, version: number }), {
    maxLength: beginningsMax,
  }),
  isForeign: fc.boolean(),
});
const constant = <const K extends string>(kind: K) => fc.constant(kind);
const message: fc.Arbitrary<OwnMessage> = fc.oneof(
  fc.record({
    ...{ kind: constant("state"), exchange, flushes: fc.boolean(), ringSeq: number },
    lineage,
  }),
  fc.record({ kind: constant("promised"), exchange, number }),
  fc.record({ kind: constant("durable"), exchange, number, version: number }),
  fc.record({ kind: constant("asked"), exchange, number, version: number }),
);

describe("messages of our own group", () => {
  test("both ways", () => {
    fc.assert(
      fc.property(message, (each) => {
        expect(decodeOwn(encodeOwn(each))).toEqual({ ok: true, value: each });
      }),
    );
  });

  test("cut, longer, or with any byte changed: refused or another message, never thrown", () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), (each, at, byte) => {
        const bytes = encodeOwn(each);
        expect(decodeOwn(bytes.subarray(0, at % bytes.length)).ok).toBe(false);
        expect(decodeOwn(Uint8Array.of(...bytes, 0)).ok).toBe(false);
        const changed = bytes.slice();
        changed[at % bytes.length] = byte;
        const read = decodeOwn(changed);
        if (read.ok) expect(decodeOwn(encodeOwn(read.value))).toEqual(read);
      }),
    );
  });

  test("any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeOwn(bytes);
        decodeLineage(bytes);
      }),
    );
  });

  test("a version that is not known here says so", () => {
    const bytes = encodeOwn({
      kind: "promised",
      exchange: { epoch: 1, time: 2, nodeid: 3, pid: 4 },
      number: 5,
    });
    bytes[0] = 2;
    expect(decodeOwn(bytes)).toEqual({ ok: false, reason: "version 2 is not known here" });
  });

  test("a list that is longer than any of ours is refused before it is read", () => {
    const head = new Uint8Array(1 + 8 + 16 + 8 + 1 + 2);
    head[0] = 1;
    head.fill(0xff, 34);
    expect(decodeLineage(head).ok).toBe(false);
  });
});

test("a lineage as the database keeps it", () => {
  fc.assert(
    fc.property(lineage, (each) => {
      expect(decodeLineage(encodeLineage(each))).toEqual({ ok: true, value: each });
    }),
  );
});
