// `quorate task`: what the node does or did that took longer than an answer; its log, also while it runs; and asking it to stop.
import * as v from "valibot";
import { isGoodEnd } from "../answers/task-end.ts";
import { table } from "../cli/text-table.ts";
import { CommandFailure, exitFailed, exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { LocalApi } from "./cluster/local-api.ts";

/** A UPID (pvecm.md §4.6); the node says what is wrong with one. */
const upidPattern = /^UPID:([A-Za-z0-9-]{1,63}):[!-~]{1,250}$/;
const logLinesMax = 10_000;

const rowSchema = v.object({
  upid: v.string(),
  node: v.string(),
  type: v.string(),
  id: v.string(),
  user: v.string(),
  starttime: v.number(),
  endtime: v.optional(v.number()),
  status: v.optional(v.string()),
});
type Row = v.InferOutput<typeof rowSchema>;

const statusSchema = v.looseObject({
  ...rowSchema.entries,
  status: v.picklist(["running", "stopped"]),
  exitstatus: v.optional(v.string()),
});
const linesSchema = v.array(v.object({ n: v.number(), t: v.string() }));
type LogLine = v.InferOutput<typeof linesSchema>[number];

export interface TaskOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export interface OneTaskOptions extends TaskOptions {
  /** Undefined: the newest of this node. */
  readonly upid: string | undefined;
}

/** Newest first. */
export async function taskList(
  options: TaskOptions & {
    readonly isOfAll: boolean;
    readonly isOfErrors: boolean;
    readonly limit: number;
  },
): Promise<number> {
  const { root, json, write, isOfAll, isOfErrors, limit } = options;
  const rows = isOfAll
    ? (await clusterRows(apiOf(root))).filter(({ status }) => !isOfErrors || status !== "OK")
    : await nodeRows(apiOf(root), { errors: isOfErrors, limit });
  const shown = rows.slice(0, limit);
  if (json) write(`${JSON.stringify(shown, undefined, 2)}\n`);
  else if (shown.length === 0) write("There are no such tasks.\n");
  else write(`${lines(shown).join("\n")}\n`);
  return exitOk;
}

/** 0: it runs, or ended well; 1: it failed. */
export async function taskStatus({ root, json, write, upid }: OneTaskOptions): Promise<number> {
  const { task, status } = await find(apiOf(root), upid);
  const outcome = status.exitstatus ?? "running";
  if (json) write(`${JSON.stringify(status, undefined, 2)}\n`);
  else {
    const about = status.id === "" ? status.type : `${status.type} ${status.id}`;
    write(
      `${about} on ${status.node}, by ${status.user}, since ${time(status.starttime)}: ${outcome}\n${task}\n`,
    );
  }
  return codeOf(outcome);
}

/** Prints the log; `isFollowed`: until the task ends, and then its exit code. */
export async function taskLog(
  options: OneTaskOptions & { readonly isFollowed: boolean },
): Promise<number> {
  const { root, json, write, upid, isFollowed } = options;
  const api = apiOf(root);
  const { task, base, status } = await find(api, upid);
  if (isFollowed) {
    const line = (t: string) => write(json ? `${JSON.stringify({ line: t })}\n` : `${t}\n`);
    const outcome = await api.follow(task, line);
    write(json ? `${JSON.stringify({ status: outcome })}\n` : `${endLine(outcome)}\n`);
    return codeOf(outcome);
  }
  const read: LogLine[] = [];
  for (;;) {
    const piece: readonly LogLine[] = await api.original(linesSchema, "GET", `${base}/log`, {
      start: read.length,
      limit: logLinesMax,
    });
    // Where there is nothing the original's API says so in a line.
    read.push(...piece.filter(({ n, t }) => n > read.length || t !== "no content"));
    if (piece.length < logLinesMax) break;
  }
  if (json)
    write(`${JSON.stringify({ upid: task, lines: read.map(({ t }) => t) }, undefined, 2)}\n`);
  else write(read.map(({ t }) => `${t}\n`).join(""));
  return codeOf(status.exitstatus ?? "running");
}

/** Only asks: what cannot be left half done goes on to where it can end. */
export async function taskStop({ root, json, write, upid }: OneTaskOptions): Promise<number> {
  const api = apiOf(root);
  const { task, base, status } = await find(api, upid);
  const isRunning = status.exitstatus === undefined && status.status === "running";
  if (isRunning) await api.original(v.unknown(), "DELETE", base);
  if (json) write(`${JSON.stringify({ upid: task, isAsked: isRunning }, undefined, 2)}\n`);
  else if (isRunning) write(`${task} is asked to stop; its log says when it has.\n`);
  else write(`${task} has ended already: ${status.exitstatus ?? ""}\n`);
  return exitOk;
}

function apiOf(root: string): LocalApi {
  return new LocalApi(nodePaths(root).socket);
}

async function nodeRows(
  api: LocalApi,
  words: { readonly errors: boolean; readonly limit: number },
): Promise<readonly Row[]> {
  const path = "/nodes/localhost/tasks";
  return api.original(v.array(rowSchema), "GET", path, { source: "all", ...words });
}

function clusterRows(api: LocalApi): Promise<readonly Row[]> {
  return api.original(v.array(rowSchema), "GET", "/cluster/tasks");
}

/** The task on the node that has it: ours, whatever it was called then, or the one that the UPID names. */
async function find(api: LocalApi, wanted: string | undefined) {
  const upid = wanted ?? (await newest(api));
  const node = upidPattern.exec(upid)?.[1];
  if (node === undefined)
    throw new CommandFailure(`"${upid}" is no UPID: see \`quorate task list\``);
  const baseOn = (of: string) => `/nodes/${of}/tasks/${encodeURIComponent(upid)}`;
  const statusOn = (of: string) => api.original(statusSchema, "GET", `${baseOn(of)}/status`);
  try {
    return { task: upid, base: baseOn("localhost"), status: await statusOn("localhost") };
  } catch (error) {
    const isElsewhere = error instanceof CommandFailure && error.message === "no such task";
    if (!isElsewhere) throw error;
    return { task: upid, base: baseOn(node), status: await statusOn(node) };
  }
}

async function newest(api: LocalApi): Promise<string> {
  const [row] = await nodeRows(api, { errors: false, limit: 1 });
  if (row !== undefined) return row.upid;
  throw new CommandFailure("there was no task on this node yet");
}

function lines(rows: readonly Row[]): string[] {
  return table(
    [
      { title: "START" },
      { title: "NODE" },
      { title: "TYPE" },
      { title: "ID" },
      { title: "USER" },
      { title: "STATUS" },
      { title: "UPID" },
    ],
    rows.map(({ starttime, node, type, id, user, status, upid }) => [
      time(starttime),
      node,
      type,
      id,
      user,
      short(status ?? "running"),
      upid,
    ]),
  );
}

function short(status: string): string {
  return status.length > 40 ? `${status.slice(0, 39)}…` : status;
}

/** UTC, as logs have it. */
function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

function endLine(status: string): string {
  return isGoodEnd(status) ? `TASK ${status}` : `TASK ERROR: ${status}`;
}

function codeOf(status: string): number {
  return status === "running" || isGoodEnd(status) ? exitOk : exitFailed;
}
