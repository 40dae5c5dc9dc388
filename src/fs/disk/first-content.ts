// What the database of a node that starts holds before anybody writes: the version record, the corosync.conf of a new member (pmxcfs.md
// §1.5), and whether what is there may meet the cluster's tree (§2.1).
import { type Result, success } from "../../result.ts";
import type { Sha256 } from "../../world.ts";
import { directoryType, fileType, type TreeEntry } from "../tree/entry.ts";
import { corosyncConfPath } from "../tree/rules.ts";
import { Tree } from "../tree/tree.ts";
import type { JournalChange } from "./batch.ts";
import { readConf } from "./conf-file.ts";
import { type Lineage, unknownLineage } from "../epoch/lineage.ts";

export interface FirstContentOptions {
  readonly journal: {
    /** There was no database before. */
    readonly created: boolean;
    readonly lineage: Lineage;
    readonly commit: (changes: readonly JournalChange[]) => Promise<Result<undefined>>;
  };
  /** As the database has it. */
  readonly tree: Tree;
  /** The database has its version record. */
  readonly hasRecord: boolean;
  /** The ring's copy of corosync.conf; undefined: this node is in no cluster. */
  readonly conf: string | undefined;
  readonly sha256: Sha256;
  /** Unix seconds. */
  readonly mtime: number;
  readonly note: (level: "notice" | "warning", text: string) => void;
}

export interface FirstContent {
  readonly tree: Tree;
  /** It may join the groups of the cluster. */
  readonly mayJoin: boolean;
}

/**
 * Stores what is missing. A database with content but without corosync.conf belongs to a node that was never in a cluster: it stays
 * alone as the original would, because a higher version of it would replace the cluster's tree. One that holds nothing but what a
 * standalone node makes for itself begins anew.
 */
export async function firstContent(options: FirstContentOptions): Promise<Result<FirstContent>> {
  const { tree, hasRecord, conf, journal, note } = options;
  if (!hasRecord) {
    const begun = await begin(options, tree, journal.created ? conf : undefined, false);
    if (!begun.ok || journal.created) return begun;
  }
  if (conf === undefined) return success({ tree, mayJoin: false });
  if (tree.lookup(corosyncConfPath)?.type === fileType || tree.size === 1) {
    return success({ tree, mayJoin: true });
  }
  if (!isMadeByItself(tree)) {
    note(
      "warning",
      "config.db has content but no corosync.conf: this tree is kept apart from the cluster (local mode); move the database away to join",
    );
    return success({ tree, mayJoin: false });
  }
  note(
    "notice",
    "the tree held only what a standalone node makes for itself: it begins anew, as a member's",
  );
  const { mtime, sha256 } = options;
  return begin(options, Tree.fresh(mtime, { sha256 }), conf, true);
}

async function begin(
  { journal, mtime, conf }: FirstContentOptions,
  tree: Tree,
  confPath: string | undefined,
  replaceAll: boolean,
): Promise<Result<FirstContent>> {
  const { promised, mark } = journal.lineage;
  // A tree that begins anew is of no epoch.
  const lineage = mark.number === 0 ? undefined : unknownLineage(promised);
  const begun = { stored: [tree.root], deleted: [], replaceAll };
  const changes: JournalChange[] = [lineage === undefined ? begun : { ...begun, lineage }];
  const content = confPath === undefined ? undefined : readConf(confPath);
  if (content !== undefined) {
    const path = corosyncConfPath;
    for (const operation of [
      { kind: "create", path },
      { kind: "write", path, offset: 0, data: content, truncate: false },
    ] as const) {
      const result = tree.apply(operation, 0, mtime);
      if (result.ok) changes.push({ ...result.change, stored: [...result.change.stored] });
    }
  }
  const stored = await journal.commit(changes);
  if (!stored.ok) return stored;
  const isEmpty = tree.size === 1;
  return success({
    tree,
    mayJoin: conf !== undefined && (isEmpty || tree.lookup(corosyncConfPath)?.type === fileType),
  });
}

/** Keys and certificates that a node makes by itself and a member takes from its cluster (pvecm.md §4.5). */
const generatedFiles: readonly RegExp[] = [
  /^pve-root-ca\.pem$/,
  /^pve-www\.key$/,
  /^authkey\.pub(?:\.old)?$/,
  /^priv\/pve-root-ca\.(?:key|srl)$/,
  /^priv\/authkey\.key$/,
  /^nodes\/[^/]+\/pve-ssl\.(?:key|pem)$/,
];

function isMadeByItself(tree: Tree): boolean {
  const walk = (directory: TreeEntry, path: string): boolean => {
    for (const entry of tree.children(directory.inode)) {
      const name = `${path}${entry.name}`;
      const isOurs =
        entry.type === directoryType
          ? walk(entry, `${name}/`)
          : generatedFiles.some((pattern) => pattern.test(name));
      if (!isOurs) return false;
    }
    return true;
  };
  return walk(tree.root, "");
}
