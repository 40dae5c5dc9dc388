// Changes of a running cluster from the command line: shown, asked about, carried out by the node as a task, and followed.
import { changeAnswer } from "../../answers/change.ts";
import { NodeClient } from "../../api/client.ts";
import {
  deletesItselfText,
  noQuorumText,
  notClusteredText,
  standaloneText,
} from "../../change/ports.ts";
import { LocalApi, type Words } from "./local-api.ts";
import { CommandFailure, exitFailed, exitOk } from "../../exit.ts";
import { askOnTerminal } from "../ask.ts";
import { nodePaths } from "../../paths.ts";

export interface ChangeOptions {
  readonly root: string;
  readonly json: boolean;
  readonly dryRun: boolean;
  /** Do not ask. */
  readonly isYes: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

export interface ChangeCall {
  readonly method: "POST" | "PUT" | "DELETE";
  /** Below /api/v1. */
  readonly path: string;
  readonly words: Words;
  /** Asked before it is begun; "": nothing. */
  readonly question: string;
  /** When all is done, a sentence. */
  readonly done: string;
}

/** 0: done, or so already; a CommandFailure says why not. */
export async function changeCommand(options: ChangeOptions, call: ChangeCall): Promise<number> {
  const { root, json, dryRun, isYes, write, note } = options;
  const api = new LocalApi(nodePaths(root).socket);
  const { method, path, words, question } = call;
  const planned = await api
    .call(changeAnswer, method, path, { ...words, "dry-run": true })
    .catch((error: unknown) => refused(error, root));
  if (planned.isDone || dryRun) {
    const { plan, ...facts } = planned;
    if (json) write(`${JSON.stringify(facts, undefined, 2)}\n`);
    else
      write([plan, ...planned.notes.map((text) => `${text}\n`)].join(planned.isDone ? "" : "\n"));
    return exitOk;
  }
  if (!json) write(planned.notes.map((text) => `${text}\n`).join(""));
  if (question !== "" && !isYes) {
    const list = planned.steps.map((text) => `  ${text}\n`).join("");
    askOnTerminal(`${list}${question}`);
  }
  const { upid = "", notes } = await api.call(changeAnswer, method, path, words);
  const status = await api.follow(upid, (line) => (json ? note : write)(`${line}\n`));
  const isFine = status === "OK" || status.startsWith("WARNINGS: ");
  if (json) {
    write(`${JSON.stringify({ upid, status, isDone: isFine, notes }, undefined, 2)}\n`);
    return isFine ? exitOk : exitFailed;
  }
  if (!isFine) throw new CommandFailure(status);
  write(`${call.done}\n`);
  return exitOk;
}

/** What to do, behind the sentences that are the original's. */
async function refused(error: unknown, root: string): Promise<never> {
  if (!(error instanceof CommandFailure)) throw error;
  if (error.message === deletesItselfText)
    throw new CommandFailure(
      `${deletesItselfText} Type it on another node, or take this one out with \`quorate leave\``,
    );
  if (error.message === noQuorumText)
    throw new CommandFailure(
      `${noQuorumText} See \`quorate status\`: more of the nodes must be up and reach each other; \`quorate expected\` is the last way`,
    );
  if (error.message !== notClusteredText) throw error;
  const { mode } = await new NodeClient(nodePaths(root).socket).status();
  throw mode === "standalone" ? new CommandFailure(standaloneText) : error;
}
