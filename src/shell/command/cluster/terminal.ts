// Questions on the terminal itself, for answers that must not be seen, or while standard input is something else.
import { openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { CommandFailure, exitUsage } from "../../exit.ts";

const answerMax = 1024;
const enter = new Set(["\r", "\n"]);
const interrupt = "\u0003";
const endOfFile = "\u0004";
const backspace = new Set(["\u007f", "\b"]);

/** What somebody types until Enter. `otherwise`: what to do where there is no terminal. */
export async function answerOnTerminal(
  question: string,
  { isHidden, otherwise }: { readonly isHidden: boolean; readonly otherwise: string },
): Promise<string> {
  let fd: number;
  try {
    fd = openSync("/dev/tty", "r+");
  } catch {
    throw new CommandFailure(`there is no terminal to ask on: ${otherwise}`, exitUsage);
  }
  writeSync(fd, question);
  const terminal = new ReadStream(fd);
  terminal.setRawMode(true);
  try {
    return await typed(terminal, (shown) => void (isHidden || writeSync(fd, shown)));
  } finally {
    terminal.setRawMode(false);
    writeSync(fd, "\n");
    terminal.destroy();
  }
}

async function typed(terminal: ReadStream, echo: (shown: string) => void): Promise<string> {
  let answer = "";
  for await (const piece of terminal) {
    for (const letter of Buffer.from(piece).toString("utf8")) {
      if (enter.has(letter) || letter === endOfFile) return answer;
      if (letter === interrupt) throw new CommandFailure("interrupted; nothing was changed");
      if (backspace.has(letter)) {
        if (answer !== "") echo("\b \b");
        answer = answer.slice(0, -1);
      } else if (answer.length < answerMax) {
        answer += letter;
        echo(letter);
      }
    }
  }
  return answer;
}
