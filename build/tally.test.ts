import { expect, test } from "bun:test";
import { countOf, namesOf, sumLines, toldOf } from "./tally.ts";

const summary = (lines: readonly string[]): string =>
  `a.test.ts:\n 9 pass\n(pass) x\n\n\n${lines.map((line) => ` ${line}`).join("\n")}\nRan 5 tests across 2 files. [1s]\n`;

test.each([
  [["5 pass", "0 fail"], 0, { passed: 5, failed: 0, skipped: 0 }],
  [["3 pass", "1 skip", "1 todo", "1 fail", "1 error"], 1, { passed: 3, failed: 2, skipped: 2 }],
  // Ends badly although every test passed: an error outside of a test, or killed.
  [["5 pass", "0 fail"], 1, { passed: 5, failed: 1, skipped: 0 }],
])("bun test %j with exit code %d", (lines, code, expected) => {
  expect(countOf("bun", summary(lines), code)).toEqual(expected);
});

test("a suite without tests, or without a summary, failed", () => {
  expect(countOf("bun", summary([]), 0).failed).toBe(1);
  expect(countOf("bun", "", 0).failed).toBe(1);
  expect(countOf("line", "did something\n", 0).failed).toBe(1);
});

test("own runners count by their closing line", () => {
  expect(countOf("line", "1 passed, 7 failed\n…\n12 passed, 0 failed\n", 0)).toEqual({
    passed: 12,
    failed: 0,
    skipped: 0,
  });
  expect(countOf("line", "12 passed, 2 failed\n", 1).failed).toBe(2);
  expect(countOf("line", "12 passed, 0 failed\n", 137).failed).toBe(1);
  expect(countOf("line", "skipped: corosync not installed\n", 0)).toEqual({
    passed: 0,
    failed: 0,
    skipped: 1,
  });
});

test("a plain command counts as one", () => {
  expect(countOf("exit", "", 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  expect(countOf("exit", "", 3)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("the closing sum names what failed and what was skipped", () => {
  const bun =
    "(pass) a\n(fail) keys > b [12.50ms]\nb.test.ts:\n(skip) c\n(fail) keys > b [1ms]\n(todo) d\n";
  expect(namesOf("bun", bun)).toEqual({ failed: ["keys > b"], skipped: ["c", "d"] });
  const line =
    "ok    a\nFAIL  1+2 aes  idle   3.0 s  a reason\n      n1 | FAIL\n1 passed, 1 failed\n";
  expect(namesOf("line", line)).toEqual({
    failed: ["1+2 aes  idle   3.0 s  a reason"],
    skipped: [],
  });
  expect(namesOf("line", "skipped: needs root\n").skipped).toEqual(["needs root"]);
  expect(
    sumLines("x", { passed: 1, failed: 1, skipped: 1 }, { failed: ["b"], skipped: ["c"] }).slice(1),
  ).toEqual(["    failed: b", "    skipped: c"]);
  const none = { failed: [], skipped: [] };
  expect(sumLines("x", { passed: 1, failed: 0, skipped: 0 }, none)).toHaveLength(1);
  expect(sumLines("x", { passed: 1, failed: 1, skipped: 0 }, none)[1]).toContain("ended badly");
});

test("what a failed test said stands in the closing sum", () => {
  const output =
    "a.test.ts:\n(pass) a\n\nerror: 2 is not 3\n  at x.ts:1\n(fail) b [1ms]\nmore\n(pass) c\n\n1 tests failed:\n(fail) b [1ms]\n";
  expect(toldOf("bun", output)).toEqual([
    ...["failed: b [1ms]", "    error: 2 is not 3", "      at x.ts:1"],
  ]);
  const long = `(pass) a\n${"line\n".repeat(100)}${"x".repeat(1000)}\n(fail) b\n`;
  expect(toldOf("bun", long)).toHaveLength(31);
  expect(toldOf("bun", long).at(-1)).toHaveLength(204);
  expect(toldOf("line", output)).toEqual([]);
});
