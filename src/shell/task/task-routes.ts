// The routes of tasks (pvecm.md §4.2, §4.6): lists, status, log, stop. Who has not the right to see all sees their own.
import * as v from "valibot";
import { clusterTaskListed, taskLines, taskListed, taskStatus } from "../answers/task.ts";
import * as parameter from "../api/parameters.ts";
import { anyUser, ApiError, type Caller, Page, type Route, route } from "../api/route.ts";
import { listedRow, readBroadcast, type TaskRow, taskRow } from "./task-broadcast.ts";
import { selectTasks, type StatusKind, type TaskEntry, type TaskFilter } from "./task-list.ts";
import type { Tasks } from "./tasks.ts";
import { parseUpid, upidBytesMax } from "./upid.ts";

const linesMax = 10_000;
const tasksMax = 10_000;

export interface TaskSource {
  readonly tasks: Tasks;
  /** Of this node. */
  readonly nodeName: string;
  /** What the other nodes tell of their tasks (task-broadcast.ts). */
  readonly told: () => readonly Uint8Array[];
}

const node = parameter.nodeName();
const upid = parameter.text({ max: upidBytesMax });
const time = parameter.optional(parameter.integer({ min: 0 }));
const name = parameter.optional(parameter.text({ max: 160 }));

export function taskRoutes(source: TaskSource): readonly Route[] {
  return [
    clusterTasksRoute(source),
    nodeTasksRoute(source),
    allTasksRoute(source),
    ...oneTaskRoutes(source),
  ];
}

function clusterTasksRoute({ tasks, told }: TaskSource): Route {
  return route({
    method: "GET",
    path: "/cluster/tasks",
    description: "Tasks of all nodes that run or ended lately, newest first.",
    permission: anyUser,
    parameters: {},
    returns: v.array(clusterTaskListed),
    handle: ({ caller }) => {
      const all = caller.may("/", "Sys.Audit");
      return [...tasks.active().map(listedRow), ...told().flatMap(readBroadcast)]
        .filter((task) => all || isOwn(caller, task.user))
        .toSorted((a, b) => b.starttime - a.starttime)
        .map(withToken);
    },
  });
}

/** Which tasks are wanted, as the original's list of a node has it. */
const filterParameters = {
  start: parameter.optional(parameter.integer({ min: 0 }), 0),
  limit: parameter.optional(parameter.integer({ min: 0, max: tasksMax }), 50),
  userfilter: name,
  typefilter: name,
  vmid: parameter.optional(parameter.vmid()),
  errors: parameter.optional(parameter.boolean(), false),
  source: parameter.optional(parameter.oneOf(["archive", "active", "all"]), "archive"),
  since: time,
  until: time,
  statusfilter: parameter.optional(
    parameter.formatted(
      64,
      /^(?:ok|error|warning|unknown)(?:[,; ]+(?:ok|error|warning|unknown))*$/i,
      "invalid format - value does not look like a list of ok, error, warning, unknown",
    ),
  ),
};

function filterOf(
  given: parameter.ParametersOf<typeof filterParameters>,
  caller: Caller,
  /** Whose right counts; undefined: of the node that a task ran on. */
  onNode?: string,
): TaskFilter {
  const { start, limit, source, userfilter, typefilter, vmid, since, until } = given;
  const kinds = given.statusfilter
    ?.toLowerCase()
    .split(/[,; ]+/)
    .filter(isKind);
  return {
    ...{ start, limit, source, onlyErrors: given.errors },
    isSeen: (of) =>
      isOwn(caller, of.user) || caller.may(`/nodes/${onNode ?? of.node}`, "Sys.Audit"),
    ...(userfilter === undefined ? {} : { user: userfilter }),
    ...(typefilter === undefined ? {} : { type: typefilter }),
    ...(vmid === undefined ? {} : { id: String(vmid) }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(kinds === undefined ? {} : { kinds }),
  };
}

function nodeTasksRoute({ tasks, nodeName }: TaskSource): Route {
  return route({
    method: "GET",
    path: "/nodes/{node}/tasks",
    description: "Tasks of a node, newest first.",
    permission: anyUser,
    parameters: { node, ...filterParameters },
    returns: v.array(taskListed),
    isPaged: true,
    handle: ({ parameters, caller }) => {
      checkNode(nodeName, parameters.node);
      const { entries, total } = tasks.list(filterOf(parameters, caller, nodeName));
      return new Page(entries.map(listRow), total);
    },
  });
}

function allTasksRoute({ tasks, told }: TaskSource): Route {
  return route({
    method: "GET",
    path: "/tasks",
    isOurs: true,
    description:
      "Tasks of all nodes, newest first: of this node all that it keeps, of the others those that run or ended lately.",
    permission: anyUser,
    parameters: { ...filterParameters, node: parameter.optional(node) },
    returns: v.array(taskListed),
    isPaged: true,
    handle: ({ parameters, caller }) => {
      const filter = filterOf(parameters, caller);
      const own = tasks.list({ start: 0, limit: Infinity, source: filter.source }).entries;
      const others = told()
        .flatMap(readBroadcast)
        .flatMap(entryOfRow)
        .filter(({ endTime }) => isOfSource(filter.source, endTime === undefined));
      const asked = [...own, ...others].filter(
        ({ parts }) => parameters.node === undefined || parts.node === parameters.node,
      );
      const { entries, total } = selectTasks(asked, filter);
      return new Page(entries.map(listRow), total);
    },
  });
}

function isOfSource(source: TaskFilter["source"], isRunning: boolean): boolean {
  return source === "all" || isRunning === (source === "active");
}

function entryOfRow({ upid: of, endtime, status }: TaskRow): readonly TaskEntry[] {
  const parts = parseUpid(of);
  if (parts === undefined) return [];
  if (endtime === undefined) return [{ upid: of, parts }];
  return [{ upid: of, parts, endTime: endtime, status: status ?? "" }];
}

/** The task, which the caller may see, or change. Throws ApiError. */
function found(
  { tasks, nodeName }: TaskSource,
  caller: Caller,
  of: { readonly node: string; readonly upid: string },
  privilege: "Sys.Audit" | "Sys.Modify",
): TaskEntry {
  checkNode(nodeName, of.node);
  const parts = parseUpid(of.upid);
  if (parts === undefined) {
    throw wrongUpid("unable to parse worker upid");
  }
  if (!isOwn(caller, parts.user) && !caller.may(`/nodes/${nodeName}`, privilege)) {
    throw new ApiError(403, `Permission check failed (/nodes/${nodeName}, ${privilege})`);
  }
  const entry = tasks.find(of.upid);
  if (entry === undefined) throw noTask();
  return entry;
}

function oneTaskRoutes(source: TaskSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/tasks/{upid}/status",
      description: "Whether a task runs, and how it ended.",
      permission: anyUser,
      parameters: { node, upid },
      returns: taskStatus,
      handle: ({ parameters, caller }) => {
        const { endTime, status, ...entry } = found(source, caller, parameters, "Sys.Audit");
        return {
          ...withToken(taskRow(entry)),
          status: endTime === undefined ? ("running" as const) : ("stopped" as const),
          ...(status === undefined ? {} : { exitstatus: status }),
        };
      },
    }),
    logRoute(source),
    route({
      method: "DELETE",
      path: "/nodes/{node}/tasks/{upid}",
      description: "Asks a task to stop.",
      permission: anyUser,
      parameters: { node, upid },
      returns: v.null(),
      handle: ({ parameters, caller }) => {
        const { upid: of, parts, endTime } = found(source, caller, parameters, "Sys.Modify");
        if (source.tasks.stop(of) || endTime !== undefined) return null;
        throw new ApiError(
          500,
          `the task belongs to process ${parts.pid}, which is not quorate's`,
          {
            code: "foreignTask",
            hint: `on that machine: kill ${parts.pid}`,
          },
        );
      },
    }),
  ];
}

