// The tree in memory: objects, the operations that change them and the digests that compare them between nodes.
// Spec: pmxcfs.md §1.3–1.4, §2.6–2.9, §4.6, §4.11. Every node runs `apply` on the same operations in the same order, so it
// must be deterministic down to the quirks; it never reads a clock, never fails half-way and never changes stored bytes.
import { assert } from "../../assert.ts";
import { equalBytes, textOfByteString } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import type { Sha256 } from "../../world.ts";
import {
  type ApplyResult,
  directoryType,
  type EntryType,
  fileType,
  type TreeChange,
  type TreeEntry,
  type TreeOperation,
} from "./entry.ts";
import type { Errno } from "./files.ts";
import { type Guest, GuestList, type GuestCounters } from "./guests.ts";
import { checkRow, identityOf, rootEntry, type TreeRow, versionRecordName } from "../disk/row.ts";
import { fileBytesMax, lockParent, splitPath } from "./rules.ts";
import {
  directoryNode,
  fileNode,
  isFullDirectory,
  nodePieces,
  patched,
  storedForm,
  type TreeNode,
} from "./tree-node.ts";

export interface TreeOptions {
  readonly sha256: Sha256;
  /** Unix seconds for a version record that is missing in the rows. */
  readonly mtime?: number;
  /** Name of row 0 in `rows`: `__version__` on disk (default), "" in state updates. */
  readonly rootName?: string;
  /** The process-wide counters of the guest list; pass `tree.guestCounters` of the tree that is replaced. */
  readonly guestCounters?: GuestCounters;
}

const noBytes = new Uint8Array(0);
const noChange: TreeChange = { stored: [], deleted: [] };

export class Tree {
  readonly #nodes = new Map<number, TreeNode>();
  readonly #sha256: Sha256;
  readonly #guests: GuestList;
  #root: TreeNode;
  #totalBytes = 0;
  /** Inodes that a failed rename removed from memory (see #rename); the next stored change takes their rows away. */
  #orphanRows: number[] = [];
  #checksum: Uint8Array | undefined;
  #sorted: TreeEntry[] | undefined;

  private constructor(options: TreeOptions, root: TreeEntry) {
    this.#sha256 = options.sha256;
    this.#guests = new GuestList(options.guestCounters ?? { list: 0, guest: 0 });
    this.#root = directoryNode(root);
    this.#nodes.set(0, this.#root);
  }

  /** An empty tree: version 1, writer 0. `mtime` in Unix seconds. */
  static fresh(mtime: number, options: TreeOptions): Tree {
    return new Tree(options, rootEntry(1, 0, mtime));
  }

  /** Builds a tree out of database rows or state updates and checks all integrity rules of pmxcfs.md §1.4. */
  static load(rows: Iterable<TreeRow>, options: TreeOptions): Result<Tree> {
    const entries = new Map<number, TreeEntry>();
    let root = rootEntry(1, 0, options.mtime ?? 0);
    for (const row of rows) {
      const checked = checkRow(row, options.rootName ?? versionRecordName);
      if (!checked.ok) return checked;
      if (row.inode === 0) root = checked.value;
      else entries.set(row.inode, checked.value);
    }
    const tree = new Tree(options, root);
    const linked = tree.#link(entries);
    if (linked !== undefined) return failure(linked);
    const duplicate = tree.#rebuildGuests();
    if (duplicate !== undefined) return failure(`detected duplicate VMID ${duplicate}`);
    return success(tree);
  }

  get version(): number {
    return this.#root.entry.version;
  }
  get writer(): number {
    return this.#root.entry.writer;
  }
  get mtime(): number {
    return this.#root.entry.mtime;
  }
  /** The record that carries version, writer and mtime of the whole tree. */
  get root(): TreeEntry {
    return this.#root.entry;
  }
  /** Number of objects, the root included. */
  get size(): number {
    return this.#nodes.size;
  }
  /** Sum of all file sizes. */
  get totalBytes(): number {
    return this.#totalBytes;
  }
  get guestCounters(): GuestCounters {
    return this.#guests.counters;
  }

  /** The object at a path; "" is the root. Empty components do not count. */
  lookup(path: string): TreeEntry | undefined {
    return this.#find(path)?.entry;
  }

  byInode(inode: number): TreeEntry | undefined {
    return this.#nodes.get(inode)?.entry;
  }

