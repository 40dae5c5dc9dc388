// One object inside the tree: its entry, what it holds, and the digest that is kept with it. Spec: pmxcfs.md §1.3, §2.6.
// Only tree.ts uses these; an entry is replaced, never changed, and so is its content.
import type { TreeEntry } from "./entry.ts";
import { hashedPieces } from "../disk/row.ts";

export interface TreeNode {
  entry: TreeEntry;
  /** By name; undefined for files. */
  readonly children: Map<string, TreeNode> | undefined;
  /** Index digest of `entry`, computed when first asked for. */
  digest: Uint8Array | undefined;
}

const noBytes = new Uint8Array(0);

export function directoryNode(entry: TreeEntry): TreeNode {
  return { entry, children: new Map(), digest: undefined };
}

export function fileNode(entry: TreeEntry): TreeNode {
  return { entry, children: undefined, digest: undefined };
}

export function isFullDirectory(node: TreeNode): boolean {
  return node.children !== undefined && node.children.size > 0;
}

/** As the journal keeps it: a hollow file has no content there (NULL), exactly like the original's. */
export function storedForm({ entry }: TreeNode): TreeEntry {
  return entry.hollow === true ? { ...entry, data: noBytes } : entry;
}

export function nodePieces(node: TreeNode, withInode: boolean): Uint8Array[] {
  return hashedPieces(node.entry, withInode);
}

/** New content: the old one cut or filled with zeros to `size`, with `data` at `offset`. Always a new array. */
export function patched(
  before: Uint8Array,
  patch: { readonly offset: number; readonly data: Uint8Array; readonly size: number },
): Uint8Array {
  const after = new Uint8Array(patch.size);
  after.set(before.length > patch.size ? before.subarray(0, patch.size) : before);
  // A patch that begins behind the end has no bytes: an empty truncate.
  if (patch.data.length > 0) after.set(patch.data, patch.offset);
  return after;
}
