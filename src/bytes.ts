// Bounds-checked cursors over one buffer. A Reader never throws: a read past the end gives zeros and sets `failed`,
// so a decoder reads all its fields and asks once. Little-endian unless a method's name says `be`.

/** What a decoder returns: the value, or why the bytes are not one. */
export type Decoded<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export function decoded<T>(value: T): Decoded<T> {
  return { ok: true, value };
}

export function malformed<T>(reason: string): Decoded<T> {
  return { ok: false, reason };
}

const U64_HIGH_MAX = 0x1fffff;

/** Reads fields in wire order. `bytes` is not copied. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True once any read went past the end, or a 64-bit number did not fit 53 bits. */
  get failed(): boolean {
    return this.#failed;
  }
  get offset(): number {
    return this.#offset;
  }
  get remaining(): number {
    return this.bytes.length - this.#offset;
  }

  #take(size: number): number {
    const at = this.#offset;
    if (size < 0 || this.bytes.length - at < size) {
      this.#failed = true;
      return -1;
    }
    this.#offset = at + size;
    return at;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }
  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }
  u16be(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, false);
  }
  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }
  u32be(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, false);
  }
  i32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getInt32(at, true);
  }
  /** An unsigned 64-bit number; larger than 2^53 - 1 fails (no protocol here counts that far). */
  u64(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    return this.#join(this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true));
  }
  u64be(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    return this.#join(this.#view.getUint32(at + 4, false), this.#view.getUint32(at, false));
  }
  #join(low: number, high: number): number {
    if (high > U64_HIGH_MAX) {
      this.#failed = true;
      return 0;
    }
    return high * 0x1_0000_0000 + low;
  }
  /** A view (not a copy) of the next `size` bytes; empty after a failure. */
  take(size: number): Uint8Array {
    const at = this.#take(size);
    return at < 0 ? new Uint8Array(0) : this.bytes.subarray(at, at + size);
  }
  /** A view of everything that is left. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }
  skip(size: number): void {
    this.#take(size);
  }
}

/** Writes fields in wire order into a buffer that doubles when it is full. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #grow(size: number): number {
    const at = this.#length;
    const needed = at + size;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u16be(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, false);
    return this;
  }
  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  u32be(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, false);
    return this;
  }
  i32(value: number): this {
    const at = this.#grow(4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  u64(value: number): this {
    const at = this.#grow(8);
    this.#view.setUint32(at, value % 0x1_0000_0000, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
    return this;
  }
  u64be(value: number): this {
    const at = this.#grow(8);
    this.#view.setUint32(at, Math.floor(value / 0x1_0000_0000), false);
    this.#view.setUint32(at + 4, value % 0x1_0000_0000, false);
    return this;
  }
  put(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
  zeros(size: number): this {
    const at = this.#grow(size);
    this.#bytes.fill(0, at, at + size);
    return this;
  }
  /** The bytes written so far, as a view; the Writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * Names and paths are bytes on every wire here. In memory they are "byte strings": one character a byte (0..255), so that
 * they can be Map keys and survive any encoding. Text enters and leaves through these two pairs only.
 */
export function byteString(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return text;
}

export function bytesOf(byteText: string): Uint8Array {
  const bytes = new Uint8Array(byteText.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = byteText.charCodeAt(i);
  return bytes;
}

export function byteStringOfText(text: string): string {
  return byteString(new TextEncoder().encode(text));
}

/** Invalid UTF-8 shows as U+FFFD: for people only, never for a key or a wire. */
export function textOfByteString(byteText: string): string {
  return new TextDecoder().decode(bytesOf(byteText));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * For what is kept or crosses to another thread: the bytes themselves when they fill at least half of their buffer, else a copy.
 * A view of 20 bytes keeps all 64 KiB of its packet alive, and a structured clone copies them all.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 >= bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

/** A copy of several pieces in one buffer. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
