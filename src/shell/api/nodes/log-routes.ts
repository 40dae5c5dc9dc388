// GET /nodes/{node}/syslog and /journal: the log of a node's machine (pvecm.md §4.2).
import * as v from "valibot";
import { entriesMax, LogFault } from "../../machine/log-range.ts";
import * as parameter from "../parameters.ts";
import { ApiError, Page, type Route, route } from "../route.ts";
import { maySeeLog, node, type NodeSource, wrong } from "./node-source.ts";

const linesMax = 10_000;
const moment = parameter.optional(
  parameter.formatted(
    19,
    /^\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?$/,
    "value does not match the regex pattern",
  ),
);
const seconds = parameter.optional(parameter.integer({ min: 0 }));

export function logRoutes({ log }: NodeSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/syslog",
      description: "Lines of the system log of a node, oldest first; total counts at most 200000.",
      permission: maySeeLog,
      parameters: {
        ...node,
        start: parameter.optional(parameter.integer({ min: 0 }), 0),
        limit: parameter.optional(parameter.integer({ min: 0, max: linesMax }), 50),
        since: moment,
        until: moment,
        service: parameter.optional(
          parameter.formatted(
            128,
            /^[A-Za-z0-9_.@:][A-Za-z0-9_.@:-]*$/,
            "invalid format - value does not look like the name of a service",
          ),
        ),
      },
      returns: v.array(v.object({ n: v.number(), t: v.string() })),
      isPaged: true,
      handle: async ({ parameters: { start, limit, since, until, service } }) => {
        const most = limit === 0 ? 50 : limit;
        const { lines, total } = await read(() =>
          log().lines({ start, limit: most, since, until, service }),
        );
        // A list without a line is more than the original's page can show.
        if (total === 0) return new Page([{ n: 1, t: "no content" }], 1);
        return new Page(lines, total);
      },
    }),
    journalRoute({ log }),
  ];
}

async function read<T>(from: () => Promise<T>): Promise<T> {
  try {
    return await from();
  } catch (error) {
    if (error instanceof LogFault) throw new ApiError(500, error.message, { code: "noLog" });
    throw error;
  }
}

function journalRoute({ log }: Pick<NodeSource, "log">): Route {
  const cursor = parameter.optional(parameter.text({ max: 256 }));
  return route({
    method: "GET",
    path: "/nodes/{node}/journal",
    description:
      "Entries of the journal of a node, between the cursors of the first and the last; at most 10000.",
    permission: maySeeLog,
    parameters: {
      ...node,
      since: seconds,
      until: seconds,
      lastentries: parameter.optional(parameter.integer({ min: 0 })),
      startcursor: cursor,
      endcursor: cursor,
    },
    returns: v.array(v.string()),
    handle: async ({ parameters: { since, until, lastentries, startcursor, endcursor } }) => {
      const source = log();
      if (since !== undefined && startcursor !== undefined) {
        throw wrong("startcursor", "conflicts with 'since'");
      }
      if (until !== undefined && endcursor !== undefined) {
        throw wrong("endcursor", "conflicts with 'until'");
      }
      for (const [name, text] of Object.entries({ startcursor, endcursor })) {
        if (text !== undefined && !source.isCursor(text)) {
          throw wrong(name, "invalid format - value is no cursor of this journal");
        }
      }
      const last = lastentries === 0 ? undefined : lastentries;
      const entries = await read(() =>
        source.entries({
          ...{ since, until, after: startcursor, before: endcursor },
          last: last === undefined ? undefined : Math.min(last, entriesMax),
        }),
      );
      return entries.lines.length === 0
        ? [startcursor ?? endcursor ?? ""].filter((each) => each !== "")
        : [entries.first, ...entries.lines, entries.last];
    },
  });
}
