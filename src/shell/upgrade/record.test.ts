import { expect, test } from "bun:test";
import fc from "fast-check";
import type { UpgradeRecord } from "./events.ts";
import { decodeBadBuilds, decodeEventLine, decodeRecord, encodeRecord } from "./record.ts";

const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const short = fc.string({ maxLength: 40 });
const ids = fc.array(fc.nat(2000), { maxLength: 8 });
const records: fc.Arbitrary<UpgradeRecord> = fc.record({
  format: fc.constant(1 as const),
  from: fc.record({ version: short, sha256: hash }),
  to: fc.record({ version: short, sha256: hash }),
  phase: fc.constantFrom("staged" as const, "probation" as const, "rollingBack" as const),
  before: fc.array(
    fc.oneof(
      fc.record({
        role: fc.constant("node" as const),
        version: short,
        ringState: short,
        isSynchronising: fc.boolean(),
        members: ids,
        isQuorate: fc.boolean(),
        treeMode: short,
        treeVersion: fc.maxSafeNat(),
        treeMembers: ids,
        isTreeDifferent: fc.boolean(),
      }),
      fc.record({
        role: fc.constant("qnetd" as const),
        version: short,
        clusters: fc.array(fc.record({ name: short, nodes: ids }), { maxLength: 5 }),
      }),
    ),
    { maxLength: 2 },
  ),
  isRestarted: fc.boolean(),
  attempts: fc.nat(100),
  reason: short,
  patience: fc.record({ healthyMs: fc.nat(), silentMsMax: fc.nat(), unhealthyMsMax: fc.nat() }),
});

test("a record is read as it was written", () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(decodeRecord(encodeRecord(record))).toEqual({ ok: true, value: record });
    }),
  );
});

test("what a later version adds is passed over", () => {
  fc.assert(
    fc.property(records, (record) => {
      const later = JSON.stringify({ ...record, more: { than: "now" } });
      expect(decodeRecord(later)).toEqual({ ok: true, value: record });
    }),
    { numRuns: 20 },
  );
});

test("a damaged record is refused with a reason, never thrown", () => {
  fc.assert(
    fc.property(records, fc.nat(), fc.string({ maxLength: 3 }), (record, at, piece) => {
      const whole = encodeRecord(record);
      const place = at % whole.length;
      const read = decodeRecord(`${whole.slice(0, place)}${piece}${whole.slice(place + 2)}`);
      if (!read.ok) expect(read.reason.length).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
  for (const text of ["", "{}", "null", "[]", "7", `{"format":2}`]) {
    expect(decodeRecord(text).ok).toBe(false);
  }
});

test("any text at all", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      for (const read of [decodeRecord(text), decodeBadBuilds(text), decodeEventLine(text)]) {
        expect(typeof read.ok).toBe("boolean");
      }
    }),
    { numRuns: 500 },
  );
});
