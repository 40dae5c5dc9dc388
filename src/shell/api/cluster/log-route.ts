// GET /cluster/log: the log of the cluster, newest first (pvecm.md §4.2, pmxcfs.md §3.6). Without Sys.Syslog on / a caller sees its own entries.
import * as v from "valibot";
import type { LogLine } from "../../../fs/plugin/clusterlog.ts";
import { isLineOf, shownLogLine } from "../cluster-log-line.ts";
import * as parameter from "../parameters.ts";
import { anyUser, type Route, route } from "../route.ts";

const shownMax = 50;
/** More does not fit into the ring of 128 KiB. */
const entriesMax = 10_000;

const entrySchema = v.object({
  ...{ id: v.string(), uid: v.number(), time: v.number(), pri: v.number(), tag: v.string() },
  ...{ pid: v.number(), node: v.string(), user: v.string(), msg: v.string() },
});

/** `entries`: newest first. */
export function clusterLogRoute(entries: () => Iterable<LogLine>): Route {
  return route({
    method: "GET",
    path: "/cluster/log",
    description: "The log of the cluster, newest first.",
    permission: anyUser,
    parameters: { max: parameter.optional(parameter.integer({ min: 1 }), shownMax) },
    returns: v.array(entrySchema),
    handle: ({ parameters: { max }, caller }) => {
      const found: v.InferOutput<typeof entrySchema>[] = [];
      const isAll = caller.may("/", "Sys.Syslog");
      for (const entry of entries()) {
        if (found.length >= Math.min(max, entriesMax)) break;
        if (isAll || isLineOf(entry, caller.user)) found.push(shown(entry));
      }
      return found;
    },
  });
}

function shown(line: LogLine): v.InferOutput<typeof entrySchema> {
  const {
    uid,
    time,
    priority: pri,
    tag,
    pid,
    node,
    ident: user,
    message: msg,
  } = shownLogLine(line);
  return { id: `${uid}:${node}`, ...{ uid, time, pri, tag, pid, node, user, msg } };
}
