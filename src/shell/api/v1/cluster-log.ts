// The cluster log: what the nodes and their users did, newest first.
import * as v from "valibot";
import type { LogLine } from "../../../fs/plugin/clusterlog.ts";
import { isLineOf, shownLogLine } from "../cluster-log-line.ts";
import { clusterLogAnswer } from "../../answers/monitor.ts";
import * as parameter from "../parameters.ts";
import { anyUser, type Route, route } from "../route.ts";

export type ClusterLogEntries = v.InferOutput<typeof clusterLogAnswer>;

/** `entries`: newest first. */
export function clusterLogRoute(entries: () => Iterable<LogLine>): Route {
  return route({
    method: "GET",
    path: "/cluster-log",
    isOurs: true,
    description: "Lines of the cluster log, newest first; without Sys.Syslog only one's own.",
    permission: anyUser,
    returns: clusterLogAnswer,
    parameters: { max: parameter.optional(parameter.integer({ min: 1, max: 3000 })) },
    handle: ({ parameters, caller }) => {
      const seesAll = caller.may("/", "Sys.Syslog");
      const isSeen = (line: LogLine): boolean => seesAll || isLineOf(line, caller.user);
      return clusterLogEntries(entries(), parameters.max ?? 50, isSeen);
    },
  });
}

/** The first `max` of those that are seen. */
export function clusterLogEntries(
  entries: Iterable<LogLine>,
  max: number,
  isSeen: (line: LogLine) => boolean,
): ClusterLogEntries {
  const lines: ClusterLogEntries = [];
  for (const entry of entries) {
    if (lines.length >= max) break;
    if (!isSeen(entry)) continue;
    const { uid, node, time, priority, tag, pid, ident: user, message } = shownLogLine(entry);
    lines.push({ uid, node, time, priority, tag, pid, user, message });
  }
  return lines;
}
