// What is asked of this machine's log, and what it answers: numbered lines (GET /nodes/{node}/syslog), entries between cursors (/journal). What is read
// for one answer is bounded.

export interface NumberedLine {
  /** From 1. */
  readonly n: number;
  readonly t: string;
}

/** Which lines of the log, oldest first. */
export interface LineRange {
  readonly start: number;
  readonly limit: number;
  /** "2026-11-30" or "2026-11-30 17:00:00", local time. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  /** A service's name. */
  readonly service: string | undefined;
}

/** Which entries, oldest first. At most one of since and after, of until and before. */
export interface EntryRange {
  /** Unix seconds. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  /** Cursors. */
  readonly after: string | undefined;
  readonly before: string | undefined;
  /** Only the newest so many of the range. */
  readonly last: number | undefined;
}

export interface Entries {
  /** Cursors of the first and the last entry; "": there is none. */
  readonly first: string;
  readonly last: string;
  readonly lines: readonly string[];
}

/** Why there is nothing to read, a sentence for the operator. */
export class LogFault extends Error {}

/** Methods reject with a sentence for the operator. */
export interface SystemLog {
  /** `total` counts at most 200,000 lines. */
  lines(
    range: LineRange,
  ): Promise<{ readonly lines: readonly NumberedLine[]; readonly total: number }>;
  /** At most 10,000. */
  entries(range: EntryRange): Promise<Entries>;
  isCursor(text: string): boolean;
}

/** Lines that are counted, entries that are answered. */
export const linesCountedMax = 200_000;
export const entriesMax = 10_000;
/** Of the lines of one answer. */
export const answerCharactersMax = 8 * 1024 * 1024;
