// Whether a corosync.conf that is about to be put into the tree could be used: read as this node would at its start and checked as at a
// reload, before any node gets it, by the rules of src/node.
import { equalBytes } from "../../bytes.ts";
import { configVersionOf } from "../../fs/disk/corosync-conf.ts";
import { type ConfigPaths, settingsOfText } from "../../node/settings/load-settings.ts";
import { checkReload } from "../../node/settings/reload-rules.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";

export interface ConfContext {
  readonly running: NodeSettings;
  readonly paths: ConfigPaths;
  /** Given by --name. */
  readonly name: string | undefined;
  /** A file that calls this node otherwise than before is meant so: the machine gets that name afterwards. */
  readonly mayRename?: boolean;
  /** The corosync.conf of the tree and this node's own, where there are such. */
  readonly present: readonly Uint8Array[];
}

/** Why the cluster could not use `content`, with file and line where it has one; "" when it could. */
export async function confProblem(content: Uint8Array, context: ConfContext): Promise<string> {
  const problem = await contentProblem(content, context);
  return problem === ""
    ? versionProblem(content, context.running.configVersion, context.present)
    : problem;
}

/**
 * What the running nodes would make of `content`, which they could use, a sentence each: what is in force at once, what only after a restart, and what
 * nobody may overlook. None of what they cannot use.
 */
export async function confEffect(
  content: Uint8Array,
  { running, paths, name }: ConfContext,
): Promise<readonly string[]> {
  const text = Buffer.from(content).toString("latin1");
  const read = await settingsOfText(text, { ...paths, conf: "corosync.conf" }, name);
  if (!read.ok) return [];
  const check = checkReload(running, read.value);
  if (!check.ok) return [];
  const { changes, needsRestart } = check;
  const isOpened = running.crypto.hash !== "none" && read.value.crypto.hash === "none";
  return [
    ...(isOpened
      ? ["the ring would no longer be encrypted: whoever is in its network could read and forge it"]
      : []),
    ...(changes.length > 0 ? [`in force at once: ${changes.join("; ")}`] : []),
    ...(needsRestart.length > 0
      ? [`in force only after a restart of every node: ${needsRestart.join(", ")}`]
      : []),
    ...(changes.length + needsRestart.length === 0
      ? ["no node that runs would do anything else for it: are the keys spelt right?"]
      : []),
  ];
}

/** Looks after the corosync.conf that is in the tree already: a write through the mount is not checked. */
export class TreeConfWatch {
  /** What was found to be good, and for which settings: names are not resolved again for each status. */
  #good: { readonly content: Uint8Array; readonly running: NodeSettings } | undefined;

  /** A sentence with what to do; "" when all is well. `content`: undefined when the tree has no such file. */
  async warning(content: Uint8Array | undefined, context: ConfContext): Promise<string> {
    const { running, paths, present } = context;
    if (content === undefined) {
      return `the tree has no corosync.conf, so no change of the configuration reaches the nodes: put this node's own there (quorate fs put corosync.conf ${paths.conf})`;
    }
    const good = this.#good;
    if (good?.running === running && equalBytes(good.content, content)) return "";
    const next = Math.max(running.configVersion, ...present.map(configVersionOf)) + 1;
    const problem = await contentProblem(content, context);
    const version = configVersionOf(content);
    if (problem === "" && version < running.configVersion) {
      return `the corosync.conf in the tree has config_version ${version}, older than configuration ${running.configVersion} that this node runs with, so no node takes it: give it config_version ${next}`;
    }
    if (problem === "") {
      this.#good = { content: content.slice(), running };
      return "";
    }
    return `the corosync.conf in the tree cannot be used, and this node goes on with configuration ${running.configVersion} (${problem}): put a good one in its place, with config_version ${next} (quorate fs put corosync.conf FILE)`;
  }
}

async function contentProblem(content: Uint8Array, context: ConfContext): Promise<string> {
  const { running } = context;
  const text = Buffer.from(content).toString("latin1");
  const paths = { ...context.paths, conf: "corosync.conf" };
  let read = await settingsOfText(text, paths, context.name);
  if (!read.ok) {
    const name = await laterName(text, context);
    if (name !== undefined) read = await settingsOfText(text, paths, name);
  }
  if (!read.ok) return read.reason;
  const check = checkReload(running, read.value);
  return check.ok ? "" : check.reason;
}

/**
 * What a renamed node is called at its next start, where its machine has the former name still. Undefined: it is not renamed by this
 * file, or nobody meant it.
 */
async function laterName(text: string, context: ConfContext): Promise<string | undefined> {
  const { running, name, paths, mayRename = false } = context;
  const own = ({ nodes }: NodeSettings): string | undefined =>
    nodes.find(({ nodeid }) => nodeid === running.nodeid)?.name;
  const read = await settingsOfText(text, paths, name, running);
  const later = read.ok ? own(read.value) : undefined;
  return later !== "" && (mayRename || later === own(running)) ? later : undefined;
}

/** A node takes other content with a higher version only (pmxcfs.md §2.8; a reload); what it has already may come again. */
function versionProblem(content: Uint8Array, runs: number, present: readonly Uint8Array[]): string {
  const version = configVersionOf(content);
  const newest = Math.max(runs, ...present.map(configVersionOf));
  if (version > newest) return "";
  if (version === newest && present.some((other) => equalBytes(other, content))) return "";
  return `corosync.conf: config_version is ${version}, and another corosync.conf with ${newest} is here already, so no node would take this one: it must have ${newest + 1}`;
}
