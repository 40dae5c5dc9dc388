// The difference that --dry-run shows: as `diff -u` has it.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unifiedDifference } from "./difference.ts";

const lines = (text: string): string => text.split("").join("\n") + (text === "" ? "" : "\n");

test("changes with three lines around them; far ones apart; a file that comes or goes", () => {
  expect(unifiedDifference("a", "x\n", "x\n")).toBe("");
  expect(unifiedDifference("f", lines("abcdefghijkl"), lines("aBcdefghijkL"))).toBe(
    "--- a/f\n+++ b/f\n@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -9,4 +9,4 @@\n i\n j\n k\n-l\n+L\n",
  );
  expect(unifiedDifference("/etc/f", "a\n", "b\n")).toStartWith("--- a/etc/f\n+++ b/etc/f\n");
  expect(unifiedDifference("f", undefined, "a\n")).toBe(
    "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n",
  );
  expect(unifiedDifference("f", "a\nb\n", undefined)).toBe(
    "--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n",
  );
});

test("a last line that loses its end is another line; what is long and all different is told at once", () => {
  expect(unifiedDifference("f", "a\nb\n", "a\nb")).toBe(
    "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n",
  );
  const [ones, twos] = ["1\n".repeat(60_000), "2\n".repeat(60_000)];
  expect(unifiedDifference("f", ones, twos).split("\n").length).toBe(120_004);
  const changed = unifiedDifference("f", `${ones}x\n${ones}`, `${ones}y\n${ones}`);
  expect(changed).toContain("@@ -59998,7 +59998,7 @@\n 1\n 1\n 1\n-x\n+y\n 1\n");
});

test.skipIf(Bun.which("patch") === null)(
  "property: patch makes the new text of the old one",
  () => {
    const text = fc
      .string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 })
      .map(lines)
      .chain((whole) => fc.constantFrom(whole, whole.replace(/\n$/, "")));
    const directory = mkdtempSync(join(tmpdir(), "difference-"));
    try {
      fc.assert(
        fc.property(text, text, (before, after) => {
          fc.pre(before !== after && before !== "" && after !== "");
          writeFileSync(join(directory, "f"), before);
          const difference = unifiedDifference("f", before, after);
          const patch = Bun.spawnSync(["patch", "-s", "-p1", "-F0"], {
            cwd: directory,
            stdin: new TextEncoder().encode(difference),
          });
          expect(patch.stdout.toString() + patch.stderr.toString()).toBe("");
          expect(Bun.spawnSync(["cat", join(directory, "f")]).stdout.toString()).toBe(after);
        }),
        { numRuns: 30 },
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
