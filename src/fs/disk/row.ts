// One object as it is stored or received, before it is part of a tree: the rules it can break by itself, and what is
// hashed of it. Spec: pmxcfs.md §1.2–1.4, §2.9, §4.6. Knows nothing of other objects.
import {
  bytesOf,
  type Decoded,
  decoded,
  malformed,
  textOfByteString,
  Writer,
} from "../../bytes.ts";
import { directoryType, fileType, type TreeEntry } from "../tree/entry.ts";

/** Name of the database row that is both the version record and the root. */
export const versionRecordName = "__version__";

/** pmxcfs's text, so that `.schema` shows the same. */
export const createTable = `CREATE TABLE IF NOT EXISTS tree (${[
  "  inode INTEGER PRIMARY KEY NOT NULL",
  ...["parent", "version", "writer", "mtime", "type"].map(
    (column) => `  ${column} INTEGER NOT NULL CHECK(typeof(${column})=='integer')`,
  ),
  "  name TEXT NOT NULL",
  "  data BLOB",
].join(",")});`;

/** Like an entry, but nothing is checked yet. */
export type TreeRow = Omit<TreeEntry, "type"> & { readonly type: number };

/** Row 0, of which the type has more than pmxcfs's byte (lineage-tag.ts). */
export interface VersionRecord {
  readonly version: number;
  readonly writer: number;
  readonly mtime: number;
  readonly type: number;
}

/** Inodes and versions are followed up to here, stored or received: below 2^53 − 1 with room for all changes to come. */
export const numberMax = Number.MAX_SAFE_INTEGER - 2 ** 32;

const noBytes = new Uint8Array(0);

export function rootEntry(version: number, writer: number, mtime: number): TreeEntry {
  return {
    inode: 0,
    parent: 0,
    version,
    writer,
    mtime,
    type: directoryType,
    name: "",
    data: noBytes,
  };
}

/** The faults of pmxcfs.md §1.4 that one row shows alone; row 0 (named `rootName`) becomes the root entry. */
export function checkRow(row: TreeRow, rootName: string): Decoded<TreeEntry> {
  const { inode, parent, version, name } = row;
  for (const [field, number] of Object.entries({ inode, parent, version })) {
    if (!Number.isInteger(number) || number < 0 || number > numberMax) {
      return malformed(
        `a number is out of range (inode = ${inode}, ${field} = ${number}; numbers are followed up to ${numberMax})`,
      );
    }
  }
  if (name === "" && (inode !== 0 || rootName !== "")) {
    return malformed(`inode has no name (inode = ${inode})`);
  }
  const type = row.type & 0xff;
  if (type !== directoryType && type !== fileType) {
    return malformed(`inode has unknown type (inode = ${inode}, type = ${type})`);
  }
  const writer = row.writer >>> 0;
  const mtime = row.mtime >>> 0;
  if (inode === 0) {
    return name === rootName
      ? decoded(rootEntry(version, writer, mtime))
      : malformed(`root inode has unexpected name '${textOfByteString(name)}'`);
  }
  if (type === directoryType && row.data.length > 0) {
    return malformed(`directory inode contains data (inode = ${inode})`);
  }
  if (name.includes("/") || name.includes("\0")) {
    return malformed(`inode has an impossible name (inode = ${inode})`);
  }
  const entry: TreeEntry = { inode, parent, version, writer, mtime, type, name, data: row.data };
  return decoded(row.hollow === true ? { ...entry, hollow: true } : entry);
}

/** How the original names one of two clashing entries. */
export function identityOf({ inode, parent, version, mtime }: TreeEntry): string {
  return `inode = ${inode}, parent = ${parent}, version = ${version}, mtime = ${mtime}`;
}

/**
 * What is hashed of an object, in order: [inode,] version, writer, mtime, size, type, parent, name, content. The index
 * digest leaves the inode out, lock and tree checksums have it.
 */
export function hashedPieces(entry: TreeEntry, withInode: boolean): Uint8Array[] {
  const head = new Writer(64 + entry.name.length);
  if (withInode) head.u64(entry.inode);
  head.u64(entry.version).u32(entry.writer).u32(entry.mtime).u32(entry.data.length);
  head.u8(entry.type).u64(entry.parent).put(bytesOf(entry.name));
  return entry.hollow === true ? [head.finish()] : [head.finish(), entry.data];
}
