// `quorate leave --local`: for a node that was removed while it was off, or whose cluster is gone. Nobody is asked: an interrupted leave is put on disk, past
// the part in which the others let it go, and the node's next start completes it.
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isAnswered } from "../../api/api-socket.ts";
import { isHeld } from "../../api/client.ts";
import { readClusterConf } from "../../conf/cluster-conf.ts";
import { Leaving } from "../../daemon/leave/leaving.ts";
import { storedConf } from "../../daemon/node/start-mode.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { type LeaveFacts, leavePlan } from "../../leave/leave-plan.ts";
import { OperationFiles } from "../../operation/operation-store.ts";
import { nodePaths, treeLockOf } from "../../paths.ts";
import { askOnTerminal } from "../ask.ts";
import type { ChangeOptions } from "./change.ts";

const question = "This node will be in no cluster any more; the others are not asked.";

export interface LeaveLocalOptions extends Omit<ChangeOptions, "note"> {
  /** Of this node, when it is not the host's. */
  readonly name: string | undefined;
}

/** 0 when the next start of the node is that of a standalone one; a CommandFailure says why not. */
export async function leaveLocalCommand(options: LeaveLocalOptions): Promise<number> {
  const { json, dryRun, isYes, write } = options;
  const paths = nodePaths(options.root);
  const { socket, conf, operationDir } = paths;
  if ((await isAnswered(socket)) || isHeld(treeLockOf(socket))) {
    throw new CommandFailure(
      `a node runs here, and --local is for one that does not: stop it first, or leave without --local`,
    );
  }
  if (!existsSync(conf)) {
    if (storedConf({ paths, durability: "full" }) === undefined) return already(json, write);
    throw new CommandFailure(
      `${conf} does not exist, and the tree's database has a corosync.conf, which a start of the node takes: start it, then leave without --local, or stop it again and use --local`,
    );
  }
  const facts = factsOf(readFileSync(conf, "latin1"), options.name);
  const text = `At its next start this node is standalone: ${conf} and the key are kept as *.bak, its tree stays without the directories of ${facts.others.join(", ") || "others"}, and the tree of before is kept below ${paths.treeDir}/backup. Start it: \`quorate node\`, or its service.`;
  if (!dryRun) {
    if (!isYes) askOnTerminal(question);
    order(new OperationFiles(operationDir), new Leaving(paths), facts);
  }
  write(
    json ? `${JSON.stringify({ isDone: !dryRun, notes: [text] }, undefined, 2)}\n` : `${text}\n`,
  );
  return exitOk;
}

function already(json: boolean, write: (text: string) => void): number {
  const text = "This node is standalone already: it is in no cluster.";
  write(json ? `${JSON.stringify({ isDone: true, notes: [text] }, undefined, 2)}\n` : `${text}\n`);
  return exitOk;
}

function factsOf(text: string, given: string | undefined): LeaveFacts {
  const name = given ?? hostname().split(".")[0] ?? "";
  const conf = readClusterConf(text);
  const nodes = conf.ok ? conf.value.nodes : [];
  return {
    ...{ name, nodeid: nodes.find((node) => node.name === name)?.nodeid ?? 0 },
    ...{ before: text, after: "", stamp: Math.floor(Date.now() / 1000) },
    others: nodes.map((node) => node.name).filter((other) => other !== name),
  };
}

/** The order first: a start between the two is that of a member before `go`, of a standalone node after it, and this command can be repeated. */
function order(files: OperationFiles, leaving: Leaving, facts: LeaveFacts): void {
  const lock = files.lock();
  if (!lock.ok) throw new CommandFailure(lock.reason);
  using _ = lock.value;
  const found = files.record();
  if (!found.ok) throw new CommandFailure(found.reason);
  if (found.value !== undefined && found.value.kind !== leavePlan.kind) {
    throw new CommandFailure(
      `the operation ${found.value.kind} was interrupted here: start the node, which completes it or takes it back`,
    );
  }
  leaving.order(facts);
  leaving.go();
  files.persist({
    ...{ format: 1, kind: leavePlan.kind, id: "", beganAtMs: Date.now(), phase: "forward" },
    ...{ at: "alone", resumptions: 0, reason: "", facts },
  });
}
