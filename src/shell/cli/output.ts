// What commands write to people and to scripts.
import { printable } from "./text-table.ts";

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
