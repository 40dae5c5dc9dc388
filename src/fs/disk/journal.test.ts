// The database of the tree with real SQLite files: pmxcfs's schema, bytes in names, one transaction a batch, crashes, and one
// clear sentence for everything that can be wrong with a file, which is never harmed.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { bytesOf, decoded } from "../../bytes.ts";
import type { JournalChange } from "./batch.ts";
import type { TreeEntry } from "../tree/entry.ts";
import { ConfigurationTree } from "../fs.ts";
import { Journal } from "./journal.ts";
import { journalFault } from "./journal-fault.ts";
import { readDatabase } from "./read-database.ts";
import type { TreeRow } from "./row.ts";

let directory = "";
let database = "";
const open: Journal[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "quorate-journal-"));
  database = join(directory, "config.db");
});
afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close();
  rmSync(directory, { recursive: true, force: true });
});

const openJournal = (
  at: string,
  durability: "full" | "normal" = "full",
  flush?: (fd: number) => Promise<void>,
) =>
  Journal.open(
    { directory: at, durability, lockTries: 1, ...(flush === undefined ? {} : { flush }) },
    (rows) => decoded(rows),
  );

async function opened(at = directory): Promise<Journal> {
  const result = await openJournal(at);
  if (!result.ok) throw new Error(result.reason);
  open.push(result.value.journal);
  return result.value.journal;
}

async function refusal(): Promise<string> {
  const result = await openJournal(directory);
  if (!result.ok) return result.reason;
  await result.value.journal.close();
  return "no fault";
}

async function load(journal: Journal): Promise<Map<number, TreeRow>> {
  return new Map(rowsOf(journal).map((row) => [row.inode, row]));
}

function rowsOf(journal: Journal) {
  const loaded = readDatabase(journal.path);
  if (!loaded.ok) throw new Error(loaded.reason);
  return loaded.value;
}

const entry = (inode: number, over: Partial<TreeEntry> = {}): TreeEntry => ({
  ...{ inode, parent: 0, version: inode, writer: 1, mtime: 5, type: 8, name: `f${inode}` },
  ...{ data: new Uint8Array(0), ...over },
});
const root = (version: number): TreeEntry => entry(0, { version, type: 4, name: "" });
const change = (stored: TreeEntry[], deleted: number[] = []): JournalChange => ({
  stored,
  deleted,
});

/** A database that pmxcfs could have written. */
function sqlite(fill: (db: Database) => void): void {
  const db = new Database(database, { create: true });
  fill(db);
  db.close();
}
/** The same after a crash: all that `statements` stored is in the log only. */
function leaveLog(statements: readonly string[]): void {
  const at = join(directory, "crashed.db");
  const db = new Database(at, { create: true });
  for (const statement of ["PRAGMA journal_mode=WAL", goldenSchema, ...statements]) {
    db.run(statement);
  }
  for (const end of ["", "-wal"]) cpSync(`${at}${end}`, `${database}${end}`);
  db.close();
  for (const end of ["", "-wal", "-shm"]) rmSync(`${at}${end}`, { force: true });
}
const makeFifo = (path: string) => Bun.spawnSync(["mkfifo", path]).exitCode;
/** Name, mode and bytes of everything in the directory but the lock. */
function contents(): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name !== ".pmxcfs.lockfile")
    .map((name) => {
      const path = join(directory, name);
      return `${name} ${statSync(path).mode.toString(8)} ${readFileSync(path).toString("hex")}`;
    })
    .sort();
}
const goldenSchema = readGoldenSchema();
function readGoldenSchema(): string {
  const golden = new Database(join(import.meta.dir, "../../../test/golden/config.db"), {
    readonly: true,
  });
  const { sql } = golden.query("SELECT sql FROM sqlite_master").get() as { sql: string };
  golden.close();
  return sql;
}

