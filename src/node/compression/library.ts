// Opens lzma and bzip2 with the system's libraries (bun:ffi), which nearly every Linux has because its package tools need them.
// Host code of the ring thread. A library is looked for when it is first needed.
import { dlopen } from "bun:ffi";
import { reasonOf } from "../../result.ts";

/** Opens `bytes` into `into`: the number of bytes, or undefined when it is damaged or they do not fit. */
export type Opener = (bytes: Uint8Array, into: Uint8Array) => number | undefined;

export interface CompressionLibrary {
  /** First is what Debian calls it. */
  readonly names: readonly string[];
  /** How to get it, in words for an operator. */
  readonly advice: string;
  /** Throws when there is no such library. */
  readonly load: (name: string) => Opener;
}

/** A stranger's stream says how much memory it needs: knet's highest level (9) has a dictionary of 64 MiB, never all of it used here. */
const LZMA_MEMORY_BYTES_MAX = 80n * 1024n * 1024n;

export const libraries: Readonly<Record<"lzma" | "bzip2", CompressionLibrary>> = {
  lzma: {
    names: ["liblzma.so.5"],
    advice: "apt install liblzma5, or the package xz-libs of other distributions",
    load: loadLzma,
  },
  bzip2: {
    names: ["libbz2.so.1.0", "libbz2.so.1"],
    advice: "apt install libbz2-1.0, or the package libbz2 or bzip2-libs of other distributions",
    load: loadBzip2,
  },
};

/** The opener of the first name that is there, or why there is none. */
export function openLibrary(library: CompressionLibrary): Opener | string {
  const failures: string[] = [];
  for (const name of library.names) {
    try {
      return library.load(name);
    } catch (error) {
      failures.push(reasonOf(error));
    }
  }
  return `the library ${library.names[0]} is missing (${library.advice}): ${failures.join("; ")}`;
}

function loadLzma(name: string): Opener {
  const { symbols } = dlopen(name, {
    lzma_stream_buffer_decode: {
      args: ["ptr", "u32", "ptr", "ptr", "ptr", "usize", "ptr", "ptr", "usize"],
      returns: "i32",
    },
  });
  return (bytes, into) => {
    const memoryMax = new BigUint64Array([LZMA_MEMORY_BYTES_MAX]);
    const [taken, made] = [new BigUint64Array(1), new BigUint64Array(1)];
    const code = symbols.lzma_stream_buffer_decode(
      memoryMax,
      0,
      null,
      bytes,
      taken,
      bytes.length,
      into,
      made,
      into.length,
    );
    return code === 0 ? Number(made[0]) : undefined;
  };
}

function loadBzip2(name: string): Opener {
  const { symbols } = dlopen(name, {
    BZ2_bzBuffToBuffDecompress: {
      args: ["ptr", "ptr", "ptr", "u32", "i32", "i32"],
      returns: "i32",
    },
  });
  return (bytes, into) => {
    const made = new Uint32Array([into.length]);
    const code = symbols.BZ2_bzBuffToBuffDecompress(into, made, bytes, bytes.length, 0, 0);
    return code === 0 ? made[0] : undefined;
  };
}
