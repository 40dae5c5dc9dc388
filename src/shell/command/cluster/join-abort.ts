// `quorate join --abort`: gives up the join that is under way on this node. Its task is asked to stop, which takes the place out of the cluster again and
// makes the node what it was; a node that starts anew meanwhile forgets that it was asked, so it is asked until the task has ended.
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { NodeClient } from "../../api/client.ts";
import type { NodeStatus } from "../../api/status.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { joinPlan } from "../../join/join-plan.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi } from "./local-api.ts";

const askMs = 1000;

export interface JoinAbortOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

/** What of the node this command uses. */
export interface JoinAbortNode {
  readonly status: () => Promise<Pick<NodeStatus, "mode" | "cluster" | "operation">>;
  /** Asks a task to stop; rejects while the node is away, or when the task has ended. */
  readonly stop: (upid: string) => Promise<unknown>;
  /** Resolves at the end of the task with its status. */
  readonly follow: (upid: string, write: (line: string) => void) => Promise<string>;
  readonly pause: (pauseMs: number, signal: AbortSignal) => Promise<unknown>;
}

/** 0: this node is standalone, with no join under way; a CommandFailure says why not. */
export async function joinAbortCommand(
  options: JoinAbortOptions,
  node: JoinAbortNode = nodeOf(options),
): Promise<number> {
  const { json, write, note } = options;
  const { operation, ...before } = await node.status();
  if (operation?.kind !== joinPlan.kind) {
    standaloneOrFail(before, "there is no join under way");
    return told(options, "No join is under way: this node is standalone.");
  }
  const { id: upid } = operation;
  if (upid === "") {
    throw new CommandFailure(
      "the join under way has no task that could be asked to stop: it ends by itself, see the node's log",
    );
  }
  const ended = new AbortController();
  const asking = askUntil(ended.signal, upid, node);
  const status = await node
    .follow(upid, (line) => (json ? note : write)(`${line}\n`))
    .finally(() => ended.abort());
  await asking;
  standaloneOrFail(await node.status(), `the join could not be given up (${status})`);
  return told(options, "The join is given up: this node is standalone, as before.");
}

async function askUntil(ended: AbortSignal, upid: string, node: JoinAbortNode): Promise<void> {
  while (!ended.aborted) {
    // Who follows the task hears of a node that stays away; this only asks again.
    await node.stop(upid).catch(() => undefined);
    await node.pause(askMs, ended).catch(() => undefined);
  }
}

function standaloneOrFail(
  { mode, cluster }: Pick<NodeStatus, "mode" | "cluster">,
  what: string,
): void {
  if (mode === "standalone") return;
  throw new CommandFailure(
    `${what}: this node is a member of the cluster '${cluster.name}' already. \`quorate leave\` takes it out of it again`,
  );
}

function told({ json, write }: JoinAbortOptions, text: string): number {
  write(json ? `${JSON.stringify({ isDone: true, notes: [text] }, undefined, 2)}\n` : `${text}\n`);
  return exitOk;
}

function nodeOf({ root }: JoinAbortOptions): JoinAbortNode {
  const { socket } = nodePaths(root);
  const api = new LocalApi(socket);
  return {
    status: () => new NodeClient(socket).status(),
    stop: (upid) =>
      api.original(v.unknown(), "DELETE", `/nodes/localhost/tasks/${encodeURIComponent(upid)}`),
    follow: (upid, write) => api.follow(upid, write),
    pause: (pauseMs, signal) => wait(pauseMs, undefined, { signal }),
  };
}
