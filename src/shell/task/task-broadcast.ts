// Each node tells the others of its tasks, as Proxmox's daemons do: the value "tasklist" in the status store, a JSON array, newest first,
// with a NUL at its end (pmxcfs.md §3.5). What others tell is foreign text. Pure.
import * as v from "valibot";
import type { TaskEntry } from "./task-list.ts";
import { parseUpid } from "./upid.ts";

/** Below what the status store takes. */
const bytesMax = 32 * 1024;
/** Of one node. */
const tasksMax = 200;

/** A task as lists of the API show it. */
export interface TaskRow {
  readonly upid: string;
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  readonly starttime: number;
  readonly type: string;
  readonly id: string;
  readonly user: string;
  /** Absent: it runs. */
  readonly endtime?: number;
  readonly status?: string;
  /** "1": it has ended, and is in the index. */
  readonly saved?: "1";
}

export function taskRow({ upid, parts, endTime, status = "" }: TaskEntry): TaskRow {
  const { startTime, ...rest } = parts;
  const ended = endTime === undefined ? {} : { endtime: endTime, status };
  return { upid, ...rest, starttime: startTime, ...ended };
}

/** As `taskRow`, of a list that has the ended ones too. */
export function listedRow(entry: TaskEntry): TaskRow {
  return { ...taskRow(entry), ...(entry.endTime === undefined ? {} : { saved: "1" }) };
}

/** The oldest are left out when all are too long. */
export function writeBroadcast(entries: readonly TaskEntry[]): Uint8Array {
  const rows = entries
    .toSorted((a, b) => b.parts.startTime - a.parts.startTime)
    .slice(0, tasksMax)
    .map(listedRow);
  for (;;) {
    const bytes = new TextEncoder().encode(`${JSON.stringify(rows)}\0`);
    if (bytes.length < bytesMax || rows.length === 0) return bytes;
    rows.pop();
  }
}

const number = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
  v.integer(),
  v.minValue(0),
);
const rowSchema = v.looseObject({
  upid: v.string(),
  endtime: v.optional(v.nullable(number)),
  status: v.optional(v.nullable(v.string())),
});

/** What a node has told; all but the end is taken from the UPID. What is no task is left out. */
export function readBroadcast(bytes: Uint8Array): TaskRow[] {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes).replace(/\0+$/, ""));
  } catch {
    return []; // The list of a node that tells nonsense is empty.
  }
  if (!Array.isArray(json)) return [];
  return json.slice(0, tasksMax).flatMap((each: unknown) => {
    const row = v.safeParse(rowSchema, each);
    const parts = row.success ? parseUpid(row.output.upid) : undefined;
    if (!row.success || parts === undefined) return [];
    const { upid, endtime, status } = row.output;
    if (endtime === undefined || endtime === null) return [listedRow({ upid, parts })];
    return [listedRow({ upid, parts, endTime: endtime, status: (status ?? "").slice(0, 1000) })];
  });
}
