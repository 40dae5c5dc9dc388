// Length and SHA-256 of a file, read in pieces: an executable has 120 MB and the machine may have little memory.
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { Digest } from "./manifest.ts";

const pieceBytes = 1 << 20;

/** Throws what the disk says. */
export function digestOf(path: string): Digest {
  const hash = createHash("sha256");
  const piece = new Uint8Array(pieceBytes);
  const descriptor = openSync(path, "r");
  let bytes = 0;
  try {
    for (;;) {
      const count = readSync(descriptor, piece, 0, pieceBytes, null);
      if (count === 0) return { bytes, sha256: hash.digest("hex") };
      hash.update(piece.subarray(0, count));
      bytes += count;
    }
  } finally {
    closeSync(descriptor);
  }
}
