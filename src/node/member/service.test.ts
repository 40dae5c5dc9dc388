import { ringText, sameRing } from "../../world.ts";
import { expect, test } from "bun:test";
import { bytesOf, Reader } from "../../bytes.ts";
import { decodePrefix, openMessage, readHeader, withPrefix } from "./service.ts";

test("prefixes are the bytes corosync sends", () => {
  const message = Uint8Array.of(7);
  expect([...withPrefix("a", message)]).toEqual([1, 0, 1, 0, 0x61, 7]);
  expect(Buffer.from(withPrefix("sync", message)).toString("hex")).toBe("0100040073796e6307");
});

test("one of several groups suffices, foreign groups are nobody's", () => {
  const several = bytesOf("\x02\0\x05\0\x01\0otheraREST");
  const result = decodePrefix(several);
  expect(result).toMatchObject({ ok: true, value: { group: "a" } });
  expect(result.ok && Buffer.from(result.value.message).toString()).toBe("REST");
  expect(decodePrefix(bytesOf("\x01\0\x05\0otherREST"))).toMatchObject({
    ok: true,
    value: { group: undefined },
  });
});

test("a cut or exaggerated prefix is malformed", () => {
  expect(decodePrefix(bytesOf("\x01")).ok).toBe(false);
  expect(decodePrefix(bytesOf("\x01\0\x09\0a")).ok).toBe(false);
  expect(decodePrefix(bytesOf("\x21\0".padEnd(200, "\0"))).ok).toBe(false);
});

test("the size field must be the real length", () => {
  const bytes = openMessage(5, 1, 20).zeros(4).finish();
  const header = readHeader(new Reader(bytes));
  expect(header).toEqual({ ok: true, value: { service: 5, fn: 1 } });
  expect(readHeader(new Reader(bytes.subarray(0, 19))).ok).toBe(false);
  expect(readHeader(new Reader(bytes.subarray(0, 15))).ok).toBe(false);
});

test("ring ids print in hexadecimal and compare in both halves", () => {
  expect(ringText({ rep: 17, seq: 26 })).toBe("11.1a");
  expect(sameRing({ rep: 1, seq: 2 }, { rep: 1, seq: 2 })).toBe(true);
  expect(sameRing({ rep: 1, seq: 2 }, { rep: 2, seq: 2 })).toBe(false);
  expect(sameRing({ rep: 1, seq: 2 }, { rep: 1, seq: 6 })).toBe(false);
});
