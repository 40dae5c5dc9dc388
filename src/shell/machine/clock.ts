// The time zone of this machine: where /etc/localtime points, as timedatectl and every program read it.
import {
  existsSync,
  lstatSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { flushDirectory, replaceDurably } from "../../durable-file.ts";
import { readTextFile } from "./text-file.ts";

const zonePattern = /^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+){0,2}$/;

/** "UTC" where nothing says another. `root`: of the machine. */
export async function timeZone(root: string): Promise<string> {
  const path = join(root, "etc/localtime");
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  const target = isLink ? readlinkSync(path) : "";
  const linked = /\/zoneinfo\/(.+)$/.exec(target)?.[1];
  const named = linked ?? (await readTextFile(join(root, "etc/timezone")))?.trim() ?? "";
  return zonePattern.test(named) ? named : "UTC";
}

/** Whether this machine knows a zone of that name; names of before are links to those of now. */
export function isTimeZone(root: string, zone: string): boolean {
  if (!zonePattern.test(zone)) return false;
  const path = join(root, "usr/share/zoneinfo", zone);
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Sets a zone that `isTimeZone`. Throws what the disk says. */
export function setTimeZone(root: string, zone: string): void {
  const folder = join(root, "etc");
  const draft = join(folder, `localtime.${process.pid}.tmp`);
  rmSync(draft, { force: true });
  symlinkSync(`../usr/share/zoneinfo/${zone}`, draft);
  renameSync(draft, join(folder, "localtime"));
  // Debian's copy of the name, where there is one.
  const name = join(folder, "timezone");
  if (existsSync(name)) replaceDurably(name, new TextEncoder().encode(`${zone}\n`), 0o644);
  flushDirectory(folder);
}

/** Seconds by which a zone is ahead of UTC at a moment (Unix seconds); 0 for one that the runtime does not know. */
export function offsetOf(zone: string, seconds: number): number {
  let parts: Intl.DateTimeFormatPart[];
  try {
    parts = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      ...{ year: "numeric", month: "numeric", day: "numeric" },
      ...{ hour: "numeric", minute: "numeric", second: "numeric" },
    }).formatToParts(new Date(seconds * 1000));
  } catch {
    return 0; // A zone of the machine's own, or newer than the runtime.
  }
  const part = (name: string): number =>
    Number(parts.find(({ type }) => type === name)?.value ?? 0);
  const local = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return Math.round(local / 1000 - seconds);
}
