// Keeps a flood of connections from becoming a flood of log lines. Lines of one kind, the same but for names and numbers, are
// written up to a burst, then once a minute with the number of those left out; a bound over all kinds stands above it. Foreign text
// is cut to a readable length. Never delays a line that it writes.
import type { LogAction } from "../world.ts";

/** Lines of one kind that are written at once, and how long until the next one after them. */
export const kindBurst = 20;
const kindMs = 60_000;
/** Lines of all kinds: at once, and milliseconds until one more is allowed. */
export const allBurst = 200;
const allMs = 250;
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
  readonly #kinds = new Map<string, Kind>();
  #credit = allBurst;
  #refilledAt: number;
  #timer: NodeJS.Timeout | undefined;

  /** `now`: milliseconds, monotonic. */
  constructor(write: (line: LogAction) => void, now: () => number = () => performance.now()) {
    this.#write = write;
    this.#now = now;
    this.#refilledAt = now();
  }

  log(line: LogAction): void {
    const now = this.#now();
    this.#refill(now);
    const kind = this.#kindOf(line, now);
    const isOver = now - kind.since >= kindMs;
    if (isOver) this.#restart(kind, now);
    if (kind.written >= kindBurst || this.#credit <= 0) {
      kind.left += 1;
      this.#timer ??= setTimeout(() => this.#report(), kindMs);
      return;
    }
    kind.written += 1;
    this.#credit -= 1;
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
    const now = this.#now();
    for (const kind of this.#kinds.values()) this.#restart(kind, now);
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

  /** Kinds whose minute is over. */
  #forget(now: number): void {
    for (const [name, kind] of this.#kinds) {
      if (now - kind.since < kindMs) continue;
      this.#restart(kind, now);
      this.#kinds.delete(name);
    }
  }

  #restart(kind: Kind, now: number): void {
    if (kind.left > 0) {
      const seconds = Math.max(1, Math.round((now - kind.since) / 1000));
      const lines = kind.left === 1 ? "line was" : "lines were";
      const text = `${kind.left} more ${lines} left out in ${seconds} s, such as: ${kind.example}`;
      this.#write({ kind: "log", level: kind.level, subsystem: "QNETD", text });
    }
    kind.since = now;
    kind.left = 0;
    // After a flood one line a minute is an example of what goes on.
    kind.written = kind.written >= kindBurst ? kindBurst - 1 : 0;
  }

  #refill(now: number): void {
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