function logRoute(source: TaskSource): Route {
  return route({
    method: "GET",
    path: "/nodes/{node}/tasks/{upid}/log",
    description: "Lines of a task's log, also while it runs.",
    permission: anyUser,
    parameters: {
      node,
      upid,
      start: parameter.optional(parameter.integer({ min: 0 })),
      limit: parameter.optional(parameter.integer({ min: 0, max: linesMax })),
      download: parameter.optional(parameter.boolean(), false),
    },
    returns: taskLines,
    isPaged: true,
    handle: async ({ parameters, caller }) => {
      const entry = found(source, caller, parameters, "Sys.Audit");
      const { start, limit, download } = parameters;
      if (download && (start !== undefined || limit !== undefined)) {
        throw new ApiError(
          500,
          "'download' cannot be used together with 'start' or 'limit' parameters",
        );
      }
      if (download) return wholeLog(source.tasks, entry);
      // 0: to the end.
      const most = limit === 0 ? linesMax : (limit ?? 50);
      const log = await source.tasks.readLog(entry.upid, start ?? 0, most);
      // A list without a line is more than the original's page can show.
      if (log === undefined || log.total === 0) return new Page([{ n: 1, t: "no content" }], 1);
      return new Page(log.lines, log.total);
    },
  });
}

function wholeLog(tasks: Tasks, { upid: of, parts }: TaskEntry): Response {
  const path = tasks.logFile(of);
  if (path === undefined) throw noTask();
  const begun = new Date(parts.startTime * 1000).toISOString().replace(/\.\d+/, "");
  const file = `task-${parts.node}-${parts.type}-${begun}.log`.replace(/[^\w.:-]/g, "_");
  return new Response(Bun.file(path), {
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "content-disposition": `attachment; filename="${file}"`,
    },
  });
}

/** Calls for other nodes do not come here: they are forwarded before. */
function checkNode(own: string, asked: string): void {
  if (asked === own || asked === "localhost") return;
  throw new ApiError(500, `no such cluster node '${asked}'`, { code: "noNode" });
}

function wrongUpid(words: string, code?: string): ApiError {
  const more = code === undefined ? {} : { code };
  return new ApiError(400, "Parameter verification failed.", { errors: { upid: words }, ...more });
}

function noTask(): ApiError {
  return wrongUpid("no such task", "noTask");
}

/** A user's own are those of its tokens too; a token's are its own alone. */
function isOwn({ user, isToken }: Caller, owner: string): boolean {
  return owner === user || (!isToken && owner.startsWith(`${user}!`));
}

/** As the original shows what a token has started: its user, and its name beside. */
function withToken<Row extends { readonly user: string }>(row: Row): Row & { tokenid?: string } {
  const at = row.user.indexOf("!");
  if (at < 0) return row;
  return { ...row, user: row.user.slice(0, at), tokenid: row.user.slice(at + 1) };
}

/** One that runs has the word for it in a list of a node. */
function listRow(entry: TaskEntry): v.InferInput<typeof taskListed> {
  const row = withToken(taskRow(entry));
  return entry.endTime === undefined ? { ...row, status: "RUNNING" } : row;
}

function isKind(word: string): word is StatusKind {
  return ["ok", "error", "warning", "unknown"].includes(word);
}
