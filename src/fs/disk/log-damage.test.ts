// Logs that SQLite wrote, damaged at each place: what is lost is noticed, what a crash may leave is not called damage.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasLostTransactions } from "./log-damage.ts";
import { readDatabase } from "./read-database.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "quorate-log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const frameBytes = 24 + 4096;
const frameAt = (index: number) => 32 + index * frameBytes;
const isLost = (log: Uint8Array) =>
  hasLostTransactions(log.length, (offset, length) => log.subarray(offset, offset + length));

/** The file `a.db` with a table in it, and a log of `count` transactions; `isReset`: over a longer one that is in the file already. */
function written(count: number, { isReset = false } = {}): Buffer {
  const path = join(directory, "a.db");
  const db = new Database(path, { create: true });
  const columns = "parent, version, writer, mtime, type, name, data";
  db.run("PRAGMA journal_mode=WAL");
  db.run(`CREATE TABLE tree (inode INTEGER PRIMARY KEY, ${columns})`);
  if (isReset) {
    for (let i = 100; i < 120; i += 1)
      db.run(`INSERT INTO tree VALUES (${i},0,1,1,1,8,'f${i}',NULL)`);
  }
  db.run(`PRAGMA wal_checkpoint(${isReset ? "RESTART" : "TRUNCATE"})`);
  for (let i = 2; i < count + 2; i += 1) {
    db.run(`INSERT INTO tree VALUES (${i},0,${i},1,1,8,'f${i}',NULL)`);
  }
  for (const end of ["", "-wal"]) cpSync(`${path}${end}`, join(directory, `config.db${end}`));
  const log = readFileSync(`${path}-wal`);
  db.close();
  return log;
}

test("a damaged head or frame with two transactions behind it, wherever the bytes are", () => {
  const log = written(6);
  const frames = (log.length - 32) / frameBytes;
  expect(isLost(log)).toBe(false);
  const places = [0, 9, 17, 25];
  for (let frame = 0; frame < frames - 3; frame += 1) {
    for (const within of [1, 5, 9, 17, 24, 2000, 4100]) places.push(frameAt(frame) + within);
  }
  for (const place of places) {
    const damaged = Uint8Array.from(log);
    damaged[place]! ^= 0x5a;
    expect([place, isLost(damaged)]).toEqual([place, true]);
  }
});

test("what a crash leaves is no damage: a cut anywhere, a spoilt last transaction, a log only begun anew", () => {
  const log = written(6);
  for (let size = 0; size <= log.length; size += 500)
    expect(isLost(log.subarray(0, size))).toBe(false);
  const torn = Uint8Array.from(log);
  torn.fill(0, log.length - frameBytes);
  expect(isLost(torn)).toBe(false);

  rmSync(directory, { recursive: true });
  directory = mkdtempSync(join(tmpdir(), "quorate-log-"));
  const reset = written(1, { isReset: true });
  expect(reset.length).toBeGreaterThan(frameAt(10)); // Old frames lie behind the new one.
  expect(isLost(reset)).toBe(false);
  reset.fill(0, frameAt(0), frameAt(1));
  expect(isLost(reset)).toBe(false);
});

test("a database that has its table is refused all the same when its log is damaged, unless commits were not flushed", () => {
  const log = written(6);
  const path = join(directory, "config.db");
  expect(readDatabase(path)).toMatchObject({ ok: true, value: { length: 6 } });
  log.fill(0x5a, frameAt(0) + 100, frameAt(1) - 100);
  writeFileSync(`${path}-wal`, log);
  const refused = readDatabase(path);
  expect(refused.ok ? "" : refused.reason).toMatch(
    /config\.db is damaged \(acknowledged changes in .*-wal can no longer be read\): move it away together/,
  );
  expect(readFileSync(`${path}-wal`).equals(log)).toBe(true);
  expect(readDatabase(path, undefined, false)).toMatchObject({ ok: true, value: { length: 0 } });
});
