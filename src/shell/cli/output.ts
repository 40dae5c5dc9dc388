// What commands write to people and to scripts, and what becomes of a reader that is gone or a disk that is full.
import { reasonOf } from "../../result.ts";
import { exitFailed } from "../exit.ts";
import { printable } from "./text-table.ts";

/** Clears the screen: the one order to a terminal that `write` lets through. */
export const clearScreen = "\u001b[H\u001b[2J";

/** What a shell says of a program that a broken pipe has ended (128 and SIGPIPE), which the runtime ignores. */
const exitPipe = 141;

/** Standard output or error, as far as it is written to here. */
export interface Shown {
  readonly isTTY?: boolean;
  write(text: string | Uint8Array): unknown;
}

/** Writes; to a terminal nothing but text, for names and contents come from other nodes. A pipe or file gets what there is. */
export function show(stream: Shown, text: string | Uint8Array): void {
  if (stream.isTTY !== true) return void stream.write(text);
  const plain = typeof text === "string" ? text : new TextDecoder().decode(text);
  const own = plain.startsWith(clearScreen) ? clearScreen : "";
  stream.write(own + printable(plain.slice(own.length), "?", "\n\t"));
}

export function write(text: string | Uint8Array): void {
  show(standardOutput, text);
}

/** What a person should read and a script should not. */
export function note(text: string | Uint8Array): void {
  show(standardError, text);
}

/** A standard stream. It says at once that it takes no more, or later by an event. */
function guarded(stream: () => NodeJS.WriteStream, lost: (error: unknown) => void): Shown {
  let isHeard = false;
  return {
    get isTTY() {
      return stream().isTTY;
    },
    write: (text) => {
      try {
        if (!isHeard) stream().on("error", lost);
        isHeard = true;
        stream().write(text);
      } catch (error) {
        lost(error);
      }
    },
  };
}

export const standardOutput = guarded(() => process.stdout, endOutput);
/** Without it nobody can be told; what is under way, a daemon above all, goes on. */
export const standardError = guarded(
  () => process.stderr,
  () => {},
);

/** Quiet as others in a pipeline when the reader has enough; else one sentence. */
function endOutput(error: unknown): never {
  if (error instanceof Error && "code" in error && error.code === "EPIPE") process.exit(exitPipe);
  note(`quorate: standard output is incomplete: ${reasonOf(error)}\n`);
  process.exit(exitFailed);
}
