// One line per event on stderr, in corosync's form. Under journald the level travels as the priority prefix instead of a time.
import type { Level, LogAction } from "../../world.ts";

const priorities: Readonly<Record<Level, number>> = {
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

export interface LogOptions {
  /** Lines of this level and graver are written. */
  readonly level: Level;
  /** True: journald adds the time and reads `<n>`. */
  readonly journal: boolean;
  readonly write: (text: string) => void;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

export function logger(options: LogOptions): (line: LogAction) => void {
  const limit = priorities[options.level];
  return (line) => {
    if (priorities[line.level] > limit) return;
    options.write(`${logLine(line, options.journal ? undefined : options.now())}\n`);
  };
}

/** `timeMs` undefined: the journald form. Control characters of foreign text never reach the terminal. */
export function logLine(line: LogAction, timeMs: number | undefined): string {
  const text = line.text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?").trimEnd();
  const subsystem = `[${line.subsystem.padEnd(6)}]`;
  if (timeMs === undefined) return `<${priorities[line.level]}>${subsystem} ${text}`;
  return `${new Date(timeMs).toISOString()} ${line.level.padEnd(7)} ${subsystem} ${text}`;
}
