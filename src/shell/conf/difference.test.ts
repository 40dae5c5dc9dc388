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

test.skipIf(Bun.which("patch") === null)(
  "property: patch makes the new text of the old one",
  () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 }).map(lines);
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
