// Protection: every cipher with every hash, two slots, hostile datagrams. Spec: knet.md §3.
import { describe, expect, test } from "bun:test";
import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import fc from "fast-check";
import type { CipherName, CryptoSettings, HashName } from "../settings/settings.ts";
import { sealedBytes } from "../link/pmtud.ts";
import { Seal, cryptoProblem, overheadOf } from "./seal.ts";

const key = new Uint8Array(256).map((_, i) => i * 7 + 3);
const ciphers: readonly CipherName[] = ["none", "aes128", "aes192", "aes256"];
const hashes: readonly HashName[] = ["md5", "sha1", "sha256", "sha384", "sha512"];
const all: CryptoSettings[] = ciphers.flatMap((cipher) =>
  hashes.map((hash) => ({ cipher, hash, key })),
);
const none: CryptoSettings = { cipher: "none", hash: "none", key: new Uint8Array(0) };
const other: CryptoSettings = { cipher: "aes256", hash: "sha256", key: key.toReversed() };

describe.each(all)("$cipher + $hash", (settings) => {
  const seal = new Seal(settings);
  test("opens what it sealed, of the size that the path MTU arithmetic expects", () => {
    for (const size of [1, 7, 15, 16, 17, 26, 1423, 65_000]) {
      const packet = new Uint8Array(randomBytes(size));
      const sealed = seal.seal(packet);
      expect(sealed.length).toBe(sealedBytes(size, overheadOf(settings)));
      expect([...(seal.open(sealed) ?? [])]).toEqual([...packet]);
    }
  });

  test("what it opens is no Buffer: a slice of it is a copy", () => {
    const opened = seal.open(seal.seal(new Uint8Array(40).fill(9)));
    expect(opened?.slice(0, 4).fill(1).length).toBe(4);
    expect(opened).toEqual(new Uint8Array(40).fill(9));
  });

  test("any flipped bit is refused", () => {
    const sealed = seal.seal(new Uint8Array(40).fill(9));
    for (let bit = 0; bit < sealed.length * 8; bit += 5) {
      const damaged = sealed.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(seal.open(damaged)).toBeUndefined();
    }
  });

  test("random datagrams are refused without a throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (datagram) => {
        expect(seal.open(datagram)).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });
});

test("wrong padding or length under a good hash is refused", () => {
  const settings: CryptoSettings = { cipher: "aes256", hash: "sha256", key };
  const seal = new Seal(settings);
  const sealBody = (body: Uint8Array) =>
    Buffer.concat([body, createHmac("sha256", key).update(body).digest()]);
  const encrypt = (padded: Uint8Array) => {
    const iv = randomBytes(16);
    const cipher = createCipheriv("aes-256-cbc", key.subarray(0, 32), iv).setAutoPadding(false);
    return sealBody(Buffer.concat([iv, cipher.update(padded)]));
  };
  expect(seal.open(encrypt(new Uint8Array(16)))).toBeUndefined();
  expect(seal.open(encrypt(new Uint8Array(16).fill(17)))).toBeUndefined();
  expect(seal.open(encrypt(Uint8Array.from([...Array(14).fill(7), 3, 2])))).toBeUndefined();
  expect(seal.open(encrypt(Uint8Array.from([...Array(14).fill(7), 2, 2])))?.length).toBe(14);
  expect(seal.open(sealBody(new Uint8Array(16)))).toBeUndefined();
  expect(seal.open(sealBody(new Uint8Array(40)))).toBeUndefined();
  expect(seal.open(sealBody(new Uint8Array(0)))).toBeUndefined();
});

test.each(ciphers.slice(1))(
  "%s: each packet is CBC under its own IV, whatever was before it",
  (cipher) => {
    const seal = new Seal({ cipher, hash: "sha256", key });
    const bits = Number(cipher.slice(3));
    const ivs = new Set<string>();
    for (const size of [1, 16, 30, 65_000, 31, 1400, 32]) {
      const packet = new Uint8Array(randomBytes(size));
      // What is opened in between, good or not, changes nothing of it.
      const sealed = seal.seal(packet);
      expect(seal.open(sealed.slice(1))).toBeUndefined();
      const iv = sealed.subarray(0, 16);
      ivs.add(iv.join(" "));
      const node = createCipheriv(`aes-${bits}-cbc`, key.subarray(0, bits / 8), iv);
      const body = Buffer.concat([iv, node.update(packet), node.final()]);
      const expected = [...body, ...createHmac("sha256", key).update(body).digest()];
      expect([...sealed]).toEqual(expected);
      expect([...(seal.open(sealed) ?? [])]).toEqual([...packet]);
    }
    expect(ivs.size).toBe(7);
  },
);

