// What the tree answers to its users, in the forms that they want.
import type { Gathered, Outcome } from "./tree/files.ts";
import { fileBytesMax } from "./tree/rules.ts";
import { refused } from "./tree/view.ts";

export const done: Outcome<undefined> = { ok: true, value: undefined };

export const isDirectory = "this is a directory";

export function found<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

/** A write that was not gathered: it is over. */
export function settled(outcome: Outcome<number>): Outcome<Gathered> {
  return outcome.ok ? found({ send: () => undefined, done: Promise.resolve(outcome) }) : outcome;
}

export function nothing(outcome: Outcome<number>): Outcome<undefined> {
  return outcome.ok ? done : outcome;
}

export function tooBig(): Outcome<never> {
  return refused("EFBIG", `a file may have ${fileBytesMax} bytes`);
}

export function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
