// How a node was: the values of charts, over a day or a month.
import * as v from "valibot";
import { seriesNamePattern, spanNames } from "../../monitor/history.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import * as parameter from "../parameters.ts";
import { type Route, route } from "../route.ts";
import { mayAudit } from "./v1-rules.ts";

const points = v.array(v.nullable(v.number()));
const historySchema = v.object({
  /** Seconds from one point to the next. */
  stepS: v.number(),
  /** Where the first point begins, Unix seconds; 0: there is none. */
  fromS: v.number(),
  /** By name ("votes", "link/2/0/latencyUs"); null where nothing is known. */
  series: v.record(v.string(), v.object({ min: points, mean: points, max: points })),
});

export function historyRoute(monitor: Pick<Monitor, "history">): Route {
  return route({
    method: "GET",
    path: "/history",
    isOurs: true,
    description:
      "Latency and loss of links, votes, members, token and writes of a day or a month, each point with its lowest, mean and highest.",
    permission: mayAudit,
    returns: historySchema,
    parameters: {
      span: parameter.oneOf(spanNames),
      seconds: parameter.optional(parameter.integer({ min: 60, max: 31 * 86_400 })),
      points: parameter.optional(parameter.integer({ min: 2, max: 1500 })),
      series: parameter.optional(
        parameter.formatted(48, seriesNamePattern, "invalid format - not the name of a series"),
      ),
    },
    handle: ({ parameters }) => {
      const { span, seconds = 31 * 86_400, points: pointsMax = 300, series } = parameters;
      const isWanted = (name: string): boolean =>
        series === undefined || name === series || name.startsWith(`${series}/`);
      return monitor.history.archives[span].read(isWanted, seconds, pointsMax);
    },
  });
}
