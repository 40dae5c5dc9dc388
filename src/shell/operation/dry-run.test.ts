import { expect, test } from "bun:test";
import * as v from "valibot";
import { dryRun, dryRunText } from "./dry-run.ts";
import type { Plan } from "./plan.ts";

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
          { path: "key", before: undefined, after: "x\n" },
        ],
      },
      { name: "reload", text: () => "reload", run: async () => undefined },
    ],
  };
  expect(dryRunText(dryRun(plan, { name: "file" }))).toBe(
    "1. write file\n2. reload\n\n--- a/file\n+++ b/file\n@@ -1 +1 @@\n-a\n+b\n\n--- /dev/null\n+++ b/key\n@@ -0,0 +1 @@\n+x\n",
  );
});
