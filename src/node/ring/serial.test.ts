import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  serialAtMost,
  serialBefore,
  serialDistance,
  serialMax,
  serialMin,
  serialPlus,
} from "./serial.ts";

const serial = fc.integer({ min: 0, max: 0xffff_ffff });

describe("serial numbers", () => {
  test("0 comes after 0xffffffff: the first aru of a ring is left alone by everybody but the representative", () => {
    expect(serialBefore(0xffff_ffff, 0)).toBe(true);
    expect(serialBefore(0, 0xffff_ffff)).toBe(false);
    expect(serialMin(0, 0xffff_ffff)).toBe(0xffff_ffff);
    expect(serialMax(0, 0xffff_ffff)).toBe(0);
  });

  test("plain comparison in the lower half", () => {
    expect(serialBefore(5, 6)).toBe(true);
    expect(serialBefore(6, 6)).toBe(false);
    expect(serialBefore(0, 0x8000_0000)).toBe(true);
  });

  test("a successor always comes after, also across the wrap", () => {
    fc.assert(
      fc.property(serial, fc.integer({ min: 1, max: 0x4000 }), (from, step) => {
        const to = serialPlus(from, step);
        // The one seam of the rule: from just below 0x10000 as seen from the upper half.
        fc.pre(!(from <= 0x8000_0000 && to > 0x8000_0000 && from < 0x1_0000));
        expect(serialBefore(from, to)).toBe(true);
        expect(serialAtMost(to, from)).toBe(false);
        expect(serialDistance(from, to)).toBe(step);
      }),
    );
  });

  test("exactly one of before, same, after", () => {
    fc.assert(
      fc.property(serial, serial, (a, b) => {
        const votes = [serialBefore(a, b), a === b, serialBefore(b, a)].filter(Boolean);
        expect(votes.length).toBe(1);
      }),
    );
  });
});
