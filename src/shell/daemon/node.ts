// `quorate node`: one node in the foreground, start to stop: a member of the cluster that corosync.conf describes or, without one, a
// standalone node. Operations may have it begin anew as the same process.
import { onScarceDescriptors } from "../../listening.ts";
import { isAnswered } from "../api/api-socket.ts";
import { CommandFailure } from "../exit.ts";
import type { NodeOptions } from "./node/parts.ts";
import { RunningNode } from "./node/running-node.ts";
import { startMode } from "./node/start-mode.ts";
import { restartInPlace } from "./restart.ts";

/** Resolves with the exit code after a graceful stop; throws CommandFailure when the node cannot start. */
export async function nodeCommand(options: NodeOptions): Promise<number> {
  process.umask(0o027);
  const { paths } = options;
  if (await isAnswered(paths.socket)) {
    throw new CommandFailure(
      `a node is already running with ${paths.root} (it answers at ${paths.socket}): stop it first, or choose another --root`,
    );
  }
  const mode = await startMode(options);
  onScarceDescriptors((text) =>
    options.log({ kind: "log", level: "warning", subsystem: "MAIN", text }),
  );
  const end = await new RunningNode(options, mode).run();
  if (end.isRestart !== true) return end.code;
  throw new CommandFailure(await restartInPlace());
}
