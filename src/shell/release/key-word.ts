// The word of `--key`: a minisign public key, or the name of a file that holds one.
import { existsSync, readFileSync, statSync } from "node:fs";
import { CommandFailure, exitUsage } from "../exit.ts";
import { readPublicKey } from "./minisign.ts";

const keyFileBytesMax = 4096;

/** The key as text that can be read; else CommandFailure with code 2. */
export function keyOfWord(word: string): string {
  if (readPublicKey(word).ok) return word;
  const isFile = existsSync(word) && statSync(word).isFile();
  const text = isFile && statSync(word).size <= keyFileBytesMax ? readFileSync(word, "utf8") : "";
  if (readPublicKey(text).ok) return text;
  throw new CommandFailure(
    `--key takes a minisign public key or the name of its file; "${word}" is neither`,
    exitUsage,
  );
}
