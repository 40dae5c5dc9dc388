// `quorate node`: one node in the foreground, start to stop: a member of the cluster that corosync.conf describes or, without one, a
// standalone node. Operations may have it begin anew as the same process.
import { onScarceDescriptors } from "../../listening.ts";
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../result.ts";
import { isAnswered } from "../api/api-socket.ts";
import { CommandFailure, exitConfiguration, exitOk } from "../exit.ts";
import type { ChangeoverState } from "../join/changeover-state.ts";
import { Changeover } from "./changeover.ts";
import { isCreationPending } from "./node/creation.ts";
import type { End, NodeOptions } from "./node/parts.ts";
import { RunningNode } from "./node/running-node.ts";
import { standalone, startMode } from "./node/start-mode.ts";
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
  const log = (level: "notice" | "warning", text: string): void =>
    options.log({ kind: "log", level, subsystem: "MAIN", text });
  onScarceDescriptors((text) => log("warning", text));
  const changeover = new Changeover(paths, (text) => log("notice", text));
  const { kind } = await applied(changeover);
  try {
    const end = await runNode(options);
    // A member that was confirmed since this start is on trial no longer: what ends it, such as its removal, is no reason to go back.
    const isFailing =
      end.code !== exitOk && kind === "onTrial" && changeover.state.kind === "onTrial";
    if (end.isRestart !== true && !isFailing) return end.code;
    if (isFailing) await wait(trialPauseMs);
  } catch (error) {
    if (!(error instanceof CommandFailure) || kind !== "onTrial") throw error;
    log("warning", `this node could not start as a member of its new cluster: ${error.message}`);
    if (changeover.isFirstStart) changeover.orderBack(error.message);
    else await wait(trialPauseMs);
  }
  throw new CommandFailure(await restartInPlace());
}

/** Before a member on trial is started again. */
const trialPauseMs = 2000;

/** A node that is on its way into a cluster, or back, is what it shall be before anything of it is read. */
async function applied(changeover: Changeover): Promise<ChangeoverState> {
  try {
    return await changeover.apply();
  } catch (error) {
    throw new CommandFailure(reasonOf(error), exitConfiguration);
  }
}

/** A member that cannot start while its cluster is being created runs standalone, and takes the creation back. */
async function runNode(options: NodeOptions): Promise<End> {
  try {
    return await new RunningNode(options, await startMode(options)).run();
  } catch (error) {
    if (!(error instanceof CommandFailure) || !isCreationPending(options.paths)) throw error;
    options.log({ kind: "log", level: "error", subsystem: "MAIN", text: error.message });
    return new RunningNode(options, standalone(options, error.message)).run();
  }
}
