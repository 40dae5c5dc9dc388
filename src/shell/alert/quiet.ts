// Quiet times, "mon-fri 22:00-07:00, sat-sun 00:00-24:00": windows of the local week. Pure; the local time is given.
import { type Result, failure, success } from "../../result.ts";

const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const dayMinutes = 24 * 60;
export const weekMinutes = 7 * dayMinutes;
const windowsMax = 16;

export interface QuietWindow {
  /** Minutes from Monday 00:00, local time; the end may be in the next week. */
  readonly from: number;
  readonly minutes: number;
}

const example = '"22:00-07:00" or "mon-fri 22:00-07:00, sat-sun 00:00-24:00"';

/** `text`: of the setting; "" is never. */
export function parseQuiet(text: string): Result<readonly QuietWindow[]> {
  const parts = text
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
  if (parts.length > windowsMax) return failure(`at most ${windowsMax} windows, not more`);
  const windows: QuietWindow[] = [];
  for (const part of parts) {
    const read = windowsOf(part);
    if (!read.ok) return read;
    windows.push(...read.value);
  }
  return success(windows);
}

function windowsOf(part: string): Result<readonly QuietWindow[]> {
  const match =
    /^(?:([a-z]{3})(?:-([a-z]{3}))?\s+)?(\d{1,2}):(\d{2})\s?-\s?(\d{1,2}):(\d{2})$/.exec(part);
  if (match === null)
    return failure(`"${part.slice(0, 40)}" is no window of time such as ${example}`);
  const [, first = "mon", second, ...numbers] = match;
  const last = second ?? (match[1] === undefined ? "sun" : first);
  const [from, to] = [
    days.findIndex((day) => day === first),
    days.findIndex((day) => day === last),
  ];
  if (from < 0 || to < 0) return failure(`days are ${days.join(", ")}, not "${part.slice(0, 40)}"`);
  const [hour = 0, minute = 0, endHour = 0, endMinute = 0] = numbers.map(Number);
  const [begin, end] = [hour * 60 + minute, endHour * 60 + endMinute];
  if (minute > 59 || endMinute > 59 || begin >= dayMinutes || end > dayMinutes) {
    return failure(`"${part}" has a time that no day has: from 00:00 to 24:00`);
  }
  if (begin === end) return failure(`"${part}" ends where it begins; a whole day is 00:00-24:00`);
  const count = ((to - from + 7) % 7) + 1;
  const minutes = end > begin ? end - begin : end + dayMinutes - begin;
  return success(
    Array.from({ length: count }, (_, at) => ({
      from: ((from + at) % 7) * dayMinutes + begin,
      minutes,
    })),
  );
}

/** `minute`: of the local week, 0 is Monday 00:00. */
export function isQuiet(windows: readonly QuietWindow[], minute: number): boolean {
  return windows.some(({ from, minutes }) => (minute - from + weekMinutes) % weekMinutes < minutes);
}

/** Of the machine's local time. */
export function minuteOfWeek(at: Date): number {
  return ((at.getDay() + 6) % 7) * dayMinutes + at.getHours() * 60 + at.getMinutes();
}
