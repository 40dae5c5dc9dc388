// A reader that is gone and a disk that is full: quiet as other programs of a pipeline, or one sentence; never the runtime's trace.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const base = mkdtempSync(join(tmpdir(), "quorate-output-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const main = join(import.meta.dir, "..", "..", "src", "main.ts");
/** Descriptor 4 is a pipe that nobody reads any more. */
const brokenPipe = 'rm -f "$PIPE"; mkfifo "$PIPE"; exec 3<>"$PIPE" 4>"$PIPE" 3<&-; ';
const full = "quorate: standard output is incomplete: ENOSPC: no space left on device, write\n";

test.each([
  ["man node >&4", 141, ""],
  ["--help >&4", 141, ""],
  ['man --all "$PIPE.d" >&4', 141, ""],
  ["man node >/dev/full", 1, full],
  ["--version >/dev/full", 1, full],
  ["fs nonsense 2>/dev/full", 2, ""],
  ["fs nonsense 2>&4", 2, ""],
])("quorate %s", async (words, code, sentence) => {
  const line = `${brokenPipe}"$BUN" "$MAIN" ${words}`;
  const child = Bun.spawn(["sh", "-c", line], {
    env: { ...process.env, PIPE: join(base, "pipe"), BUN: process.execPath, MAIN: main },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [err, ended] = await Promise.all([child.stderr.text(), child.exited]);
  expect([err, ended]).toEqual([sentence, code]);
});
