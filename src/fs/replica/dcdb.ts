// The tree as a replica of the group `pve_dcdb_v1`: index, leader by version, updates, commit, operations, lock requests.
// Spec: pmxcfs.md §2.9, §4.2, §4.6, §4.8, §4.12. Never executes an operation while this node is not quorate, never gives up
// the old tree before the new one is proven equal to the leader's.
import { equalBytes } from "../../bytes.ts";
import { type Result, success, failure } from "../../result.ts";
import type { GroupMember, Level, LogAction } from "../../world.ts";
import {
  type ApplyResult,
  directoryType,
  type TreeChange,
  type TreeEntry,
  type TreeOperation,
} from "../tree/entry.ts";
import { LockTimers } from "../tree/lock.ts";
import {
  type Body,
  dcdbGroup,
  dcdbProtocol,
  decodeIndex,
  decodeOperation,
  decodeUpdate,
  encodeIndex,
  encodeOperation,
  encodeUpdate,
  type Epoch,
  type IndexEntry,
  type TreeIndex,
} from "./message.ts";
import type { Delivery, Executed, MemberState, Replica, Sink, SyncPlan } from "./replica.ts";
import { corosyncConfPath, isLockPath, splitPath } from "../tree/rules.ts";

/** What is needed of a tree (tree.ts). */
export interface ReplicatedTree {
  readonly version: number;
  readonly writer: number;
  readonly mtime: number;
  /** Ascending by inode, the root first. */
  entries(): readonly TreeEntry[];
  byInode(inode: number): TreeEntry | undefined;
  lookup(path: string): TreeEntry | undefined;
  /** Index digest: without the inode. */
  digest(inode: number): Uint8Array | undefined;
  /** Lock checksum: with the inode. */
  entryChecksum(inode: number): Uint8Array | undefined;
  checksum(): Uint8Array;
  lockDirectories(): readonly { readonly path: string; readonly entry: TreeEntry }[];
  apply(operation: TreeOperation, writer: number, timeS: number): ApplyResult;
}

/** How new the history of each member's tree is, in their order; or the original's rule alone; or that this is not known yet. */
export type Rank = (
  exchange: Epoch,
  members: readonly GroupMember[],
) => "byVersion" | "waiting" | readonly number[];

/** In the order in which they must take effect: what is stored before an `executed` with a token is answered. */
export type DcdbAction =
  /** An operation of any member was carried out. `token`: our caller's; answer it once the change is durable. */
  | {
      readonly kind: "executed";
      readonly operation: TreeOperation;
      /** nodeid of the sender. */
      readonly writer: number;
      /** Unix seconds of the sender's clock. */
      readonly timeS: number;
      readonly result: ApplyResult;
      readonly token: number | undefined;
    }
  /**
   * A state exchange gave us another tree (`Dcdb.tree` is the new one already). `change.stored` are all its rows, the root
   * as inode 0: with `replaceAll` every other row goes. One transaction; a failure is fatal.
   */
  | {
      readonly kind: "store";
      readonly change: TreeChange;
      readonly replaceAll: boolean;
      /** The objects of the tree that is given up. */
      readonly before: readonly TreeEntry[];
    }
  /** The group's configuration changed. Ascending by (nodeid, pid). */
  | { readonly kind: "membersChanged"; readonly members: readonly GroupMember[] }
  /** Our state goes into a state exchange of this name. */
  | { readonly kind: "exchangeBegan"; readonly exchange: Epoch }
  /** All states are here. `isEqual`: our tree is the leader's, or has its bytes. */
  | { readonly kind: "led"; readonly leader: GroupMember; readonly isEqual: boolean }
  /** All members have the tree of this version, or will have it before they carry out anything more. */
  | { readonly kind: "synced"; readonly exchange: Epoch; readonly version: number }
  /** `corosync.conf` in the tree may have changed (pmxcfs.md §2.8). `isOwn`: this node wrote it, so it tells corosync. */
  | { readonly kind: "corosyncConfChanged"; readonly isOwn: boolean }
  | LogAction;

/** Limits of one state exchange, far above the tree's own (pmxcfs.md §1.7): 128 MiB and 262,144 objects are nominal. */
export const updatesMax = 1_048_576;
export const updateBytesMax = 1_073_741_824;

export class Dcdb<Tree extends ReplicatedTree> implements Replica<DcdbAction> {
  readonly group = dcdbGroup;
  readonly protocol = dcdbProtocol;
  readonly domain = "dcdb";
  readonly #load: (rows: readonly TreeEntry[], before: Tree) => Result<Tree>;
  readonly #rank: Rank | undefined;
  readonly #locks = new LockTimers();
  #tree: Tree;
  #quorate = false;
  #updates = new Map<number, TreeEntry>();
  #updateBytes = 0;

