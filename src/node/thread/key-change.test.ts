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

test("a key that will be checked opens at once, and seals when a peer uses it", () => {
  const change = new KeyChange(old);
  change.expect(fresh);
  expect(opens(change, fresh) && change.seal.openedByOther).toBe(true);
  expect(opens(change, old) && sealsWith(change, old)).toBe(true);
  expect(change.switchOver()).toBe(true);
  expect(sealsWith(change, fresh) && opens(change, old)).toBe(true);
  expect(change.obstacle(fresh)).toBeUndefined();
  expect(change.apply(fresh)).toBe(true);
  // The phases that follow from it find it done.
  expect(change.switchOver()).toBe(false);
  expect(change.obstacle(later)).toBeString();
  expect(change.retire()).toBe(true);
  expect(opens(change, old)).toBe(false);
  expect(change.obstacle(later)).toBeUndefined();
});

test("without such a warning the checked settings load it", () => {
  const change = new KeyChange(old);
  expect(change.apply(old)).toBe(false);
  expect(change.isLoaded).toBe(false);
  expect(change.apply(fresh)).toBe(true);
  expect(change.isLoaded && opens(change, fresh) && sealsWith(change, old)).toBe(true);
  expect(change.switchOver() && change.retire()).toBe(true);
});

test("the file has another key when it is checked: that one counts", () => {
  for (const isUsed of [false, true]) {
    const change = new KeyChange(old);
    change.expect(fresh);
    if (isUsed) change.switchOver();
    expect(change.obstacle(later)).toBeUndefined();
    expect(change.apply(later)).toBe(true);
    expect(change.isLoaded && opens(change, later)).toBe(true);
    expect(sealsWith(change, isUsed ? fresh : old)).toBe(true);
  }
});

test("a refused file keeps no later change out", () => {
  const change = new KeyChange(old);
  change.expect(fresh);
  change.expect(later);
  expect(opens(change, later)).toBe(true);
  expect(change.apply(old)).toBe(false);
  expect(change.obstacle(fresh)).toBeUndefined();
});

test("clear traffic is not let in before the check, and a change under way is not replaced", () => {
  const change = new KeyChange(old);
  change.expect(clear);
  expect(change.seal.open(packet)).toBeUndefined();
  change.apply(fresh);
  change.expect(later);
  expect(opens(change, later)).toBe(false);
  expect(opens(change, fresh)).toBe(true);
});
