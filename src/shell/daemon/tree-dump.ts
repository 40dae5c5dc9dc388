// A tree's database as text in Proxmox's form, packed: the backup of a node that changes sides (pvecm.md §3.4).
import { createWriteStream, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { flushDirectory } from "../../durable-file.ts";
import { readDatabase } from "../../fs/disk/read-database.ts";
import { sqlDump } from "../../fs/disk/sql-dump.ts";

/** Whole and durable under its name, or not there. Rejects with what the database or the disk says. */
export async function dumpTree(database: string, file: string): Promise<void> {
  const rows = readDatabase(database);
  if (!rows.ok) throw new Error(rows.reason);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.tmp`;
  try {
    const to = createWriteStream(draft, { mode: 0o600, flush: true });
    await pipeline(Readable.from(sqlDump(rows.value)), createGzip(), to);
    renameSync(draft, file);
    flushDirectory(dirname(file));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
