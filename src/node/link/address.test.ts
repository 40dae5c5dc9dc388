// Equal addresses have equal text; what is no address has none.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalAddress, shortestAddress } from "./address.ts";

test.each([
  ["10.0.0.1", "10.0.0.1"],
  ["fd00::1", "fd00:0:0:0:0:0:0:1"],
  ["FD00:0:0::0001", "fd00:0:0:0:0:0:0:1"],
  ["::", "0:0:0:0:0:0:0:0"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["::ffff:0a01:0203", "10.1.2.3"],
  ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
  ["1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"],
])("%s", (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical);
  expect(canonicalAddress(canonical)).toBe(canonical);
});

test.each([
  ["FD00:0:0::0001", "fd00::1"],
  ["fd00:0:0:1:0:0:0:1", "fd00:0:0:1::1"],
  ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["fe80:0:0:0:0:0:0:0", "fe80::"],
  ["10:0:10:0:10:0:10:0", "10:0:10:0:10:0:10:0"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["10.0.0.1", "10.0.0.1"],
])("the shortest spelling of %s", (text, shortest) => {
  expect(shortestAddress(text)).toBe(shortest);
  expect(canonicalAddress(shortest)).toBe(canonicalAddress(text));
});

test.each([
  "",
  "node1",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.01",
  "1:2:3",
  "1::2::3",
  "12345::",
  "1:2:3:4:5:6:7:8:9",
  "::1.2.3",
  "1.2.3.4::",
])("%p is no address", (text) => expect(canonicalAddress(text)).toBeUndefined());

test("every IPv6 address in every spelling of the generator, and no text throws", () => {
  fc.assert(fc.property(fc.ipV6(), (text) => expect(canonicalAddress(text)).toBeDefined()));
  fc.assert(fc.property(fc.string(), (text) => void canonicalAddress(text)));
});
