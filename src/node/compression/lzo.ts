// Opens one LZO1X stream (knet.md §5), after the public description of its instructions ("LZO stream format as understood by
// Linux' LZO decompressor"). The bytes come from the network: every length is checked before it is followed.

/** What the instruction before has copied as literals: 0 to 3, or 4 for more; it decides what instructions below 16 mean. */
type Literals = number;
const MANY_LITERALS: Literals = 4;
const FAR = 16_384;

/** Opens `stream` into `into`: the number of bytes, or undefined when it is damaged or they do not fit. */
export function openLzo(stream: Uint8Array, into: Uint8Array): number | undefined {
  return new Lzo(stream, into).open();
}

class Lzo {
  readonly #stream: Uint8Array;
  readonly #into: Uint8Array;
  #from = 0;
  #to = 0;
  #literals: Literals = 0;
  /** Set by whatever reads or copies beyond an end. */
  #isDamaged = false;

  constructor(stream: Uint8Array, into: Uint8Array) {
    this.#stream = stream;
    this.#into = into;
  }

  open(): number | undefined {
    const first = this.#stream[0] ?? 0;
    if (first > 17) {
      this.#from = 1;
      this.#copyLiterals(first - 17);
    }
    while (!this.#isDamaged) {
      const isEnd = this.#instruction(this.#byte());
      if (this.#isDamaged) return undefined;
      if (isEnd) return this.#from === this.#stream.length ? this.#to : undefined;
    }
    return undefined;
  }

  /** True at the mark of the end. */
  #instruction(op: number): boolean {
    if (op >= 64) {
      const bytes = op >= 128 ? 5 + ((op >> 5) & 3) : 3 + ((op >> 5) & 1);
      const distance = (this.#byte() << 3) + ((op >> 2) & 7) + 1;
      this.#copyMatch(distance, bytes, op & 3);
    } else if (op >= 32) {
      const bytes = 2 + this.#length(op & 31, 31);
      const word = this.#word();
      this.#copyMatch((word >> 2) + 1, bytes, word & 3);
    } else if (op >= 16) {
      const bytes = 2 + this.#length(op & 7, 7);
      const word = this.#word();
      const distance = FAR + ((op & 8) << 11) + (word >> 2);
      if (distance === FAR) return true;
      this.#copyMatch(distance, bytes, word & 3);
    } else if (this.#literals === 0) {
      this.#copyLiterals(3 + this.#length(op, 15));
    } else {
      const near = (this.#byte() << 2) + (op >> 2) + 1;
      if (this.#literals === MANY_LITERALS) this.#copyMatch(near + 2048, 3, op & 3);
      else this.#copyMatch(near, 2, op & 3);
    }
    return false;
  }

  #byte(): number {
    const byte = this.#stream[this.#from];
    this.#from += 1;
    if (byte === undefined) this.#isDamaged = true;
    return byte ?? 0;
  }

  #word(): number {
    const low = this.#byte();
    return low | (this.#byte() << 8);
  }

  /** A length that is 0 in its instruction: `base`, 255 for each zero byte that follows, and the byte after them. */
  #length(inInstruction: number, base: number): number {
    if (inInstruction !== 0) return inInstruction;
    let sum = base;
    while (this.#stream[this.#from] === 0) {
      sum += 255;
      this.#from += 1;
    }
    return sum + this.#byte();
  }

  #copyLiterals(bytes: number): void {
    const isTooLong =
      bytes > this.#stream.length - this.#from || bytes > this.#into.length - this.#to;
    if (isTooLong) this.#isDamaged = true;
    if (this.#isDamaged) return;
    this.#into.set(this.#stream.subarray(this.#from, this.#from + bytes), this.#to);
    this.#from += bytes;
    this.#to += bytes;
    this.#literals = Math.min(bytes, MANY_LITERALS);
  }

  #copyMatch(distance: number, bytes: number, literals: Literals): void {
    if (distance > this.#to || bytes > this.#into.length - this.#to) this.#isDamaged = true;
    if (this.#isDamaged) return;
    // Byte by byte: a copy may read what it has just written.
    for (const end = this.#to + bytes; this.#to < end; this.#to += 1) {
      this.#into[this.#to] = this.#into[this.#to - distance] ?? 0;
    }
    this.#copyLiterals(literals);
  }
}
