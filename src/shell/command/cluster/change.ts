// Changes of a running cluster from the command line: shown, asked about, carried out by the node as a task, and followed.
import { changeAnswer } from "../../answers/change.ts";
import { interruptedStatus, isGoodEnd } from "../../answers/task-end.ts";
import { NodeClient } from "../../api/client.ts";
import {
  deletesItselfText,
  noQuorumText,
  notClusteredText,
  standaloneText,
} from "../../change/ports.ts";
import { noMemberText } from "../../change/former-members.ts";
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

const stoppedText =
  "this task was asked to stop (`quorate task stop`): what it had done is undone, and all is as before";

/** What follows a change that was made. */
export interface NextCall extends ChangeCall {
  /** Of its outcome, in the JSON of the first. */
  readonly name: string;
  /** How things are when it fails, a clause. */
  readonly failed: string;
}

/** 0: done, or so already; a CommandFailure says why not. With --json one object is printed, whatever follows. */
export async function changeCommand(
  options: ChangeOptions,
  call: ChangeCall,
  next?: NextCall,
): Promise<number> {
  const { json, dryRun, write } = options;
  const first = await carriedOut(options, call, next);
  let { code, facts } = first;
  if (next !== undefined && code === exitOk && !dryRun) {
    const isYes = options.isYes || first.wasAsked;
    const second = await carriedOut({ ...options, isYes }, next).catch((error: unknown) => {
      if (!(error instanceof CommandFailure)) throw error;
      if (!json) throw new CommandFailure(`${next.failed}: ${error.message}`, error.code);
      const failed = { isDone: false, status: error.message, notes: [] };
      return { code: error.code, facts: failed };
    });
    code = second.code;
    facts = { ...facts, [next.name]: second.facts };
  }
  if (json) write(`${JSON.stringify(facts, undefined, 2)}\n`);
  return code;
}

interface Outcome {
  readonly code: number;
  /** For --json. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** What follows was asked about with it. */
  readonly wasAsked: boolean;
}

/** Prints what happens, unless it is to be JSON. */
async function carriedOut(
  options: ChangeOptions,
  call: ChangeCall,
  next?: NextCall,
): Promise<Outcome> {
  const { root, json, dryRun, isYes, write, note } = options;
  const api = new LocalApi(nodePaths(root).socket);
  const { method, path, words } = call;
  const planned = await api
    .call(changeAnswer, method, path, { ...words, "dry-run": true })
    .catch((error: unknown) => refused(error, root));
  if (planned.isDone || dryRun) {
    const { plan, ...facts } = planned;
    const then = next === undefined || planned.isDone ? [] : [next.question];
    const notes = [...facts.notes, ...then];
    if (!json) write([plan, ...notes.map((text) => `${text}\n`)].join(planned.isDone ? "" : "\n"));
    return { code: exitOk, facts: { ...facts, notes }, wasAsked: false };
  }
  if (!json) write(planned.notes.map((text) => `${text}\n`).join(""));
  const questions = [planned.question ?? "", call.question, next?.question ?? ""];
  const question = questions.filter((each) => each !== "").join(" ");
  if (question !== "" && !isYes) {
    const list = planned.steps.map((text) => `  ${text}\n`).join("");
    askOnTerminal(`${list}${question}`);
  }
  const called = await api.call(changeAnswer, method, path, words);
  const { upid, notes } = called;
  if (upid === undefined) {
    // Somebody else has done the same while the question was open.
    if (!json) write([called.plan, ...notes.map((text) => `${text}\n`)].join(""));
    const { plan: _, ...facts } = called;
    return { code: exitOk, facts, wasAsked: true };
  }
  const status = await api.follow(upid, (line) => (json ? note : write)(`${line}\n`));
  const isDone = isGoodEnd(status);
  const ends = status === interruptedStatus ? [stoppedText] : [];
  if (!isDone && !json) throw new CommandFailure(ends[0] ?? status);
  if (!json) write(`${call.done}\n`);
  return {
    code: isDone ? exitOk : exitFailed,
    facts: { upid, status, isDone, notes: [...notes, ...ends] },
    wasAsked: true,
  };
}

/** What to do, behind the sentences that are the original's. */
async function refused(error: unknown, root: string): Promise<never> {
  if (!(error instanceof CommandFailure)) throw error;
  if (error.message === deletesItselfText)
    throw new CommandFailure(
      `${deletesItselfText} Type it on another node, or take this one out with \`quorate leave\``,
    );
  if (error.message === noQuorumText) {
    const { warnings = [] } = await new NodeClient(nodePaths(root).socket).status();
    const removed = warnings.find((warning) => warning.startsWith(noMemberText));
    // Which says what to do.
    if (removed !== undefined) throw new CommandFailure(removed);
    throw new CommandFailure(
      `${noQuorumText} See \`quorate status\`: more of the nodes must be up and reach each other; \`quorate expected\` is the last way`,
    );
  }
  if (error.message !== notClusteredText) throw error;
  const { mode } = await new NodeClient(nodePaths(root).socket).status();
  throw mode === "standalone" ? new CommandFailure(standaloneText) : error;
}
