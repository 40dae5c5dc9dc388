// What a tree has that the one which replaces it lacks. Spec: pmxcfs.md §4.8 ("there is no merge"); design.md decision 3. A tree that has
// merely fallen behind loses nothing: every change of its own is in the leader's history. Pure.
import { equalBytes } from "../../bytes.ts";
import { directoryType, type TreeEntry } from "../tree/entry.ts";
import { corosyncConfPath } from "../tree/rules.ts";
import { commonVersion, type Lineage, type Mark } from "./lineage.ts";

export interface LostTree {
  /** The objects of the tree that is given up, the root first. */
  readonly entries: readonly TreeEntry[];
  readonly version: number;
  /** Version of the tree that leads. */
  readonly leaderVersion: number;
  /** Byte strings, ascending: what is not in the other tree, or differently. */
  readonly paths: readonly string[];
}

/** Undefined: nothing is lost. `own`: the epochs that our tree may count to. */
export function lostChanges(exchange: {
  readonly before: readonly TreeEntry[];
  readonly after: readonly TreeEntry[];
  readonly own: readonly Mark[];
  readonly adopted: Lineage;
}): LostTree | undefined {
  const { before, after, own, adopted } = exchange;
  const version = before[0]?.version ?? 0;
  const leaderVersion = after[0]?.version ?? 0;
  // The furthest that is known: up to there both trees have one history.
  let common: number | undefined;
  for (const mark of own) {
    const upTo = commonVersion(mark, adopted);
    if (upTo !== undefined) common = Math.max(common ?? 0, Math.min(upTo, leaderVersion));
  }
  const isBehind = common !== undefined && version <= common;
  if (isBehind || (common === undefined && !isApart(before, after))) return undefined;
  const theirs = byPath(after);
  const paths: string[] = [];
  for (const [path, entry] of byPath(before)) {
    if (entry.version <= (common ?? 0) || path === corosyncConfPath) continue;
    const other = theirs.get(path);
    const isSame = other?.type === entry.type && equalBytes(other.data, entry.data);
    if (!isSame) paths.push(path);
  }
  if (paths.length === 0) return undefined;
  return { entries: before, version, leaderVersion, paths: paths.toSorted() };
}

/** Without a history: whether the other tree has something of a version that ours had passed, and ours has it not so. */
function isApart(before: readonly TreeEntry[], after: readonly TreeEntry[]): boolean {
  const version = before[0]?.version ?? 0;
  if (version >= (after[0]?.version ?? 0)) return true;
  const own = new Map(before.map((entry) => [entry.inode, entry]));
  return after.some((entry) => {
    if (entry.inode === 0 || entry.version > version) return false;
    const mine = own.get(entry.inode);
    return mine?.version !== entry.version || !equalBytes(mine.data, entry.data);
  });
}

function byPath(entries: readonly TreeEntry[]): Map<string, TreeEntry> {
  const byInode = new Map(entries.map((entry) => [entry.inode, entry]));
  const paths = new Map<string, TreeEntry>();
  for (const entry of entries) {
    if (entry.inode === 0) continue;
    const names = [entry.name];
    // A tree that was loaded has no circle; the bound is for those who do not trust that.
    for (let at = byInode.get(entry.parent), depth = 0; at && at.inode !== 0; depth += 1) {
      if (depth > byInode.size) break;
      names.unshift(at.name);
      at = byInode.get(at.parent);
    }
    paths.set(names.join("/"), entry);
  }
  return paths;
}

/** One object in a line of the log or a list: directories end in a slash. */
export function pathText(path: string, entry: Pick<TreeEntry, "type"> | undefined): string {
  return entry?.type === directoryType ? `${path}/` : path;
}
