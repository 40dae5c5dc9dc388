// Nodes with a tree each on a group bus, for tests: what fs.ts is in a real node, without files. The journal is a map of rows
// that is filled by the actions alone, so it must equal the tree at every moment of rest.
import { expect } from "bun:test";
import { Dcdb, type DcdbAction } from "../../src/fs/replica/dcdb.ts";
import type { ApplyResult, TreeEntry, TreeOperation } from "../../src/fs/tree/entry.ts";
import { dcdbGroup, encodeIndex, encodeOperation } from "../../src/fs/replica/message.ts";
import { indexOf } from "../../src/fs/replica/dcdb.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import { type BusNode, GroupBus } from "./group-bus.ts";

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function sha256(pieces: readonly Uint8Array[]): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256");
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
}

export type TreeNode = BusNode<DcdbAction, Dcdb<Tree>>;
export type Answer = ApplyResult | { readonly ok: false; readonly errno: "EBUSY" | "EIO" };

/** A tree of exactly `version`, made by local writes; `seed` keeps trees of different histories apart. */
export function treeOfVersion(version: number, seed: string, mtime = 1000): Tree {
  const tree = Tree.fresh(mtime, { sha256 });
  if (tree.version < version) tree.apply({ kind: "create", path: `made-by-${seed}` }, 0, mtime);
  while (tree.version < version) {
    const data = text(`${seed} ${tree.version}`);
    const path = `made-by-${seed}`;
    tree.apply({ kind: "write", path, offset: 0, data, truncate: true }, 0, mtime);
  }
  return tree;
}

export class TreeGroup {
  readonly bus: GroupBus<DcdbAction, Dcdb<Tree>>;
  readonly answers = new Map<number, Answer>();
  readonly #journals = new Map<TreeNode, Map<number, TreeEntry>>();
  #token = 0;

  constructor(seed = 1) {
    this.bus = new GroupBus(dcdbGroup, seed);
    this.bus.onAction = (node, action) => this.#follow(node, action);
  }

  /** A quorate node that has asked to join. */
  join(nodeid: number, tree: Tree, pid = nodeid * 100): TreeNode {
    const load = (rows: readonly TreeEntry[], before: Tree) =>
      Tree.load(rows, { sha256, rootName: "", guestCounters: before.guestCounters });
    const replica = new Dcdb({ tree, load, now: this.bus.now });
    const node = this.bus.add({ nodeid, pid }, replica);
    this.#journals.set(node, new Map(tree.entries().map((entry) => [entry.inode, entry])));
    this.bus.quorum(node, true);
    this.bus.start(node);
    return node;
  }

  /** Sends without waiting; the number finds the answer later. */
  ask(node: TreeNode, operation: TreeOperation): number {
    this.#token += 1;
    this.bus.send(node, encodeOperation(operation), this.#token);
    return this.#token;
  }

  /** Sends and delivers everything. */
  do(node: TreeNode, operation: TreeOperation): Answer | undefined {
    const token = this.ask(node, operation);
    this.bus.run();
    return this.answers.get(token);
  }

  write(node: TreeNode, path: string, content: string): void {
    if (node.replica.tree.lookup(path) === undefined) {
      expect(this.do(node, { kind: "create", path })).toMatchObject({ ok: true });
    }
    const data = text(content);
    const written = this.do(node, { kind: "write", path, offset: 0, data, truncate: true });
    expect(written).toMatchObject({ ok: true });
  }

  /** All these nodes are synced, have one tree, and their journals hold exactly that. */
  expectEqual(nodes: readonly TreeNode[]): void {
    const first = nodes[0]!;
    for (const node of nodes) {
      expect([node.self.nodeid, node.dfsm.mode]).toEqual([node.self.nodeid, "synced"]);
      expect(node.dfsm.queued).toBe(0);
      expect(indexHex(node)).toBe(indexHex(first));
      expect(hexOf(node.replica.checksum())).toBe(hexOf(first.replica.checksum()));
      this.expectStored(node);
    }
  }

  expectStored(node: TreeNode): void {
    const rows = [...this.#journals.get(node)!.values()].toSorted((a, b) => a.inode - b.inode);
    const stored = Tree.load(rows, { sha256, rootName: "" });
    if (!stored.ok) throw new Error(stored.reason);
    expect(hexOf(stored.value.checksum())).toBe(hexOf(node.replica.checksum()));
  }

  #follow(node: TreeNode, action: DcdbAction | { readonly kind: string }): void {
    const journal = this.#journals.get(node)!;
    const known = action as DcdbAction | { kind: "aborted"; token: number; errno: "EBUSY" | "EIO" };
    switch (known.kind) {
      case "store":
        if (known.replaceAll) journal.clear();
        for (const inode of known.change.deleted) journal.delete(inode);
        for (const entry of known.change.stored) journal.set(entry.inode, entry);
        return;
      case "executed":
        if (known.result.ok) {
          for (const inode of known.result.change.deleted) journal.delete(inode);
          for (const entry of known.result.change.stored) journal.set(entry.inode, entry);
        }
        if (known.token !== undefined) this.#answer(known.token, known.result);
        return;
      case "aborted":
        return this.#answer(known.token, { ok: false, errno: known.errno });
      case "corosyncConfChanged":
      case "membersChanged":
      case "exchangeBegan":
      case "led":
      case "synced":
      case "log":
    }
  }

  #answer(token: number, answer: Answer): void {
    if (this.answers.has(token)) throw new Error(`operation ${token} is answered twice`);
    this.answers.set(token, answer);
  }
}

export function indexHex(node: TreeNode): string {
  return hexOf(encodeIndex(indexOf(node.replica.tree)));
}
