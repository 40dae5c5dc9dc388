// How a node was: the values of charts, over a day or a month.
import type * as v from "valibot";
import { historyAnswer } from "../../answers/history.ts";
import { seriesNamePattern, spanNames } from "../../monitor/history.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import * as parameter from "../parameters.ts";
import { type Route, route } from "../route.ts";
import { mayAudit } from "./v1-rules.ts";

const seriesCharactersMax = 400;

const words = {
  span: parameter.oneOf(spanNames),
  seconds: parameter.optional(parameter.integer({ min: 60, max: 31 * 86_400 })),
  points: parameter.optional(parameter.integer({ min: 2, max: 1500 })),
  series: parameter.optional(
    parameter.checkedText(
      seriesCharactersMax,
      (text) => text.split(",").every((name) => seriesNamePattern.test(name)),
      "invalid format - not the name of a series, or names with commas between",
    ),
  ),
};

/** Of this node; and of any node of the cluster, which that node answers. */
export function historyRoutes(monitor: Pick<Monitor, "history">): readonly Route[] {
  const shared = {
    method: "GET",
    isOurs: true,
    permission: mayAudit,
    returns: historyAnswer,
  } as const;
  const read = (given: v.InferOutput<v.ObjectSchema<typeof words, undefined>>) => {
    const { span, seconds = 31 * 86_400, points = 300, series } = given;
    const wanted = series?.split(",");
    const isWanted = (name: string): boolean =>
      wanted?.some((each) => name === each || name.startsWith(`${each}/`)) ?? true;
    return monitor.history.archives[span].read(isWanted, seconds, points);
  };
  return [
    route({
      ...shared,
      path: "/history",
      description:
        "Latency and loss of links, votes, members, token and writes of a day or a month, each point with its lowest, mean and highest.",
      parameters: words,
      handle: ({ parameters }) => read(parameters),
    }),
    route({
      ...shared,
      path: "/nodes/{node}/history",
      description: "The same as /history of any node of the cluster, which that node answers.",
      parameters: { node: parameter.nodeName(), ...words },
      handle: ({ parameters }) => read(parameters),
    }),
  ];
}
