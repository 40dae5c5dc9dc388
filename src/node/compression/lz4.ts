// Opens one LZ4 block (knet.md §5), after the format's public description: sequences of literals and of copies from what was
// opened before. The bytes come from the network: every length is checked before it is followed.
const MATCH_BYTES_MIN = 4;
const NIBBLE_MAX = 15;

/** Opens `block` into `into`: the number of bytes, or undefined when it is damaged or they do not fit. */
export function openLz4(block: Uint8Array, into: Uint8Array): number | undefined {
  let from = 0;
  let to = 0;
  /** A length of 15 goes on in the bytes that follow, as long as they are 255. */
  const length = (nibble: number): number => {
    let sum = nibble;
    if (nibble < NIBBLE_MAX) return sum;
    for (;;) {
      const byte = block[from];
      if (byte === undefined) return Number.POSITIVE_INFINITY;
      from += 1;
      sum += byte;
      if (byte < 255) return sum;
    }
  };
  while (from < block.length) {
    const token = block[from] ?? 0;
    from += 1;
    const literals = length(token >> 4);
    if (literals > block.length - from || literals > into.length - to) return undefined;
    into.set(block.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    // The last sequence has literals only.
    if (from === block.length) return to;
    if (block.length - from < 2) return undefined;
    const distance = (block[from] ?? 0) | ((block[from + 1] ?? 0) << 8);
    from += 2;
    const copied = length(token & NIBBLE_MAX) + MATCH_BYTES_MIN;
    if (distance === 0 || distance > to || copied > into.length - to) return undefined;
    // Byte by byte: a copy may read what it has just written.
    for (const end = to + copied; to < end; to += 1) into[to] = into[to - distance] ?? 0;
  }
  return undefined;
}
