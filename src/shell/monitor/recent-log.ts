// The last lines of this program's own log, for the report: bounded in number and length. Pure.
import type { LogAction } from "../../world.ts";

const linesMax = 500;
const textCharactersMax = 500;

export interface LoggedLine {
  /** Unix milliseconds. */
  readonly at: number;
  readonly level: LogAction["level"];
  readonly subsystem: string;
  readonly text: string;
}

export class RecentLog {
  #lines: LoggedLine[] = [];

  /** What is only for debugging is not kept: it would push out the rest. */
  add({ level, subsystem, text }: LogAction, at: number): void {
    if (level === "debug") return;
    this.#lines.push({ at, level, subsystem, text: text.slice(0, textCharactersMax) });
    if (this.#lines.length >= 2 * linesMax) this.#lines = this.#lines.slice(-linesMax);
  }

  /** Oldest first. */
  get lines(): readonly LoggedLine[] {
    return this.#lines.slice(-linesMax);
  }
}
