// The lists of tasks as text: `index` (ended ones, oldest first) and `active` (running ones, and those that ended lately). What ended
// how, and which ones a caller asks for. Pure. Spec: pvecm.md §4.6; the line forms are Proxmox's.
import { hex, parseUpid, type Upid } from "./upid.ts";

/** Of a status text; longer ones are cut. */
export const statusTextMax = 1000;
/** The status of a task whose process ended without a last line. */
export const unexpectedStatus = "unexpected status";

export interface TaskEntry {
  readonly upid: string;
  readonly parts: Upid;
  /** Unix seconds; absent: it runs. */
  readonly endTime?: number;
  /** "OK", "WARNINGS: 3", or why it failed; absent: it runs. */
  readonly status?: string;
}

const indexPattern = /^(\S{1,255}) ([0-9A-Fa-f]{8})(?: +(\S.*))?$/;
const activePattern = /^(\S{1,255}) [01](?: ([0-9A-Fa-f]{8})(?: +(\S.*))?)?$/;

/** Lines that are none are left out. */
export function readIndex(text: string): TaskEntry[] {
  return entriesOf(text, indexPattern);
}

export function readActive(text: string): TaskEntry[] {
  return entriesOf(text, activePattern);
}

function entriesOf(text: string, pattern: RegExp): TaskEntry[] {
  const entries: TaskEntry[] = [];
  for (const line of text.split("\n")) {
    const [, upid, endTime, status] = pattern.exec(line) ?? [];
    const parts = upid === undefined ? undefined : parseUpid(upid);
    if (upid === undefined || parts === undefined) continue;
    if (endTime === undefined) entries.push({ upid, parts });
    else {
      const ended = Number.parseInt(endTime, 16);
      entries.push({ upid, parts, endTime: ended, status: status?.trim() ?? unexpectedStatus });
    }
  }
  return entries;
}

export function writeIndexLine({
  upid,
  endTime = 0,
  status = unexpectedStatus,
}: TaskEntry): string {
  return `${upid} ${hex(endTime)} ${oneLine(status) || unexpectedStatus}\n`;
}

export function writeActive(entries: readonly TaskEntry[]): string {
  return entries
    .map((entry) =>
      entry.endTime === undefined
        ? `${entry.upid} 0\n`
        : `${entry.upid} 1 ${hex(entry.endTime)} ${oneLine(entry.status ?? "") || unexpectedStatus}\n`,
    )
    .join("");
}

/** A text as one line of a log: no control character but the tab, of bounded length. */
export function oneLine(text: string, lengthMax = statusTextMax): string {
  const line = text.trim().replace(/\s*[\r\n]+\s*/g, " ");
  return line.slice(0, lengthMax).replace(/[^\P{C}\t]/gu, "?");
}

/** What the last line of a log says of a task that has ended. */
export function statusOfLastLine(line: string): string {
  if (line === "TASK OK") return "OK";
  const warnings = /^TASK (WARNINGS: \d{1,9})$/.exec(line)?.[1];
  if (warnings !== undefined) return warnings;
  const fault = /^TASK ERROR: (.+)$/.exec(line)?.[1];
  return fault === undefined ? unexpectedStatus : oneLine(fault);
}

export type StatusKind = "ok" | "warning" | "error" | "unknown";

/** `status` of an ended task; undefined: it runs. */
export function kindOfStatus(status: string | undefined): StatusKind {
  if (status === undefined) return "unknown";
  if (status === "OK") return "ok";
  if (/^WARNINGS: \d+$/.test(status)) return "warning";
  return status === unexpectedStatus ? "unknown" : "error";
}

/** What a caller wants to see; absent fields do not narrow. */
export interface TaskFilter {
  readonly start: number;
  readonly limit: number;
  readonly source: "archive" | "active" | "all";
  /** Whether the caller may see it. */
  readonly isSeen?: (of: Upid) => boolean;
  /** Part of the user's name, any case. */
  readonly user?: string;
  readonly type?: string;
  /** The task's id. */
  readonly id?: string;
  readonly onlyErrors?: boolean;
  /** Unix seconds of the start. */
  readonly since?: number;
  readonly until?: number;
  readonly kinds?: readonly StatusKind[];
}

/** Newest first. `total`: how many there are without start and limit. */
export function selectTasks(
  entries: readonly TaskEntry[],
  filter: TaskFilter,
): { readonly entries: readonly TaskEntry[]; readonly total: number } {
  const user = filter.user?.toLowerCase();
  const found = entries.filter(({ parts, status }) => {
    if (filter.isSeen?.(parts) === false) return false;
    if (user !== undefined && !parts.user.toLowerCase().includes(user)) return false;
    if (filter.type !== undefined && parts.type !== filter.type) return false;
    if (filter.id !== undefined && parts.id !== filter.id) return false;
    if (filter.since !== undefined && parts.startTime < filter.since) return false;
    if (filter.until !== undefined && parts.startTime > filter.until) return false;
    const kind = kindOfStatus(status);
    // What is asked for by kinds counts only where errors are not.
    if (filter.onlyErrors === true) return kind !== "ok";
    return filter.kinds === undefined || filter.kinds.includes(kind);
  });
  // Of one second the last of the list is the newest.
  found.reverse();
  found.sort((a, b) => b.parts.startTime - a.parts.startTime);
  return {
    entries: found.slice(filter.start, filter.start + filter.limit),
    total: found.length,
  };
}
