// What a node is when it starts: a member of the cluster that corosync.conf describes, or alone. Spec: pmxcfs.md §1.5, §2.1, §2.8. The
// file is looked for on disk, then in the tree's database: a tree that has one gives it to the disk, as pmxcfs does.
import { lstatSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { replaceConf } from "../../../fs/disk/conf-file.ts";
import { readDatabase } from "../../../fs/disk/read-database.ts";
import { fileType } from "../../../fs/tree/entry.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { loadSettings, settingsOfText } from "../../../node/settings/load-settings.ts";
import type { NodeSettings } from "../../../node/settings/settings.ts";
import { reasonOf } from "../../../result.ts";
import { CommandFailure, exitConfiguration } from "../../exit.ts";
import { leavePlan } from "../../leave/leave-plan.ts";
import { OperationFiles } from "../../operation/operation-store.ts";
import {
  formerMembersPath,
  formerOf,
  formerText,
  noMemberText,
} from "../../change/former-members.ts";
import { Leaving } from "../leave/leaving.ts";
import type { NodeOptions } from "./parts.ts";

export type StartMode =
  | { readonly kind: "cluster"; readonly settings: NodeSettings }
  | {
      readonly kind: "standalone";
      /** Of this node: given, or the host name up to its first dot. */
      readonly name: string;
      /** Why it does not start as the member that it is configured to be; "": it is not. */
      readonly fault: string;
      /** It was a member until this start: its tree may have the cluster's corosync.conf. */
      readonly hasLeft: boolean;
    };

/** Throws CommandFailure (exit 8) with what is wrong and the remedy; nothing was changed then. */
export async function startMode(options: NodeOptions): Promise<StartMode> {
  const { paths, name } = options;
  if (await hasLeft(options)) return { ...standalone(options, ""), hasLeft: true };
  if (isThere(paths.conf)) return { kind: "cluster", settings: await ownSettings(options) };
  const stored = storedConf(options);
  if (stored === undefined) return standalone(options, "");
  const text = Buffer.from(stored).toString("latin1");
  const read = await settingsOfText(text, paths, name);
  if (!read.ok) {
    const database = join(paths.treeDir, "config.db");
    throw new CommandFailure(
      `the tree (${database}) has the corosync.conf of a cluster, which ${paths.conf} is to be made of, and it cannot be used: ${read.reason}`,
      exitConfiguration,
    );
  }
  const written = replaceConf(paths.conf, stored);
  if (!written.ok) throw new CommandFailure(written.reason, exitConfiguration);
  options.log({
    kind: "log",
    level: "notice",
    subsystem: "MAIN",
    text: `wrote ${paths.conf} as the tree has it (version = ${read.value.configVersion})`,
  });
  return { kind: "cluster", settings: await settingsOf(options) };
}

/** A removed node's own copies of corosync.conf and tree say what became of it, if it was there when it was removed. */
async function ownSettings(options: NodeOptions): Promise<NodeSettings> {
  try {
    return await settingsOf(options);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const { name } = standalone(options, "");
    const text = storedFile(options, formerMembersPath);
    const former = formerOf(text && Buffer.from(text).toString("latin1"), name);
    if (former?.name !== name) throw error;
    throw new CommandFailure(
      `${noMemberText}: ${formerText(former)}. \`quorate leave --local\` makes a standalone node of it, which may join again`,
      error.code,
    );
  }
}

/** `fault`: why it does not start as the member that it is configured to be. */
export function standalone(
  { name }: NodeOptions,
  fault: string,
): StartMode & { readonly kind: "standalone" } {
  const own = hostname().split(".")[0] ?? "";
  const known = name ?? (own === "" ? "localhost" : own);
  return { kind: "standalone", name: known, fault, hasLeft: false };
}

/** Puts the cluster's files aside when this node has left it. */
async function hasLeft({ paths, log }: NodeOptions): Promise<boolean> {
  const tell = (text: string): void =>
    log({ kind: "log", level: "notice", subsystem: "MAIN", text });
  try {
    const underway = new OperationFiles(paths.operationDir).record();
    // A record that cannot be read may be that of a leave.
    const isLeaving = !underway.ok || underway.value?.kind === leavePlan.kind;
    return await new Leaving(paths).apply(tell, isLeaving);
  } catch (error) {
    throw new CommandFailure(reasonOf(error), exitConfiguration);
  }
}

/** From corosync.conf on disk; throws CommandFailure (exit 8). */
export async function settingsOf(options: NodeOptions): Promise<NodeSettings> {
  const loaded = await loadSettings(options.paths, options.name);
  if (!loaded.ok) throw new CommandFailure(loaded.reason, exitConfiguration);
  return loaded.value;
}

/** What cannot even be looked at is there: reading it says why it cannot be used. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/** The corosync.conf in the tree's database, which is read without being changed. One that cannot be used is refused when it is opened, under its lock. */
export function storedConf(
  options: Pick<NodeOptions, "paths" | "durability">,
): Uint8Array | undefined {
  return storedFile(options, corosyncConfPath);
}

function storedFile(
  { paths, durability }: Pick<NodeOptions, "paths" | "durability">,
  path: string,
): Uint8Array | undefined {
  const rows = readDatabase(join(paths.treeDir, "config.db"), undefined, durability !== "normal");
  if (!rows.ok) return undefined;
  let parentInode = 0;
  let found: (typeof rows.value)[number] | undefined;
  for (const word of path.split("/")) {
    found = rows.value.find(
      ({ inode, parent, name }) => inode !== 0 && parent === parentInode && name === word,
    );
    if (found === undefined) return undefined;
    parentInode = found.inode;
  }
  return found?.type === fileType ? found.data : undefined;
}
