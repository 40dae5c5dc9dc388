// The objects of the tree and the operations that change them, as the whole of src/fs speaks of them. Spec: pmxcfs.md §1, §2, §4.
import type { Errno } from "./files.ts";

export const directoryType = 4;
export const fileType = 8;
export type EntryType = typeof directoryType | typeof fileType;

/** One object; the root is inode 0, parent 0, name "", type 4 and carries version, writer and mtime of the whole tree. */
export interface TreeEntry {
  readonly inode: number;
  readonly parent: number;
  readonly version: number;
  /** nodeid of the last writer; 0 in local mode. */
  readonly writer: number;
  /** Unix seconds, 32 bits. */
  readonly mtime: number;
  readonly type: EntryType;
  /** Byte string. */
  readonly name: string;
  /** Content of a file; empty for directories. Never changed in place. */
  readonly data: Uint8Array;
  /** An empty file that was "extended" by truncate: zeros here, but no content in digests and on disk (pmxcfs.md §2.6, box). */
  readonly hollow?: true;
}

/** A change as it travels (dcdb NORMAL messages, pmxcfs.md §4.2). Paths are byte strings without leading slash. */
export type TreeOperation =
  | {
      readonly kind: "write";
      readonly path: string;
      readonly offset: number;
      readonly data: Uint8Array;
      readonly truncate: boolean;
    }
  | { readonly kind: "mkdir"; readonly path: string }
  | { readonly kind: "delete"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly to: string }
  | { readonly kind: "create"; readonly path: string }
  | { readonly kind: "setMtime"; readonly path: string; readonly mtime: number }
  | { readonly kind: "unlockRequest"; readonly path: string; readonly checksum: Uint8Array }
  | { readonly kind: "unlock"; readonly path: string; readonly checksum: Uint8Array };

/** Rows the journal must store or delete for one change, in one transaction. Inode 0 is the `__version__` record. */
export interface TreeChange {
  readonly stored: readonly TreeEntry[];
  readonly deleted: readonly number[];
}

/** Same on every node (pmxcfs.md §2.6): a failing operation changes nothing but what the spec's quirks say. */
export type ApplyResult =
  | { readonly ok: true; readonly value: number; readonly change: TreeChange }
  | { readonly ok: false; readonly errno: Errno };

/** All but the root. Objects that come from a file may be damaged: what hangs in a circle gets some path, and no loop. */
export function entriesByPath(entries: readonly TreeEntry[]): Map<string, TreeEntry> {
  const byInode = new Map(entries.map((entry) => [entry.inode, entry]));
  const paths = new Map<string, TreeEntry>();
  for (const entry of entries) {
    if (entry.inode === 0) continue;
    const names = [entry.name];
    for (let at = byInode.get(entry.parent), depth = 0; at && at.inode !== 0; depth += 1) {
      if (depth > byInode.size) break;
      names.unshift(at.name);
      at = byInode.get(at.parent);
    }
    paths.set(names.join("/"), entry);
  }
  return paths;
}
