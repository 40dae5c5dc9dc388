// What happened at the vote server lately, for its status and page: the last notices and warnings. Who has shown no certificate has a place
// of his own among them, so that strangers cannot push out the rest. Pure.
import type { LogAction } from "../../world.ts";

/** Lines of the server itself and of clients with a certificate, and of all others. */
export const latelyMax = { own: 20, strangers: 10 } as const;
const textCharactersMax = 500;

export interface Happened {
  /** ISO 8601. */
  readonly at: string;
  readonly level: LogAction["level"];
  readonly text: string;
}

interface Kept extends Happened {
  /** Lines of one millisecond keep their order. */
  readonly count: number;
}

export class Lately {
  readonly #kept = { own: [] as Kept[], strangers: [] as Kept[] };
  #count = 0;

  /** `atMs`: Unix milliseconds. What is less than a notice is not kept. */
  add({ level, text }: LogAction, whose: keyof typeof latelyMax, atMs: number): void {
    if (level === "debug" || level === "info") return;
    this.#count += 1;
    const at = new Date(atMs).toISOString();
    const line = { at, level, text: text.slice(0, textCharactersMax), count: this.#count };
    this.#kept[whose] = [...this.#kept[whose], line].slice(-latelyMax[whose]);
  }

  /** The last first. */
  get lines(): readonly Happened[] {
    return [...this.#kept.own, ...this.#kept.strangers]
      .toSorted((a, b) => b.count - a.count)
      .map(({ at, level, text }) => ({ at, level, text }));
  }
}
