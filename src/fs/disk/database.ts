// The connection to `config.db`, and all that is asked of it while a node runs. Spec: pmxcfs.md §1.2, §1.6. Statements are built by drizzle and
// prepared once. They work on memory; what reaches the disk (COMMIT with a checkpoint now and then, and the flush) is carried out by threads
// of libsql and of the runtime, so that nobody on the main thread waits for a disk. One transaction at a time.
import { closeSync, fdatasync, openSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { eq, sql } from "drizzle-orm";
import { blob, customType, integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import Libsql from "libsql/promise";
import { bytesOf } from "../../bytes.ts";
import { flushDirectory } from "../../durable-file.ts";
import { directoryType, fileType, type TreeEntry } from "../tree/entry.ts";
import type { JournalChange } from "./batch.ts";
import { sqliteCodeOf } from "./journal-fault.ts";
import { createTable, type VersionRecord, versionRecordName } from "./row.ts";

const busyTimeoutMs = 10_000;
const closeTimeoutMs = 200;
/** Others have their turn after so much content of a transaction. */
const turnBytes = 256 * 1024;

/** Names are bytes; libsql aborts on text that is not UTF-8, so they cross as blobs. */
const byteText = customType<{ data: string; driverData: Uint8Array }>({ dataType: () => "text" });

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

/** Ours beside pmxcfs's: what the tree descends from, and the version record when that was stored. pmxcfs does not look at it. */
const lineageTable = sqliteTable("quorate_lineage", {
  id: integer("id").primaryKey().notNull(),
  form: blob("form", { mode: "buffer" }).notNull(),
  version: integer("version").notNull(),
  writer: integer("writer").notNull(),
  mtime: integer("mtime").notNull(),
});
const createLineageTable = `CREATE TABLE IF NOT EXISTS quorate_lineage (id INTEGER PRIMARY KEY NOT NULL,
  form BLOB NOT NULL, version INTEGER NOT NULL, writer INTEGER NOT NULL, mtime INTEGER NOT NULL)`;

/** For their text alone; parameters come in the order of a table's columns. */
const build = drizzle(() => Promise.reject(new Error("statements are run by libsql")));
const at = sql.placeholder;
const excluded = (column: string) => sql.raw(`excluded.${column}`);

const texts = {
  store: build
    .insert(tree)
    .values({
      ...{ inode: at("inode"), parent: at("parent"), version: at("version"), writer: at("writer") },
      ...{ mtime: at("mtime"), type: at("type"), name: sql`CAST(${at("name")} AS TEXT)` },
      data: at("data"),
    })
    .onConflictDoUpdate({
      target: tree.inode,
      set: {
        ...{ parent: excluded("parent"), version: excluded("version") },
        ...{ writer: excluded("writer"), mtime: excluded("mtime"), type: excluded("type") },
        ...{ name: excluded("name"), data: excluded("data") },
      },
    })
    .toSQL().sql,
  remove: build
    .delete(tree)
    .where(eq(tree.inode, at("inode")))
    .toSQL().sql,
  clear: build.delete(tree).toSQL().sql,
  retype: build
    .update(tree)
    .set({ type: sql`${at("type")}` })
    .where(sql`${tree.inode} = 0`)
    .toSQL().sql,
} as const;

const lineageText = build
  .insert(lineageTable)
  .values({
    ...{ id: at("id"), form: at("form"), version: at("version"), writer: at("writer") },
    mtime: at("mtime"),
  })
  .onConflictDoUpdate({
    target: lineageTable.id,
    set: {
      ...{ form: excluded("form"), version: excluded("version") },
      ...{ writer: excluded("writer"), mtime: excluded("mtime") },
    },
  })
  .toSQL().sql;

type Value = number | Uint8Array | null;

/** What libsql gives, as far as it is used here; its own types say nothing. */
interface Statement {
  readonly run: (values: readonly Value[]) => unknown;
  readonly all: (values: readonly Value[]) => Promise<readonly unknown[]>;
}
interface Connection {
  readonly prepare: (text: string) => Promise<Statement>;
  readonly exec: (text: string) => Promise<void>;
  readonly close: () => void;
}

/** `form`: as it is stored; `record`: row 0 with its tag, in the same transaction. */
export interface StoredLineage {
  readonly form: Uint8Array;
  readonly record: VersionRecord;
}

export interface DatabaseOptions {
  readonly path: string;
  /** Each commit is flushed. */
  readonly isFlushed: boolean;
  /** Makes durable what was written to the file of this descriptor; default: fdatasync, in a thread of the runtime. */
  readonly flush?: (fd: number) => Promise<void>;
}

export class TreeDatabase {
  readonly #connection: Connection;
  readonly #statements: Readonly<Record<keyof typeof texts | "begin", Statement>>;
  readonly #flush: (fd: number) => Promise<void>;
  /** Of the log, where every commit goes. */
  readonly #logFd: number | undefined;
  #isOpen = true;

  private constructor(
    connection: Connection,
    statements: Readonly<Record<keyof typeof texts | "begin", Statement>>,
    options: Pick<DatabaseOptions, "flush"> & { readonly logFd: number | undefined },
  ) {
    this.#connection = connection;
    this.#statements = statements;
    this.#flush = options.flush ?? flushFile;
    this.#logFd = options.logFd;
  }

  /** Throws what SQLite says. */
  static async open({ path, isFlushed, flush }: DatabaseOptions): Promise<TreeDatabase> {
    const connection: Connection = new Libsql(pathToFileURL(path).href, { timeout: busyTimeoutMs });
    try {
      await connection.exec("PRAGMA journal_mode=WAL");
      // SQLite would flush with fsync, which writes the times of the file as well: our own flush is many times cheaper, and as safe.
      await connection.exec("PRAGMA synchronous=NORMAL");
      // Nothing is read again, for the tree is in memory: half a megabyte of pages is enough for large files on their way through.
      await connection.exec("PRAGMA cache_size=-512");
      await connection.exec(createTable);
      const statements = {
        begin: await connection.prepare("BEGIN"),
        store: await connection.prepare(texts.store),
        remove: await connection.prepare(texts.remove),
        clear: await connection.prepare(texts.clear),
        retype: await connection.prepare(texts.retype),
      };
      let logFd: number | undefined;
      if (isFlushed) {
        const log = `${realpathSync(path)}-wal`;
        logFd = openSync(log, "r");
        flushDirectory(dirname(log));
      }
      return new TreeDatabase(connection, statements, {
        logFd,
        ...(flush === undefined ? {} : { flush }),
      });
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Undefined where there is no row 0. */
  async record(): Promise<VersionRecord | undefined> {
    const found = await this.#first(
      "SELECT version, writer, mtime, type FROM tree WHERE inode = 0",
    );
    if (found === undefined) return undefined;
    const [version = 0, writer = 0, mtime = 0, type = 0] = numbersOf(found);
    return { version, writer, mtime, type };
  }

  /** As it was stored; undefined: the table is empty; `hasTable`: there is one. */
  async lineage(): Promise<{ readonly hasTable: boolean; readonly stored?: StoredLineage }> {
    const table = await this.#first(
      "SELECT 1 AS found FROM sqlite_master WHERE type='table' AND name='quorate_lineage'",
    );
    if (table === undefined) return { hasTable: false };
    const found = await this.#first(
      "SELECT form, version, writer, mtime FROM quorate_lineage WHERE id = 0",
    );
    const blobOf = found?.["form"];
    if (found === undefined || !(blobOf instanceof ArrayBuffer)) return { hasTable: true };
    const [, version = 0, writer = 0, mtime = 0] = numbersOf(found);
    const record = { version, writer, mtime, type: 0 };
    return { hasTable: true, stored: { form: new Uint8Array(blobOf), record } };
  }

  /** The session settings in force: SQLite's journal mode, and 1 for NORMAL. */
  async settings(): Promise<{ readonly journalMode: string; readonly synchronous: number }> {
    const mode = await this.#first("PRAGMA journal_mode");
    const level = await this.#first("PRAGMA synchronous");
    return {
      journalMode: String(mode?.["journal_mode"]),
      synchronous: Number(level?.["synchronous"]),
    };
  }

  /** In one transaction; resolved: it is flushed. `recordType` is the type of row 0. Throws what the disk says. */
  async commit(
    change: JournalChange,
    recordType: number,
    lineage: StoredLineage | undefined,
  ): Promise<void> {
    // libsql ends the process when it is asked for anything afterwards.
    if (!this.#isOpen) throw new Error("it is closed");
    const { begin, store, remove, clear, retype } = this.#statements;
    begin.run([]);
    try {
      if (change.replaceAll === true) clear.run([]);
      let bytes = 0;
      // Stored first: a page that was emptied would be given back, and taken again.
      for (const entry of change.stored) {
        store.run(valuesOf(entry, recordType));
        bytes += entry.data.length;
        if (bytes < turnBytes) continue;
        bytes = 0;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      for (const inode of change.deleted) remove.run([inode]);
      if (lineage !== undefined) {
        const { version, writer, mtime, type } = lineage.record;
        retype.run([type]);
        await this.#connection.exec(createLineageTable);
        const statement = await this.#connection.prepare(lineageText);
        statement.run([0, lineage.form, version, writer, mtime]);
      }
      await this.#connection.exec("COMMIT");
    } catch (error) {
      // Some errors end the transaction by themselves.
      if (this.#isOpen && Reflect.get(this.#connection, "inTransaction") === true) {
        await this.#connection.exec("ROLLBACK");
      }
      throw error;
    }
    if (this.#logFd !== undefined) await this.#flush(this.#logFd);
  }

  /** Moves the log into the database and closes it; the -wal and -shm files go. Throws what the disk says. */
  async close(): Promise<void> {
    try {
      await this.#connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      // libsql closes its connection only when it is collected; leaving WAL mode takes the -wal and -shm files away now.
      // Another program that reads the database keeps this from happening, which does no harm.
      await this.#connection.exec(`PRAGMA busy_timeout=${closeTimeoutMs}`);
      await this.#connection.exec("PRAGMA journal_mode=DELETE");
    } catch (error) {
      const code = sqliteCodeOf(error);
      if (code !== "SQLITE_BUSY" && code !== "SQLITE_LOCKED") throw error;
    } finally {
      this.drop();
    }
  }

  /** Closes it as it is. */
  drop(): void {
    this.#isOpen = false;
    this.#connection.close();
    if (this.#logFd !== undefined) closeSync(this.#logFd);
  }

  async #first(text: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const statement = await this.#connection.prepare(text);
    const [found] = await statement.all([]);
    return typeof found === "object" && found !== null ? { ...found } : undefined;
  }
}

function valuesOf(entry: TreeEntry, recordType: number): readonly Value[] {
  const { inode, parent, version, writer, mtime, data } = entry;
  const isRecord = inode === 0;
  return [
    inode,
    parent,
    version,
    writer,
    mtime,
    isRecord ? recordType : entry.type,
    bytesOf(isRecord ? versionRecordName : entry.name),
    data.length === 0 || entry.hollow === true ? null : data,
  ];
}

/** pmxcfs writes the one with its own changes and the other with those of a state exchange (pmxcfs.md §1.3). */
export function plainRecordType(fromSync: boolean): number {
  return fromSync ? directoryType : fileType;
}

/** The numbers of a row, in order; 0 for anything else. */
function numbersOf(row: Readonly<Record<string, unknown>>): number[] {
  return Object.values(row).map((value) => (typeof value === "number" ? value : 0));
}

function flushFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) =>
    fdatasync(fd, (error) => (error === null ? resolve() : reject(error))),
  );
}
