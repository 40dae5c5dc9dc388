// How Proxmox writes free text and lists into lines of fields. Texts of a file are byte strings: one character a byte. Pure.
import { byteString } from "../../bytes.ts";

/** Percent-encoded UTF-8 of whatever could part a line: control and 8-bit characters, colon, percent. */
export function encodeText(text: string): string {
  return byteString(new TextEncoder().encode(text)).replace(
    /[^\x20-\x24\x26-\x39\x3b-\x7e]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** What is no UTF-8 becomes U+FFFD, as at the original's. */
export function decodeText(text: string): string {
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return new TextDecoder().decode(Buffer.from(bytes, "latin1"));
}

/** A list by commas, semicolons or white space; by NUL where there is one. */
export function splitList(text: string): string[] {
  const items = text.includes("\0") ? text.split("\0") : text.split(/[,;\s]+/);
  return items.filter((item) => item !== "");
}

/** Without the white space around it, as a byte string has it; in one pass, whatever there is. */
export function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}