  /**
   * `load` builds a tree out of rows whose root is inode 0 with the name "", by all rules of pmxcfs.md §1.4; `before` is the
   * tree it replaces. `now`: monotonic milliseconds; the locks in the tree begin their time.
   */
  constructor(options: {
    readonly tree: Tree;
    readonly load: (rows: readonly TreeEntry[], before: Tree) => Result<Tree>;
    readonly now: number;
    readonly rank?: Rank;
  }) {
    this.#tree = options.tree;
    this.#load = options.load;
    this.#rank = options.rank;
    this.#restartLocks(options.now);
  }

  get tree(): Tree {
    return this.#tree;
  }
  get quorate(): boolean {
    return this.#quorate;
  }

  quorumChanged(quorate: boolean): void {
    this.#quorate = quorate;
  }

  membersChanged(members: readonly GroupMember[], out: Sink<DcdbAction>): void {
    this.#forgetUpdates();
    out.push({ kind: "membersChanged", members });
  }

  becameSynced(exchange: Epoch, out: Sink<DcdbAction>): readonly Body[] {
    out.push({ kind: "synced", exchange, version: this.#tree.version });
    return [];
  }

  encodeState(exchange: Epoch, out: Sink<DcdbAction>): Uint8Array {
    out.push({ kind: "exchangeBegan", exchange });
    return encodeIndex(indexOf(this.#tree));
  }

  planSync(
    states: readonly MemberState[],
    self: number,
    out: Sink<DcdbAction>,
    exchange: Epoch,
  ): SyncPlan {
    const ranks = this.#rank?.(exchange, states) ?? "byVersion";
    if (ranks === "waiting") return { kind: "waiting" };
    let leader = 0;
    let best: TreeIndex | undefined;
    for (const [i, { nodeid, state }] of states.entries()) {
      const index = decodeIndex(state);
      if (!index.ok) {
        return { kind: "refused", reason: `node ${nodeid} sent a bad state: ${index.reason}` };
      }
      if (best !== undefined && !isBefore(ranks, [leader, best], [i, index.value])) continue;
      leader = i;
      best = index.value;
    }
    const state = states[leader]?.state ?? new Uint8Array(0);
    const synced = states.map((other) => equalBytes(other.state, state));
    const { nodeid, pid } = states[leader] ?? { nodeid: 0, pid: 0 };
    out.push({ kind: "led", leader: { nodeid, pid }, isEqual: synced[self] === true });
    return { kind: "led", leader, synced };
  }

  *updatesFor(states: readonly MemberState[], self: number): Iterable<() => Uint8Array> {
    const own = indexOf(this.#tree).entries;
    const wanted = new Set<number>();
    for (const [i, { state }] of states.entries()) {
      const index = decodeIndex(state);
      if (i !== self && index.ok) addMissing(own, index.value.entries, wanted);
    }
    for (const inode of wanted) {
      const entry = this.#tree.byInode(inode);
      // Entries are replaced, never changed.
      if (entry !== undefined) yield () => encodeUpdate(entry);
    }
  }

  addUpdate(body: Uint8Array): Result<undefined> {
    const entry = decodeUpdate(body);
    if (!entry.ok) return entry;
    this.#updateBytes += body.length;
    if (this.#updates.size >= updatesMax || this.#updateBytes > updateBytesMax) {
      return failure("more updates than a tree can have");
    }
    this.#updates.set(entry.value.inode, entry.value);
    return success(undefined);
  }

  commit(leaderState: Uint8Array, now: number, out: Sink<DcdbAction>): Result<undefined> {
    const updates = this.#updates;
    this.#forgetUpdates();
    const index = decodeIndex(leaderState);
    if (!index.ok) return index;
    const rows: TreeEntry[] = [];
    for (const { inode } of index.value.entries) {
      const row = updates.get(inode) ?? this.#tree.byInode(inode);
      if (row === undefined) return failure(`inode ${inode} was not sent`);
      rows.push(row);
    }
    const loaded = this.#load(rows, this.#tree);
    if (!loaded.ok) return loaded;
    if (!equalBytes(encodeIndex(indexOf(loaded.value)), leaderState)) {
      return failure("the index differs from the leader's");
    }
    const before = this.#tree.entries();
    this.#tree = loaded.value;
    this.#restartLocks(now);
    const change = { stored: this.#tree.entries(), deleted: [] };
    out.push({ kind: "store", change, replaceAll: true, before });
    out.push({ kind: "corosyncConfChanged", isOwn: false });
    this.#log("notice", `tree of version ${this.#tree.version} taken over from the leader`, out);
    return success(undefined);
  }

  deliver(delivery: Delivery, now: number, out: Sink<DcdbAction>): Executed {
    const { sender, timeS, token, isOwn } = delivery;
    const operation = decodeOperation(delivery.subtype, delivery.body);
    if (!operation.ok) {
      return {
        kind: "leave",
        reason: `node ${sender.nodeid} sent a bad change: ${operation.reason}`,
      };
    }
    const act = (result: ApplyResult): void => {
      const writer = sender.nodeid;
      out.push({ kind: "executed", operation: operation.value, writer, timeS, result, token });
    };
    if (!this.#quorate) {
      act({ ok: false, errno: "EACCES" });
      return { kind: "leave", reason: "received write while not quorate - trigger resync" };
    }
    if (operation.value.kind === "unlockRequest") {
      const send = this.#unlockRequested(operation.value, delivery, now, out);
      act({ ok: true, value: 0, change: { stored: [], deleted: [] } });
      return send === undefined ? { kind: "done" } : { kind: "done", send };
    }
    const result = this.#tree.apply(operation.value, sender.nodeid, timeS);
    this.#followLocks(operation.value, result, now);
    act(result);
    if (result.ok && touchesCorosyncConf(operation.value)) {
      out.push({ kind: "corosyncConfChanged", isOwn });
    }
    return { kind: "done" };
  }

  checksum(): Uint8Array {
    return this.#tree.checksum();
  }

  #forgetUpdates(): void {
    this.#updates = new Map();
    this.#updateBytes = 0;
  }

  // Locks (§2.9)

  #restartLocks(now: number): void {
    this.#locks.clear();
    for (const { path, entry } of this.#tree.lockDirectories()) {
      const checksum = this.#tree.entryChecksum(entry.inode);
      if (checksum !== undefined) this.#locks.start(path, checksum, now);
    }
  }

  #followLocks(operation: TreeOperation, result: ApplyResult, now: number): void {
    if (!result.ok || !isLockPath(operation.path)) return;
    switch (operation.kind) {
      case "mkdir":
      case "setMtime": {
        const checksum = this.#lockChecksum(operation.path);
        if (checksum !== undefined) this.#locks.start(operation.path, checksum, now);
        return;
      }
      case "delete":
      case "unlock":
        return this.#locks.stop(operation.path);
      case "write":
      case "create":
      case "rename":
      case "unlockRequest":
        return;
    }
    operation satisfies never;
  }

  #unlockRequested(
    request: { readonly path: string; readonly checksum: Uint8Array },
    { isLowest }: Delivery,
    now: number,
    out: Sink<DcdbAction>,
  ): Body | undefined {
    const { path, checksum } = request;
    if (!isLowest || !isLockPath(path)) return undefined;
    const own = this.#lockChecksum(path);
    if (own === undefined || !equalBytes(own, checksum)) return undefined;
    const state = this.#locks.requested(path, checksum, now);
    if (state === "restarted") this.#log("notice", "wrong lock csum - reset timeout", out);
    if (state !== "expired") return undefined;
    this.#log("notice", `lock ${splitPath(path).base} expired, freeing it`, out);
    return encodeOperation({ kind: "unlock", path, checksum });
  }

  #lockChecksum(path: string): Uint8Array | undefined {
    const entry = this.#tree.lookup(path);
    if (entry === undefined || entry.type !== directoryType) return undefined;
    return this.#tree.entryChecksum(entry.inode);
  }

  #log(level: Level, text: string, out: Sink<DcdbAction>): void {
    out.push({ kind: "log", level, subsystem: this.domain, text });
  }
}

