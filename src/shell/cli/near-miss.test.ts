import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { distance, nearest } from "./near-miss.ts";

const words = ["node", "qnetd", "qdevice", "status", "fs", "reload", "completion", "man"];

describe("the word that was meant", () => {
  test.each([
    ["stauts", "status"],
    ["Status", "status"],
    ["stat", "status"],
    ["statuss", "status"],
    ["qnet", "qnetd"],
    ["qdevcie", "qdevice"],
    ["ndoe", "node"],
    ["realod", "reload"],
    ["compl", "completion"],
  ])("%s is %s", (typed, meant) => {
    expect(nearest(typed, words)).toBe(meant);
  });

  test.each([["xyz"], ["start"], [""], ["quorum"], ["s".repeat(1000)]])(
    "%s is none of them",
    (typed) => {
      expect(nearest(typed, words)).toBeUndefined();
    },
  );

  test("one slip of four kinds is a distance of one", () => {
    for (const slip of ["statu", "statuss", "statux", "sattus"]) {
      expect(distance("status", slip)).toBe(1);
    }
    expect(distance("", "abc")).toBe(3);
  });

  test("distance is a symmetric measure", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
    fc.assert(
      fc.property(letters, letters, (one, other) => {
        const far = distance(one, other);
        expect(far).toBe(distance(other, one));
        expect(far === 0).toBe(one === other);
        expect(far).toBeLessThanOrEqual(Math.max(one.length, other.length));
        expect(far).toBeGreaterThanOrEqual(Math.abs(one.length - other.length));
      }),
    );
  });
});
