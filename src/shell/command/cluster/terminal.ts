// Questions on the terminal itself, for answers that must not be seen, or while standard input is something else. Each key is read by a call
// of its own: a stream of the runtime reads on after its end, takes what is typed for the next question, and keeps the process.
import { closeSync, openSync, read, writeSync } from "node:fs";
import { promisify } from "node:util";
import { errnoName, setTerminal, terminalSettings } from "../../../libc.ts";
import { CommandFailure, exitUsage } from "../../exit.ts";

const answerBytesMax = 1024;
const enter = new Set([0x0a, 0x0d]);
const interrupt = 0x03;
const endOfFile = 0x04;
const backspace = new Set([0x08, 0x7f]);
/** Where they lie in a termios: the local modes, and the least time and bytes of a read. */
const termiosAt = { lflag: 12, vtime: 22, vmin: 23 } as const;
const ISIG_ICANON_ECHO_IEXTEN = 0x800b;
const rubOut = Buffer.from("\b \b");
const readInto = promisify(read);

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
  try {
    const before = terminalSettings(fd);
    if (typeof before === "number") {
      throw new CommandFailure(`the terminal cannot be asked on (${errnoName(before)})`);
    }
    // Before the question: who answers at once is not to see it either.
    setTerminal(fd, keyByKey(before));
    try {
      writeSync(fd, question);
      return await typed(fd, (shown) => void (isHidden || writeSync(fd, shown)));
    } finally {
      setTerminal(fd, before);
      writeSync(fd, "\n");
    }
  } finally {
    closeSync(fd);
  }
}

/** The same settings, with each key handed over as it is pressed: not shown, not gathered to lines, never a signal. */
function keyByKey(settings: Uint8Array): Uint8Array {
  const changed = settings.slice();
  const view = new DataView(changed.buffer);
  const lflag = view.getUint32(termiosAt.lflag, true);
  view.setUint32(termiosAt.lflag, lflag & ~ISIG_ICANON_ECHO_IEXTEN, true);
  view.setUint8(termiosAt.vtime, 0);
  view.setUint8(termiosAt.vmin, 1);
  return changed;
}

async function typed(fd: number, echo: (shown: Uint8Array) => void): Promise<string> {
  const answer: number[] = [];
  const key = new Uint8Array(1);
  for (;;) {
    const { bytesRead } = await readInto(fd, key, 0, 1, null);
    const byte = key[0];
    if (bytesRead === 0 || byte === undefined) {
      throw new CommandFailure("the terminal is gone; nothing was changed");
    }
    if (enter.has(byte) || byte === endOfFile) return Buffer.from(answer).toString("utf8");
    if (byte === interrupt) throw new CommandFailure("interrupted; nothing was changed");
    if (backspace.has(byte)) {
      if (answer.length > 0) echo(rubOut);
      // A letter's first byte is the one that continues none.
      while (((answer.pop() ?? 0) & 0xc0) === 0x80) continue;
    } else if (answer.length < answerBytesMax) {
      answer.push(byte);
      echo(key);
    }
  }
}
