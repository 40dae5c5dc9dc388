// What a tree has that the one which replaces it lacks. Spec: pmxcfs.md §4.8 ("there is no merge"); design.md decision 3. A tree that has
// merely fallen behind loses nothing: every change of its own is in the leader's history. Pure.
import { equalBytes } from "../../bytes.ts";
import { entriesByPath, type TreeEntry } from "../tree/entry.ts";
import { corosyncConfPath } from "../tree/rules.ts";
import { type Beginning, sameMark } from "./lineage.ts";

export interface LostTree {
  /** The objects of the tree that is given up, the root first. */
  readonly entries: readonly TreeEntry[];
  readonly version: number;
  /** Version of the tree that leads. */
  readonly leaderVersion: number;
  /** Byte strings, ascending: what is not in the other tree, or differently. */
  readonly paths: readonly string[];
}

/** The epochs that a tree has gone through, ascending. */
export interface Lineages {
  /** Of our tree; the last may not be marked yet. */
  readonly own: readonly Beginning[];
  /** Of the tree that leads. */
  readonly adopted: readonly Beginning[];
}

/**
 * Undefined: nothing is lost. `held`: the version up to which every member of our last
 * ring had our tree's changes; what came behind may be ours alone, if the ring broke just then.
 */
export function lostChanges(
  exchange: Lineages & {
    readonly before: readonly TreeEntry[];
    readonly after: readonly TreeEntry[];
    readonly held: number;
  },
): LostTree | undefined {
  const { before, after, held } = exchange;
  const version = before[0]?.version ?? 0;
  const leaderVersion = after[0]?.version ?? 0;
  const most = Math.min(leaderVersion, apartFrom(before, after) - 1);
  const ofEpochs = commonOfEpochs(exchange);
  const known = Math.min(most, ofEpochs ?? most);
  // Without a common epoch nobody knows whether what is not there was removed or never was.
  const common = ofEpochs === undefined ? 0 : Math.min(known, held);
  if (version <= common) return undefined;
  const theirs = entriesByPath(after);
  const paths: string[] = [];
  for (const [path, entry] of entriesByPath(before)) {
    if (entry.version <= common || path === corosyncConfPath) continue;
    const other = theirs.get(path);
    // Most likely the same change was there too, and was followed by others.
    if (entry.version <= known && other !== undefined && other.version > version) continue;
    const isSame = other?.type === entry.type && equalBytes(other.data, entry.data);
    if (!isSame) paths.push(path);
  }
  if (paths.length === 0) return undefined;
  return { entries: before, version, leaderVersion, paths: paths.toSorted() };
}

/** The version up to which both trees have one history, by the newest epoch that they have in common; undefined: they have none. */
function commonOfEpochs({ own, adopted }: Lineages): number | undefined {
  for (const [at, beginning] of [...own.entries()].toReversed()) {
    const place = adopted.findIndex((other) => sameMark(other, beginning));
    if (place < 0) continue;
    const ends = [own[at + 1], adopted[place + 1]];
    return Math.min(...ends.map((next) => next?.version ?? Number.POSITIVE_INFINITY));
  }
  return undefined;
}

/** The lowest version that the other tree has of something, that ours has passed, and of which ours has not the same. */
function apartFrom(before: readonly TreeEntry[], after: readonly TreeEntry[]): number {
  const version = before[0]?.version ?? 0;
  const own = new Map(before.map((entry) => [entry.inode, entry]));
  let lowest = Number.POSITIVE_INFINITY;
  for (const entry of after) {
    if (entry.inode === 0 || entry.version > version) continue;
    const mine = own.get(entry.inode);
    const isSame = mine?.version === entry.version && equalBytes(mine.data, entry.data);
    if (!isSame) lowest = Math.min(lowest, entry.version);
  }
  return lowest;
}
