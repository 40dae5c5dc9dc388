// Whether a corosync.conf that is about to be put into the tree could be used: read as this node would at its start and checked as at a
// reload, before any node gets it, by the rules of src/node.
import { configVersionOf } from "../../fs/disk/corosync-conf.ts";
import { type ConfigPaths, settingsOfText } from "../../node/settings/load-settings.ts";
import { checkReload } from "../../node/settings/reload-rules.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";

export interface ConfContext {
  readonly running: NodeSettings;
  readonly paths: ConfigPaths;
  /** Given by --name. */
  readonly name: string | undefined;
}

/** Why the cluster could not use `content`, with file and line where it has one; "" when it could. */
export async function confProblem(content: Uint8Array, context: ConfContext): Promise<string> {
  const { running, name } = context;
  const text = Buffer.from(content).toString("latin1");
  const read = await settingsOfText(text, { ...context.paths, conf: "corosync.conf" }, name);
  if (!read.ok) return read.reason;
  const check = checkReload(running, read.value);
  if (!check.ok) return check.reason;
  const version = configVersionOf(content);
  if (version >= running.configVersion) return "";
  return `corosync.conf: config_version is ${version} and the cluster runs ${running.configVersion}, so no node would take it: raise it`;
}
