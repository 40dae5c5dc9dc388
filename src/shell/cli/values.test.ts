import { expect, test } from "bun:test";
import { duration, number, oneOf, port, text } from "./values.ts";

test("a port is 1 to 65535, and nothing that JavaScript would take for a number", () => {
  for (const word of ["1", "5403", "65535"]) expect(port.read(word)).toBe(Number(word));
  for (const word of [
    "",
    "0",
    "65536",
    "-1",
    "abc",
    "5403x",
    "1e3",
    "0x10",
    " 1",
    "9".repeat(16),
  ]) {
    expect(port.read(word)).toBeUndefined();
  }
  expect(port.takes).toBe("a number from 1 to 65535");
});

test("a number has both its ends, and says of what", () => {
  const seconds = number("seconds", 0, 10, "number of seconds");
  expect(["0", "10", "11"].map(seconds.read)).toEqual([0, 10, undefined]);
  expect(seconds.takes).toBe("a number of seconds from 0 to 10");
});

test("a time is a number with its unit, more than none and at most so many days", () => {
  const time = duration("time", 7);
  expect(["30s", "30m", "2h", "7d"].map(time.read)).toEqual([
    30_000,
    1_800_000,
    7_200_000,
    7 * 86_400_000,
  ]);
  for (const word of ["", "0m", "8d", "30", "m", "1.5h", "2h30m", "soon", "1000000s"]) {
    expect(time.read(word)).toBeUndefined();
  }
  const token = duration("time", 7, "1m");
  expect(["59s", "60s", "1m"].map(token.read)).toEqual([undefined, 60_000, 60_000]);
  expect(token.takes).toBe("a time such as 30m, 2h or 7d, from 1m to 7d");
});

test("words are taken as they are written", () => {
  expect(["on", "ON", "", "constructor"].map(oneOf(["on", "off"]).read)).toEqual([
    "on",
    ...[undefined, undefined, undefined],
  ]);
  expect(text.read("")).toBe("");
});
