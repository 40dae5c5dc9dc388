// The routes of tasks (pvecm.md §4.2, §4.6): lists, status, log, stop. Who has not the right to see all sees their own.
import * as parameter from "../api/parameters.ts";
import { anyUser, ApiError, type Caller, Page, type Route, route } from "../api/route.ts";
import { listedRow, readBroadcast, taskRow } from "./task-broadcast.ts";
import { type StatusKind, type TaskEntry, type TaskFilter } from "./task-list.ts";
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
  return [clusterTasksRoute(source), nodeTasksRoute(source), ...oneTaskRoutes(source)];
}

function clusterTasksRoute({ tasks, told }: TaskSource): Route {
  return route({
    method: "GET",
    path: "/cluster/tasks",
    description: "Tasks of all nodes that run or ended lately, newest first.",
    permission: anyUser,
    parameters: {},
    handle: ({ caller }) => {
      const all = caller.may("/", "Sys.Audit");
      return [...tasks.active().map(listedRow), ...told().flatMap(readBroadcast)]
        .filter(({ user }) => all || user === caller.user)
        .toSorted((a, b) => b.starttime - a.starttime);
    },
  });
}

function nodeTasksRoute({ tasks, nodeName }: TaskSource): Route {
  return route({
    method: "GET",
    path: "/nodes/{node}/tasks",
    description: "Tasks of a node, newest first.",
    permission: anyUser,
    parameters: {
      node,
      start: parameter.optional(parameter.integer({ min: 0 }), 0),
      limit: parameter.optional(parameter.integer({ min: 0, max: tasksMax }), 50),
      userfilter: name,
      typefilter: name,
      vmid: parameter.optional(parameter.integer({ min: 1 })),
      errors: parameter.optional(parameter.boolean(), false),
      source: parameter.optional(parameter.oneOf(["archive", "active", "all"]), "archive"),
      since: time,
      until: time,
      statusfilter: parameter.optional(
        parameter.formatted(
          64,
          /^(?:ok|error|warning|unknown)(?:[,; ]+(?:ok|error|warning|unknown))*$/,
          "invalid format - value does not look like a list of ok, error, warning, unknown",
        ),
      ),
    },
    handle: ({ parameters, caller }) => {
      checkNode(nodeName, parameters.node);
      const { start, limit, source, userfilter, typefilter, vmid, since, until } = parameters;
      const kinds = parameters.statusfilter?.split(/[,; ]+/).filter(isKind);
      const isOwnOnly = !caller.may(`/nodes/${nodeName}`, "Sys.Audit");
      const filter: TaskFilter = {
        start,
        limit: limit === 0 ? tasksMax : limit,
        source,
        onlyErrors: parameters.errors,
        ...(isOwnOnly ? { owner: caller.user } : {}),
        ...(userfilter === undefined ? {} : { user: userfilter }),
        ...(typefilter === undefined ? {} : { type: typefilter }),
        ...(vmid === undefined ? {} : { id: String(vmid) }),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...(kinds === undefined ? {} : { kinds }),
      };
      const { entries, total } = tasks.list(filter);
      return new Page(entries.map(taskRow), total);
    },
  });
}

function oneTaskRoutes({ tasks, nodeName }: TaskSource): readonly Route[] {
  /** The task, which the caller may see, or change. */
  const found = (caller: Caller, of: { node: string; upid: string }, privilege: string) => {
    checkNode(nodeName, of.node);
    const parts = parseUpid(of.upid);
    if (parts === undefined) {
      throw new ApiError(400, "Parameter verification failed.", {
        errors: { upid: "unable to parse worker upid" },
      });
    }
    if (parts.user !== caller.user && !caller.may(`/nodes/${nodeName}`, privilege)) {
      throw new ApiError(403, `Permission check failed (/nodes/${nodeName}, ${privilege})`);
    }
    const entry = tasks.find(of.upid);
    if (entry === undefined) throw new ApiError(500, "no such task", { code: "noTask" });
    return entry;
  };
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/tasks/{upid}/status",
      description: "Whether a task runs, and how it ended.",
      permission: anyUser,
      parameters: { node, upid },
      handle: ({ parameters, caller }) => {
        const { endTime, status, ...entry } = found(caller, parameters, "Sys.Audit");
        const state = endTime === undefined ? { status: "running" } : { status: "stopped" };
        return {
          ...taskRow(entry),
          ...state,
          ...(status === undefined ? {} : { exitstatus: status }),
        };
      },
    }),
    route({
      method: "GET",
      path: "/nodes/{node}/tasks/{upid}/log",
      description: "Lines of a task's log, also while it runs.",
      permission: anyUser,
      parameters: {
        node,
        upid,
        start: parameter.optional(parameter.integer({ min: 0 }), 0),
        limit: parameter.optional(parameter.integer({ min: 0, max: linesMax }), 50),
        download: parameter.optional(parameter.boolean(), false),
      },
      handle: async ({ parameters, caller }) => {
        const entry = found(caller, parameters, "Sys.Audit");
        if (parameters.download) return wholeLog(tasks, entry);
        const { start, limit } = parameters;
        const log = await tasks.readLog(entry.upid, start, limit === 0 ? 50 : limit);
        // A list without a line is more than the original's page can show.
        if (log === undefined || log.total === 0) return new Page([{ n: 1, t: "no content" }], 1);
        return new Page(log.lines, log.total);
      },
    }),
    route({
      method: "DELETE",
      path: "/nodes/{node}/tasks/{upid}",
      description: "Asks a task to stop.",
      permission: anyUser,
      parameters: { node, upid },
      handle: ({ parameters, caller }) => {
        tasks.stop(found(caller, parameters, "Sys.Modify").upid);
        return null;
      },
    }),
  ];
}

function wholeLog(tasks: Tasks, { upid: of, parts }: TaskEntry): Response {
  const path = tasks.logFile(of);
  if (path === undefined) throw new ApiError(500, "no such task", { code: "noTask" });
  const file = `task-${parts.node}-${parts.type}-${parts.startTime}.log`.replace(/[^\w.-]/g, "_");
  return new Response(Bun.file(path), {
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "content-disposition": `attachment; filename="${file}"`,
      "cache-control": "max-age=0",
    },
  });
}

/** Calls for other nodes do not come here: they are forwarded before. */
function checkNode(own: string, asked: string): void {
  if (asked === own || asked === "localhost") return;
  throw new ApiError(500, `no such cluster node '${asked}'`, { code: "noNode" });
}

function isKind(word: string): word is StatusKind {
  return ["ok", "error", "warning", "unknown"].includes(word);
}
