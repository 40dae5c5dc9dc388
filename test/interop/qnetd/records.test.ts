// The comparable form of the tools' texts: what may differ goes, what counts stays.
import { describe, expect, test } from "bun:test";
import { comparable, difference } from "./records.ts";

describe("comparable", () => {
  test("times, ring ids and ports go; votes stay", () => {
    const text = [
      "Date:             Sat Nov 21 06:23:45 2026",
      "Ring ID:          1.9",
      "Last poll call:\t\t2026-11-21T01:48:26 (cast vote)",
      "Echo reply received:\t2026-11-21T01:48:24",
      "Expected votes:\t\t2",
      "Expected votes:   3",
      "        Client address:\t\t::ffff:10.95.1.1:57862",
      "        Ring ID:\t\t1.a2",
      "        Vote:\t\t\tNo change (ACK)",
      "        Vote:\t\t\tWait for reply (ACK)",
      "",
    ].join("\n");
    expect(comparable(text)).toBe(
      [
        "Date: (then)",
        "Ring ID:          (ring)",
        "Last poll call:\t\t(then) (cast vote)",
        "Expected votes:\t\t(its last)",
        "Expected votes:   3",
        "        Client address:\t\t::ffff:10.95.1.1:(port)",
        "        Ring ID:\t\t(ring)",
        "        Vote:\t\t\t(ACK)",
        "        Vote:\t\t\tWait for reply (ACK)",
        "",
      ].join("\n"),
    );
  });

  test("a poll without a vote and one with it stay different, as do ACK and NACK", () => {
    expect(comparable("Last poll call:\t\t2026-11-21T01:48:26\n")).toBe(
      "Last poll call:\t\t(then)\n",
    );
    expect(comparable("        Vote:\t\t\tACK (ACK)\n")).not.toBe(
      comparable("        Vote:\t\t\tNACK (NACK)\n"),
    );
  });
});

describe("difference", () => {
  test("names the text and shows both; a text that only one side has counts", () => {
    const one = new Map([["tool", "a"]]);
    expect(difference(one, new Map([["tool", "a"]]))).toBeUndefined();
    expect(difference(one, new Map([["tool", "b"]]))).toBe(
      "tool\nours: a\noriginal: b\n--- with our server\na\n--- with the original\nb",
    );
    expect(difference(one, new Map())).toContain("not asked");
  });
});
