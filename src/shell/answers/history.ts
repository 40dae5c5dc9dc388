// What the routes answer about how a node was: the values of charts.
import * as v from "valibot";

const points = v.array(v.nullable(v.number()));

export const historyAnswer = v.object({
  /** Seconds from one point to the next. */
  stepS: v.number(),
  /** Where the first point begins, Unix seconds; 0: there is none. */
  fromS: v.number(),
  /** By name ("votes", "link/2/0/latencyUs"); null where nothing is known. */
  series: v.record(v.string(), v.object({ min: points, mean: points, max: points })),
});
export type HistoryAnswer = v.InferOutput<typeof historyAnswer>;
