// What a running node says of a corosync.conf of the tree: of one that is about to be put there, and of the one that is there.
import { readConf } from "../../../fs/disk/conf-file.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { settingsOfText } from "../../../node/settings/load-settings.ts";
import { type ConfContext, confEffect, confProblem, type TreeConfWatch } from "../check-conf.ts";
import type { NodeParts } from "./parts.ts";

/** Why no node could use this corosync.conf; "" when it could. A standalone node starts with it: nothing runs that it must fit. */
export async function treeConfProblem(
  parts: NodeParts,
  content: Uint8Array,
  mayRename = false,
): Promise<string> {
  if (parts.mode === "cluster") return confProblem(content, { ...confContext(parts), mayRename });
  const { paths, name } = parts.options;
  const text = Buffer.from(content).toString("latin1");
  const read = await settingsOfText(text, { ...paths, conf: corosyncConfPath }, name);
  return read.ok ? "" : read.reason;
}

/** As `confEffect`; of a standalone node nothing runs that could change. */
export async function treeConfEffect(
  parts: NodeParts,
  content: Uint8Array,
): Promise<readonly string[]> {
  return parts.mode === "cluster" ? confEffect(content, confContext(parts)) : [];
}

export async function confWarning(parts: NodeParts, watch: TreeConfWatch): Promise<string> {
  const { tree } = parts;
  // While it starts the tree may be an old one. One that is kept apart must not get the file: it would replace the cluster's.
  if (!["synced", "updating"].includes(tree.status().mode)) return "";
  const stored = tree.read(corosyncConfPath);
  const content = stored.ok ? stored.value : undefined;
  return watch.warning(content, confContext(parts));
}

function confContext({ options, cluster, tree }: NodeParts): ConfContext {
  const { paths, name } = options;
  const stored = tree.read(corosyncConfPath);
  const present = [stored.ok ? stored.value : undefined, readConf(paths.conf)].filter(
    (conf) => conf !== undefined,
  );
  return { running: cluster.settings, paths, name, present };
}
