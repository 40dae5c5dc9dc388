// How the page shows what a machine says: names as text that steers nothing, times, durations, shares. Pure; the time is given.
import { withoutPiles } from "../piled-marks.ts";
import { words } from "./words.ts";

const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;
/** Letters and digits that are written from right to left. */
const rightToLeft =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A name of a stranger: what is invisible, turns the direction of what follows, or is piled up, becomes U+FFFD. */
export function shownName(name: string): string {
  return name === "" ? words.noName : withoutPiles(name.replace(hidden, "\u{fffd}"));
}

/** The same for the middle of a sentence: a name that is written from right to left takes nothing of the sentence with it. */
export function nameInText(name: string): string {
  const shown = shownName(name);
  return rightToLeft.test(shown) ? `\u2068${shown}\u2069` : shown;
}

/** A word of a command that is to be typed: one word of a shell, whatever is in it. */
export function typedWord(word: string): string {
  const shown = shownName(word);
  return /^[\w.,:=@%+/-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
}

/** Text of several lines of a stranger: as above, but line feeds and tabs stay. */
export function shownText(text: string): string {
  return withoutPiles(
    text.replace(hidden, (character) => (/[\n\t]/.test(character) ? character : "\u{fffd}")),
  );
}

/**
 * JSON from a machine; undefined: it is none. Every text in it is as `shownText` makes it, so that no screen can forget that; `isRaw`: as it is, for what is
 * edited and sent back.
 */
export function parsedJson(text: string, isRaw = false): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) =>
      typeof value === "string" && !isRaw ? shownText(value) : value,
    );
  } catch {
    return undefined;
  }
}

/** "3 s", "12 min", "5 h", "9 days". Milliseconds of 0 and more. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return words.days(Math.round(seconds / 86_400));
}

/** Of a day that is not today with its date; with the zone where `isFull`. */
export function timeText(atMs: number, nowMs: number, isFull = false): string {
  const at = new Date(atMs);
  if (!Number.isFinite(at.getTime())) return words.unknown;
  const two = (number: number): string => String(number).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const isToday = new Date(nowMs).toDateString() === at.toDateString();
  return isToday && !isFull ? time : `${date} ${time}`;
}

/** Microseconds as milliseconds: "0.88 ms", "12 ms". */
export function latency(us: number): string {
  const ms = us / 1000;
  return `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** "0 %", "0.4 %", "12 %"; "" of nothing. */
export function share(part: number, whole: number): string {
  if (whole <= 0) return "";
  const percent = (100 * part) / whole;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** "512 B", "3.4 KiB", "1.0 MiB". */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}
