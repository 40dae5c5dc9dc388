// Protection of whole knet packets: AES-CBC, then HMAC over IV and ciphertext, with a slot for each key in use. Spec: knet.md §3.
// Host code (node:crypto). Bytes from the network are hostile here: nothing throws, the hash is compared in constant
// time and before anything is decrypted.
import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  type Decipheriv,
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
/** The runtime asks for as much room as the longest digest needs. */
const digestPlace = new Uint8Array(64);
/** Where a chain of blocks begins. */
const noBlock = new Uint8Array(BLOCK_BYTES);
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

/** Fills the 16 bytes of which a packet's IV is made. */
export type FillBlock = (block: Uint8Array<ArrayBuffer>) => void;

const randomBlock: FillBlock = (block) => void crypto.getRandomValues(block);

/** Makes the first packet of a new seal have this IV: for recordings. */
export function firstIv({ cipher, key }: CryptoSettings, iv: Uint8Array): FillBlock {
  return (block) => {
    const decipher = createDecipheriv(...cipherOf(cipher, key), noBlock).setAutoPadding(false);
    block.set(decipher.update(iv));
  };
}

/**
 * Seals and opens packets. A change of key in a running cluster has three steps, each after all nodes did the one before
 * (§3.5): `load` (both keys open, the old one seals), `switchOver` (the new one seals), `retire` (the old one is forgotten).
 * knet has two slots, and a second change overwrites the key of the first, which a peer may send with already. Here what a change
 * overtakes goes on opening until the last change is done, and is never sent with because of an older step.
 */
export class Seal {
  readonly #fill: FillBlock;
  /** Oldest first. */
  #slots: Slot[];
  #sending: Slot;
  #opener: Slot | undefined;
  readonly #counts = { sealed: 0, opened: 0, addedBytes: 0 };

  /** Throws when `cryptoProblem` has something to say: ask it first. Another `fill` than the default is for recordings only. */
  constructor(settings: CryptoSettings, fill: FillBlock = randomBlock) {
    this.#fill = fill;
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
    const sealed = this.#sending.seal(packet, this.#fill);
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

/**
 * One key. A cipher of its own for each packet costs more than its blocks, so two go on for ever: CBC has no other state than the last
 * block of ciphertext. What is sealed begins with a random block, whose ciphertext is the IV, as random; what is opened begins with
 * its IV, whose clear text means nothing. Either must be fed whole blocks only.
 */
class Slot {
  readonly settings: CryptoSettings;
  readonly overhead: Overhead;
  readonly isClear: boolean;
  readonly #cipher: Cipheriv | undefined;
  readonly #decipher: Decipheriv | undefined;
  readonly #hmac: Bun.CryptoHasher | undefined;

  constructor(settings: CryptoSettings) {
    const problem = cryptoProblem(settings);
    assert(problem === undefined, problem ?? "");
    this.settings = settings;
    this.overhead = overheadOf(settings);
    this.isClear = settings.hash === "none";
    // Its key is in it already: a copy for each packet need not take that up again.
    if (settings.hash !== "none") {
      this.#hmac = new Bun.CryptoHasher(settings.hash, hashKey(settings));
    }
    if (!this.overhead.cipher) return;
    const [algorithm, key] = cipherOf(settings.cipher, settings.key);
    this.#cipher = createCipheriv(algorithm, key, noBlock).setAutoPadding(false);
    this.#decipher = createDecipheriv(algorithm, key, noBlock).setAutoPadding(false);
  }

  /** A view that holds until the next call. */
  #digest(bytes: Uint8Array): Uint8Array {
    assert(this.#hmac !== undefined, "what is clear has no hash");
    this.#hmac.copy().update(bytes).digest(digestPlace);
    return digestPlace.subarray(0, this.overhead.hashBytes);
  }

  seal(packet: Uint8Array, fill: FillBlock): Uint8Array {
    if (this.isClear) return packet;
    const hashBytes = this.overhead.hashBytes;
    const bodyBytes =
      this.#cipher === undefined
        ? packet.length
        : IV_BYTES + packet.length + BLOCK_BYTES - (packet.length % BLOCK_BYTES);
    const sealed = new Uint8Array(bodyBytes + hashBytes);
    const body = sealed.subarray(0, bodyBytes);
    if (this.#cipher === undefined) {
      body.set(packet);
    } else {
      fill(sealed.subarray(0, IV_BYTES));
      // Padded by hand in the place of the ciphertext: one call and one copy less on the token path.
      body.set(packet, IV_BYTES);
      body.fill(bodyBytes - IV_BYTES - packet.length, IV_BYTES + packet.length);
      body.set(this.#cipher.update(body));
    }
    sealed.set(this.#digest(body), bodyBytes);
    return sealed;
  }

  open(datagram: Uint8Array): Uint8Array | undefined {
    const bodyBytes = datagram.length - this.overhead.hashBytes;
    if (bodyBytes <= 0 || bodyBytes > MESSAGE_BYTES_MAX) return undefined;
    if (this.isClear) return datagram;
    const body = datagram.subarray(0, bodyBytes);
    if (!timingSafeEqual(this.#digest(body), datagram.subarray(bodyBytes))) return undefined;
    return this.#decipher === undefined ? body : decrypt(this.#decipher, body);
  }
}

function decrypt(decipher: Decipheriv, body: Uint8Array): Uint8Array | undefined {
  const size = body.length;
  if (size <= IV_BYTES || size % BLOCK_BYTES !== 0) return undefined;
  const padded = decipher.update(body);
  const padding = padded[padded.length - 1] ?? 0;
  if (padding === 0 || padding > BLOCK_BYTES || padded.length !== size) return undefined;
  for (let at = size - padding; at < size; at += 1) {
    if (padded[at] !== padding) return undefined;
  }
  // No Buffer leaves here: its `slice` is a view that shares the bytes.
  return new Uint8Array(padded.buffer, padded.byteOffset + IV_BYTES, size - IV_BYTES - padding);
}

/** What node:crypto calls it, and the part of the key file that it takes. */
function cipherOf(cipher: CipherName, key: Uint8Array): [algorithm: string, key: Uint8Array] {
  const bytes = CIPHER_KEY_BYTES[cipher];
  return [`aes-${bytes * 8}-cbc`, key.slice(0, bytes)];
}

/** HMAC hashes a key longer than its block; done here once instead of for each packet. */
function hashKey(settings: CryptoSettings): Uint8Array {
  if (settings.hash === "none") return new Uint8Array(0);
  if (settings.key.length <= HASH_BLOCK_BYTES[settings.hash]) return settings.key.slice();
  return createHash(settings.hash).update(settings.key).digest();
}