  /** What a directory holds, in no particular order. */
  *children(inode: number): IterableIterator<TreeEntry> {
    for (const child of this.#nodes.get(inode)?.children?.values() ?? []) yield child.entry;
  }

  /** All objects ascending by inode; the root is first. */
  entries(): readonly TreeEntry[] {
    this.#sorted ??= [...this.#nodes.values()]
      .map((node) => node.entry)
      .sort((a, b) => a.inode - b.inode);
    return this.#sorted;
  }

  /** Guests by VMID, in the order in which they were registered. */
  guests(): ReadonlyMap<number, Guest> {
    return this.#guests.all;
  }

  /** The directories directly below `priv/lock`: every one is a held lock. */
  lockDirectories(): readonly { readonly path: string; readonly entry: TreeEntry }[] {
    const locks: { path: string; entry: TreeEntry }[] = [];
    for (const child of this.#find(lockParent)?.children?.values() ?? []) {
      if (child.children === undefined) continue;
      locks.push({ path: `${lockParent}/${child.entry.name}`, entry: child.entry });
    }
    return locks;
  }

  /** SHA-256 of an object for the index of a state message (pmxcfs.md §4.6: without the inode); undefined: no such inode. */
  digest(inode: number): Uint8Array | undefined {
    const node = this.#nodes.get(inode);
    if (node === undefined) return undefined;
    node.digest ??= this.#sha256(nodePieces(node, false));
    return node.digest;
  }

  /** SHA-256 of an object for lock messages (pmxcfs.md §2.9: with the inode); undefined: no such inode. */
  entryChecksum(inode: number): Uint8Array | undefined {
    const node = this.#nodes.get(inode);
    return node === undefined ? undefined : this.#sha256(nodePieces(node, true));
  }

  /** SHA-256 over the whole tree (pmxcfs.md §4.11); kept until the next change. */
  checksum(): Uint8Array {
    if (this.#checksum === undefined) {
      const all: Uint8Array[] = [];
      for (const entry of this.entries()) {
        const node = this.#nodes.get(entry.inode);
        if (node !== undefined) all.push(...nodePieces(node, true));
      }
      this.#checksum = this.#sha256(all);
    }
    return this.#checksum;
  }

  /**
   * Carries out one delivered operation (pmxcfs.md §2.6). `writer`: nodeid of the sender, 0 in local mode; `timeS`: Unix
   * seconds of the message. `value` of a success is the number of bytes of a write, else 0.
   */
  apply(operation: TreeOperation, writer: number, timeS: number): ApplyResult {
    const stamp: Stamp = { writer: writer >>> 0, mtime: timeS >>> 0 };
    switch (operation.kind) {
      case "write":
        return this.#write(operation, stamp);
      case "create":
        return this.#create(operation.path, stamp);
      case "mkdir":
        return this.#mkdir(operation.path, stamp);
      case "delete":
        return this.#delete(operation.path, stamp);
      case "rename":
        return this.#rename(operation.path, operation.to, stamp);
      case "setMtime":
        return this.#setMtime(operation.path, operation.mtime >>> 0, stamp);
      case "unlockRequest":
        // A question to the lowest nodeid's timers (lock.ts); the tree stays as it is.
        return { ok: true, value: 0, change: noChange };
      case "unlock":
        return this.#unlock(operation.path, operation.checksum, stamp);
    }
    operation satisfies never;
    return failed("EINVAL");
  }

  #write(
    operation: { path: string; offset: number; data: Uint8Array; truncate: boolean },
    stamp: Stamp,
  ): ApplyResult {
    const { path, offset, data, truncate } = operation;
    if (offset + data.length > fileBytesMax) return failed("EFBIG");
    const place = this.#place(path);
    if (!place.ok) return place;
    if (this.#guests.conflicts(path)) return failed("EEXIST");
    const { existing } = place;
    if (existing?.children !== undefined) return failed("ENOTDIR");
    if (existing === undefined) return failed("ENOENT");
    const before = existing.entry.data;
    const end = offset + data.length;
    const size = end > before.length || truncate ? end : before.length;
    const wasHollow = existing.entry.hollow === true;
    const isHollow =
      data.length === 0 && size > 0 && (before.length === 0 || (wasHollow && truncate));
    const after = patched(before, { offset, data, size });
    this.#bump(stamp);
    const { inode, parent, type, name } = existing.entry;
    const entry = { inode, parent, type, name, ...this.#stampOf(stamp), data: after };
    this.#replace(existing, isHollow ? { ...entry, hollow: true } : entry);
    this.#guests.registerPath(path);
    return this.#stored(data.length, storedForm(existing));
  }

  #create(path: string, stamp: Stamp): ApplyResult {
    const place = this.#place(path);
    if (!place.ok) return place;
    if (this.#guests.conflicts(path)) return failed("EEXIST");
    if (place.existing?.children !== undefined) return failed("ENOTDIR");
    if (place.existing !== undefined) return failed("EEXIST");
    this.#bump(stamp);
    const node = this.#add(place, fileType);
    this.#guests.registerPath(path);
    return this.#stored(0, node.entry);
  }

  #mkdir(path: string, stamp: Stamp): ApplyResult {
    const place = this.#place(path);
    if (!place.ok) return place;
    if (place.existing !== undefined) return failed("EEXIST");
    this.#bump(stamp);
    return this.#stored(0, this.#add(place, directoryType).entry);
  }

  #delete(path: string, stamp: Stamp): ApplyResult {
    const node = this.#find(path);
    if (node === undefined) return failed("ENOENT");
    if (node === this.#root) return failed("EACCES");
    if (isFullDirectory(node)) return failed("ENOTEMPTY");
    this.#detach(node);
    this.#bump(stamp);
    this.#guests.forgetPath(path);
    return this.#deleted(node.entry.inode);
  }

  #rename(path: string, to: string, stamp: Stamp): ApplyResult {
    const source = this.#find(path);
    if (source === undefined) return failed("ENOENT");
    if (source === this.#root) return failed("EACCES");
    const isFile = source.children === undefined;
    if (isFile && this.#guests.conflicts(to) && !this.#guests.isSameGuest(path, to)) {
      return failed("EEXIST");
    }
    if (!isFile && path.startsWith(`${lockParent}/`)) return failed("EACCES");
    const place = this.#place(to);
    if (!place.ok) return place;
    // Undefined in the original (pmxcfs.md §9.2); peers never send it, the file system answers it without a message.
    if (place.existing === source) return failed("EINVAL");
    const gone: number[] = [];
    if (place.existing !== undefined) {
      if (isFullDirectory(place.existing)) return failed("ENOTEMPTY");
      this.#detach(place.existing);
      gone.push(place.existing.entry.inode);
    }
    if (isFullDirectory(source)) {
      // The original has removed the target by now and does not put it back (pmxcfs.md §2.6): all members forget it. Its
      // row must go as well, or a later object of that name would make the database fail to load.
      this.#orphanRows.push(...gone);
      return failed("ENOTEMPTY");
    }
    this.#bump(stamp);
    this.#parentOf(source)?.children?.delete(source.entry.name);
    const parent = place.parent.entry.inode;
    this.#replace(source, {
      ...source.entry,
      ...this.#stampOf(stamp),
      parent,
      name: place.base,
    });
    place.parent.children?.set(place.base, source);
    if (isFile) {
      this.#guests.forgetPath(path);
      this.#guests.registerPath(to);
    }
    return this.#changed(0, [storedForm(source)], gone);
  }

  #setMtime(path: string, mtime: number, stamp: Stamp): ApplyResult {
    const place = this.#place(path);
    if (!place.ok) return place;
    const { existing } = place;
    if (existing === undefined) return failed("ENOENT");
    if (existing.children !== undefined && splitPath(path).parent === lockParent) {
      // A lock is only refreshed forward and only by the node that holds it.
      if (mtime < existing.entry.mtime) return failed("EACCES");
      if (existing.entry.writer !== stamp.writer) return failed("EACCES");
    }
    // The given time becomes the tree's as well: part of the tie-break between equal versions.
    const given = { writer: stamp.writer, mtime };
    this.#bump(given);
    this.#replace(existing, { ...existing.entry, ...this.#stampOf(given) });
    return this.#stored(0, storedForm(existing));
  }

  #unlock(path: string, checksum: Uint8Array, stamp: Stamp): ApplyResult {
    const node = this.#find(path);
    if (node?.children === undefined) return failed("ENOENT");
    const own = this.entryChecksum(node.entry.inode);
    if (own === undefined || !equalBytes(own, checksum)) return failed("EACCES");
    return this.#delete(path, stamp);
  }

  /** Where an object of this path is or would be: the checks that most operations begin with. */
  #place(path: string): Place | Refused {
    const { parent, base } = splitPath(path);
    const directory = this.#find(parent);
    if (directory === undefined) return failed("ENOENT");
    if (directory.children === undefined) return failed("ENOTDIR");
    if (base === "" || base === "." || base === "..") return failed("EACCES");
    return { ok: true, parent: directory, base, existing: directory.children.get(base) };
  }

  #find(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.#root;
    for (const name of path.split("/")) {
      if (name !== "") node = node?.children?.get(name);
    }
    return node;
  }

  #parentOf(node: TreeNode): TreeNode | undefined {
    return this.#nodes.get(node.entry.parent);
  }

  /** A change happened: tree version + 1, and the tree takes over its writer and time. */
  #bump(stamp: Stamp): void {
    const { version } = this.#root.entry;
    assert(version < Number.MAX_SAFE_INTEGER, "the tree version fits 53 bits");
    this.#replace(this.#root, rootEntry(version + 1, stamp.writer, stamp.mtime));
  }

  #stampOf(stamp: Stamp): Pick<TreeEntry, "version" | "writer" | "mtime"> {
    return { version: this.version, writer: stamp.writer, mtime: stamp.mtime };
  }

  #replace(node: TreeNode, entry: TreeEntry): void {
    this.#totalBytes += entry.data.length - node.entry.data.length;
    node.entry = entry;
    node.digest = undefined;
    this.#touched();
  }

  #touched(): void {
    this.#sorted = undefined;
    this.#checksum = undefined;
  }

  /** A new object: inode = version = the tree version after the bump. */
  #add(place: Place, type: EntryType): TreeNode {
    const { version, writer, mtime } = this.#root.entry;
    let inode = version;
    // A database may hold inodes above its version (pmxcfs.md §1.4); never take one that is in use.
    while (this.#nodes.has(inode)) inode += 1;
    const parent = place.parent.entry.inode;
    const entry: TreeEntry = {
      inode,
      parent,
      version,
      writer,
      mtime,
      type,
      name: place.base,
      data: noBytes,
    };
    const node = type === directoryType ? directoryNode(entry) : fileNode(entry);
    this.#nodes.set(inode, node);
    place.parent.children?.set(place.base, node);
    this.#touched();
    return node;
  }

  #detach(node: TreeNode): void {
    const siblings = this.#parentOf(node)?.children;
    if (siblings?.get(node.entry.name) === node) siblings.delete(node.entry.name);
    this.#nodes.delete(node.entry.inode);
    this.#totalBytes -= node.entry.data.length;
    this.#touched();
  }

  #stored(value: number, entry: TreeEntry): ApplyResult {
    return this.#changed(value, [entry], []);
  }
  #deleted(inode: number): ApplyResult {
    return this.#changed(0, [], [inode]);
  }
  #changed(value: number, stored: readonly TreeEntry[], gone: readonly number[]): ApplyResult {
    const deleted = [...gone, ...this.#orphanRows];
    this.#orphanRows = [];
    return { ok: true, value, change: { stored: [...stored, this.#root.entry], deleted } };
  }

  /** Puts checked entries below their parents; returns the fault in the original's words, or undefined. */
  #link(entries: ReadonlyMap<number, TreeEntry>): string | undefined {
    for (const [inode, entry] of entries) {
      this.#nodes.set(inode, entry.type === directoryType ? directoryNode(entry) : fileNode(entry));
      this.#totalBytes += entry.data.length;
    }
    for (const entry of entries.values()) {
      const { inode, name } = entry;
      const parent = this.#nodes.get(entry.parent);
      if (parent === undefined) return `missing directory inode (inode = ${entry.parent})`;
      if (parent.children === undefined) {
        return `parent is not a directory (inode = ${inode}, parent = ${entry.parent}, name = '${textOfByteString(name)}')`;
      }
      const other = parent.children.get(name)?.entry;
      if (other !== undefined) {
        return `found entry with duplicate name '${textOfByteString(name)}' - A:(${identityOf(other)}) vs. B:(${identityOf(entry)})`;
      }
      const node = this.#nodes.get(inode);
      if (node !== undefined) parent.children.set(name, node);
    }
    this.#touched();
    return undefined;
  }

  /** Registers all guest files; returns a VMID that two of them claim. */
  #rebuildGuests(): number | undefined {
    const paths: string[] = [];
    for (const node of this.#find("nodes")?.children?.values() ?? []) {
      for (const directory of node.children?.values() ?? []) {
        for (const file of directory.children?.values() ?? []) {
          if (file.children !== undefined) continue;
          paths.push(`nodes/${node.entry.name}/${directory.entry.name}/${file.entry.name}`);
        }
      }
    }
    return this.#guests.rebuild(paths);
  }
}

interface Stamp {
  readonly writer: number;
  readonly mtime: number;
}

interface Place {
  readonly ok: true;
  readonly parent: TreeNode;
  readonly base: string;
  readonly existing: TreeNode | undefined;
}

interface Refused {
  readonly ok: false;
  readonly errno: Errno;
}

function failed(errno: Errno): Refused {
  return { ok: false, errno };
}
