// Paths of the tree as text, both ways: on the local API, on the command line and in its output. Names are bytes; what is no UTF-8,
// steers a terminal or turns the direction of writing is written \xNN, a backslash \\. Everything else is itself.
import { byteStringOfText, bytesOf } from "../../bytes.ts";
import { printable } from "../cli/text-table.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of a byte string; `pathOfText` gives it back byte for byte. */
export function textOfPath(path: string): string {
  if (/^[ -[\]-~]*$/.test(path)) return path;
  const bytes = bytesOf(path);
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const [character, length] = characterAt(bytes, at);
    text += character ?? escaped(bytes.subarray(at, at + length));
    at += length;
  }
  return text;
}

/** Byte string of a text. A backslash before anything but `x` with two hex digits or another backslash is itself. */
export function pathOfText(text: string): string {
  let path = "";
  let from = 0;
  for (const match of text.matchAll(/\\(?:x([0-9a-fA-F]{2})|\\)/g)) {
    const [all, hex] = match;
    path += byteStringOfText(text.slice(from, match.index));
    path += hex === undefined ? "\\" : String.fromCharCode(Number.parseInt(hex, 16));
    from = match.index + all.length;
  }
  return path + byteStringOfText(text.slice(from));
}

/** The character that begins at `at`, undefined when it must be escaped, and its bytes. */
function characterAt(bytes: Uint8Array, at: number): [string | undefined, number] {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  let character: string;
  try {
    character = decoder.decode(bytes.subarray(at, at + length));
  } catch {
    return [undefined, 1]; // No UTF-8: this byte alone, the next one may begin a character.
  }
  if (character === "\\") return ["\\\\", length];
  return [printable(character) === character ? character : undefined, length];
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
