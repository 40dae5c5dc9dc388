// The last event of the events' file, whatever else is in it.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastUpgradeEvent, upgradeEventText } from "./last-event.ts";

const folder = mkdtempSync(join(tmpdir(), "quorate-events-"));
const log = join(folder, "upgrade.log");
afterAll(() => rmSync(folder, { recursive: true }));

const kept = { at: "2026-11-21T00:00:00.000Z", event: "kept", text: "2; healthy for 60 s" };
const lines = (...all: readonly unknown[]): string =>
  all.map((one) => `${JSON.stringify(one)}\n`).join("");

test("of a long file only the end is read", () => {
  const long = { ...kept, event: "staged", text: "x".repeat(3000) };
  writeFileSync(log, lines(...Array.from({ length: 50 }, () => long), kept));
  expect(lastUpgradeEvent(log)).toEqual(kept);
  expect(upgradeEventText(kept)).toBe("kept at 2026-11-21T00:00:00.000Z: 2; healthy for 60 s");
});

test.each([
  "",
  "\n",
  "{",
  "null\n",
  lines({ at: 1, event: "kept", text: "" }),
  lines({ event: "kept" }),
])("%j has none", (content) => {
  writeFileSync(log, content);
  expect(lastUpgradeEvent(log)).toBeUndefined();
});

test("no file, no event", () => {
  expect(lastUpgradeEvent(join(folder, "other"))).toBeUndefined();
});
