// A log file that grows, as a syslog daemon or a service manager without a journal writes it. Its cursors are places in the file; one of a file
// that was rotated away counts from the start of the new one.
import { open } from "node:fs/promises";
import { Lines } from "./lines.ts";
import {
  answerCharactersMax,
  type Entries,
  entriesMax,
  type EntryRange,
  type LineRange,
  linesCountedMax,
  type NumberedLine,
  type SystemLog,
  LogFault,
} from "./log-range.ts";

/** Of the end of the file; what is before is not read. */
const readBytesMax = 32 * 1024 * 1024;
const pieceBytes = 256 * 1024;

interface PlacedLine {
  /** Bytes from the start of the file to the end of the line. */
  readonly end: number;
  readonly text: string;
}

export class FileLog implements SystemLog {
  readonly #path: string | undefined;

  /** `path`: undefined where this machine has no log that is known. */
  constructor(path: string | undefined) {
    this.#path = path;
  }

  isCursor(text: string): boolean {
    return /^i=[0-9a-f]{1,16};o=[0-9a-f]{1,12}$/.test(text);
  }

  async lines({ start, limit, since, until, service }: LineRange) {
    const found: NumberedLine[] = [];
    const [from, to] = [momentOf(since), momentOf(until)];
    let total = 0;
    let characters = 0;
    await this.#read(0, ({ text }) => {
      if (!isWithin(text, from, to) || !isOf(text, service)) return true;
      total += 1;
      if (total > start && found.length < limit && characters <= answerCharactersMax) {
        characters += text.length;
        found.push({ n: total, t: text });
      }
      return total < linesCountedMax;
    });
    return { lines: found, total };
  }

  async entries({ since, until, after, before, last }: EntryRange): Promise<Entries> {
    const most = Math.min(last ?? entriesMax, entriesMax);
    const isForward = after !== undefined;
    let found: PlacedLine[] = [];
    let inode = "";
    const seconds = (value: number | undefined) => (value === undefined ? undefined : value * 1000);
    const [from, to] = [seconds(since), seconds(until)];
    const place = (cursor: string | undefined, own: string): number | undefined => {
      const [, file = "", offset = ""] = /^i=([0-9a-f]+);o=([0-9a-f]+)$/.exec(cursor ?? "") ?? [];
      return file === own ? Number.parseInt(offset, 16) : undefined;
    };
    await this.#read(
      (own) => {
        inode = own;
        return place(after, own) ?? 0;
      },
      (line) => {
        if (line.end >= (place(before, inode) ?? Infinity)) return false;
        if (!isWithin(line.text, from, to)) return true;
        found.push(line);
        if (isForward) return found.length < most;
        // The newest are wanted.
        if (found.length > 2 * most) found = found.slice(-most);
        return true;
      },
    );
    const shown = isForward ? found : found.slice(-most);
    const cursor = (line: PlacedLine | undefined): string =>
      line === undefined ? "" : `i=${inode};o=${line.end.toString(16)}`;
    return {
      first: cursor(shown[0]),
      last: cursor(shown.at(-1)),
      lines: shown.map(({ text }) => text),
    };
  }

  /** Each line from a place on, until `take` has enough. */
  async #read(
    from: number | ((inode: string) => number),
    take: (line: PlacedLine) => boolean,
  ): Promise<void> {
    if (this.#path === undefined) {
      throw new LogFault(
        "this node knows no log of its machine: there is no journal of systemd, and no /var/log/syslog or /var/log/messages",
      );
    }
    const file = await open(this.#path, "r");
    try {
      const { size, ino } = await file.stat();
      const asked = typeof from === "number" ? from : from(ino.toString(16));
      const first = Math.max(asked > size ? 0 : asked, size - readBytesMax);
      const lines = new Lines();
      let end = first;
      // What is before the first end of a line is half of one, unless the reader knows better.
      let isWhole = first === 0 || first === asked;
      const bytes = new Uint8Array(pieceBytes);
      for (let at = first; at < size;) {
        const { bytesRead } = await file.read(bytes, 0, Math.min(bytes.length, size - at), at);
        if (bytesRead === 0) return;
        let seen = 0;
        for (const text of lines.add(bytes.subarray(0, bytesRead))) {
          seen = bytes.indexOf(0x0a, seen) + 1;
          end = at + seen;
          if (isWhole && !take({ end, text })) return;
          isWhole = true;
        }
        at += bytesRead;
      }
      const rest = lines.end();
      if (rest !== undefined && isWhole) take({ end: size, text: rest });
    } finally {
      await file.close();
    }
  }
}

/** "2026-11-30 17:00:00" as milliseconds since 1970; undefined: none was given. */
function momentOf(text: string | undefined): number | undefined {
  return text === undefined
    ? undefined
    : new Date(text.includes(" ") ? text : `${text} 00:00`).getTime();
}

/** A line without a time belongs to every time. */
function isWithin(line: string, from: number | undefined, to: number | undefined): boolean {
  if (from === undefined && to === undefined) return true;
  const at = timeOf(line);
  if (at === undefined) return true;
  return at >= (from ?? -Infinity) && at <= (to ?? Infinity);
}

/** Of "2026-11-30T17:00:00…" or "Nov 30 17:00:00", the latter of the last twelve months. */
function timeOf(line: string): number | undefined {
  const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?/.exec(line)?.[0];
  const short = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d/.exec(line)?.[0];
  if (iso !== undefined) return defined(Date.parse(iso.replace(" ", "T")));
  if (short === undefined) return undefined;
  const now = Date.now();
  const year = new Date(now).getFullYear();
  const at = Date.parse(`${short} ${year}`);
  return defined(at > now + 86_400_000 ? Date.parse(`${short} ${year - 1}`) : at);
}

function defined(time: number): number | undefined {
  return Number.isNaN(time) ? undefined : time;
}

/** Of a service: "Nov 30 17:00:00 host NAME[12]: …". */
function isOf(line: string, service: string | undefined): boolean {
  if (service === undefined) return true;
  const name = /^(?:\S+|\w{3} [ \d]\d \S+) \S+ ([^\s:[]+)(?:\[\d+\])?:/.exec(line)?.[1];
  return name === service.replace(/\.service$/, "");
}
