// --port of every verb that has one.
import { CommandFailure, exitUsage } from "../exit.ts";

const portMax = 65_535;

/** 1 to 65535; throws CommandFailure for any other word. Undefined when it was not given. */
export function portOfWord(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  const port = /^\d{1,5}$/.test(word) ? Number(word) : 0;
  if (port > 0 && port <= portMax) return port;
  throw new CommandFailure(`--port is a number from 1 to ${portMax}, not "${word}"`, exitUsage);
}
