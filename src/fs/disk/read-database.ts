// Reads a `config.db` without changing it, to find out whether it may be opened for writing. Spec: pmxcfs.md §1.2, §1.4.
// SQLite changes a file that it merely opens: it takes over a log that a crash left and writes -shm files. So a database
// without a log is read as immutable, and one with a log as a copy, where SQLite may recover what it likes.
import { constants, Database } from "bun:sqlite";
import {
  closeSync,
  copyFileSync,
  existsSync,
  constants as fileConstants,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { byteString } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import { updateBytesMax, updatesMax } from "../replica/dcdb.ts";
import { journalFault, replaceAdvice } from "./journal-fault.ts";
import { hasLostTransactions } from "./log-damage.ts";
import type { TreeRow } from "./row.ts";

/** Columns of pmxcfs's table `tree`. */
const columnNames = ["inode", "parent", "version", "writer", "mtime", "type", "name", "data"];
const countedColumns = ["inode", "parent", "version"];
const numberColumns = [...countedColumns, "writer", "mtime", "type"];

/** Room for what SQLite adds and for free pages; beyond that nothing is copied or searched. */
const databaseBytesMax = 4 * updateBytesMax;

/**
 * What a start that made no table yet may leave beside the file, in bytes: the log's head and the two frames of CREATE TABLE, or a
 * rollback journal of one page. More than that held objects. Before the file has its first page there are heads only.
 */
const logs = [
  { end: "-wal", emptyMax: 32, newMax: 32 + 2 * (24 + 4096) },
  { end: "-journal", emptyMax: 4096, newMax: 4096 + 4 + 4096 + 4 },
] as const;

/**
 * All rows in rowid order, none for a missing or empty file. Refused with a sentence: what is no database, damaged, without
 * the table that its log must have made, another program's, too large for a tree, or holds numbers above 2^53 − 1. Neither
 * the file nor what lies beside it is changed. `isFlushed`: each commit is flushed, so that a power failure makes no hole in the log.
 */
export function readDatabase(
  path: string,
  bytesMax: number = updateBytesMax,
  isFlushed = true,
): Result<readonly TreeRow[]> {
  try {
    const odd = kindFault(path);
    if (odd !== undefined) return failure(odd);
    const size = sizeOf(path);
    const file = existsSync(path) ? realpathSync(path) : path; // SQLite looks for the log beside the real file.
    const found = logs.map((log) => ({ ...log, path: `${file}${log.end}` }));
    for (const log of found) {
      const oddLog = kindFault(log.path);
      if (oddLog !== undefined) return failure(oddLog);
    }
    if (size === 0) {
      const left = found.find((log) => sizeOf(log.path) > log.emptyMax);
      return left === undefined ? success([]) : failure(lostTable(path, left.path));
    }
    if (size > databaseBytesMax) {
      return failure(`${path} has ${size} bytes, more than a tree can have: ${replaceAdvice}`);
    }
    const present = found.filter((log) => sizeOf(log.path) > 0);
    if (present.length === 0) return readFile(path, file, { bytesMax });
    const wal = present.find((log) => log.end === "-wal")?.path;
    if (isFlushed && wal !== undefined && isDamaged(wal)) {
      return failure(
        `${path} is damaged (acknowledged changes in ${wal} can no longer be read): ${replaceAdvice}`,
      );
    }
    const heavy = present.find((log) => sizeOf(log.path) > log.newMax)?.path;
    const directory = join(dirname(path), ".quorate-judge");
    rmSync(directory, { recursive: true, force: true }); // Of a process that was killed here.
    mkdirSync(directory, { mode: 0o700 });
    try {
      const copy = join(directory, "config.db");
      for (const end of ["", ...present.map((log) => log.end)]) {
        copyFileSync(`${file}${end}`, `${copy}${end}`, fileConstants.COPYFILE_FICLONE);
      }
      return readFile(path, copy, { isCopy: true, bytesMax, heavyLog: heavy });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  } catch (error) {
    return failure(journalFault(path, error));
  }
}

/** What stands where a file belongs, or undefined. SQLite would wait for a FIFO, and make a file where a link points. */
function kindFault(path: string): string | undefined {
  const own = lstatSync(path, { throwIfNoEntry: false });
  if (own === undefined) return undefined;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    return `${path} is a link to a file that does not exist (${readlinkSync(path)}): bring that file back or remove the link`;
  }
  return stat.isFile() ? undefined : `${path} is ${kindOf(stat)}, not a file: move it away`;
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return "a directory";
  if (stat.isFIFO()) return "a FIFO";
  return stat.isSocket() ? "a socket" : "a device";
}

function isDamaged(wal: string): boolean {
  const fd = openSync(wal, "r");
  try {
    return hasLostTransactions(sizeOf(wal), (offset, length) => {
      const bytes = new Uint8Array(length);
      readSync(fd, bytes, 0, length, offset);
      return bytes;
    });
  } finally {
    closeSync(fd);
  }
}

function lostTable(path: string, log: string): string {
  return `${path} has no tree, but ${log} has ${sizeOf(log)} bytes of changes to one: one of the two is damaged or of another database: ${replaceAdvice}`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** `path`: the name for messages; `file`: what is opened; `heavyLog`: a log that can only be of a file with a table. */
function readFile(
  path: string,
  file: string,
  {
    isCopy = false,
    bytesMax,
    heavyLog,
  }: {
    readonly isCopy?: boolean;
    readonly bytesMax: number;
    readonly heavyLog?: string | undefined;
  },
): Result<readonly TreeRow[]> {
  const access = isCopy ? constants.SQLITE_OPEN_READWRITE : constants.SQLITE_OPEN_READONLY;
  const url = `${pathToFileURL(file).href}${isCopy ? "" : "?immutable=1"}`;
  const database = new Database(url, access | constants.SQLITE_OPEN_URI);
  try {
    const foreign = foreignSchema(database);
    if (foreign !== undefined) {
      return failure(`${path} ${foreign}; move it away or choose another directory`);
    }
    const isEmpty = one(database, "SELECT count(*) FROM sqlite_master WHERE name='tree'")[0] === 0;
    if (isEmpty && heavyLog !== undefined) return failure(lostTable(path, heavyLog));
    const large = isEmpty ? undefined : sizeFault(database, bytesMax);
    if (large !== undefined) return failure(`${path} ${large}: ${replaceAdvice}`);
    const state = one(database, "PRAGMA quick_check(1)")[0];
    if (state !== "ok") return failure(`${path} is damaged (${String(state)}): ${replaceAdvice}`);
    if (isEmpty) return success([]);
    const fault = numberFault(database);
    if (fault !== undefined) return failure(`${path} ${fault}: ${replaceAdvice}`);
    return success(rowsOf(database));
  } finally {
    database.close();
  }
}

/** Why the database belongs to something else, or undefined. */
function foreignSchema(database: Database): string | undefined {
  const tables = texts(database, "SELECT CAST(name AS BLOB) FROM sqlite_master WHERE type='table'");
  if (tables.length === 0) return undefined;
  if (!tables.includes("tree")) {
    return `is an SQLite database of something else (it has no table "tree")`;
  }
  const columns = texts(database, "SELECT CAST(name AS BLOB) FROM pragma_table_info('tree')");
  const missing = columnNames.filter((column) => !columns.includes(column));
  const extra = columns.filter((column) => !columnNames.includes(column));
  if (missing.length === 0 && extra.length === 0) return undefined;
  return `has a table "tree" that is not pmxcfs's (missing columns: ${missing.join(", ") || "none"}; unknown columns: ${extra.join(", ") || "none"})`;
}

/** Rows are counted and measured before any is loaded. */
function sizeFault(database: Database, bytesMax: number): string | undefined {
  const [rows, bytes] = one(database, "SELECT count(*), total(length(data)) FROM tree");
  if (Number(rows) <= updatesMax && Number(bytes) <= bytesMax) return undefined;
  return `holds ${String(rows)} objects with ${String(bytes)} bytes, more than a tree can have`;
}

function numberFault(database: Database): string | undefined {
  const most = Number.MAX_SAFE_INTEGER;
  for (const column of numberColumns) {
    const least = countedColumns.includes(column) ? 0 : -most;
    const [inode, value] = one(
      database,
      `SELECT CAST(inode AS TEXT), CAST(${column} AS TEXT) FROM tree
       WHERE typeof(${column}) <> 'integer' OR ${column} NOT BETWEEN ${least} AND ${most} LIMIT 1`,
    );
    if (typeof inode !== "string") continue;
    return `holds a number that no tree reaches (inode = ${inode}, ${column} = ${typeof value === "string" ? value : "none"}; numbers are followed from ${least} to ${most})`;
  }
  return undefined;
}

function rowsOf(database: Database): TreeRow[] {
  const statement = database.prepare(
    "SELECT inode, parent, version, writer, mtime, type, CAST(name AS BLOB), CAST(data AS BLOB) FROM tree ORDER BY inode",
  );
  try {
    return statement.values().map(([inode, parent, version, writer, mtime, type, name, data]) => ({
      inode: Number(inode),
      parent: Number(parent),
      version: Number(version),
      writer: Number(writer),
      mtime: Number(mtime),
      type: Number(type),
      name: name instanceof Uint8Array ? byteString(name) : "",
      data: data instanceof Uint8Array ? data : new Uint8Array(0),
    }));
  } finally {
    statement.finalize();
  }
}

/** The first row of an answer, empty when there is none. */
function one(database: Database, query: string): readonly unknown[] {
  const statement = database.prepare(query);
  try {
    return statement.values()[0] ?? [];
  } finally {
    statement.finalize();
  }
}

function texts(database: Database, query: string): string[] {
  const statement = database.prepare(query);
  try {
    return statement.values().map(([name]) => (name instanceof Uint8Array ? byteString(name) : ""));
  } finally {
    statement.finalize();
  }
}