describe("a new database", () => {
  test("is private, has pmxcfs's schema text and is one file after a stop", async () => {
    const journal = await opened();
    expect(journal.created).toBe(true);
    expect(statSync(database).mode & 0o777).toBe(0o600);
    await journal.commit([change([root(1)])]);
    await journal.close();
    expect(readdirSync(directory).sort()).toEqual([".pmxcfs.lockfile", "config.db"]);
    const db = new Database(database, { readonly: true });
    expect(db.query("SELECT sql FROM sqlite_master").get()).toEqual({ sql: goldenSchema });
    db.close();
  });

  test("in a missing directory: made with mode 0750; a path with odd characters works", async () => {
    const odd = join(directory, "a b%20#?é");
    await opened(odd);
    expect(statSync(odd).mode & 0o777).toBe(0o750);
    expect(readdirSync(odd)).toContain("config.db");
  });

  test("uses WAL; its log is flushed for each commit, or not at all, as the setting says", async () => {
    for (const [durability, flushes] of [
      ["full", 2],
      ["normal", 0],
    ] as const) {
      const at = join(directory, durability);
      const flushed: string[] = [];
      const result = await openJournal(at, durability, async (fd) => {
        flushed.push(readlinkSync(`/proc/self/fd/${fd}`));
      });
      if (!result.ok) throw new Error(result.reason);
      const { journal } = result.value;
      open.push(journal);
      expect(readdirSync(at)).toContain("config.db-wal");
      expect(await journal.settings()).toEqual({ journalMode: "wal", synchronous: 1 });
      for (const version of [1, 2]) await journal.commit([change([root(version)])]);
      await journal.commit([]);
      const log = join(realpathSync(at), "config.db-wal");
      expect(flushed).toEqual(Array.from({ length: flushes }, () => log));
    }
  });

  test("has committed when the flush is through, and not when it failed", async () => {
    const flushed = Promise.withResolvers<void>();
    let flush = () => flushed.promise;
    const result = await openJournal(directory, "full", () => flush());
    if (!result.ok) throw new Error(result.reason);
    const { journal } = result.value;
    open.push(journal);
    let isThrough = false;
    const first = journal.commit([change([root(1)])]).then(() => (isThrough = true));
    // SQLite is done with it long before this.
    while (rowsOf(journal).length === 0) await Bun.sleep(1);
    expect(isThrough).toBe(false);
    flushed.resolve();
    await first;
    const fault = Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
    flush = () => Promise.reject(fault);
    const second = await journal.commit([change([root(2)])]);
    expect(second.ok ? "" : second.reason).toMatch(
      /reports an input\/output error: check the disk/,
    );
  });
});

