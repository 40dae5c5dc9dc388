// runtime.votequorum in every situation of services.md §4.12 in which corosync-cmapctl was recorded: the same lines.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EntryList } from "../../src/shell/cmap/map-entry.ts";
import { entryLine } from "../../src/shell/cmap/map-value.ts";
import { addVotes } from "../../src/shell/cmap/icmap.ts";
import { voteSituations } from "../double/vote-situations.ts";

const tools = join(import.meta.dir, "tools");
const recorded = voteSituations.flatMap((situation) => {
  const file = join(tools, `${situation.golden ?? ""}.cmapctl-votequorum.txt`);
  return existsSync(file) ? [{ situation, lines: readFileSync(file, "utf8").trimEnd() }] : [];
});

for (const { situation, lines } of recorded) {
  test(`${situation.situation} (${situation.golden})`, () => {
    const { bus, at = 1 } = situation.act();
    const { voteMap } = bus.node(at).services.snapshot();
    const list = new EntryList();
    if (voteMap !== undefined) addVotes(list, at, voteMap);
    const ours = list.entries.map((entry) => entryLine(entry, false)).toSorted();
    expect(ours).toEqual(lines.split("\n"));
  });
}

test("most recordings are among them", () => {
  expect(recorded.length).toBeGreaterThan(25);
});
