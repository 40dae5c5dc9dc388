import { expect, test } from "bun:test";
import { Stability } from "./stability.ts";

test("counts of the ring become counts of what local processes were told", () => {
  const stability = new Stability();
  for (const told of [0, 1, 0, 1, 1]) stability.delivered(told);
  expect(stability.stable(1)).toBeUndefined();
  expect(stability.stable(3)).toBe(1);
  expect(stability.stable(3)).toBeUndefined();
  expect(stability.stable(5)).toBe(3);
  stability.delivered(1);
  expect(stability.stable(5)).toBeUndefined();
  expect(stability.stable(9)).toBe(4);
});

test("a new ring: silence until its services agree, then everything delivered before it is stable", () => {
  const stability = new Stability();
  stability.delivered(1);
  stability.delivered(1);
  stability.ringChanged();
  stability.delivered(0);
  expect(stability.stable(3)).toBeUndefined();
  expect(stability.synchronised()).toBe(2);
  stability.delivered(1);
  expect(stability.synchronised()).toBeUndefined();
  expect(stability.stable(4)).toBe(3);
});

test("a ring that changes again before its services agree", () => {
  const stability = new Stability();
  stability.delivered(1);
  stability.ringChanged();
  stability.ringChanged();
  expect(stability.synchronised()).toBe(1);
});