describe("rows", () => {
  test("come back byte for byte: names that are not UTF-8, content, 53-bit numbers", async () => {
    const journal = await opened();
    const rows = [
      root(2 ** 53 - 1),
      entry(2, { name: "\xff\xfe'\"\n", data: bytesOf("\0\xff bytes") }),
      entry(2 ** 53 - 2, {
        parent: 2 ** 40,
        version: 2 ** 53 - 1,
        writer: 0xffff_ffff,
        mtime: 0xffff_ffff,
      }),
    ];
    expect(await journal.commit([change(rows)])).toEqual({ ok: true, value: undefined });
    const read = rowsOf(journal);
    expect(read).toMatchObject([
      { inode: 0, name: "__version__", type: 8 },
      { ...rows[1]! },
      { ...rows[2]! },
    ]);
    const db = new Database(database, { readonly: true });
    expect(
      db
        .query("SELECT hex(name) n, typeof(name) t, typeof(data) d FROM tree WHERE inode > 0")
        .all(),
    ).toEqual([
      { n: "FFFE27220A", t: "text", d: "blob" },
      {
        n: Buffer.from(`f${2 ** 53 - 2}`)
          .toString("hex")
          .toUpperCase(),
        t: "text",
        d: "null",
      },
    ]);
    db.close();
  });

  test("of a batch are stored in order, the last state of each counts", async () => {
    const journal = await opened();
    await journal.commit([change([root(1), entry(2)])]);
    await journal.commit([
      change([entry(3), root(3)]),
      change([root(4)], [3]),
      change([entry(2, { name: "moved" }), root(5)]),
      change([entry(5), root(6)]),
      change([entry(4), root(7)], [5]),
    ]);
    const rows = await load(journal);
    expect([...rows.keys()]).toEqual([0, 2, 4]);
    expect([rows.get(0)?.version, rows.get(2)?.name]).toEqual([7, "moved"]);
  });

  test("of a state exchange replace everything, with record type 4", async () => {
    const journal = await opened();
    await journal.commit([change([root(1), entry(2), entry(3)])]);
    const all = { ...change([root(9), entry(7)]), replaceAll: true, fromSync: true };
    await journal.commit([change([entry(8), root(8)]), all, change([entry(10), root(10)])]);
    const rows = await load(journal);
    expect([...rows.keys()]).toEqual([0, 7, 10]);
    await journal.commit([all]);
    expect((await load(journal)).get(0)).toMatchObject({ version: 9, type: 4 });
  });

  test("a hollow file is stored without content", async () => {
    const journal = await opened();
    await journal.commit([change([root(2), entry(2, { data: new Uint8Array(9), hollow: true })])]);
    expect((await load(journal)).get(2)?.data).toHaveLength(0);
  });

  test("5,000 changes are one short transaction", async () => {
    const journal = await opened();
    const changes = Array.from({ length: 5000 }, (_, i) => change([entry(i + 2), root(i + 2)]));
    const begin = performance.now();
    await journal.commit(changes);
    expect(performance.now() - begin).toBeLessThan(2000);
    expect(rowsOf(journal).length).toBe(5001);
  });

  test("property: any sequence of batches gives the same rows as a map", async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("store" as const),
        inode: fc.integer({ min: 2, max: 8 }),
        name: fc.string({ minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        kind: fc.constant("delete" as const),
        inode: fc.integer({ min: 2, max: 8 }),
        name: fc.constant(""),
      }),
      fc.record({
        kind: fc.constant("all" as const),
        inode: fc.integer({ min: 2, max: 8 }),
        name: fc.constant("x"),
      }),
    );
    const journal = await opened();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 4 }),
        async (batches) => {
          const model = new Map<number, string>();
          await journal.commit([{ ...change([root(1)]), replaceAll: true }]);
          for (const batch of batches) {
            const changes = batch.map(({ kind, inode, name }): JournalChange => {
              const bytes = Buffer.from(name).toString("latin1");
              if (kind === "all") model.clear();
              if (kind === "delete") model.delete(inode);
              else model.set(inode, bytes);
              if (kind === "delete") return change([root(1)], [inode]);
              const made = change([entry(inode, { name: bytes }), root(1)]);
              return kind === "all" ? { ...made, replaceAll: true } : made;
            });
            expect(await journal.commit(changes)).toEqual({ ok: true, value: undefined });
          }
          const rows = rowsOf(journal).filter(({ inode }) => inode > 0);
          expect(new Map(rows.map(({ inode, name }) => [inode, name]))).toEqual(
            new Map([...model].sort(([a], [b]) => a - b)),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a file that is not ours is refused and not touched", () => {
  const cases: readonly [string, () => void, RegExp][] = [
    [
      "not a database",
      () => writeFileSync(database, "no database at all ".repeat(500)),
      /file is not a database; move it away together/,
    ],
    [
      "another program's database",
      () => sqlite((db) => db.run("CREATE TABLE other (a)")),
      /database of something else \(it has no table "tree"\)/,
    ],
    [
      "a table tree of another shape",
      () => sqlite((db) => db.run("CREATE TABLE tree (inode INTEGER PRIMARY KEY, color TEXT)")),
      /not pmxcfs's \(missing columns: parent, .*; unknown columns: color\)/,
    ],
    ["a directory", () => mkdirSync(database), /is a directory, not a file: move it away/],
    ["a FIFO", () => expect(makeFifo(database)).toBe(0), /is a FIFO, not a file: move it away/],
    [
      "a link to nothing",
      () => symlinkSync(join(directory, "none"), database),
      /is a link to a file that does not exist \(.*none\): bring that file back/,
    ],
  ];
  for (const [name, make, expected] of cases) {
    test(name, async () => {
      make();
      const isFile = statSync(database, { throwIfNoEntry: false })?.isFile() === true;
      const before = isFile ? readFileSync(database) : undefined;
      const names = readdirSync(directory);
      const reason = await refusal();
      expect(reason).toMatch(expected);
      expect(reason).toContain(database);
      if (before !== undefined) expect(readFileSync(database).equals(before)).toBe(true);
      expect(readdirSync(directory).filter((left) => left !== ".pmxcfs.lockfile")).toEqual(names);
      // The directory is free again.
      rmSync(database, { recursive: true });
      await opened();
    });
  }

  test("pages overwritten in the middle", async () => {
    sqlite((db) => {
      db.run(goldenSchema);
      const insert = db.prepare("INSERT INTO tree VALUES (?,0,1,1,1,8,?,?)");
      for (let i = 2; i < 200; i += 1) insert.run(i, `f${i}`, new Uint8Array(1000).fill(7));
    });
    const bytes = readFileSync(database);
    bytes.fill(0x5a, 4096 * 3, 4096 * 6);
    writeFileSync(database, bytes);
    expect(await refusal()).toMatch(/is damaged/);
    expect(readFileSync(database).subarray(4096).equals(bytes.subarray(4096))).toBe(true);
  });

  test("numbers that no tree can have", async () => {
    sqlite((db) => {
      db.run(goldenSchema);
      db.run("INSERT INTO tree VALUES (2,0,9223372036854775807,1,1,8,'f',NULL)");
    });
    expect(await refusal()).toMatch(
      /holds a number that no tree reaches \(inode = 2, version = 9223372036854775807;.*restore a backup/,
    );
  });

  test("more than a tree can have is refused before it is loaded", () => {
    sqlite((db) => {
      db.run(goldenSchema);
      db.run("INSERT INTO tree VALUES (2,0,1,1,1,8,'a',zeroblob(600)),(3,0,1,1,1,8,'b',x'00')");
    });
    expect(readDatabase(database, 601).ok).toBe(true);
    const refused = readDatabase(database, 600);
    expect(refused.ok ? "" : refused.reason).toMatch(/holds 2 objects with 601 bytes, more than/);
    truncateSync(database, 2 ** 33); // sparse
    const huge = readDatabase(database);
    expect(huge.ok ? "" : huge.reason).toMatch(/has 8589934592 bytes, more than a tree can have/);
  });
});

describe("a log without its table", () => {
  const rows = ["INSERT INTO tree VALUES (2,0,2,1,1,8,'a',zeroblob(20000))"];
  const damageLog = (from: number, to?: number) => {
    const log = readFileSync(`${database}-wal`);
    writeFileSync(`${database}-wal`, log.fill(0x5a, from, to));
  };
  const cases: readonly [string, () => void][] = [
    ["whose first frame is damaged", () => damageLog(32 + 100, 32 + 4000)],
    ["whose frames are all damaged", () => damageLog(32)],
    ["that is damaged from its head on", () => damageLog(0)],
    ["beside an empty file", () => truncateSync(database, 0)],
    ["beside no file", () => rmSync(database)],
    [
      "that is a rollback journal beside an empty file",
      () => {
        truncateSync(database, 0);
        renameSync(`${database}-wal`, `${database}-journal`);
      },
    ],
    [
      "that is no rollback journal beside a file without table",
      () => renameSync(`${database}-wal`, `${database}-journal`),
    ],
  ];
  for (const [name, damage] of cases) {
    test(`${name} is refused and kept`, async () => {
      leaveLog(rows);
      damage();
      const before = contents();
      expect(await refusal()).toMatch(
        /(has no tree, but .*(-wal|-journal) has \d+ bytes .*|is damaged \(acknowledged changes in .*): move it away together with its -wal, -shm and -journal/,
      );
      expect(contents()).toEqual(before);
      for (const end of ["", "-wal", "-journal"]) rmSync(`${database}${end}`, { force: true });
      await opened();
    });
  }

  test("is new when it can only be of a first start that was cut off", async () => {
    leaveLog([]);
    damageLog(32 + 100);
    expect(await refusal()).toBe("no fault");
    rmSync(database);
    writeFileSync(`${database}-journal`, new Uint8Array(512));
    expect(await refusal()).toBe("no fault");
  });

  test("is no fault when all of it is in the file and the next log has only begun", async () => {
    sqlite((db) => {
      for (const statement of ["PRAGMA journal_mode=WAL", goldenSchema, ...rows]) db.run(statement);
      db.run("PRAGMA wal_checkpoint(RESTART)");
      const old = readFileSync(`${database}-wal`);
      db.run("INSERT INTO tree VALUES (3,0,3,1,1,8,'b',NULL)");
      const log = readFileSync(`${database}-wal`);
      // The new head is on disk, the new frames are not.
      log.set(old.subarray(32), 32);
      const at = join(directory, "reset");
      mkdirSync(at);
      cpSync(database, join(at, "config.db"));
      writeFileSync(join(at, "config.db-wal"), log);
    });
    const journal = await opened(join(directory, "reset"));
    expect(rowsOf(journal).map(({ inode }) => inode)).toEqual([2]);
  });
});

describe("integrity rules at the open of a tree", () => {
  const record = "INSERT INTO tree VALUES (0,0,9,1,1,8,'__version__',NULL)";
  const faults: readonly [string, readonly string[], RegExp][] = [
    [
      "empty name",
      [record, "INSERT INTO tree VALUES (2,0,2,1,1,8,'',NULL)"],
      /inode has no name \(inode = 2\)/,
    ],
    [
      "unknown type",
      [record, "INSERT INTO tree VALUES (2,0,2,1,1,5,'a',NULL)"],
      /unknown type \(inode = 2, type = 5\)/,
    ],
    [
      "directory with data",
      [record, "INSERT INTO tree VALUES (2,0,2,1,1,4,'a',x'00')"],
      /directory inode contains data/,
    ],
    [
      "root name",
      ["INSERT INTO tree VALUES (0,0,9,1,1,8,'other',NULL)"],
      /root inode has unexpected name 'other'/,
    ],
    [
      "parent is a file",
      [record, "INSERT INTO tree VALUES (2,0,2,1,1,8,'a',NULL),(3,2,3,1,1,8,'b',NULL)"],
      /parent is not a directory/,
    ],
    [
      "duplicate name",
      [record, "INSERT INTO tree VALUES (2,0,2,1,1,8,'a',NULL),(3,0,3,1,1,8,'a',NULL)"],
      /duplicate name 'a'/,
    ],
    [
      "missing parent",
      [record, "INSERT INTO tree VALUES (2,77,2,1,1,8,'a',NULL)"],
      /missing directory inode \(inode = 77\)/,
    ],
    [
      "a version without room for changes",
      ["INSERT INTO tree VALUES (0,0,9007199254740991,1,1,8,'__version__',NULL)"],
      /a number is out of range \(inode = 0, version = 9007199254740991; numbers are followed up to/,
    ],
    [
      "duplicate VMID",
      [
        record,
        "INSERT INTO tree VALUES (2,0,2,1,1,4,'nodes',NULL),(3,2,3,1,1,4,'n',NULL),(4,3,4,1,1,4,'lxc',NULL),(5,3,5,1,1,4,'qemu-server',NULL)",
        "INSERT INTO tree VALUES (6,4,6,1,1,8,'100.conf',NULL),(7,5,7,1,1,8,'100.conf',NULL)",
      ],
      /detected duplicate VMID 100/,
    ],
  ];
  const openTree = () =>
    ConfigurationTree.open({
      ...{
        directory,
        nodeid: 1,
        nodeName: "n",
        pid: 1,
        groups: undefined,
        cluster: undefined,
        lockTries: 1,
      },
      ...{
        corosyncConfPath: join(directory, "none"),
        durability: "full" as const,
        wallS: () => 42,
      },
      ...{ log: () => undefined, onFatal: () => undefined, onCorosyncConf: () => undefined },
    });
  for (const [name, statements, expected] of faults) {
    for (const crashed of [false, true]) {
      test(crashed ? `${name}, in the log of a crash` : name, async () => {
        if (crashed) leaveLog(statements);
        else {
          sqlite((db) => {
            db.run(goldenSchema);
            for (const statement of statements) db.run(statement);
            db.run("PRAGMA journal_mode=WAL");
          });
        }
        chmodSync(database, 0o644);
        const before = contents();
        const result = await openTree();
        expect(result.ok ? "opened" : result.reason).toMatch(expected);
        expect(result.ok ? "" : result.reason).toContain(database);
        expect(contents()).toEqual(before);
        // The lock is free again, and nothing was lost.
        const rows = rowsOf(await opened());
        expect(rows.length).toBe(
          statements.join().split("VALUES").length - 1 + statements.join().split("),(").length - 1,
        );
      });
    }
  }

  test("a missing record is written, version 1", async () => {
    sqlite((db) => {
      db.run(goldenSchema);
      db.run("INSERT INTO tree VALUES (12,0,30,1,1,8,'f',NULL)");
    });
    const result = await openTree();
    expect(result.ok && result.value.status()).toMatchObject({ version: 1, entries: 2 });
    if (result.ok) await result.value.stop();
    expect((await load(await opened())).get(0)).toMatchObject({
      name: "__version__",
      version: 1,
      mtime: 42,
    });
  });
});

describe("crash", () => {
  test("a killed process loses nothing that it acknowledged", async () => {
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../../../test/fs/journal-writer.ts"), directory],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    let acknowledged = "";
    for await (const chunk of child.stdout) {
      acknowledged += new TextDecoder().decode(chunk);
      if (acknowledged.split("\n").length > 40) break;
    }
    child.kill("SIGKILL");
    await child.exited;
    const last = Number(acknowledged.trim().split("\n").at(-1));
    expect(last).toBeGreaterThanOrEqual(39);
    const rows = await load(await opened());
    for (let i = 0; i <= last; i += 1) expect(rows.get(i + 2)?.name).toBe(`f${i}`);
    expect(rows.get(0)!.version).toBe(rows.size);
  });

  test("a transaction that a crash left half written is taken back, and only then is the file read", async () => {
    const live = join(directory, "live.db");
    const db = new Database(live, { create: true });
    db.run(goldenSchema);
    const insert = db.prepare("INSERT INTO tree VALUES (?,0,?,1,1,8,?,?)");
    for (let i = 2; i < 60; i += 1) insert.run(i, i, `f${i}`, new Uint8Array(4000));
    db.run("PRAGMA cache_size=1");
    db.run("BEGIN");
    db.run("UPDATE tree SET version = -1, data = zeroblob(5000)");
    for (const end of ["", "-journal"]) cpSync(`${live}${end}`, `${database}${end}`);
    db.run("ROLLBACK");
    db.close();
    // Without its journal the file is a ruin: the test would prove nothing else.
    const torn = new Database(`file:${database}?immutable=1`, 0x41);
    expect(torn.query("SELECT count(*) n FROM tree WHERE version < 0").get()).not.toEqual({ n: 0 });
    torn.close();
    const rows = rowsOf(await opened());
    expect(rows.map(({ version }) => version)).toEqual(Array.from({ length: 58 }, (_, i) => i + 2));
    expect(readdirSync(directory)).not.toContain(".quorate-judge");
  });

  test("a log cut anywhere gives the state after some whole batch, never half of one", async () => {
    const live = join(directory, "live");
    const journal = await opened(live);
    await journal.commit([change([root(1)])]);
    for (let i = 1; i <= 12; i += 1) {
      await journal.commit([
        change([entry(2 * i, { data: new Uint8Array(3000) }), root(i + 1)]),
        change([entry(2 * i + 1), root(i + 1)]),
      ]);
    }
    const log = statSync(join(live, "config.db-wal")).size;
    const seen = new Set<number>();
    for (let cut = 0; cut < 24; cut += 1) {
      const copy = join(directory, `cut${cut}`);
      mkdirSync(copy);
      for (const name of ["config.db", "config.db-wal"]) cpSync(join(live, name), join(copy, name));
      truncateSync(
        join(copy, "config.db-wal"),
        Math.floor((log * (cut + 1)) / 24) - ((cut + 1) % 2) * 100,
      );
      const torn = await opened(copy);
      const rows = await load(torn);
      const version = rows.get(0)?.version ?? 0;
      expect(rows.size).toBe(version === 0 ? 0 : 1 + 2 * (version - 1));
      seen.add(version);
    }
    expect(seen.size).toBeGreaterThan(5);
    expect(seen.has(13)).toBe(true);
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("a disk (needs root for a small file system)", () => {
  let mounted = "";
  beforeEach(async () => {
    mounted = join(directory, "disk");
    mkdirSync(mounted);
    await Bun.$`mount -t tmpfs -o size=256k tmpfs ${mounted}`.quiet();
  });
  afterEach(async () => {
    for (const journal of open.splice(0)) await journal.close();
    await Bun.$`umount -l ${mounted}`.quiet();
  });

  test("that is full refuses the batch with one sentence and keeps what was there", async () => {
    const journal = await opened(mounted);
    await journal.commit([change([root(1), entry(2)])]);
    const refused = await journal.commit([
      change([entry(3, { data: new Uint8Array(400_000) }), root(3)]),
    ]);
    expect(refused.ok ? "stored" : refused.reason).toMatch(
      /no space left on the disk of .*config\.db: free some space/,
    );
    const copy = join(directory, "copy");
    cpSync(mounted, copy, { recursive: true });
    const kept = readDatabase(join(copy, "config.db"));
    expect(kept.ok && kept.value.map(({ inode }) => inode)).toEqual([0, 2]);
  });

  test("that is read-only is refused with one sentence", async () => {
    const db = new Database(join(mounted, "config.db"), { create: true });
    db.run(goldenSchema);
    db.close();
    await Bun.$`mount -o remount,ro ${mounted}`.quiet();
    const result = await openJournal(mounted);
    expect(result.ok ? "opened" : result.reason).toMatch(
      /make the directory writable|cannot be written/,
    );
  });
});

test("an open database keeps a second opener out, and its stop lets it in", async () => {
  const first = await opened();
  const second = await openJournal(directory);
  expect(second.ok ? "opened" : second.reason).toMatch(/another node or a pmxcfs is running on/);
  await first.close();
  await opened();
});

test("modes of an existing file are tightened at the open", async () => {
  sqlite((db) => db.run(goldenSchema));
  chmodSync(database, 0o644);
  const journal = await opened();
  expect(journal.created).toBe(false);
  expect(statSync(database).mode & 0o777).toBe(0o600);
});

test("every code has its sentence", () => {
  const cases: readonly [string, RegExp][] = [
    ["SQLITE_NOTADB", /not an SQLite database/],
    ["SQLITE_CORRUPT", /damaged/],
    ["SQLITE_FULL", /no space left/],
    ["SQLITE_READONLY", /cannot be written/],
    ["SQLITE_CANTOPEN", /cannot be opened/],
    ["SQLITE_BUSY", /locked by another program/],
    ["SQLITE_IOERR", /input\/output error/],
  ];
  for (const [code, expected] of cases) {
    const cause = Object.assign(new Error("inner"), { code });
    expect(journalFault("/x/config.db", new Error("outer", { cause }))).toMatch(expected);
    expect(journalFault("/x/config.db", new Error(`${code}: text`))).toMatch(expected);
  }
  expect(journalFault("/x/config.db", new Error("odd\n thing"))).toBe(
    "/x/config.db cannot be used: odd thing",
  );
});
