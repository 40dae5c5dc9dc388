// Cuts a byte stream into QDevice net messages (qnetd.md §1.1): messages may be split at any byte or come many at once. Unknown
// and too long messages are thrown away as they arrive; it must never buffer more than one message of the allowed length.
import { headerBytes, messageKinds } from "./message.ts";

export type Frame =
  /** Header and body; a view that is valid until the next call of `push`. */
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  /** The whole body of a message with an unknown type, or of a too long one, has passed by. */
  | { readonly kind: "unknownType"; readonly type: number }
  | { readonly kind: "tooLong"; readonly bytes: number };

const empty = new Uint8Array(0);

export class FrameReader {
  readonly #bytesMax: number;
  /** A message that has begun and is not whole yet: always a copy of our own. */
  #begun: Uint8Array = empty;
  #begunLength = 0;
  /** What came with the last `push` and is not consumed yet. */
  #chunk: Uint8Array = empty;
  #skip: { left: number; readonly frame: Frame } | undefined;

  /** `bytesMax`: the longest message, header included. */
  constructor(options: { readonly bytesMax: number }) {
    this.#bytesMax = Math.max(headerBytes, options.bytesMax);
  }

  /** Bytes kept between two calls. */
  get bufferedBytes(): number {
    return this.#begun.length;
  }

  /** Adds received bytes; `next` must then be called until it returns undefined. */
  push(bytes: Uint8Array): void {
    this.#chunk = bytes;
  }

  /** The next frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    const skip = this.#skip;
    if (skip !== undefined) {
      const passed = Math.min(skip.left, this.#chunk.length);
      skip.left -= passed;
      this.#chunk = this.#chunk.subarray(passed);
      if (skip.left > 0) return undefined;
      this.#skip = undefined;
      return skip.frame;
    }
    const available = this.#begunLength + this.#chunk.length;
    if (available < headerBytes) return this.#keep(headerBytes);
    const type = (this.#at(0) << 8) | this.#at(1);
    const length =
      ((this.#at(2) << 24) | (this.#at(3) << 16) | (this.#at(4) << 8) | this.#at(5)) >>> 0;
    const size = headerBytes + length;
    if (type >= messageKinds.length) return this.#drop(length, { kind: "unknownType", type });
    if (size > this.#bytesMax) return this.#drop(length, { kind: "tooLong", bytes: size });
    return available < size ? this.#keep(size) : { kind: "message", bytes: this.#take(size) };
  }

  /** What came behind the last frame: after StartTLS these bytes belong to the TLS handshake. The reader is then empty. */
  rest(): Uint8Array {
    const rest = this.#chunk.slice();
    this.#chunk = empty;
    return rest;
  }

  #at(offset: number): number {
    const byte =
      offset < this.#begunLength ? this.#begun[offset] : this.#chunk[offset - this.#begunLength];
    return byte ?? 0;
  }

  /** Keeps what there is of a message of at least `size` bytes; grows with what has arrived, not with what was announced. */
  #keep(size: number): undefined {
    const needed = this.#begunLength + this.#chunk.length;
    if (needed > this.#begun.length) {
      const larger = new Uint8Array(Math.min(size, Math.max(needed, this.#begun.length * 2)));
      larger.set(this.#begun.subarray(0, this.#begunLength));
      this.#begun = larger;
    }
    this.#begun.set(this.#chunk, this.#begunLength);
    this.#begunLength = needed;
    this.#chunk = empty;
    return undefined;
  }

  /** The first `size` bytes, all of which are there. */
  #take(size: number): Uint8Array {
    const rest = size - this.#begunLength;
    if (this.#begunLength === 0) {
      const whole = this.#chunk.subarray(0, size);
      this.#chunk = this.#chunk.subarray(size);
      return whole;
    }
    const whole = new Uint8Array(size);
    whole.set(this.#begun.subarray(0, this.#begunLength));
    whole.set(this.#chunk.subarray(0, rest), this.#begunLength);
    this.#chunk = this.#chunk.subarray(rest);
    this.#begun = empty;
    this.#begunLength = 0;
    return whole;
  }

  #drop(length: number, frame: Frame): Frame | undefined {
    this.#take(headerBytes);
    this.#skip = { left: length, frame };
    return this.next();
  }
}
