// What the routes of tasks answer.
import * as v from "valibot";

const taskFields = {
  ...{ upid: v.string(), node: v.string(), pid: v.number(), pstart: v.number() },
  ...{ starttime: v.number(), type: v.string(), id: v.string(), user: v.string() },
  tokenid: v.optional(v.string()),
};
const ended = { endtime: v.optional(v.number()), status: v.optional(v.string()) };

/** Of a list. `status`: "RUNNING", or how it ended; times in Unix seconds. */
export const taskListed = v.object({ ...taskFields, ...ended });
export const clusterTaskListed = v.object({
  ...taskFields,
  ...ended,
  saved: v.optional(v.literal("1")),
});
export const taskStatus = v.object({
  ...taskFields,
  status: v.picklist(["running", "stopped"]),
  /** "OK", or why not. */
  exitstatus: v.optional(v.string()),
});
/** Counted from 1. */
export const taskLines = v.array(v.object({ n: v.number(), t: v.string() }));
