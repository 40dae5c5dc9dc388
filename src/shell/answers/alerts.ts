// What the routes about alerts answer.
import * as v from "valibot";
import { alertKinds, channelNames } from "../alert/condition.ts";

const channel = v.picklist(channelNames);

export const alertAnswer = v.object({
  /** The same on all nodes: "node/3". */
  id: v.string(),
  kind: v.picklist(alertKinds),
  isOpen: v.boolean(),
  /** Unix milliseconds. */
  since: v.number(),
  /** Null: it is open. */
  until: v.nullable(v.number()),
  what: v.string(),
  effect: v.string(),
  /** "" of one that is over. */
  nextStep: v.string(),
  /** Passes quiet times. */
  isUrgent: v.boolean(),
  /** Not sent until then, Unix milliseconds; null: it is. */
  mutedUntil: v.nullable(v.number()),
  /** The node that sent it last, and when (Unix milliseconds); "" and null: none has. */
  sentBy: v.string(),
  sentAt: v.nullable(v.number()),
  /** Set-up channels that have not taken its last change. */
  waitsFor: v.array(channel),
});

export const alertsAnswer = v.object({
  /** By this node's clock, Unix milliseconds. */
  at: v.number(),
  /** Who sends for the part of the cluster that this node is in; null: nobody is ready yet. */
  sender: v.nullable(v.object({ nodeid: v.number(), name: v.string(), isHere: v.boolean() })),
  /** Only what is urgent is sent now. */
  isQuiet: v.boolean(),
  channels: v.array(
    v.object({
      name: channel,
      /** Where to, without secrets. */
      target: v.string(),
      /** Why this node's last try failed, a sentence; "": it did not, or made none. */
      fault: v.string(),
    }),
  ),
  /** What is wrong with the settings, sentences. */
  problems: v.array(v.string()),
  /** Open ones first, the gravest of them first. */
  alerts: v.array(alertAnswer),
});
export type AlertsAnswer = v.InferOutput<typeof alertsAnswer>;

export const alertTestAnswer = v.object({
  node: v.string(),
  results: v.array(
    v.object({
      channel: v.picklist([...channelNames, "log"]),
      ok: v.boolean(),
      /** Where it went, or why it did not, a sentence. */
      text: v.string(),
    }),
  ),
});
export type AlertTestAnswer = v.InferOutput<typeof alertTestAnswer>;

export const alertSettingsAnswer = v.array(
  v.object({
    name: v.string(),
    /** What it is, for people. */
    what: v.string(),
    isSecret: v.boolean(),
    /** It may have several values. */
    isRepeated: v.boolean(),
    /** As they stand in the file; of secrets only that they are there. */
    values: v.array(v.string()),
  }),
);
