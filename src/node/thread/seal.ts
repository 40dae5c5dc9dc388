// Protection of whole knet packets: AES-CBC, then HMAC over IV and ciphertext, with a slot for each key in use. Spec: knet.md §3.
// Host code (node:crypto). Bytes from the network are hostile here: nothing throws, the hash is compared in constant
// time and before anything is decrypted.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  timingSafeEqual,
} from "node:crypto";
import { assert } from "../../assert.ts";
import { sameCrypto } from "../settings/reload-rules.ts";
import type { CipherName, CryptoSettings, HashName } from "../settings/settings.ts";
import { MESSAGE_BYTES_MAX } from "../link/packet.ts";
import type { Overhead } from "../link/pmtud.ts";
import type { SealCounts } from "./bridge.ts";

const KEY_BYTES_MIN = 128;
const KEY_BYTES_MAX = 4096;
const IV_BYTES = 16;
const BLOCK_BYTES = 16;
/** Keys that open at a time: what nobody here can open is tried with each. */
const SLOTS_MAX = 8;

const HASH_BYTES: Readonly<Record<HashName, number>> = {
  none: 0,
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

const HASH_BLOCK_BYTES: Readonly<Record<HashName, number>> = {
  none: 0,
  md5: 64,
  sha1: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
};

const CIPHER_KEY_BYTES: Readonly<Record<CipherName, number>> = {
  none: 0,
  aes128: 16,
  aes192: 24,
  aes256: 32,
};

/** Why these settings cannot protect anything, as a sentence; undefined when they can (§3.1). */
export function cryptoProblem(settings: CryptoSettings): string | undefined {
  if (settings.cipher !== "none" && settings.hash === "none") {
    return `crypto_cipher ${settings.cipher} needs a crypto_hash: set totem.crypto_hash (sha256 is usual)`;
  }
  if (settings.hash === "none") return undefined;
  if (settings.key.length < KEY_BYTES_MIN) {
    return `the cluster key has ${settings.key.length} bytes, at least ${KEY_BYTES_MIN} are needed: copy the authkey of another node or make one with corosync-keygen`;
  }
  if (settings.key.length > KEY_BYTES_MAX) {
    return `the cluster key has ${settings.key.length} bytes, at most ${KEY_BYTES_MAX} are used: pass only the beginning`;
  }
  return undefined;
}

/** What protection adds to each packet, for the path MTU arithmetic (§4.1). */
export function overheadOf(settings: CryptoSettings): Overhead {
  return { cipher: settings.cipher !== "none", hashBytes: HASH_BYTES[settings.hash] };
}

/** Fills the 16 bytes that make two equal packets look different. */
export type FillIv = (iv: Uint8Array<ArrayBuffer>) => void;

const randomIv: FillIv = (iv) => void crypto.getRandomValues(iv);

/**
 * Seals and opens packets. A change of key in a running cluster has three steps, each after all nodes did the one before
 * (§3.5): `load` (both keys open, the old one seals), `switchOver` (the new one seals), `retire` (the old one is forgotten).
 * knet has two slots, and a second change overwrites the key of the first, which a peer may send with already. Here what a change
 * overtakes goes on opening until the last change is done, and is never sent with because of an older step.
 */
export class Seal {
  readonly #fillIv: FillIv;
  /** Oldest first. */
  #slots: Slot[];
  #sending: Slot;
  #opener: Slot | undefined;
  readonly #counts = { sealed: 0, opened: 0, addedBytes: 0 };

  /** Throws when `cryptoProblem` has something to say: ask it first. Another `fillIv` than the default is for tests only. */
  constructor(settings: CryptoSettings, fillIv: FillIv = randomIv) {
    this.#fillIv = fillIv;
    this.#sending = new Slot(settings);
    this.#slots = [this.#sending];
  }

  /** Keys other than the one in use for sending open as well. */
  get hasOthers(): boolean {
    return this.#slots.length > 1;
  }

  /** The last packet that was opened came with a key that was loaded after the one in use for sending. */
  get openedByNewer(): boolean {
    return this.#opener !== undefined && this.#isNewer(this.#opener);
  }

  /** That key is none: anything can be opened. */
  get isOpenerClear(): boolean {
    return this.#opener?.isClear === true;
  }

  /** Of the slot in use for sending. */
  get overhead(): Overhead {
    return this.#sending.overhead;
  }

  /** Opens with these from now on; they are the newest, also when they were loaded before. */
  load(settings: CryptoSettings): void {
    const known = this.#slots.find((slot) => sameCrypto(slot.settings, settings));
    const others = this.#slots.filter((slot) => slot !== known);
    const dropped =
      others.length < SLOTS_MAX ? undefined : others.find((slot) => slot !== this.#sending);
    this.#slots = [...others.filter((slot) => slot !== dropped), known ?? new Slot(settings)];
  }

  /** Whether packets can be opened with these. */
  has(settings: CryptoSettings): boolean {
    return this.#slots.some((slot) => sameCrypto(slot.settings, settings));
  }

  /** Sends with the newest key from now on; the others still open. False when it does already. */
  switchOver(): boolean {
    return this.#sendWith(this.#slots.at(-1));
  }

  /** Sends with the key of the last packet that was opened, if that is newer than the one in use. */
  followOpener(): boolean {
    return this.openedByNewer && this.#sendWith(this.#opener);
  }

  /** Forgets all but the newest key. False when there is nothing to forget, or another one is in use for sending. */
  retire(): boolean {
    if (!this.hasOthers || this.#sending !== this.#slots.at(-1)) return false;
    this.#slots = [this.#sending];
    return true;
  }

  #sendWith(slot: Slot | undefined): boolean {
    if (slot === undefined || slot === this.#sending) return false;
    this.#sending = slot;
    return true;
  }

  #isNewer(slot: Slot): boolean {
    return this.#slots.indexOf(slot) > this.#slots.indexOf(this.#sending);
  }

  /** A protected copy of a clear packet; without crypto the packet itself. */
  seal(packet: Uint8Array): Uint8Array {
    const sealed = this.#sending.seal(packet, this.#fillIv);
    if (!this.#sending.isClear) {
      this.#counts.sealed += 1;
      this.#counts.addedBytes += sealed.length - packet.length;
    }
    return sealed;
  }

  /** Packets since start that were protected, and what that has added to them. */
  get counts(): SealCounts {
    return { ...this.#counts };
  }

  /** The clear packet, or undefined when no key in use made this. It may be a view of `datagram`. */
  open(datagram: Uint8Array): Uint8Array | undefined {
    const packet = this.#open(datagram);
    if (packet !== undefined && !this.isOpenerClear) this.#counts.opened += 1;
    return packet;
  }

  #open(datagram: Uint8Array): Uint8Array | undefined {
    this.#opener = this.#sending;
    if (!this.hasOthers) return this.#sending.open(datagram);
    for (const slot of this.#inOrder()) {
      this.#opener = slot;
      const packet = slot.open(datagram);
      if (packet !== undefined) return packet;
    }
    this.#opener = undefined;
    return undefined;
  }

  /** The likeliest first; a clear slot takes anything, so slots with a key go before it. */
  #inOrder(): Slot[] {
    const others = this.#slots.filter((slot) => slot !== this.#sending).toReversed();
    return [this.#sending, ...others].toSorted((a, b) => Number(a.isClear) - Number(b.isClear));
  }
}

class Slot {
  readonly settings: CryptoSettings;
  readonly overhead: Overhead;
  readonly isClear: boolean;
  readonly #algorithm: string;
  readonly #cipherKey: Uint8Array;
  readonly #hash: HashName;
  readonly #hashKey: Uint8Array;

  constructor(settings: CryptoSettings) {
    const problem = cryptoProblem(settings);
    assert(problem === undefined, problem ?? "");
    this.settings = settings;
    const keyBytes = CIPHER_KEY_BYTES[settings.cipher];
    this.overhead = overheadOf(settings);
    this.isClear = settings.hash === "none";
    this.#algorithm = `aes-${keyBytes * 8}-cbc`;
    this.#cipherKey = settings.key.slice(0, keyBytes);
    this.#hash = settings.hash;
    this.#hashKey = hashKey(settings);
  }

  #digest(bytes: Uint8Array): Uint8Array {
    return createHmac(this.#hash, this.#hashKey).update(bytes).digest();
  }

  seal(packet: Uint8Array, fillIv: FillIv): Uint8Array {
    if (this.isClear) return packet;
    const hashBytes = this.overhead.hashBytes;
    const bodyBytes = this.overhead.cipher
      ? IV_BYTES + packet.length + BLOCK_BYTES - (packet.length % BLOCK_BYTES)
      : packet.length;
    const sealed = new Uint8Array(bodyBytes + hashBytes);
    if (this.overhead.cipher) {
      const iv = sealed.subarray(0, IV_BYTES);
      fillIv(iv);
      const cipher = createCipheriv(this.#algorithm, this.#cipherKey, iv);
      cipher.setAutoPadding(false);
      // Padded by hand in the place of the ciphertext: one call and one copy less on the token path.
      const padded = sealed.subarray(IV_BYTES, bodyBytes);
      padded.set(packet);
      padded.fill(padded.length - packet.length, packet.length);
      padded.set(cipher.update(padded));
    } else {
      sealed.set(packet);
    }
    sealed.set(this.#digest(sealed.subarray(0, bodyBytes)), bodyBytes);
    return sealed;
  }

  open(datagram: Uint8Array): Uint8Array | undefined {
    const bodyBytes = datagram.length - this.overhead.hashBytes;
    if (bodyBytes <= 0 || bodyBytes > MESSAGE_BYTES_MAX) return undefined;
    if (this.isClear) return datagram;
    const body = datagram.subarray(0, bodyBytes);
    if (!timingSafeEqual(this.#digest(body), datagram.subarray(bodyBytes))) return undefined;
    return this.overhead.cipher ? this.#decrypt(body) : body;
  }

  #decrypt(body: Uint8Array): Uint8Array | undefined {
    const size = body.length - IV_BYTES;
    if (size <= 0 || size % BLOCK_BYTES !== 0) return undefined;
    const decipher = createDecipheriv(this.#algorithm, this.#cipherKey, body.subarray(0, IV_BYTES));
    decipher.setAutoPadding(false);
    const padded = decipher.update(body.subarray(IV_BYTES));
    const padding = padded[padded.length - 1] ?? 0;
    if (padding === 0 || padding > BLOCK_BYTES || padded.length !== size) return undefined;
    for (let at = size - padding; at < size; at += 1) {
      if (padded[at] !== padding) return undefined;
    }
    // No Buffer leaves here: its `slice` is a view that shares the bytes.
    return new Uint8Array(padded.buffer, padded.byteOffset, size - padding);
  }
}

/** HMAC hashes a key longer than its block; done here once instead of for each packet. */
function hashKey(settings: CryptoSettings): Uint8Array {
  if (settings.hash === "none") return new Uint8Array(0);
  if (settings.key.length <= HASH_BLOCK_BYTES[settings.hash]) return settings.key.slice();
  return createHash(settings.hash).update(settings.key).digest();
}
