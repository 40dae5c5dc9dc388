// What the tree in a database descends from: stored with the tree, unknown once anybody else has changed it, and no hindrance for pmxcfs.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { success } from "../../result.ts";
import { type Lineage, unknownLineage, withEpoch } from "../epoch/lineage.ts";
import { directoryType, type TreeEntry } from "../tree/entry.ts";
import { Journal } from "./journal.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "quorate-lineage-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const mark = { number: 7, exchange: { epoch: 1, time: 2, nodeid: 3, pid: 4 } };
const lineage: Lineage = withEpoch({ ...unknownLineage(), promised: 9 }, mark, 5);
const root = (version: number): TreeEntry => ({
  ...{ inode: 0, parent: 0, version, writer: 1, mtime: 5, type: directoryType, name: "" },
  data: new Uint8Array(0),
});

async function open(): Promise<Journal> {
  const opened = await Journal.open({ directory, durability: "full", lockTries: 1 }, success);
  if (!opened.ok) throw new Error(opened.reason);
  return opened.value.journal;
}

/** Its own lineage after it was opened, and closed again. */
async function reopened(): Promise<Lineage> {
  const journal = await open();
  expect(await journal.close()).toMatchObject({ ok: true });
  return journal.lineage;
}

function asPmxcfs(statement: string): void {
  const database = new Database(join(directory, "config.db"));
  database.run(statement);
  database.close();
}

async function fill(): Promise<void> {
  const journal = await open();
  expect(journal.lineage).toEqual(unknownLineage());
  const begun = { stored: [root(5)], deleted: [] };
  expect(await journal.commit([begun, { stored: [], deleted: [], lineage }])).toMatchObject({
    ok: true,
  });
  expect(await journal.commit([{ stored: [root(6)], deleted: [] }])).toMatchObject({ ok: true });
  expect(await journal.close()).toMatchObject({ ok: true });
}

test("it comes back, also behind changes of our own", async () => {
  await fill();
  expect(await reopened()).toEqual(lineage);
});

test("a tree that another program has changed descends from nobody knows what; the promise holds", async () => {
  await fill();
  asPmxcfs("REPLACE INTO tree VALUES (0, 0, 7, 2, 6, 8, '__version__', NULL)");
  expect(await reopened()).toEqual(unknownLineage(9, true));
  // Nor once we have changed it, too.
  const journal = await open();
  expect(await journal.commit([{ stored: [root(8)], deleted: [] }])).toMatchObject({ ok: true });
  await journal.close();
  expect(await reopened()).toEqual(unknownLineage(9, true));
});

test("so does one that another tree of the same version has replaced", async () => {
  await fill();
  asPmxcfs("REPLACE INTO tree VALUES (0, 0, 6, 2, 9, 8, '__version__', NULL)");
  expect((await reopened()).mark.number).toBe(0);
});

test("a damaged one is unknown, and hinders nothing", async () => {
  await fill();
  asPmxcfs("UPDATE quorate_lineage SET form = x'01020304'");
  expect(await reopened()).toEqual(unknownLineage(0, true));
  asPmxcfs("DELETE FROM quorate_lineage");
  expect(await reopened()).toEqual(unknownLineage(0, true));
});

test("a tree without its version record descends from nothing", async () => {
  const journal = await open();
  const stored = await journal.commit([{ stored: [], deleted: [], lineage }]);
  expect(stored.ok ? "" : stored.reason).toMatch(/config\.db has no version record/);
  await journal.close();
});

test("a database without one gets no table of ours before there is something to store in it", async () => {
  const journal = await open();
  expect(await journal.commit([{ stored: [root(5)], deleted: [] }])).toMatchObject({ ok: true });
  await journal.close();
  const database = new Database(join(directory, "config.db"), { readonly: true });
  const tables = database.query("SELECT name FROM sqlite_master").all();
  expect(tables).toEqual([{ name: "tree" }]);
  database.close();
});

test("it costs no page of its own: each commit writes as much as without one", async () => {
  const bytesOfCommits = async (journal: Journal): Promise<number> => {
    const log = join(directory, "config.db-wal");
    const before = statSync(log).size;
    for (let version = 10; version < 60; version += 1) {
      expect(await journal.commit([{ stored: [root(version)], deleted: [] }])).toMatchObject({
        ok: true,
      });
    }
    return statSync(log).size - before;
  };
  const journal = await open();
  await journal.commit([{ stored: [root(5)], deleted: [] }]);
  const without = await bytesOfCommits(journal);
  expect(without).toBe(50 * (4096 + 24));
  await journal.commit([{ stored: [], deleted: [], lineage }]);
  expect(await bytesOfCommits(journal)).toBe(without);
  await journal.close();
  expect(await reopened()).toEqual(lineage);
});

test("pmxcfs reads what it would have written itself, and what it leaves of the record does not fit", async () => {
  await fill();
  // Its own words: `te->type = sqlite3_column_int64(stmt, 5) & 255`.
  const database = new Database(join(directory, "config.db"), { readonly: true });
  const row = database.query("SELECT parent, version, type & 255 type, name, data FROM tree").get();
  expect(row).toEqual({ parent: 0, version: 6, type: 8, name: "__version__", data: null });
  expect(database.query("SELECT type > 255 AND type < 1 << 53 big FROM tree").get()).toEqual({
    big: 1,
  });
  database.close();
  // Also where the rest of the record is as it was, or the type is.
  for (const change of ["type = 8", "version = 7", "writer = 2", "mtime = 6"]) {
    const kept = readFileSync(join(directory, "config.db"));
    asPmxcfs(`UPDATE tree SET ${change} WHERE inode = 0`);
    expect([change, await reopened()]).toEqual([change, unknownLineage(9, true)]);
    writeFileSync(join(directory, "config.db"), kept);
  }
  expect(await reopened()).toEqual(lineage);
});

test("one that was kept beside the whole record, as before, holds until another program changes it", async () => {
  const journal = await open();
  const begun = { stored: [root(6)], deleted: [], lineage };
  expect(await journal.commit([begun])).toMatchObject({ ok: true });
  await journal.close();
  asPmxcfs("UPDATE tree SET type = 8 WHERE inode = 0");
  expect(await reopened()).toEqual(lineage);
  asPmxcfs("UPDATE tree SET version = 7 WHERE inode = 0");
  expect(await reopened()).toEqual(unknownLineage(9, true));
});
