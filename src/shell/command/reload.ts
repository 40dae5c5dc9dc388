// `quorate reload`: all nodes of the cluster read their corosync.conf again, unmodified corosync nodes included; what changed on
// this one, and what waits for a restart.
import { NodeClient } from "../api/client.ts";
import { exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";

export interface ReloadOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** Exit code 0 when this node has the new configuration; a refused file ends in CommandFailure with the reason and 8. */
export async function reloadCommand(options: ReloadOptions): Promise<number> {
  const answer = await new NodeClient(nodePaths(options.root).socket).reload();
  const { configVersion, changes, needsRestart } = answer;
  if (options.json) {
    options.write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return exitOk;
  }
  const lines = [
    `Configuration ${configVersion} is in force on this node${changes.length === 0 ? ", nothing changed." : ":"}`,
    ...changes.map((change) => `  ${change}`),
    ...needsRestart.map((key) => `  ${key}: not taken, restart the node for it`),
    "The other nodes were asked as well; `quorate status` there says what they did.",
  ];
  options.write(`${lines.join("\n")}\n`);
  return exitOk;
}
