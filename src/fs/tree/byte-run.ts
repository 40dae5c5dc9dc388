// Writes that lie next to each other, as one. Pure.
import { patched } from "./tree-node.ts";

const firstBytes = 4096;

export class ByteRun {
  readonly offset: number;
  #bytes: Uint8Array;
  #length: number;

  /** Copies `data`. */
  constructor(offset: number, data: Uint8Array) {
    this.offset = offset;
    this.#bytes = data.slice();
    this.#length = data.length;
  }

  get length(): number {
    return this.#length;
  }

  /** A view, good until the next `add`. */
  get data(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies `data` over and behind what is here; false when it would leave a gap or begins before it. */
  add(offset: number, data: Uint8Array): boolean {
    const at = offset - this.offset;
    if (at < 0 || at > this.#length) return false;
    const end = at + data.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length, firstBytes));
      grown.set(this.data);
      this.#bytes = grown;
    }
    this.#bytes.set(data, at);
    this.#length = Math.max(this.#length, end);
    return true;
  }

  /** What a file of this content has once the run is written. */
  over(before: Uint8Array): Uint8Array {
    const { offset, data } = this;
    return patched(before, { offset, data, size: Math.max(before.length, offset + data.length) });
  }
}
