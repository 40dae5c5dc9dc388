// What the routes answer that tell of a node over time: events, metrics, the report.
import * as v from "valibot";
import { eventSchema } from "../monitor/event.ts";

export const eventList = v.object({
  newest: v.pipe(v.string(), v.description("To ask from the next time.")),
  gap: v.pipe(
    v.string(),
    v.description("Why events may be missing, a sentence; empty: all there was since then."),
  ),
  events: v.array(eventSchema),
});

export const metricSamples = v.array(
  v.object({
    name: v.string(),
    type: v.picklist(["gauge", "counter"]),
    help: v.string(),
    samples: v.array(
      v.object({
        labels: v.record(v.string(), v.union([v.string(), v.number()])),
        value: v.number(),
      }),
    ),
  }),
);

export const reportSections = v.array(v.object({ name: v.string(), text: v.string() }));

/** Newest first. */
export const clusterLogAnswer = v.array(
  v.object({
    /** Counted by its node, from 1. */
    uid: v.number(),
    node: v.string(),
    /** Unix seconds. */
    time: v.number(),
    /** As syslog: 0 emergency to 7 debug. */
    priority: v.number(),
    tag: v.string(),
    pid: v.number(),
    user: v.string(),
    message: v.string(),
  }),
);
