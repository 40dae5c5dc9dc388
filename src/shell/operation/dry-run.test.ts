import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as v from "valibot";
import { difference, dryRun, dryRunText } from "./dry-run.ts";
import type { Plan } from "./plan.ts";

/** What patch(1) makes of it. */
function applied(before: string, patch: string): string {
  const lines = before === "" ? [] : before.replace(/\n$/, "").split("\n");
  const out: string[] = [];
  let at = 0;
  for (const line of patch.split("\n").slice(2, -1)) {
    const [, start = "", count = "1"] = /^@@ -(\d+)(?:,(\d+))? /.exec(line) ?? [];
    if (start !== "") {
      const from = count === "0" ? Number(start) : Number(start) - 1;
      while (at < from) out.push(lines[at++] ?? "");
    } else if (line.startsWith("+")) out.push(line.slice(1));
    else if (line.startsWith(" ")) out.push(lines[at++] ?? "");
    else if (line.startsWith("-")) {
      expect(line.slice(1)).toBe(lines[at] ?? "");
      at += 1;
    }
  }
  out.push(...lines.slice(at));
  return out.map((line) => `${line}\n`).join("");
}

describe("a difference", () => {
  test("as diff -u has it", () => {
    const before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
    const after = "a\nb\nC\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
    expect(difference({ path: "/etc/x", before, after })).toBe(
      "--- /etc/x\n+++ /etc/x\n@@ -1,6 +1,6 @@\n a\n b\n-c\n+C\n d\n e\n f\n@@ -9,3 +9,4 @@\n i\n j\n k\n+l\n",
    );
  });

  test("of a new file, a removed one, a missing line end, and none", () => {
    expect(difference({ path: "p", before: "", after: "a\n" })).toBe(
      "--- /dev/null\n+++ p\n@@ -0,0 +1 @@\n+a\n",
    );
    expect(difference({ path: "p", before: "a\n", after: "" })).toBe(
      "--- p\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
    );
    expect(difference({ path: "p", before: "a", after: "a\n" })).toBe(
      "--- p\n+++ p\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
    );
    expect(difference({ path: "p", before: "a\n", after: "a\n" })).toBe("");
  });

  test("applied, it makes the one of the other", () => {
    const text = fc
      .array(fc.constantFrom("a", "b", "c", ""), { maxLength: 30 })
      .map((lines) => lines.map((line) => `${line}\n`).join(""));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const patch = difference({ path: "p", before, after });
        if (before !== after) expect(applied(before, patch)).toBe(after);
      }),
    );
  });
});

test("--dry-run prints the steps and the files that differ", () => {
  const plan: Plan<{ readonly name: string }, unknown> = {
    kind: "example",
    facts: v.object({ name: v.string() }),
    timeMsMax: 1000,
    steps: [
      {
        name: "write",
        text: ({ name }) => `write ${name}`,
        run: async () => undefined,
        changes: ({ name }) => [
          { path: name, before: "a\n", after: "b\n" },
          { path: "same", before: "a\n", after: "a\n" },
        ],
      },
      { name: "reload", text: () => "reload", run: async () => undefined },
    ],
  };
  expect(dryRunText(dryRun(plan, { name: "/etc/x" }))).toBe(
    "1. write /etc/x\n2. reload\n\n--- /etc/x\n+++ /etc/x\n@@ -1 +1 @@\n-a\n+b\n",
  );
});
