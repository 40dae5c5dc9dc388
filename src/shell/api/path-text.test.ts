import { expect, test } from "bun:test";
import fc from "fast-check";
import { byteString, byteStringOfText } from "../../bytes.ts";
import { clearScreen, show } from "../cli/output.ts";
import { pathOfText, textOfPath } from "./path-text.ts";
import { printable } from "../cli/text-table.ts";

test("ordinary names are themselves; what is no text or steers a terminal is escaped", () => {
  const cases: readonly [string, string][] = [
    ["nodes/pve1/qemu-server/100.conf", "nodes/pve1/qemu-server/100.conf"],
    [byteStringOfText("größe/日本 🙂"), "größe/日本 🙂"],
    ["a\xff\xfeb", "a\\xff\\xfeb"],
    ["\xc3", "\\xc3"],
    ["\xed\xa0\x80", "\\xed\\xa0\\x80"], // A surrogate is no UTF-8.
    ["\x1b[2J\n", "\\x1b[2J\\x0a"],
    [byteStringOfText("\u009b2J\u202ex"), "\\xc2\\x9b2J\\xe2\\x80\\xaex"],
    ["a\\b", "a\\\\b"],
    ["\\x41", "\\\\x41"],
  ];
  for (const [path, text] of cases) {
    expect(textOfPath(path)).toBe(text);
    expect(pathOfText(text)).toBe(path);
  }
  expect(pathOfText("a\\b")).toBe("a\\b"); // As somebody types it.
});

test("property: any bytes come back, and their text is safe to show", () => {
  const path = fc.oneof(
    fc.uint8Array().map(byteString),
    fc.string({ unit: "binary" }).map(byteStringOfText),
  );
  fc.assert(
    fc.property(path, (bytes) => {
      const text = textOfPath(bytes);
      expect(pathOfText(text)).toBe(bytes);
      expect(printable(text)).toBe(text);
    }),
  );
});

test("a terminal gets text and line ends, a pipe what there is", () => {
  const written: (string | Uint8Array)[] = [];
  const stream = { write: (text: string | Uint8Array) => written.push(text) };
  const hostile = "name\u001b]0;title\u0007\u009b\tx\r\n";
  show(stream, hostile);
  show({ ...stream, isTTY: true }, hostile);
  show({ ...stream, isTTY: true }, new TextEncoder().encode(hostile));
  show({ ...stream, isTTY: true }, `${clearScreen}a\u001bb\n`);
  expect(written).toEqual([
    hostile,
    "name?]0;title??\tx?\n",
    "name?]0;title??\tx?\n",
    `${clearScreen}a?b\n`,
  ]);
});
