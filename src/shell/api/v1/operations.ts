// The operations that change a cluster: which there are, found among the declared routes by their dry run, and which run on this node.
import * as v from "valibot";
import type { TaskEntry } from "../../task/task-list.ts";
import { type Route, route } from "../route.ts";
import { mayAudit } from "./v1-rules.ts";

const operationsSchema = v.object({
  operations: v.array(
    v.object({
      method: v.picklist(["GET", "POST", "PUT", "DELETE"]),
      /** Below /api/v1; each takes dry-run. */
      path: v.string(),
      description: v.string(),
      parameters: v.array(v.string()),
    }),
  ),
  running: v.array(
    v.object({
      upid: v.string(),
      type: v.string(),
      id: v.string(),
      user: v.string(),
      /** Unix seconds. */
      startTime: v.number(),
    }),
  ),
});

/** `routes`: all that this node serves. `tasks`: that run or ended lately. */
export function operationsRoute(
  routes: readonly Route[],
  tasks: () => readonly TaskEntry[],
): Route {
  const operations = routes
    .filter(({ isOurs, parameters }) => isOurs === true && "dry-run" in parameters)
    .map(({ method, path, description, parameters }) => ({
      ...{ method, path, description, parameters: Object.keys(parameters) },
    }));
  return route({
    method: "GET",
    path: "/operations",
    isOurs: true,
    description: "The operations that there are, each with a dry run, and those that run here now.",
    permission: mayAudit,
    returns: operationsSchema,
    parameters: {},
    handle: () => ({
      operations,
      running: tasks()
        .filter(({ endTime }) => endTime === undefined)
        .map(({ upid, parts: { type, id, user, startTime } }) => ({
          ...{ upid, type, id, user, startTime },
        })),
    }),
  });
}
