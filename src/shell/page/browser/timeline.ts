// Cluster log, tasks and events of this node as one time line, filtered as somebody asks (pvecm.md §5.9 I). Pure.
import type * as v from "valibot";
import type { clusterLogAnswer } from "../../answers/monitor.ts";
import type { taskListed } from "../../answers/task.ts";
import type { RecordedEvent } from "../../monitor/event.ts";
import type { Mood } from "./verdict.ts";
import { words } from "./words.ts";

export const entryKinds = ["log", "task", "event"] as const;
export type EntryKind = (typeof entryKinds)[number];

export interface Entry {
  readonly key: string;
  readonly kind: EntryKind;
  /** Unix milliseconds. */
  readonly at: number;
  readonly node: string;
  readonly mood: Mood;
  /** Who or what: a user, a kind of event. */
  readonly by: string;
  readonly text: string;
  /** Of a task: its log can be read. */
  readonly upid: string | undefined;
}

export interface Sources {
  readonly log: v.InferOutput<typeof clusterLogAnswer>;
  readonly tasks: readonly v.InferOutput<typeof taskListed>[];
  readonly events: readonly RecordedEvent[];
  /** Whose events they are. */
  readonly node: string;
}

export interface Filter {
  /** "": all. */
  readonly node: string;
  readonly kind: EntryKind | "";
  /** Warnings and what is worse alone. */
  readonly onlyTrouble: boolean;
  readonly text: string;
}

/** syslog's error, and warning. */
const priorityBad = 3;
const priorityWarn = 4;

/** Newest first. */
export function timeline({ log, tasks, events, node }: Sources): readonly Entry[] {
  return [
    ...log.map((line): Entry => {
      const { priority } = line;
      const mood = priority <= priorityBad ? "bad" : priority === priorityWarn ? "warn" : "calm";
      return {
        ...{ key: `log ${line.node} ${line.uid} ${line.time}`, kind: "log", mood },
        ...{ at: line.time * 1000, node: line.node, upid: undefined },
        by: `${line.user} ${line.tag}`,
        text: line.message,
      };
    }),
    ...tasks.map(entryOfTask),
    ...events.map((event): Entry => ({
      ...{ key: `event ${event.id}`, kind: "event", at: event.at, node, upid: undefined },
      ...{ mood: moodOf(event), by: event.kind, text: event.text },
    })),
  ].toSorted((a, b) => b.at - a.at);
}

function entryOfTask(task: Sources["tasks"][number]): Entry {
  const { upid, node, type, id, user, starttime, endtime, status = "" } = task;
  const isRunning = endtime === undefined;
  const isGood = status === "OK";
  const name = id === "" ? type : `${type} ${id}`;
  return {
    ...{ key: `task ${upid}`, kind: "task", node, upid, by: user },
    at: (endtime ?? starttime) * 1000,
    mood: isRunning ? "calm" : isGood ? "good" : status.startsWith("WARNINGS") ? "warn" : "bad",
    text: words.taskEntry(name, isRunning ? words.taskRuns : isGood ? words.taskDone : status),
  };
}

function moodOf(event: RecordedEvent): Mood {
  switch (event.kind) {
    case "quorum":
      return event.facts.quorate ? "good" : "bad";
    case "membership":
      return event.facts.left.length > 0 ? "warn" : "good";
    case "link":
      return event.facts.isUp ? "good" : "warn";
    case "device":
      return event.facts.problem === "" ? "calm" : "warn";
    case "tree":
    case "upgrade":
      return "calm";
  }
  return event satisfies never;
}

export function filtered(
  entries: readonly Entry[],
  { node, kind, onlyTrouble, text }: Filter,
): readonly Entry[] {
  const wanted = text.trim().toLowerCase();
  return entries.filter(
    (entry) =>
      (node === "" || entry.node === node) &&
      (kind === "" || entry.kind === kind) &&
      (!onlyTrouble || entry.mood === "warn" || entry.mood === "bad") &&
      (wanted === "" || `${entry.by} ${entry.text}`.toLowerCase().includes(wanted)),
  );
}

/** A line each, for a file: tabs between, ISO 8601. */
export function exported(entries: readonly Entry[]): string {
  const line = ({ at, node, kind, by, text }: Entry): string =>
    [new Date(at).toISOString(), node, kind, by, text]
      .map((each) => each.replace(/[\t\n]/g, " "))
      .join("\t");
  return entries.map((entry) => `${line(entry)}\n`).join("");
}
