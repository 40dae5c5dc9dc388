import { expect, test } from "bun:test";
import type { MapEntry } from "../cmap/map-entry.ts";
import { changes, trackKeys } from "./cmapctl-track.ts";

const u8 = (key: string, value: string): MapEntry => ({ key, type: "u8", value });
const mapped = (...entries: readonly MapEntry[]) =>
  new Map(entries.map((entry) => [entry.key, entry]));

test("what is new, other or gone, with its last value", () => {
  const before = mapped(u8("a", "1"), u8("b", "1"), u8("c", "1"), u8("d", "1"));
  const after = mapped(u8("a", "1"), u8("b", "2"), { ...u8("c", "1"), type: "u16" }, u8("e", "1"));
  expect(changes(before, after)).toEqual([
    { word: "modify", entry: u8("b", "2") },
    { word: "modify", entry: { key: "c", type: "u16", value: "1" } },
    { word: "create", entry: u8("e", "1") },
    { word: "delete", entry: u8("d", "1") },
  ]);
});

test("each change is a line, as the original prints it, until the operator has had enough", async () => {
  const bytes = {
    key: "tr.a",
    type: "bin",
    value: Buffer.from("a\0b").toString("base64"),
  } as const;
  const states: readonly (readonly MapEntry[])[] = [
    [u8("other", "1")],
    [u8("other", "2"), u8("tr.a", "1")],
    [u8("tr.a", "2")],
    [bytes, { key: "tr.b", type: "str", value: "x" }],
    [],
  ];
  const { promise: quit, resolve } = Promise.withResolvers<void>();
  let looks = 0;
  let output = "";
  await trackKeys({
    read: async () => {
      looks += 1;
      if (looks === states.length) resolve();
      return states[looks - 1] ?? [];
    },
    isTracked: (key) => key.startsWith("tr."),
    write: (text) => void (output += text),
    isBinaryShown: true,
    untilQuit: () => quit,
  });
  expect(output.split("\n")).toEqual([
    'Type "q" to finish',
    "create> tr.a (u8) = 1",
    "modify> tr.a (u8) = 2",
    "modify> tr.a (bin) = a\\x00b",
    "create> tr.b (str) = x",
    "delete> tr.a (bin) = a\\x00b",
    "delete> tr.b (str) = x",
    "",
  ]);
});

test("a node that is gone ends it", () => {
  let looks = 0;
  const tracking = trackKeys({
    read: async () => {
      looks += 1;
      if (looks > 1) throw new Error("gone");
      return [];
    },
    isTracked: () => true,
    write: () => undefined,
    isBinaryShown: false,
    untilQuit: () => Promise.withResolvers<void>().promise,
  });
  expect(tracking).rejects.toThrow("gone");
});
