// The tree that a database holds, with the hash that all of it is compared by.
import { type Result, failure, success } from "../../result.ts";
import { Tree } from "../tree/tree.ts";
import { replaceAdvice } from "./journal-fault.ts";
import type { TreeRow } from "./row.ts";

/** Over several pieces as if they were one. */
export function sha256(pieces: readonly Uint8Array[]): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256");
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
}

/** The tree that the rows of a database make. `hasRecord`: they have the version record. */
export function treeOf(
  rows: readonly TreeRow[],
  path: string,
  mtime: number,
): Result<{ readonly tree: Tree; readonly hasRecord: boolean }> {
  const loaded = Tree.load(rows, { sha256, mtime });
  if (loaded.ok) {
    return success({ tree: loaded.value, hasRecord: rows.some(({ inode }) => inode === 0) });
  }
  return failure(`DB load failed: ${path}: ${loaded.reason}; ${replaceAdvice}`);
}