test("each packet has its own IV", () => {
  const seal = new Seal({ cipher: "aes256", hash: "sha256", key });
  const packet = new Uint8Array(30);
  expect([...seal.seal(packet)]).not.toEqual([...seal.seal(packet)]);
});

test("a change of key without a gap: load, switch over, retire", () => {
  const packet = new Uint8Array(30).fill(5);
  const opens = (to: Seal, from: Seal) => to.open(from.seal(packet))?.length === 30;
  const a = new Seal({ cipher: "aes128", hash: "sha1", key });
  const b = new Seal({ cipher: "aes128", hash: "sha1", key });
  a.load(other);
  b.load(other);
  a.switchOver();
  expect([opens(a, b), opens(b, a)]).toEqual([true, true]);
  b.switchOver();
  a.retire();
  expect([opens(a, b), opens(b, a)]).toEqual([true, true]);
  expect(opens(a, new Seal({ cipher: "aes128", hash: "sha1", key }))).toBe(false);
  expect(a.overhead).toEqual({ cipher: true, hashBytes: 32 });
});

test("to and from no crypto: while both are loaded, clear and sealed packets are taken", () => {
  const packet = new Uint8Array(30).fill(5);
  const clear = new Seal(none);
  expect(clear.seal(packet)).toBe(packet);
  clear.load(other);
  expect(clear.open(new Seal(other).seal(packet))?.length).toBe(30);
  expect(clear.open(packet)?.length).toBe(30);
  clear.switchOver();
  expect(clear.open(packet)?.length).toBe(30);
  clear.retire();
  expect(clear.open(packet)).toBeUndefined();
});

test("it tells whether a packet came with the key that is not sent with yet", () => {
  const packet = new Uint8Array(30).fill(7);
  const seal = new Seal({ ...other, key });
  const next = new Seal({ ...other, key: key.toReversed() });
  expect(seal.open(seal.seal(packet))).toEqual(packet);
  expect(seal.openedByNewer).toBe(false);
  seal.load({ ...other, key: key.toReversed() });
  expect(seal.open(next.seal(packet))).toEqual(packet);
  expect(seal.openedByNewer).toBe(true);
  expect(seal.open(seal.seal(packet))).toEqual(packet);
  expect(seal.openedByNewer).toBe(false);
  seal.switchOver();
  expect(seal.open(next.seal(packet))).toEqual(packet);
  expect(seal.openedByNewer).toBe(false);
});

test("keys that a later one overtakes still open, and only with the newest the others are forgotten", () => {
  const packet = new Uint8Array(30).fill(7);
  const keys = [1, 2, 3].map((byte) => ({ ...other, key: new Uint8Array(128).fill(byte) }));
  const peers = keys.map((each) => new Seal(each));
  const seal = new Seal(keys[0]!);
  const opened = () => peers.map((peer) => seal.open(peer.seal(packet)) !== undefined);
  seal.load(keys[1]!);
  seal.load(keys[2]!);
  expect(opened()).toEqual([true, true, true]);
  // A peer sends with the second: so do we, and never back.
  seal.open(peers[1]!.seal(packet));
  expect([seal.followOpener(), seal.followOpener()]).toEqual([true, false]);
  seal.open(peers[0]!.seal(packet));
  expect([seal.openedByNewer, seal.followOpener(), seal.retire()]).toEqual([false, false, false]);
  expect(peers[1]!.open(seal.seal(packet))).toEqual(packet);
  expect([seal.switchOver(), seal.switchOver(), seal.retire()]).toEqual([true, false, true]);
  expect(opened()).toEqual([false, false, true]);
});

test("however many keys come, few are kept: the one in use for sending and the newest", () => {
  const packet = new Uint8Array(30).fill(7);
  const keys = Array.from({ length: 20 }, (_, byte) => ({
    ...other,
    key: new Uint8Array(128).fill(byte),
  }));
  const seal = new Seal(keys[0]!);
  for (const each of keys.slice(1)) seal.load(each);
  const opening = keys.flatMap((each, at) =>
    seal.open(new Seal(each).seal(packet)) === undefined ? [] : [at],
  );
  expect(opening).toEqual([0, 13, 14, 15, 16, 17, 18, 19]);
});

test("settings that cannot work are explained", () => {
  expect(cryptoProblem({ cipher: "aes256", hash: "none", key })).toContain("crypto_hash");
  expect(cryptoProblem({ ...other, key: new Uint8Array(100) })).toContain("corosync-keygen");
  expect(cryptoProblem({ ...other, key: new Uint8Array(5000) })).toContain("4096");
  expect(cryptoProblem(none)).toBeUndefined();
  expect(cryptoProblem(other)).toBeUndefined();
});
