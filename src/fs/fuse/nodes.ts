// The node table: the kernel's node ids and the paths behind them (FUSE protocol: LOOKUP counts, FORGET, no id used twice).
// A node follows renames made through this mount; one that was removed here lives on without a path while it is open.
// Peers change the tree at any time: a path is asked anew at every use and may be gone. Pure bookkeeping, no I/O.
import { assert } from "../../assert.ts";
import type { FileStat } from "../tree/files.ts";
import { rootNodeid } from "./abi.ts";
import type { Attributes } from "./reply.ts";

/** Nodes the kernel has forgotten are kept this long in number, so that st_ino stays the same when a name comes back. */
const IDLE_NODES_MAX = 16_384;

export interface Node {
  readonly id: number;
  readonly type: FileStat["type"];
  parent: Node | undefined;
  name: string;
  /** How often the kernel was told of this node and has not yet forgotten it. */
  lookups: number;
  /** Open file handles. */
  opens: number;
  /** Content of a file that was removed (or replaced) here while open; its handles read and write this. */
  kept: Uint8Array | undefined;
  /** Content of an open file when it was last there: what its handles read once a peer has removed it. */
  left: Uint8Array | undefined;
  /** What the kernel was told last when it asked for attributes; undefined after a change through this mount, which it follows by itself. */
  told: Told | undefined;
  /** Set while a rename or removal waits for the cluster: the name may already be gone from the tree. */
  moving: Promise<void> | undefined;
  /** Writes and other changes through this mount that wait for the cluster. */
  changing: number;
  /**
   * Changes by others while the kernel knows it, shown as nanoseconds of its time: the kernel drops its pages of a file only when size
   * or time differ, and the tree counts in seconds.
   */
  changedElsewhere: number;
  readonly children: Map<string, Node>;
}

export interface Told {
  readonly attributes: Attributes;
  /** Since when it is told these. */
  readonly at: number;
  /** Of a file: what they are the attributes of. Its pages are read from here, or a reader would get new bytes, cut at the old size. */
  readonly content: Uint8Array | undefined;
}

const NANOSECONDS = 1_000_000_000;

/** Others than this mount changed the object; counts while pages of it may be held. */
export function changedElsewhere(node: Node): void {
  if (node.lookups > 0) node.changedElsewhere = (node.changedElsewhere + 1) % NANOSECONDS;
}

export class NodeTable {
  readonly root: Node;
  readonly #nodes = new Map<number, Node>();
  readonly #idle = new Set<Node>();
  #lastId = rootNodeid;

  constructor() {
    this.root = newNode(rootNodeid, "directory", undefined, "");
    this.#nodes.set(rootNodeid, this.root);
  }

  /** Nodes held, the root included. */
  get size(): number {
    return this.#nodes.size;
  }

  get(id: number): Node | undefined {
    return this.#nodes.get(id);
  }

  /** Nodes that the kernel was told of, as they are now. */
  known(): readonly Node[] {
    return [...this.#nodes.values()].filter((node) => node.lookups > 0);
  }

  /** The path of a node, "" for the root; undefined once it or a directory above was removed here. */
  path(node: Node): string | undefined {
    if (node === this.root) return "";
    let path = node.name;
    let above = node.parent;
    while (above !== undefined && above !== this.root) {
      path = `${above.name}/${path}`;
      above = above.parent;
    }
    return above === undefined ? undefined : path;
  }

  child(parent: Node, name: string): Node | undefined {
    return parent.children.get(name);
  }

  /**
   * The node of a name that exists in the tree; another type than before means another object, hence another node. `parent`
   * has a path.
   */
  found(parent: Node, name: string, type: FileStat["type"]): Node {
    assert(this.path(parent) !== undefined, "names are found in directories that have a path");
    const known = parent.children.get(name);
    if (known?.type === type) return known;
    if (known !== undefined) this.removed(known);
    this.#lastId += 1;
    const node = newNode(this.#lastId, type, parent, name);
    parent.children.set(name, node);
    this.#nodes.set(node.id, node);
    this.#restOrDrop(node);
    return node;
  }

  /** The kernel is told of this node once more. */
  remember(node: Node): void {
    node.lookups += 1;
    this.#idle.delete(node);
  }

  /** The kernel forgets `count` of its mentions. Unknown ids and excess counts (never sent by Linux) are harmless. */
  forget(id: number, count: number): void {
    const node = this.#nodes.get(id);
    if (node === undefined || node === this.root) return;
    node.lookups = Math.max(0, node.lookups - count);
    // Its inode is gone, and the pages with it.
    if (node.lookups === 0) {
      node.changedElsewhere = 0;
      node.told = undefined;
    }
    this.#restOrDrop(node);
  }

  opened(node: Node): void {
    node.opens += 1;
    this.#idle.delete(node);
  }

  closed(node: Node): void {
    assert(node.opens > 0, "a node is closed as often as it was opened");
    node.opens -= 1;
    if (node.opens === 0) {
      node.kept = undefined;
      node.left = undefined;
    }
    this.#restOrDrop(node);
  }

  /** The name is gone (removed here, or found missing): the node loses its path. */
  removed(node: Node): void {
    if (node.parent === undefined) return;
    if (node.parent.children.get(node.name) === node) node.parent.children.delete(node.name);
    const above = node.parent;
    node.parent = undefined;
    this.#restOrDrop(node);
    this.#restOrDrop(above);
  }

  /** After a successful rename: whatever had the target name loses its path. */
  moved(node: Node, parent: Node, name: string): void {
    const replaced = parent.children.get(name);
    if (replaced === node) return;
    if (replaced !== undefined) this.removed(replaced);
    const above = node.parent;
    if (above?.children.get(node.name) === node) above.children.delete(node.name);
    node.parent = parent;
    node.name = name;
    parent.children.set(name, node);
    if (above !== undefined) this.#restOrDrop(above);
  }

  /** A node without kernel mentions, handles and children rests while it has a path, and goes when it has none. */
  #restOrDrop(node: Node): void {
    if (node === this.root || node.lookups > 0 || node.opens > 0) return;
    if (this.path(node) === undefined) {
      if (node.children.size === 0) this.#drop(node);
      return;
    }
    this.#idle.delete(node);
    this.#idle.add(node);
    for (const oldest of this.#idle) {
      if (this.#idle.size <= IDLE_NODES_MAX) break;
      if (oldest === node) break;
      if (oldest.children.size > 0)
        this.#idle.delete(oldest); // It rests again when its last child goes.
      else this.#drop(oldest);
    }
  }

  #drop(node: Node): void {
    this.#idle.delete(node);
    this.#nodes.delete(node.id);
    const above = node.parent;
    node.parent = undefined;
    if (above === undefined) return;
    if (above.children.get(node.name) === node) above.children.delete(node.name);
    // Not #restOrDrop: a long chain of only children would nest as deep as it is long.
    const rests = above !== this.root && above.lookups === 0 && above.opens === 0;
    if (rests && above.children.size === 0) this.#idle.add(above);
  }
}

function newNode(id: number, type: FileStat["type"], parent: Node | undefined, name: string): Node {
  return {
    id,
    type,
    parent,
    name,
    lookups: 0,
    opens: 0,
    kept: undefined,
    left: undefined,
    told: undefined,
    moving: undefined,
    changing: 0,
    changedElsewhere: 0,
    children: new Map(),
  };
}
