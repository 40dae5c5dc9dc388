// When which key opens and which one seals (knet.md §3.5), also when the main thread checks the file late.
import { expect, test } from "bun:test";
import { KeyChange } from "./key-change.ts";
import { Seal } from "./seal.ts";
import type { CryptoSettings } from "../settings/settings.ts";

function crypto(byte: number): CryptoSettings {
  return { cipher: "aes256", hash: "sha256", key: new Uint8Array(256).fill(byte) };
}

const clear: CryptoSettings = { cipher: "none", hash: "none", key: new Uint8Array(0) };
const packet = new Uint8Array(40).fill(7);
const [old, fresh, later] = [crypto(1), crypto(2), crypto(3)];

function opens(change: KeyChange, settings: CryptoSettings): boolean {
  return change.seal.open(new Seal(settings).seal(packet)) !== undefined;
}

function sealsWith(change: KeyChange, settings: CryptoSettings): boolean {
  return new Seal(settings).open(change.seal.seal(packet)) !== undefined;
}

/** A peer's packet, and what we make of it. */
function hears(change: KeyChange, settings: CryptoSettings): boolean {
  return opens(change, settings) && change.followPeer();
}

test("a key that will be checked opens at once, and seals when a peer uses it", () => {
  const change = new KeyChange(old);
  change.expect(fresh);
  expect(opens(change, fresh) && change.seal.openedByNewer).toBe(true);
  expect(opens(change, old) && sealsWith(change, old)).toBe(true);
  expect(hears(change, fresh)).toBe(true);
  expect(sealsWith(change, fresh) && opens(change, old)).toBe(true);
  expect(change.apply(fresh)).toBe(true);
  // The phases that follow from it find it done.
  expect(change.switchOver()).toBe(false);
  expect(change.retire()).toBe(true);
  expect(opens(change, old)).toBe(false);
  expect(change.apply(fresh)).toBe(false);
});

test("without such a warning the checked settings load it", () => {
  const change = new KeyChange(old);
  expect(change.apply(old)).toBe(false);
  expect(change.apply(fresh)).toBe(true);
  expect(opens(change, fresh) && sealsWith(change, old)).toBe(true);
  expect(change.switchOver() && change.retire()).toBe(true);
});

test("the file has another key when it is checked: that one counts", () => {
  for (const isUsed of [false, true]) {
    const change = new KeyChange(old);
    change.expect(fresh);
    if (isUsed) hears(change, fresh);
    expect(change.apply(later)).toBe(true);
    expect(opens(change, later)).toBe(true);
    expect(sealsWith(change, isUsed ? fresh : old)).toBe(true);
    expect(change.switchOver() && sealsWith(change, later)).toBe(true);
  }
});

test("a refused file keeps no later change out, and its key is forgotten with that", () => {
  const change = new KeyChange(old);
  change.expect(fresh);
  change.expect(old);
  expect(opens(change, fresh)).toBe(true);
  expect(change.apply(old)).toBe(true);
  expect([change.switchOver(), change.retire()]).toEqual([false, true]);
  expect(opens(change, fresh)).toBe(false);
});

test("clear traffic is not let in before the check", () => {
  const change = new KeyChange(old);
  change.expect(clear);
  expect(change.seal.open(packet)).toBeUndefined();
  expect(change.apply(clear) && change.seal.open(packet) !== undefined).toBe(true);
});

// What a node goes through from the reload message on, each in the order in which it can happen.
type Happening = (change: KeyChange) => unknown;
const expected =
  (key: CryptoSettings): Happening =>
  (change) =>
    change.expect(key);
const applied =
  (key: CryptoSettings): Happening =>
  (change) =>
    change.apply(key);
const phase1: Happening = (change) => change.switchOver();
const phase2: Happening = (change) => change.retire();
const peerUses =
  (key: CryptoSettings): Happening =>
  (change) =>
    hears(change, key);

test.each([
  ["before its phases", [expected(fresh), applied(fresh), expected(later)], old],
  ["unchecked, at phase 1", [expected(fresh), applied(fresh), expected(later), phase1], old],
  ["checked, at phase 1", [expected(fresh), applied(fresh), applied(later), phase1], old],
  ["both checked late", [expected(fresh), expected(later), applied(fresh), phase1], old],
  ["between the phases", [applied(fresh), phase1, applied(later), phase2], fresh],
  ["in use by a peer", [applied(fresh), applied(later), peerUses(fresh), phase1, phase2], fresh],
  ["with both phases", [applied(fresh), applied(later), phase1, phase2], old],
] as const)(
  "a change that is overtaken %s neither switches nor retires",
  (_, happenings, sealing) => {
    const change = new KeyChange(old);
    for (const happen of happenings) happen(change);
    expect([old, fresh, later].map((key) => opens(change, key))).toEqual([true, true, true]);
    expect(sealsWith(change, sealing)).toBe(true);
    // A peer that is behind, with a key that we have left, is not followed.
    if (sealing === fresh) expect(hears(change, old)).toBe(false);
  },
);

test.each([
  ["in order", [expected(fresh), applied(fresh), expected(later), applied(later), phase1, phase2]],
  [
    "checked late",
    [expected(fresh), expected(later), applied(fresh), applied(later), phase1, phase2],
  ],
  ["the first file unreadable", [expected(later), applied(fresh), applied(later), phase1, phase2]],
  ["the second message late", [applied(fresh), phase1, expected(later), applied(later), phase2]],
] as const)("the phases of the last of two changes finish both: %s", (_, happenings) => {
  const change = new KeyChange(old);
  for (const happen of happenings) happen(change);
  expect(change.switchOver() && sealsWith(change, later)).toBe(true);
  expect([old, fresh].map((key) => opens(change, key))).toEqual([true, true]);
  expect(change.retire()).toBe(true);
  expect([old, fresh, later].map((key) => opens(change, key))).toEqual([false, false, true]);
});

test("a slow node reads the key of the next change with the first: it has the newest early", () => {
  const change = new KeyChange(old);
  change.expect(later);
  expect(change.apply(later)).toBe(true);
  change.expect(later);
  expect(change.switchOver() && change.apply(later)).toBe(true);
  // Whatever the repeated announcement overtook, its own phases finish it.
  expect([change.retire(), change.switchOver(), change.retire()]).toEqual([false, false, true]);
  expect([old, later].map((key) => opens(change, key))).toEqual([false, true]);
});

test("back to the key of before, while the change is under way", () => {
  const change = new KeyChange(old);
  for (const happen of [expected(fresh), applied(fresh), expected(old), applied(old)])
    happen(change);
  expect([change.switchOver(), sealsWith(change, old), change.retire()]).toEqual([
    false,
    true,
    false,
  ]);
  expect([change.switchOver(), sealsWith(change, old), change.retire()]).toEqual([
    false,
    true,
    true,
  ]);
  expect(opens(change, fresh)).toBe(false);
});
