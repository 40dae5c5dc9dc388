import { expect, test } from "bun:test";
import fc from "fast-check";
import { entryAt, parseConf, printConf, sectionsOf } from "./conf.ts";

test("sections merge, the last value of a key wins, colons stay in values", () => {
  const text = "totem {\n  token: 1\n}\n# remark\ntotem{\r\n\ttoken: 2\n  key: a:b\n}\n";
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  expect(entryAt(conf.value, ["totem", "token"])?.value).toBe("2");
  expect(entryAt(conf.value, ["totem", "key"])?.value).toBe("a:b");
  expect(sectionsOf(conf.value, "totem").length).toBe(2);
});

test("a file in Proxmox's form prints as it was read", () => {
  const text =
    "# c\ntotem {\n  version: 2\n  interface {\n    linknumber: 0\n  }\n}\n\nquorum {\n}\n";
  const conf = parseConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  expect(printConf(conf.value)).toBe(text);
});

test("each fault is named with its line", () => {
  const faults: [string, number, string][] = [
    ["totem {\nfoo\n", 2, "Line is not opening or closing section or key value"],
    ["totem { x\n", 1, "Extra characters after opening bracket '{'"],
    ["totem {\n} x\n", 2, "Extra characters before or after closing bracket '}'"],
    [" {\n", 1, "Missing section name before opening bracket '{'"],
    ["}\n", 1, "Unexpected closing brace"],
    ["totem {\n", 1, "Missing closing brace"],
    [`#${"x".repeat(600)}\n`, 1, "Line too long"],
  ];
  for (const [text, line, reason] of faults) {
    expect(parseConf(text)).toEqual({ ok: false, line, reason });
  }
});

test("never throws, and printing what was parsed parses to the same", () => {
  const piece = fc.constantFrom(
    "totem {",
    "}",
    "a: b",
    ":!",
    ": x",
    "# c",
    "",
    "x",
    "k{",
    "a:b:c",
    "q: {",
    "\t",
    "\r",
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(piece, fc.string({ maxLength: 20 })), { maxLength: 30 }),
      (lines) => {
        const first = parseConf(lines.join("\n"));
        if (!first.ok) return;
        const printed = printConf(first.value);
        const second = parseConf(printed);
        if (!second.ok) throw new Error(second.reason);
        expect(printConf(second.value)).toBe(printed);
      },
    ),
    { numRuns: 2000 },
  );
});
