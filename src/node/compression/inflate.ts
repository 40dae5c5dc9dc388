// Opens what peers compress, all methods that knet has (knet.md §5): zlib and zstd by the runtime, LZ4 and LZO1X here, lzma
// and bzip2 by the system's libraries. Host code; bytes from the network are hostile, so nothing throws and nothing grows
// beyond the largest message.
import { inflateSync, zstdDecompressSync } from "node:zlib";
import { libraries, openLibrary, type Opener } from "./library.ts";
import { openLz4 } from "./lz4.ts";
import { openLzo } from "./lzo.ts";
import { MESSAGE_BYTES_MAX } from "../link/packet.ts";

const INFLATE_SLACK_BYTES = 1024;

/** By knet's number of the method; 0 is not compressed. */
const models = ["none", "zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"] as const;
type Model = (typeof models)[number];

/** Found when first needed; a string is why there is none. */
const openers = new Map<Model, Opener | string>();
/** One for all: what was opened is copied out of it at once. */
let scratch: Uint8Array | undefined;

/**
 * Opens what a peer compressed by `method` (1 to 7). A string says why it cannot be opened: the library of that method is missing
 * here, or the bytes are damaged or more than a message.
 */
export function inflate(method: number, bytes: Uint8Array): Uint8Array | string {
  const model = models[method];
  if (model === undefined || model === "none") return `compression method ${method} is unknown`;
  const opener = openerOf(model);
  if (typeof opener === "string") return `compressed with ${model}, but ${opener}`;
  scratch ??= new Uint8Array(MESSAGE_BYTES_MAX + INFLATE_SLACK_BYTES);
  const made = bytes.length === 0 ? undefined : opener(bytes, scratch);
  if (made === undefined) return `compressed with ${model}, but damaged or too large`;
  return scratch.slice(0, made);
}

/** Why what peers compress with this `knet_compression_model` cannot be opened here, as a clause; undefined when it can. */
export function compressionProblem(name: string): string | undefined {
  const model = models.find((candidate) => candidate === name);
  if (model === undefined || model === "none") return undefined;
  const opener = openerOf(model);
  return typeof opener === "string" ? opener : undefined;
}

function openerOf(model: Model): Opener | string {
  const opener = openers.get(model) ?? findOpener(model);
  openers.set(model, opener);
  return opener;
}

function findOpener(model: Model): Opener | string {
  switch (model) {
    case "none":
      return "nothing is to be opened";
    case "zlib":
      return byRuntime(inflateSync);
    case "zstd":
      return byRuntime(zstdDecompressSync);
    case "lz4":
    case "lz4hc":
      return openLz4;
    case "lzo2":
      return openLzo;
    case "lzma":
    case "bzip2":
      return openLibrary(libraries[model]);
  }
}

/** The runtime throws on damage and beyond the limit. */
function byRuntime(open: (bytes: Uint8Array, o: { maxOutputLength: number }) => Buffer): Opener {
  return (bytes, into) => {
    try {
      const opened = open(bytes, { maxOutputLength: into.length });
      into.set(opened);
      return opened.length;
    } catch {
      return undefined; // An answer here: the caller says it.
    }
  };
}
