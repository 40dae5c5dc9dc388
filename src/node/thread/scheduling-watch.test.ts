// A look every third of the token's timeout; a sentence when it comes later than four fifths of it.
import { expect, test } from "bun:test";
import { SchedulingWatch } from "./scheduling-watch.ts";

test("what is on time says nothing, what is late says how long it was", () => {
  const watch = new SchedulingWatch(3000, 0);
  expect(watch.dueAt).toBe(1000);
  expect(watch.look(1100)).toBeUndefined();
  expect(watch.dueAt).toBe(2100);
  expect(watch.look(1100 + 2400 - 1)).toBeUndefined();
  const sentence = watch.look(watch.dueAt + 1401);
  expect(sentence).toStartWith(
    "the ring thread was not scheduled for 2401 ms (threshold is 2400 ms)",
  );
});

test("another token timeout, another threshold", () => {
  const watch = new SchedulingWatch(3000, 0);
  watch.reconfigure(900);
  expect(watch.look(1000)).toContain("threshold is 720 ms");
  expect(watch.look(1300)).toBeUndefined();
});