/** The index of a tree (§4.6). */
export function indexOf(tree: ReplicatedTree): TreeIndex {
  const entries: IndexEntry[] = [];
  for (const { inode } of tree.entries()) {
    const digest = tree.digest(inode);
    if (digest !== undefined) entries.push({ inode, digest });
  }
  const { version, writer, mtime } = tree;
  return { version, writer, mtime, lastInode: entries.at(-1)?.inode ?? 0, entries };
}

/** Whether the second member of two, in their order in the list of states, leads the first: by rank if that is known, then by version. */
function isBefore(
  ranks: "byVersion" | readonly number[],
  [at, best]: readonly [number, TreeIndex],
  [i, index]: readonly [number, TreeIndex],
): boolean {
  const difference = ranks === "byVersion" ? 0 : (ranks[i] ?? 0) - (ranks[at] ?? 0);
  return difference === 0 ? isNewer(index, best) : difference > 0;
}

/** Highest version, then latest mtime; for equal ones the earlier member stays (lowest nodeid, then pid). */
function isNewer(index: TreeIndex, best: TreeIndex): boolean {
  if (index.version !== best.version) return index.version > best.version;
  return index.mtime > best.mtime;
}

/** Adds to `wanted` what `other` lacks of `own` or has differently; both ascending by inode. */
function addMissing(
  own: readonly IndexEntry[],
  other: readonly IndexEntry[],
  wanted: Set<number>,
): void {
  let at = 0;
  for (const { inode, digest } of own) {
    while ((other[at]?.inode ?? Number.POSITIVE_INFINITY) < inode) at += 1;
    const its = other[at];
    if (its === undefined || its.inode !== inode || !equalBytes(its.digest, digest)) {
      wanted.add(inode);
    }
  }
}

function touchesCorosyncConf(operation: TreeOperation): boolean {
  switch (operation.kind) {
    case "write":
    case "create":
      return operation.path === corosyncConfPath;
    case "rename":
      return operation.to === corosyncConfPath;
    case "mkdir":
    case "delete":
    case "setMtime":
    case "unlock":
    case "unlockRequest":
      return false;
  }
  return operation satisfies never;
}
