// What the kernel holds open: file handles (with the copy a generated file is read from, pmxcfs.md §2.3) and directory
// handles (with the listing that one reading of a directory goes through). Also the content of removed files that are still open.
import { present } from "../../assert.ts";
import type { FileStat, Files, Outcome } from "../tree/files.ts";
import { errnos } from "../../libc.ts";
import type { Node, NodeTable } from "./nodes.ts";

/** The tree's own limit of one file; it also bounds what a removed file may grow to. */
const KEPT_BYTES_MAX = 1_048_576;

export type Listing = readonly { readonly name: string; readonly stat: FileStat }[];

export interface FileHandle {
  readonly kind: "file";
  readonly node: Node;
  readonly isGenerated: boolean;
  /** The kernel keeps nothing of what is read by it. */
  readonly isDirect: boolean;
  readonly mayWrite: boolean;
  /** Late refusals of its file that it was told of, or that came before it was opened (late-writes.ts). */
  refusalsTold: number;
  /** What was read last: the copy of a generated file. */
  content: Uint8Array | undefined;
}

export interface DirectoryHandle {
  readonly kind: "directory";
  readonly node: Node;
  listing: Listing | undefined;
}

export class Handles {
  readonly #handles = new Map<number, FileHandle | DirectoryHandle>();
  readonly #nodes: NodeTable;
  #last = 0;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  get size(): number {
    return this.#handles.size;
  }

  open(
    node: Node,
    kind: Pick<FileHandle, "isGenerated" | "isDirect" | "mayWrite" | "refusalsTold">,
  ): number {
    return this.#add({ kind: "file", node, ...kind, content: undefined });
  }

  openDirectory(node: Node): number {
    return this.#add({ kind: "directory", node, listing: undefined });
  }

  #add(handle: FileHandle | DirectoryHandle): number {
    this.#last += 1;
    this.#handles.set(this.#last, handle);
    this.#nodes.opened(handle.node);
    return this.#last;
  }

  file(fh: number): FileHandle | undefined {
    const handle = this.#handles.get(fh);
    return handle?.kind === "file" ? handle : undefined;
  }

  directory(fh: number): DirectoryHandle | undefined {
    const handle = this.#handles.get(fh);
    return handle?.kind === "directory" ? handle : undefined;
  }

  /** Closing what is not open is harmless. */
  close(fh: number): void {
    const handle = this.#handles.get(fh);
    if (handle === undefined) return;
    this.#handles.delete(fh);
    this.#nodes.closed(handle.node);
  }
}

/** Content for a READ at `offset`, or an errno name by `Outcome`. */
export function contentFor(options: {
  readonly files: Files;
  readonly nodes: NodeTable;
  readonly handle: FileHandle;
  readonly offset: number;
}): Outcome<Uint8Array> {
  const { files, nodes, handle, offset } = options;
  const path = nodes.path(handle.node);
  if (path !== undefined) {
    // One reading of a generated file sees one text; going back to its beginning makes a new one.
    if (handle.isGenerated && offset > 0 && handle.content !== undefined) {
      return { ok: true, value: handle.content };
    }
    const told = handle.node.told?.content;
    if (told !== undefined && !handle.isDirect) return { ok: true, value: told };
    const outcome = files.read(path);
    if (outcome.ok) handle.content = outcome.value;
    if (outcome.ok || outcome.errno !== "ENOENT") return outcome;
  }
  const left = handle.node.kept ?? handle.node.left ?? handle.content;
  if (left !== undefined) return { ok: true, value: left };
  return { ok: false, errno: "ENOENT", reason: "the file was removed while it was open" };
}

/** An open file as it is now, for its handles when a peer removes it. The bytes are the tree's own. */
export function keepLeft(files: Files, node: Node, path: string): void {
  if (node.opens === 0 || node.type !== "file") return;
  const outcome = files.read(path);
  if (outcome.ok) node.left = outcome.value;
}

/** Before an open file loses its name here: its handles go on with this copy. */
export function keepContent(files: Files, node: Node, path: string): void {
  if (node.opens === 0 || node.type !== "file") return;
  const outcome = files.read(path);
  node.kept = outcome.ok ? outcome.value : undefined;
}

/** Changes the size of a removed file; 0 or an errno. */
export function resizeKept(node: Node, size: number): number {
  if (node.kept === undefined) return errnos.ENOENT;
  if (size > KEPT_BYTES_MAX) return errnos.EFBIG;
  const resized = new Uint8Array(size);
  resized.set(node.kept.subarray(0, size));
  node.kept = resized;
  return 0;
}

/** Writes into a removed file; 0 or an errno. */
export function writeKept(node: Node, offset: number, data: Uint8Array): number {
  if (node.kept === undefined) return errnos.ENOENT;
  const end = offset + data.length;
  const errno = resizeKept(node, Math.max(node.kept.length, end));
  if (errno !== 0) return errno;
  present(node.kept, "a resized file has content").set(data, offset);
  return 0;
}
