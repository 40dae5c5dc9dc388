import { expect, test } from "bun:test";
import { ReadAllowance, readLimits } from "./read-allowance.ts";

const limits = { burstBytes: 1000, bytesPerSecond: 100, overdraftBytes: 500 };

test("a burst, then a rate, then a pause, then the end", () => {
  const allowance = new ReadAllowance(limits, 0);
  expect(allowance.take(1000, 0)).toBe(0);
  expect(allowance.take(100, 500)).toBe(500);
  expect(allowance.take(40, 1000)).toBe(400);
  expect(allowance.take(450, 1000)).toBe(4000);
  expect(allowance.take(11, 1000)).toBeUndefined();
});

test("credit comes back up to the burst", () => {
  const allowance = new ReadAllowance(limits, 0);
  expect(allowance.take(1000, 0)).toBe(0);
  expect(allowance.take(1000, 1e6)).toBe(0);
  expect(allowance.take(1, 1e6)).toBeGreaterThan(0);
});

test("what the largest cluster and any legal message need is free", () => {
  const { burstBytes } = readLimits(32_768);
  expect(burstBytes).toBeGreaterThanOrEqual(5 * (384 * 19 + 384 * 12));
  expect(readLimits(1 << 20).burstBytes).toBe(2 << 20);
});
