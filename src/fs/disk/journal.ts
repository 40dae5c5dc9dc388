// The tree on disk: pmxcfs's own SQLite database `config.db`, so that a real one opens as it is and can go back. Spec:
// pmxcfs.md §1; design.md decisions 2 and 3. The only importer of the database packages; loaded by the node role alone.
// One transaction a batch; a commit that has resolved is durable. It never removes or empties an existing file.
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Result, success, failure } from "../../result.ts";
import { flushDirectory } from "../../durable-file.ts";
import { closeFd, errnoName, lockFile } from "../../libc.ts";
import { decodeLineage, encodeLineage, type Lineage, unknownLineage } from "../epoch/lineage.ts";
import { Batch, type JournalChange } from "./batch.ts";
import {
  type DatabaseOptions,
  plainRecordType,
  type StoredLineage,
  TreeDatabase,
} from "./database.ts";
import { journalFault } from "./journal-fault.ts";
import { fits, isTagged, taggedType } from "./lineage-tag.ts";
import { sha256 } from "./load-tree.ts";
import { readDatabase } from "./read-database.ts";
import type { TreeRow, VersionRecord } from "./row.ts";

/** Pause between two tries for the lock file, and how many tries there are (pmxcfs.md §1.1). */
const lockRetryMs = 1000;
const lockTriesMax = 10;
/** So much content is stored between two collections of garbage: about 10 ms each, and what was replaced is not kept twice over. */
const collectBytes = 16 * 1024 * 1024;
const directoryMode = 0o750;
const fileMode = 0o600;

export interface JournalOptions {
  /** Directory of `config.db`; made when missing. */
  readonly directory: string;
  /** `full`: an acknowledged write survives power loss; `normal`: what pmxcfs does. */
  readonly durability: "full" | "normal";
  /** Tries for the lock file, one a second; default 10. */
  readonly lockTries?: number;
  /** As of the database; for tests. */
  readonly flush?: DatabaseOptions["flush"];
}

export class Journal {
  readonly path: string;
  /** True when there was no database before this open. */
  readonly created: boolean;
  /** What the tree in the database descends from, as far as that is known. */
  readonly lineage: Lineage;
  readonly #database: TreeDatabase;
  #lockFd: number | undefined;
  /** Of the lineage in the database; undefined: the database has no table of ours. */
  #form: Uint8Array | undefined;
  /** Row 0 as the database has it. */
  #record: VersionRecord | undefined;
  /** Content stored since garbage was collected. */
  #storedBytes = 0;
  #closed = false;

  private constructor(options: {
    readonly path: string;
    readonly created: boolean;
    readonly database: TreeDatabase;
    readonly lockFd: number;
    readonly lineage: Lineage | undefined;
    readonly record: VersionRecord | undefined;
  }) {
    const { lineage } = options;
    this.path = options.path;
    this.created = options.created;
    this.lineage = lineage ?? unknownLineage();
    this.#form = lineage === undefined ? undefined : encodeLineage(lineage);
    this.#record = options.record;
    this.#lockFd = options.lockFd;
    this.#database = options.database;
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
    let database: TreeDatabase | undefined;
    try {
      const isFlushed = options.durability === "full";
      const rows = readDatabase(path, undefined, isFlushed);
      const loaded = rows.ok ? load(rows.value, path) : rows;
      if (!loaded.ok) {
        closeFd(lockFd);
        return loaded;
      }
      const created = prepareFile(path);
      const { flush } = options;
      database = await TreeDatabase.open({ path, isFlushed, ...(flush && { flush }) });
      const record = await database.record();
      const lineage = lineageOf(await database.lineage(), record);
      const journal = new Journal({ path, created, database, lockFd, lineage, record });
      return success({ journal, loaded: loaded.value });
    } catch (error) {
      database?.drop();
      closeFd(lockFd);
      return failure(journalFault(path, error));
    }
  }

  /** Stores the changes of a batch, in order, in one transaction; resolved means durable. One at a time. */
  async commit(changes: readonly JournalChange[]): Promise<Result<undefined>> {
    const batch = new Batch();
    for (const change of changes) batch.add(change);
    const { change } = batch;
    const { stored, deleted, lineage, replaceAll } = change;
    const isEmpty = stored.length + deleted.length === 0 && replaceAll !== true;
    if (isEmpty && lineage === undefined) return success(undefined);
    const form = lineage === undefined ? this.#form : encodeLineage(lineage);
    const record = this.#recordBehind(change, form);
    let tagged: StoredLineage | undefined;
    if (lineage !== undefined && form !== undefined) {
      if (record === undefined) {
        return failure(`${this.path} has no version record, so nothing can descend from it`);
      }
      tagged = { form, record };
    }
    try {
      await this.#database.commit(change, record?.type ?? plainRecordType(false), tagged);
      this.#form = form;
      this.#record = record;
      this.#collect(batch.bytes);
      return success(undefined);
    } catch (error) {
      return failure(journalFault(this.path, error));
    }
  }

  /** The session settings in force: SQLite's journal mode, and 1 for NORMAL. */
  settings(): Promise<{ readonly journalMode: string; readonly synchronous: number }> {
    return this.#database.settings();
  }

  /** Moves the log into the database, closes it (the -wal and -shm files go) and unlocks the directory. */
  async close(): Promise<Result<undefined>> {
    if (this.#closed) return success(undefined);
    this.#closed = true;
    let result: Result<undefined> = success(undefined);
    try {
      await this.#database.close();
    } catch (error) {
      result = failure(journalFault(this.path, error));
    }
    if (this.#lockFd !== undefined) closeFd(this.#lockFd);
    this.#lockFd = undefined;
    return result;
  }

  /** The runtime counts contents of files too late: it lets garbage grow to the size of the tree. */
  #collect(bytes: number): void {
    this.#storedBytes += bytes;
    if (this.#storedBytes < collectBytes) return;
    this.#storedBytes = 0;
    Bun.gc(true);
  }

  /** Row 0 behind this change, with the tag of the lineage that holds then. */
  #recordBehind(
    { stored, fromSync }: JournalChange,
    form: Uint8Array | undefined,
  ): VersionRecord | undefined {
    const root = stored.find(({ inode }) => inode === 0);
    const record =
      root === undefined ? this.#record : { ...root, type: plainRecordType(fromSync === true) };
    if (record === undefined) return undefined;
    const { version, writer, mtime } = record;
    const type = form === undefined ? record.type : taggedType(record, form, sha256);
    return { version, writer, mtime, type };
  }
}

/** Undefined: the database has none. Unknown, but for the promise, where another program has changed the tree since. */
function lineageOf(
  { hasTable, stored }: { readonly hasTable: boolean; readonly stored?: StoredLineage },
  record: VersionRecord | undefined,
): Lineage | undefined {
  if (!hasTable) return undefined;
  const read = stored === undefined ? undefined : decodeLineage(stored.form);
  if (read?.ok !== true) return unknownLineage(0, true);
  if (record !== undefined && stored !== undefined && isOurs(record, stored)) return read.value;
  return unknownLineage(read.value.promised, true);
}

/** The record has its tag, or it is the one that the lineage was stored with: so it was kept before there were tags. */
function isOurs(record: VersionRecord, { form, record: then }: StoredLineage): boolean {
  if (fits(record, form, sha256)) return true;
  const isSame = (["version", "writer", "mtime"] as const).every(
    (key) => record[key] === then[key],
  );
  return isSame && !isTagged(record);
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
