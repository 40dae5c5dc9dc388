// Bytes that come in pieces, as lines. Pure but for the runtime's decoder.

/** Longer lines are cut. */
const lineBytesMax = 64 * 1024;

export class Lines {
  /** One for all: a line is whole when it is decoded. */
  readonly #decoder = new TextDecoder();
  #rest: Uint8Array = new Uint8Array(0);

  /** The lines that these bytes complete, without their ends. */
  add(bytes: Uint8Array): string[] {
    const found: string[] = [];
    let from = 0;
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, from)) {
      const piece = bytes.subarray(from, at);
      found.push(this.#text(this.#rest.length === 0 ? piece : this.#joined(piece)));
      this.#rest = new Uint8Array(0);
      from = at + 1;
    }
    if (from < bytes.length) this.#rest = this.#joined(bytes.subarray(from));
    return found;
  }

  /** What came behind the last end of a line; undefined: nothing. */
  end(): string | undefined {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest.length === 0 ? undefined : this.#text(rest);
  }

  /** A copy: the bytes that came may be used again. */
  #joined(piece: Uint8Array): Uint8Array {
    const room = Math.max(0, lineBytesMax - this.#rest.length);
    return Buffer.concat([this.#rest, piece.subarray(0, room)]);
  }

  #text(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes.subarray(0, lineBytesMax));
  }
}
