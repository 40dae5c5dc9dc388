import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatUpid, logPathOf, parseUpid, upidBytesMax } from "./upid.ts";

const sample = "UPID:pve1:0001A2B3:00C0FFEE:67E0A1B2:clustercreate:prod:root@pam:";

test("the sample of the specification, both ways", () => {
  const parts = parseUpid(sample);
  expect(parts).toEqual({
    node: "pve1",
    pid: 107187,
    pstart: 12648430,
    startTime: 0x67e0a1b2,
    type: "clustercreate",
    id: "prod",
    user: "root@pam",
  });
  if (parts === undefined) return;
  expect(formatUpid(parts)).toBe(sample);
  expect(logPathOf(sample, parts)).toBe(`2/${sample}`);
  expect(formatUpid({ ...parts, id: "", pstart: 0x1_2345_6789 })).toBe(
    "UPID:pve1:0001A2B3:123456789:67E0A1B2:clustercreate::root@pam:",
  );
});

test("what is no UPID, above all what is no file name", () => {
  const others = [
    "",
    sample.slice(0, -1),
    `${sample}x`,
    `${sample}\n`,
    sample.replace("UPID", "upid"),
    sample.replace("pve1", "pve1."),
    sample.replace("pve1", "-pve1"),
    sample.replace("0001A2B3", "1A2B3"),
    sample.replace("67E0A1B2", "067E0A1B2"),
    sample.replace("prod", "../../etc"),
    sample.replace("prod", "a\0b"),
    sample.replace("prod", "a b"),
    sample.replace("prod", "ü"),
    sample.replace("clustercreate", ""),
    sample.replace("root@pam", ""),
    sample.replace("prod", "x".repeat(200)),
  ];
  for (const text of others) expect(parseUpid(text)).toBeUndefined();
});

test("property: any text is refused or comes back, and is a file's name", () => {
  const near = fc
    .tuple(fc.nat(sample.length), fc.string({ unit: "binary", maxLength: 8 }))
    .map(([at, text]) => sample.slice(0, at) + text + sample.slice(at + text.length));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), near), (text) => {
      const parts = parseUpid(text);
      if (parts === undefined) return;
      expect(text).toMatch(/^[!-.0-~]+$/);
      expect(text.length).toBeLessThanOrEqual(upidBytesMax);
      expect(formatUpid(parts)).toBe(
        text.replace(/^UPID:[^:]*(?::[^:]*){3}/, (head) =>
          head.replace(/:[0-9a-fA-F:]*$/, (numbers) => numbers.toUpperCase()),
        ),
      );
    }),
  );
});
