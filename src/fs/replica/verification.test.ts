// What is compared with what in the hourly verification. Spec: pmxcfs.md §4.11.
import { expect, test } from "bun:test";
import { hex, Verification } from "./verification.ts";

const epoch = { epoch: 4, time: 5, nodeid: 1, pid: 6 };
const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);

test("a new request waits until the last one came back, or the members change", () => {
  const verification = new Verification();
  expect(verification.request()).toBe(1);
  expect(verification.request()).toBeUndefined();
  verification.arrived(epoch, 1, one);
  expect(verification.request()).toBe(2);
  expect(verification.request()).toBeUndefined();
  verification.reset();
  expect(verification.request()).toBe(3);
});

test("equal and different; another id or epoch is skipped", () => {
  const verification = new Verification();
  verification.arrived(epoch, 7, one);
  const message = { epoch, checksumId: 7, checksum: one };
  expect(verification.compare(message)).toEqual({ kind: "equal", own: hex(one) });
  expect(verification.compare({ ...message, checksum: two })).toEqual({
    kind: "different",
    own: hex(one),
  });
  expect(verification.compare({ ...message, checksumId: 8 })).toEqual({ kind: "skipped" });
  const other = { ...epoch, pid: 7 };
  expect(verification.compare({ ...message, epoch: other })).toEqual({ kind: "skipped" });
  verification.reset();
  expect(verification.compare(message)).toEqual({ kind: "skipped" });
});
