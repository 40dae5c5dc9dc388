// Keeps a flood of connections from becoming a flood of log lines. Lines of one kind, the same but for names and numbers, are
// written up to a burst, then one a minute; a bound over all kinds stands above it. Once a minute the number of those left out is said,
// of the most frequent kinds each. Foreign text is cut to a readable length. Never delays a line that it writes.
import type { LogAction } from "../../world.ts";

/** Lines of one kind that are written at once, and how long until the next one after them. */
export const kindBurst = 20;
const kindMs = 60_000;
/** Lines of all kinds: at once, and milliseconds until one more is allowed. */
export interface LogLimits {
  readonly allBurst: number;
  readonly allMs: number;
}
/** What strangers can cause: with the reports never more than 100 lines in a minute. */
export const strangersLimits: LogLimits = { allBurst: 45, allMs: 1500 };
/** What only clients with a certificate can cause. */
export const verifiedLimits: LogLimits = { allBurst: 200, allMs: 250 };
/** Kinds that are named in one report; further ones are counted together. */
const reportedMax = 8;
/** Kinds that are told apart at a time: names are foreign text, and may try to be many. */
const kindsMax = 64;
const charactersMax = 512;

interface Kind {
  readonly level: LogAction["level"];
  /** A line of it, so that it can be recognized. */
  readonly example: string;
  since: number;
  written: number;
  left: number;
}

export class LogThrottle {
  readonly #write: (line: LogAction) => void;
  readonly #now: () => number;
  readonly #limits: LogLimits;
  readonly #kinds = new Map<string, Kind>();
  #credit: number;
  #refilledAt: number;
  #reportedAt: number;
  #timer: NodeJS.Timeout | undefined;

  /** `now`: milliseconds, monotonic. */
  constructor(
    write: (line: LogAction) => void,
    limits: LogLimits = strangersLimits,
    now: () => number = () => performance.now(),
  ) {
    this.#write = write;
    this.#limits = limits;
    this.#now = now;
    this.#credit = limits.allBurst;
    this.#refilledAt = now();
    this.#reportedAt = this.#refilledAt;
  }

  log(line: LogAction): void {
    const now = this.#now();
    this.#refill(now);
    const kind = this.#kindOf(line, now);
    if (now - kind.since >= kindMs) {
      kind.since = now;
      // After a flood one line a minute is an example of what goes on.
      kind.written = kind.written >= kindBurst ? kindBurst - 1 : 0;
    }
    // Who wants to see every decision has asked for it; it takes no room from the rest.
    const isCounted = line.level !== "debug";
    if (kind.written >= kindBurst || (isCounted && this.#credit <= 0)) {
      kind.left += 1;
      if (this.#timer === undefined) {
        this.#reportedAt = now;
        this.#timer = setTimeout(() => this.#report(), kindMs);
      }
      return;
    }
    kind.written += 1;
    if (isCounted) this.#credit -= 1;
    this.#write({ ...line, text: cut(line.text) });
  }

  /** Says what was left out so far. */
  stop(): void {
    this.#report();
    this.#kinds.clear();
  }

  #report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const left = [...this.#kinds.values()].filter((kind) => kind.left > 0);
    const seconds = Math.max(1, Math.round((this.#now() - this.#reportedAt) / 1000));
    const say = (level: LogAction["level"], lines: number, which: string): void => {
      const were = lines === 1 ? "line was" : "lines were";
      const text = `${lines} more ${were} left out in ${seconds} s, ${which}`;
      this.#write({ kind: "log", level, subsystem: "QNETD", text });
    };
    const sorted = left.toSorted((a, b) => b.left - a.left);
    for (const kind of sorted.slice(0, reportedMax)) {
      say(kind.level, kind.left, `such as: ${kind.example}`);
    }
    const others = sorted.slice(reportedMax);
    const lines = others.reduce((sum, kind) => sum + kind.left, 0);
    if (lines > 0) say("warning", lines, `of ${others.length} other kinds`);
    for (const kind of left) kind.left = 0;
  }

  #kindOf(line: LogAction, now: number): Kind {
    let name = `${line.level} ${shape(line.text)}`;
    if (!this.#kinds.has(name) && this.#kinds.size >= kindsMax) this.#forget(now);
    // What cannot be told apart any more is one kind for each level.
    if (!this.#kinds.has(name) && this.#kinds.size >= kindsMax) name = line.level;
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    const kind = { level: line.level, example: cut(line.text), since: now, written: 0, left: 0 };
    this.#kinds.set(name, kind);
    return kind;
  }

  /** Kinds whose minute is over and of which nothing is left to report. */
  #forget(now: number): void {
    for (const [name, kind] of this.#kinds) {
      if (kind.left === 0 && now - kind.since >= kindMs) this.#kinds.delete(name);
    }
  }

  #refill(now: number): void {
    const { allBurst, allMs } = this.#limits;
    const earned = Math.floor((now - this.#refilledAt) / allMs);
    if (earned <= 0) return;
    this.#credit = Math.min(allBurst, this.#credit + earned);
    this.#refilledAt += earned * allMs;
  }
}

/** The line without names, addresses and numbers. */
function shape(text: string): string {
  return text
    .slice(0, 2 * charactersMax)
    .replace(/"[^"]*"?/g, '""')
    .replace(/[0-9a-f:.]+/gi, (word) => (/\d/.test(word) ? "0" : word))
    .slice(0, charactersMax);
}

function cut(text: string): string {
  if (text.length <= charactersMax) return text;
  // The head says who and the tail says what.
  const half = charactersMax >> 1;
  return `${text.slice(0, half)} … ${text.slice(-half)}`;
}
