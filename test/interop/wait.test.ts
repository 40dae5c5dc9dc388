import { expect, test } from "bun:test";
import { holds, pending, ready, until } from "./wait.ts";

test("until answers what the condition found", async () => {
  let asked = 0;
  const condition = () => ((asked += 1) < 3 ? pending(`asked ${asked}`) : ready("found"));
  expect(await until(condition, 1000, "something")).toBe("found");
  expect(asked).toBe(3);
});

test("until gives up with what it saw last", async () => {
  const waiting = until(() => pending("nothing"), 30, "a miracle");
  await expect(waiting).rejects.toThrow("not within 30 ms: a miracle; last seen: nothing");
});

test("holds fails at the first break, long before the end", async () => {
  let asked = 0;
  const condition = () => ((asked += 1) === 1 ? ready(undefined) : pending("noise"));
  const begun = performance.now();
  await expect(holds(condition, 60_000, "silence")).rejects.toThrow("silence; seen: noise");
  expect(performance.now() - begun).toBeLessThan(5000);
});

test("holds ends when the time is over", async () => {
  await holds(() => ready(undefined), 20, "silence");
});
