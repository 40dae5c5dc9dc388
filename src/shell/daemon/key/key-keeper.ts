// What every node does for a change of the ring's key (shell/key): it takes the key that the tree offers to its disk, the former one beside it, and says
// which keys it has. Whether it runs with it is the reload's matter.
import { readFileSync } from "node:fs";
import { replaceDurably } from "../../../durable-file.ts";
import { equalBytes } from "../../../bytes.ts";
import { reasonOf } from "../../../result.ts";
import {
  decodeNextKey,
  decodeTold,
  encodeTold,
  keyHash,
  nextKeyPath,
  type ToldKeys,
  toldKeyName,
} from "../../key/key-record.ts";
import type { NodeParts } from "../node/parts.ts";

const keyMode = 0o400;
/** Beside the key: what was there before. */
const formerKeyEnd = ".previous";

export type KeeperParts = Pick<NodeParts, "log" | "mode"> & {
  readonly cluster: Pick<NodeParts["cluster"], "settings" | "onReloaded">;
  readonly options: { readonly paths: { readonly authkey: string } };
  readonly tree: Pick<NodeParts["tree"], "read" | "onChanged" | "onMode" | "synced"> & {
    readonly statusStore: Pick<NodeParts["tree"]["statusStore"], "set"> & {
      readonly store: Pick<NodeParts["tree"]["statusStore"]["store"], "get">;
    };
  };
};

/** From now on; a standalone node has no key. */
export function keepKey(parts: KeeperParts): void {
  const { mode, tree, cluster } = parts;
  if (mode !== "cluster") return;
  tree.onChanged((paths) => {
    if (paths === undefined || paths.includes(nextKeyPath)) take(parts);
  });
  tree.onMode(() => take(parts));
  cluster.onReloaded(() => tell(parts));
  tell(parts);
}

/** A tree that is not the cluster's yet offers nothing. */
function take(parts: KeeperParts): void {
  const { tree, cluster, options, log } = parts;
  if (!tree.synced.includes(cluster.settings.nodeid)) return;
  const read = tree.read(nextKeyPath);
  if (!read.ok) return;
  const text = Buffer.from(read.value).toString("latin1");
  const key = decodeNextKey(text, Math.floor(Date.now() / 1000));
  if (key === undefined) return;
  const path = options.paths.authkey;
  try {
    const present = readFileSync(path);
    if (!equalBytes(present, key)) {
      replaceDurably(`${path}${formerKeyEnd}`, present, keyMode);
      replaceDurably(path, key, keyMode);
      log(
        "notice",
        `${path} is another key now, as the cluster asks; it is used from the reload on`,
      );
    }
    tell(parts);
  } catch (error) {
    log("error", `the cluster's new key cannot be written: ${reasonOf(error)}`);
  }
}

function tell(parts: KeeperParts): void {
  const own = ownKeys(parts);
  if (own === undefined) return;
  const told = parts.tree.statusStore.set(toldKeyName, encodeTold(own));
  if (!told.ok) parts.log("warning", `the other nodes cannot be told of the key: ${told.reason}`);
}

/** Undefined: there is no key on disk, or none is used. */
export function ownKeys({
  cluster,
  options,
}: Pick<KeeperParts, "cluster" | "options">): ToldKeys | undefined {
  const { key } = cluster.settings.crypto;
  if (key.length === 0) return undefined;
  try {
    return { disk: keyHash(readFileSync(options.paths.authkey)), running: keyHash(key) };
  } catch {
    return undefined; // It lies elsewhere, as corosync.conf says, or is gone: nothing is told, and nothing is asked of this node.
  }
}

/** What the members have said, this node's own as it is. */
export function toldKeys(parts: KeeperParts): ReadonlyMap<number, ToldKeys> {
  const { cluster, tree } = parts;
  const { nodeid: self, nodes } = cluster.settings;
  const told = new Map<number, ToldKeys>();
  for (const { nodeid } of nodes) {
    const value =
      nodeid === self
        ? ownKeys(parts)
        : decodeTold(tree.statusStore.store.get(nodeid, toldKeyName));
    if (value !== undefined) told.set(nodeid, value);
  }
  return told;
}
