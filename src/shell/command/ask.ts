// A question before something that cannot be taken back, on the terminal: standard input may be a script.
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { CommandFailure, exitFailed, exitUsage } from "../exit.ts";

const answerBytesMax = 64;

/** Throws unless somebody types "yes". `declined`: what is said then; `what` needs --yes where there is no terminal. */
export function askOnTerminal(
  question: string,
  { what = "this", declined = "nothing was changed" } = {},
): void {
  let terminal: number;
  try {
    terminal = openSync("/dev/tty", "r+");
  } catch {
    throw new CommandFailure(`there is no terminal to ask on: ${what} needs --yes here`, exitUsage);
  }
  try {
    writeSync(terminal, `${question}${question.endsWith("\n") ? "" : " "}Type "yes" to go on: `);
    const answer = Buffer.alloc(answerBytesMax);
    const length = readSync(terminal, answer);
    if (answer.toString("utf8", 0, length).trim() === "yes") return;
  } finally {
    closeSync(terminal);
  }
  throw new CommandFailure(declined, exitFailed);
}
