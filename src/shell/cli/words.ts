// What the parts of the command table share: words out of cac's option values, the option every verb has, and the output.
import type { Command } from "cac";
import { printable } from "./text-table.ts";

/** cac makes numbers of digits. */
export function wordOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** cac gives `true` for an option that was not written. */
export function textOf(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

/** Every verb that meets files or sockets takes the directory they are below. */
export function rootOption(command: Command): Command {
  return command.option("--root <dir>", "Directory that holds etc/, var/ and run/", {
    default: "/",
  });
}

/** Clears the screen: the one order to a terminal that `write` lets through. */
export const clearScreen = "\u001b[H\u001b[2J";

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
  show(process.stdout, text);
}

/** What a person should read and a script should not. */
export function note(text: string | Uint8Array): void {
  show(process.stderr, text);
}
