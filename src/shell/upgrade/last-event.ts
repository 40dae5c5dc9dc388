// The last event of an upgrade of this machine, for status and page (U13). The vote server reads it too, so that no validation library
// is loaded here. Nobody's status fails because the log cannot be read.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { EventLine } from "./record.ts";

const tailBytes = 8192;

/** Undefined: there was none, or the log is not ours to read. */
export function lastUpgradeEvent(log: string): EventLine | undefined {
  try {
    return eventOf(lastLine(log));
  } catch {
    return undefined;
  }
}

/** For people, as one line. */
export function upgradeEventText({ at, event, text }: EventLine): string {
  return `${event} at ${at}: ${text}`;
}

function lastLine(log: string): string {
  const fd = openSync(log, "r");
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, tailBytes));
    const length = readSync(fd, tail, 0, tail.length, size - tail.length);
    return tail.toString("utf8", 0, length).trimEnd().split("\n").at(-1) ?? "";
  } finally {
    closeSync(fd);
  }
}

function eventOf(line: string): EventLine | undefined {
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null) return undefined;
  if (!("at" in value && "event" in value && "text" in value)) return undefined;
  const { at, event, text } = value;
  if (typeof at !== "string" || typeof event !== "string" || typeof text !== "string") {
    return undefined;
  }
  return { at, event, text };
}
