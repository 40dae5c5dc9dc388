import { expect, test } from "bun:test";
import { choicesFrom } from "./choices.ts";
import { perOperation, threadTimes, together } from "./processor.ts";

test("words behind ring and tree", () => {
  expect(choicesFrom([], [])).toEqual({ quick: false, json: false, rounds: 5 });
  expect(choicesFrom(["--quick", "--json"], [])).toEqual({ quick: true, json: true, rounds: 1 });
  expect(choicesFrom(["--quick", "--rounds", "3"], [])).toMatchObject({ quick: true, rounds: 3 });
  expect(choicesFrom(["--pmxcfs", "/bin/sh"], ["pmxcfs"])).toMatchObject({ pmxcfs: "/bin/sh" });
});

test.each([
  [["--fast"], 'there is no "--fast" here; there are --quick, --json, --rounds N, --pmxcfs FILE'],
  [["--rounds"], "--rounds needs a value"],
  [["--rounds", "0"], '--rounds: "0" is no number of 1 to 100'],
  [["--rounds", "two"], '--rounds: "two" is no number of 1 to 100'],
  [["--pmxcfs", "/no/such"], "--pmxcfs: there is no file /no/such"],
  [["--binary", "/bin/sh"], /^there is no "--binary" here/],
])("%p is refused with a sentence", (words, sentence) => {
  expect(choicesFrom(words, ["pmxcfs"])).toMatch(sentence);
});

test("the processor time of a thread is what the scheduler counts", () => {
  const before = threadTimes("me", process.pid);
  const used = process.cpuUsage();
  while (process.cpuUsage(used).user + process.cpuUsage(used).system < 50_000);
  const after = threadTimes("me", process.pid);
  const { allUs, threads } = perOperation(before, after, 10);
  const mainUs = (after.get("me/main") ?? 0) - (before.get("me/main") ?? 0);
  // The loop may have been at it in this thread only.
  expect(mainUs).toBeGreaterThan(20_000);
  expect(allUs).toBeGreaterThanOrEqual(mainUs / 10);
  expect(threads[0]?.[0]).toBe("me/main");
});

test("threads of one name count together, small ones are left out", () => {
  const one = new Map([
    ["a/main", 1000],
    ["a/worker", 5],
  ]);
  const before = together([one, one]);
  const after = together([one, new Map([...one, ["a/main", 3000], ["b/main", 9]])]);
  expect(before.get("a/main")).toBe(2000);
  expect(perOperation(before, after, 2)).toEqual({ allUs: 1004.5, threads: [["a/main", 1000]] });
});
