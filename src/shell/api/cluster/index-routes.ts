// What there is below a path, as the original's directories answer it: made of the routes themselves, so that nothing is listed that is not there
// (pvecm.md §4.2).
import * as v from "valibot";
import { anyUser, type Route, route } from "../route.ts";
import * as parameter from "../parameters.ts";
import { mayAudit, node } from "../nodes/node-source.ts";
import { service } from "../nodes/service-routes.ts";

/** Which of the original's directories there are, and what the name of a child is called there. */
const directories = [
  { path: "", key: "subdir", permission: anyUser, parameters: {} },
  { path: "/cluster", key: "name", permission: anyUser, parameters: {} },
  { path: "/nodes/{node}", key: "name", permission: anyUser, parameters: node },
  { path: "/nodes/{node}/certificates", key: "name", permission: anyUser, parameters: node },
  {
    path: "/nodes/{node}/services/{service}",
    key: "subdir",
    permission: mayAudit,
    parameters: { ...node, service },
  },
  {
    path: "/nodes/{node}/tasks/{upid}",
    key: "name",
    permission: anyUser,
    parameters: {
      ...node,
      upid: parameter.formatted(255, /^UPID:[^\s/]+:$/, "unable to parse worker upid"),
    },
  },
] as const;

/** `routes`: all others. */
export function indexRoutes(routes: readonly Route[]): readonly Route[] {
  return directories.map(({ path, key, permission, parameters }) => {
    const names = childrenOf(routes, path);
    return route({
      method: "GET",
      path: path === "" ? "/" : path,
      isForAllNodes: true,
      description: `What there is below ${path === "" ? "/" : path}.`,
      permission,
      parameters,
      returns: v.array(v.union([v.object({ subdir: v.string() }), v.object({ name: v.string() })])),
      handle: () => names.map((name) => (key === "name" ? { name } : { subdir: name })),
    });
  });
}

/** The fixed next words of the paths below, sorted. */
function childrenOf(routes: readonly Route[], path: string): readonly string[] {
  const below = routes.flatMap((each) => {
    if (each.isOurs === true || !each.path.startsWith(`${path}/`)) return [];
    const word = each.path.slice(path.length + 1).split("/", 1)[0] ?? "";
    return word === "" || word.startsWith("{") ? [] : [word];
  });
  return [...new Set(below)].toSorted();
}
