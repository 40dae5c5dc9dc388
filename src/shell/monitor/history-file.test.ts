// The history on disk: what one run leaves, the next one has; what cannot be used is told and begins anew; a write that fails leaves what was there.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readHistory, writeHistory } from "./history-file.ts";
import { historyBytesMax } from "./history-text.ts";
import { History, seriesMax } from "./history.ts";

const made: string[] = [];
afterEach(() => {
  for (const each of made.splice(0)) rmSync(each, { recursive: true, force: true });
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "quorate-history-"));
  made.push(path);
  return path;
}

const all = () => true;
const at = 1_700_000_000;

test("what one run has written the next one has, and goes on with; there is none at first", async () => {
  const path = join(directory(), "deep/history.json");
  const none = await readHistory(path);
  expect(none.ok && none.value.archives.day.series.size).toBe(0);
  const history = new History();
  history.record(at, new Map([["votes", 3]]));
  expect(await writeHistory(path, history)).toBe("");
  const again = await readHistory(path);
  if (!again.ok) throw new Error(again.reason);
  // A restart of ten minutes is a gap, not a line.
  again.value.record(at + 600, new Map([["votes", 2]]));
  const { mean = [] } = again.value.archives.day.read(all, 660, 100).series["votes"] ?? {};
  expect(mean).toEqual([3, ...Array<null>(9).fill(null), 2]);
});

test("as much as there can be is written, and read again", async () => {
  const path = join(directory(), "history.json");
  const history = new History();
  const names = Array.from({ length: seriesMax }, (_, index) => `series${index}`);
  history.record(at, new Map(names.map((name) => [name, 0.1])));
  expect(await writeHistory(path, history)).toBe("");
  expect(readFileSync(path).length).toBeLessThan(historyBytesMax);
  const again = await readHistory(path);
  expect(again.ok && again.value.archives.month.series.size).toBe(seriesMax);
});

test("what cannot be used is told with its place", async () => {
  const path = join(directory(), "history.json");
  const told = async (): Promise<string> => {
    const read = await readHistory(path);
    return read.ok ? "" : read.reason;
  };
  writeFileSync(path, "{");
  expect(await told()).toBe(
    `the history of the charts in ${path} cannot be used, and begins anew: it is no JSON`,
  );
  truncateSync(path, historyBytesMax + 1);
  expect(await told()).toContain(`it has ${historyBytesMax + 1} bytes`);
  rmSync(path);
  mkdirSync(path);
  expect(await told()).toContain("it is no file");
});

test("a write that fails says why, and leaves what was there", async () => {
  const path = join(directory(), "history.json");
  const history = new History();
  history.record(at, new Map([["votes", 3]]));
  expect(await writeHistory(path, history)).toBe("");
  const before = readFileSync(path, "utf8");
  // Where the draft would be is a directory.
  mkdirSync(`${path}.tmp/inner`, { recursive: true });
  history.record(at + 60, new Map([["votes", 1]]));
  expect(await writeHistory(path, history)).toStartWith(
    `the history of the charts could not be written to ${path}: `,
  );
  expect(readFileSync(path, "utf8")).toBe(before);
});
