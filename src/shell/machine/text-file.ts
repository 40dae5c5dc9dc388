// Small files of this machine that somebody else may have written: read with a bound, replaced durably.
import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Of what is read of one. */
const bytesMax = 1024 * 1024;

/**
 * The text of a file; undefined: there is none, or it is no plain file. Cut at 1 MiB. Rejects with what the disk says.
 * Files of /proc have no size, so that they are read to their end.
 */
export async function readTextFile(path: string): Promise<string | undefined> {
  const bytes = await readBytes(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** As `readTextFile`, as bytes. */
export async function readBytes(path: string): Promise<Uint8Array | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    if (!(await file.stat()).isFile()) return undefined;
    const bytes = new Uint8Array(64 * 1024);
    const chunks: Uint8Array[] = [];
    for (let length = 0; length < bytesMax;) {
      const { bytesRead } = await file.read(bytes, 0, Math.min(bytes.length, bytesMax - length));
      if (bytesRead === 0) break;
      chunks.push(bytes.slice(0, bytesRead));
      length += bytesRead;
    }
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string) {
  try {
    // A pipe without a writer is not waited for.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
