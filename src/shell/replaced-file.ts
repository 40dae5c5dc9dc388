// Files of the daemon whose loss harms nobody: replaced as a whole, and nothing waits for the disk (durable-file.ts is for the others).
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Whole under its name or as it was; the directory is made if it is missing. Rejects with what the disk says. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const draft = `${path}.tmp`;
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  await rm(draft, { force: true });
  await writeFile(draft, content, { mode: 0o640, flag: "wx" });
  await rename(draft, path);
}
