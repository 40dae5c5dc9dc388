import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import type { CryptoSettings } from "../settings/settings.ts";
import { isOpened, mismatch } from "./mismatch.ts";
import { encodePacket, encodeTime } from "./packet.ts";
import { Seal } from "../thread/seal.ts";

const key = new Uint8Array(256).map((_, at) => at);
const none: CryptoSettings = { cipher: "none", hash: "none", key: new Uint8Array(0) };
const ours: CryptoSettings = { cipher: "aes256", hash: "sha256", key };
const ping = encodePacket({
  kind: "ping",
  nodeid: 2,
  link: 0,
  time: encodeTime(12_345),
  seq: 0,
  timed: true,
});

/** What a node with `own` says of a peer with `theirs`. */
function told(own: CryptoSettings, theirs: CryptoSettings): string {
  const datagram = new Seal(theirs).seal(ping);
  const packet = new Seal(own).open(datagram);
  expect(packet === undefined || !isOpened(packet, own)).toBe(true);
  return mismatch(datagram, own);
}

test("crypto on one side only, seen from both", () => {
  expect(told(ours, none)).toBe(
    "it sends without crypto, and this node uses cipher aes256 and hash sha256",
  );
  expect(told(none, { ...ours, key: key.toReversed() })).toContain("this node runs without crypto");
});

test("another cipher or hash with our key is named, another key is not guessed", () => {
  for (const cipher of ["none", "aes128", "aes192", "aes256"] as const) {
    for (const hash of ["md5", "sha1", "sha256", "sha384", "sha512"] as const) {
      if (cipher === ours.cipher && hash === ours.hash) continue;
      expect(told(ours, { cipher, hash, key })).toBe(
        `it uses cipher ${cipher} and hash ${hash} and our key, and this node cipher aes256 and hash sha256`,
      );
    }
  }
  expect(told(ours, { ...ours, key: key.toReversed() })).toContain("it has another authkey");
});

test("junk of any length is handled without a throw", () => {
  for (let size = 0; size < 200; size += 1) {
    // A few bytes may by chance be a packet in the clear: that is another sentence.
    expect(mismatch(randomBytes(size), ours)).toMatch(/nothing of a cluster|sends without crypto/);
  }
});
