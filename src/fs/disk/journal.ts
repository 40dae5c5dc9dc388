// The tree on disk: pmxcfs's own SQLite database `config.db`, so that a real one opens as it is and can go back. Spec:
// pmxcfs.md §1; design.md decisions 2 and 3. The only importer of the database packages; loaded by the node role alone.
// One transaction a batch; a commit that has resolved is durable. It never removes or empties an existing file.
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Client, createClient } from "@libsql/client/sqlite3";
import { inArray, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/sqlite3";
import { blob, customType, integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { bytesOf } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import { flushDirectory } from "../../durable-file.ts";
import { closeFd, errnoName, lockFile } from "../../libc.ts";
import { Batch, type JournalChange } from "./batch.ts";
import { decodeLineage, encodeLineage, type Lineage, unknownLineage } from "../epoch/lineage.ts";
import { directoryType, fileType, type TreeEntry } from "../tree/entry.ts";
import { journalFault, sqliteCodeOf } from "./journal-fault.ts";
import { readDatabase } from "./read-database.ts";
import { createTable, type TreeRow, versionRecordName } from "./row.ts";

/** Pause between two tries for the lock file, and how many tries there are (pmxcfs.md §1.1). */
const lockRetryMs = 1000;
const lockTriesMax = 10;
const busyTimeoutMs = 10_000;
const closeTimeoutMs = 200;
/** Rows a statement: SQLite takes 32,766 parameters, a row has 8. */
const rowsPerStatement = 256;
const directoryMode = 0o750;
const fileMode = 0o600;

/** Names are bytes; libsql aborts on text that is not UTF-8, so text columns cross as blobs in both directions. */
const byteText = customType<{ data: string; driverData: Uint8Array }>({
  dataType: () => "text",
  toDriver: (name) => sql`CAST(${bytesOf(name)} AS TEXT)`,
});

const tree = sqliteTable("tree", {
  inode: integer("inode").primaryKey().notNull(),
  parent: integer("parent").notNull(),
  version: integer("version").notNull(),
  writer: integer("writer").notNull(),
  mtime: integer("mtime").notNull(),
  type: integer("type").notNull(),
  name: byteText("name").notNull(),
  data: blob("data", { mode: "buffer" }),
});

/** Ours beside pmxcfs's: what the tree descends from, and the version record that this was said of. pmxcfs does not look at it. */
const lineageTable = sqliteTable("quorate_lineage", {
  id: integer("id").primaryKey().notNull(),
  form: blob("form", { mode: "buffer" }).notNull(),
  version: integer("version").notNull(),
  writer: integer("writer").notNull(),
  mtime: integer("mtime").notNull(),
});
const createLineageTable = `CREATE TABLE IF NOT EXISTS quorate_lineage (id INTEGER PRIMARY KEY NOT NULL,
  form BLOB NOT NULL, version INTEGER NOT NULL, writer INTEGER NOT NULL, mtime INTEGER NOT NULL)`;

export interface JournalOptions {
  /** Directory of `config.db`; made when missing. */
  readonly directory: string;
  /** `full`: an acknowledged write survives power loss; `normal`: what pmxcfs does. */
  readonly durability: "full" | "normal";
  /** Tries for the lock file, one a second; default 10. */
  readonly lockTries?: number;
}

export class Journal {
  readonly path: string;
  /** True when there was no database before this open. */
  readonly created: boolean;
  /** What the tree in the database descends from, as far as that is known. */
  readonly lineage: Lineage;
  readonly #client: Client;
  readonly #database: LibSQLDatabase;
  #lockFd: number | undefined;
  /** The database has our own table. */
  #hasLineage: boolean;
  #closed = false;

  private constructor(options: {
    readonly path: string;
    readonly created: boolean;
    readonly client: Client;
    readonly lockFd: number;
    readonly lineage: Lineage | undefined;
  }) {
    this.path = options.path;
    this.created = options.created;
    this.lineage = options.lineage ?? unknownLineage();
    this.#hasLineage = options.lineage !== undefined;
    this.#client = options.client;
    this.#lockFd = options.lockFd;
    this.#database = drizzle(options.client);
  }

  /**
   * Locks the directory, reads the rows in rowid order and lets `load` make of them what the caller needs. Only what both
   * accept is opened for writing, or created; a database that is refused stays as it is, with all that lies beside it.
   */
  static async open<T>(
    options: JournalOptions,
    load: (rows: readonly TreeRow[], path: string) => Result<T>,
  ): Promise<Result<{ readonly journal: Journal; readonly loaded: T }>> {
    const path = join(options.directory, "config.db");
    const locked = await lockDirectory(options.directory, options.lockTries ?? lockTriesMax);
    if (!locked.ok) return locked;
    const lockFd = locked.value;
    let client: Client | undefined;
    try {
      const rows = readDatabase(path, undefined, options.durability === "full");
      const loaded = rows.ok ? load(rows.value, path) : rows;
      if (!loaded.ok) {
        closeFd(lockFd);
        return loaded;
      }
      const created = prepareFile(path);
      client = createClient({
        url: pathToFileURL(path).href,
        intMode: "number",
        // One connection: its session settings (synchronous) must hold for every commit.
        concurrency: 1,
        timeout: busyTimeoutMs,
      });
      await client.execute("PRAGMA journal_mode=WAL");
      await client.execute(
        `PRAGMA synchronous=${options.durability === "full" ? "FULL" : "NORMAL"}`,
      );
      await client.execute(createTable);
      const lineage = await readLineage(client);
      const journal = new Journal({ path, created, client, lockFd, lineage });
      return success({ journal, loaded: loaded.value });
    } catch (error) {
      client?.close();
      closeFd(lockFd);
      return failure(journalFault(path, error));
    }
  }

  /** Stores the changes of a batch, in order, in one transaction; resolved means durable. */
  async commit(changes: readonly JournalChange[]): Promise<Result<undefined>> {
    const batch = new Batch();
    for (const change of changes) batch.add(change);
    const coalesced = batch.change;
    const statements = [...this.#statements(coalesced), ...this.#lineageStatements(coalesced)];
    const [first, ...rest] = statements;
    if (first === undefined) return success(undefined);
    try {
      await this.#database.batch([first, ...rest]);
      this.#hasLineage ||= coalesced.lineage !== undefined;
      return success(undefined);
    } catch (error) {
      return failure(journalFault(this.path, error));
    }
  }

  /** The session settings in force: SQLite's journal mode, and 2 for FULL or 1 for NORMAL. */
  async settings(): Promise<{ readonly journalMode: string; readonly synchronous: number }> {
    const mode = await this.#client.execute("PRAGMA journal_mode");
    const synchronous = await this.#client.execute("PRAGMA synchronous");
    return {
      journalMode: textValue(mode.rows[0]?.[0]),
      synchronous: Number(synchronous.rows[0]?.[0]),
    };
  }

  /** Moves the log into the database, closes it (the -wal and -shm files go) and unlocks the directory. */
  async close(): Promise<Result<undefined>> {
    if (this.#closed) return success(undefined);
    this.#closed = true;
    let result: Result<undefined> = success(undefined);
    try {
      await this.#client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
      // libsql closes its connection only when it is collected; leaving WAL mode takes the -wal and -shm files away now.
      // Another program that reads the database keeps this from happening, which does no harm.
      await this.#client.execute(`PRAGMA busy_timeout=${closeTimeoutMs}`);
      await this.#client.execute("PRAGMA journal_mode=DELETE");
    } catch (error) {
      const code = sqliteCodeOf(error);
      const readElsewhere = code === "SQLITE_BUSY" || code === "SQLITE_LOCKED";
      if (!readElsewhere) result = failure(journalFault(this.path, error));
    }
    this.#client.close();
    if (this.#lockFd !== undefined) closeFd(this.#lockFd);
    this.#lockFd = undefined;
    return result;
  }

  #statements(change: JournalChange): BatchItem<"sqlite">[] {
    const statements: BatchItem<"sqlite">[] = [];
    if (change.replaceAll === true) statements.push(this.#database.delete(tree));
    for (const inodes of chunks(change.deleted, rowsPerStatement)) {
      statements.push(this.#database.delete(tree).where(inArray(tree.inode, inodes)));
    }
    const stored = change.stored.map((entry) => rowOf(entry, change.fromSync === true));
    for (const rows of chunks(stored, rowsPerStatement)) {
      statements.push(
        this.#database
          .insert(tree)
          .values(rows)
          .onConflictDoUpdate({ target: tree.inode, set: takenOver }),
      );
    }
    return statements;
  }

  /** In the same transaction as the tree: who else changes that leaves our table as it is, and then the two do not fit. */
  #lineageStatements({ lineage, stored }: JournalChange): BatchItem<"sqlite">[] {
    const root = stored.find(({ inode }) => inode === 0);
    if (lineage === undefined) {
      if (root === undefined || !this.#hasLineage) return [];
      const { version, writer, mtime } = root;
      return [this.#database.update(lineageTable).set({ version, writer, mtime })];
    }
    const form = Buffer.from(encodeLineage(lineage));
    const ofRoot = (column: string) => sql.raw(`(SELECT ${column} FROM tree WHERE inode = 0)`);
    return [
      this.#database.run(sql.raw(createLineageTable)),
      this.#database.run(
        sql`INSERT OR REPLACE INTO quorate_lineage VALUES (0, ${form}, ${ofRoot("version")}, ${ofRoot("writer")}, ${ofRoot("mtime")})`,
      ),
    ];
  }
}

/** Undefined: the database has none. Unknown, but for the promise, where another program has changed the tree since. */
async function readLineage(client: Client): Promise<Lineage | undefined> {
  const tables = await client.execute(
    "SELECT 1 FROM sqlite_master WHERE type='table' AND name='quorate_lineage'",
  );
  if (tables.rows.length === 0) return undefined;
  const { rows } = await client.execute(
    `SELECT form, (SELECT count(*) FROM tree WHERE tree.inode = 0 AND tree.version = own.version
       AND tree.writer = own.writer AND tree.mtime = own.mtime) FROM quorate_lineage own WHERE id = 0`,
  );
  const [form, fits] = [rows[0]?.[0], rows[0]?.[1]];
  const read = form instanceof ArrayBuffer ? decodeLineage(new Uint8Array(form)) : undefined;
  if (read?.ok === true && fits === 1) return read.value;
  // Before anything of ours makes the two fit again.
  const lineage = unknownLineage(read?.ok === true ? read.value.promised : 0, true);
  await client.execute({
    sql: "UPDATE quorate_lineage SET form = ? WHERE id = 0",
    args: [encodeLineage(lineage)],
  });
  return lineage;
}

const takenOver = {
  parent: sql`excluded.parent`,
  version: sql`excluded.version`,
  writer: sql`excluded.writer`,
  mtime: sql`excluded.mtime`,
  type: sql`excluded.type`,
  name: sql`excluded.name`,
  data: sql`excluded.data`,
};

type Row = typeof tree.$inferInsert;

function rowOf(entry: TreeEntry, fromSync: boolean): Row {
  const { inode, parent, version, writer, mtime, data } = entry;
  const record = inode === 0;
  return {
    inode,
    parent,
    version,
    writer,
    mtime,
    type: record ? (fromSync ? directoryType : fileType) : entry.type,
    name: record ? versionRecordName : entry.name,
    data:
      data.length === 0 || entry.hollow === true
        ? null
        : Buffer.from(data.buffer, data.byteOffset, data.length),
  };
}

function* chunks<T>(list: readonly T[], size: number): IterableIterator<T[]> {
  for (let at = 0; at < list.length; at += size) yield list.slice(at, at + size);
}

/** Makes the directory and takes its lock file; the descriptor is the lock. */
async function lockDirectory(directory: string, triesMax: number): Promise<Result<number>> {
  try {
    mkdirSync(directory, { recursive: true, mode: directoryMode });
  } catch (error) {
    return failure(
      `${directory} cannot be made: ${String(error)}; check the path and its permissions`,
    );
  }
  const path = join(directory, ".pmxcfs.lockfile");
  const EAGAIN = 11;
  for (let tries = 1; ; tries += 1) {
    const locked = lockFile(path);
    if (locked.ok) return success(locked.fd);
    if (locked.errno !== EAGAIN) {
      return failure(
        `${path} cannot be locked (${locked.call}: ${errnoName(locked.errno)}): make the directory writable for this node`,
      );
    }
    if (tries >= triesMax) {
      return failure(
        `another node or a pmxcfs is running on ${directory} (it holds ${path}): stop it first or choose another directory`,
      );
    }
    await Bun.sleep(lockRetryMs);
  }
}

/** Creates a missing database as an empty file that only its owner may read; true when there was none. */
function prepareFile(path: string): boolean {
  const created = !existsSync(path) || statSync(path).size === 0;
  if (!existsSync(path)) {
    closeSync(openSync(path, "ax", fileMode));
    flushDirectory(join(path, ".."));
  }
  chmodSync(path, fileMode);
  return created;
}

function textValue(value: unknown): string {
  return typeof value === "string" ? value : "no answer";
}
