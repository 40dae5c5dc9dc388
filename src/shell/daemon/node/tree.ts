// The tree of a running node: opened with its place on this machine, in the cluster's groups or (standalone) without; and the own
// directories of a node in it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { byteStringOfText } from "../../../bytes.ts";
import { ConfigurationTree } from "../../../fs/fs.ts";
import type { TreeOptionsOfNode } from "../../../fs/tree-options.ts";
import type { Files } from "../../../fs/tree/files.ts";
import { groupId } from "../../../libc.ts";
import { type Result, failure, success } from "../../../result.ts";
import { CommandFailure, exitConfiguration } from "../../exit.ts";
import type { NodeOptions } from "./parts.ts";

/** What differs between a member and a standalone node. */
export type TreePlace = Pick<
  TreeOptionsOfNode,
  "nodeid" | "nodeName" | "groups" | "cluster" | "address" | "onFatal" | "onCorosyncConf"
>;

/** Throws CommandFailure (exit 8) when the database cannot be used. */
export async function openTree(options: NodeOptions, place: TreePlace): Promise<ConfigurationTree> {
  const { paths, durability, log } = options;
  mkdirSync(paths.treeDir, { recursive: true, mode: 0o750 });
  const gid = groupId("www-data");
  const opened = await ConfigurationTree.open({
    ...place,
    directory: paths.treeDir,
    pid: process.pid,
    corosyncConfPath: paths.conf,
    durability,
    wallS: () => Math.floor(Date.now() / 1000),
    log,
    ...(gid === undefined ? {} : { gid }),
  });
  if (!opened.ok) throw new CommandFailure(opened.reason, exitConfiguration);
  return opened.value;
}

/** As Proxmox makes them on create, join and at the start of its proxy (pvecm.md §1.3). */
const ownDirectories = ["lxc", "qemu-server", "openvz", "priv"] as const;

/**
 * Makes `nodes/NAME` with its directories, and `priv`, where they are missing. `name` as text. The reason of a failure says which
 * directory the tree refused.
 */
export async function ensureNodeDirectories(
  files: Files,
  name: string,
): Promise<Result<undefined>> {
  const own = join("nodes", byteStringOfText(name));
  for (const path of ["priv", "nodes", own, ...ownDirectories.map((each) => join(own, each))]) {
    if (files.stat(path).ok) continue;
    const made = await files.mkdir(path);
    // Another node may have been first.
    if (made.ok || made.errno === "EEXIST") continue;
    return failure(`the directory ${path} could not be made in the tree: ${made.reason}`);
  }
  return success(undefined);
}
