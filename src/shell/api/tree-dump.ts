// Every stored and generated object below the root, as `quorate fs dump` prints it; the same columns on every node.
import { createHash } from "node:crypto";
import type { FileStat, Files, Outcome } from "../../fs/tree/files.ts";
import { textOfPath } from "./path-text.ts";

export interface DumpEntry {
  /** As path-text.ts writes it. */
  readonly path: string;
  readonly type: FileStat["type"];
  readonly mode: string;
  readonly size: number;
  readonly mtime: number;
  /** SHA-256 of the content; "" for directories, links and generated files (those differ between nodes). */
  readonly sha256: string;
  readonly target: string;
}

/** Sorted by path (byte order). */
export function dumpTree(files: Files): Outcome<readonly DumpEntry[]> {
  const entries: DumpEntry[] = [];
  const folders = [""];
  for (;;) {
    const folder = folders.pop();
    if (folder === undefined) break;
    const listed = files.list(folder);
    if (!listed.ok) return listed;
    for (const { name, stat } of listed.value) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const entry = dumpEntry(files, path, stat);
      if (!entry.ok) return entry;
      entries.push(entry.value);
      if (stat.type === "directory") folders.push(path);
    }
  }
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ok: true, value: entries };
}

function dumpEntry(files: Files, path: string, stat: FileStat): Outcome<DumpEntry> {
  let sha256 = "";
  let target = "";
  if (stat.type === "file" && !stat.generated) {
    const content = files.read(path);
    if (!content.ok) return content;
    sha256 = createHash("sha256").update(content.value).digest("hex");
  }
  if (stat.type === "symlink") {
    const link = files.readlink(path);
    if (!link.ok) return link;
    target = textOfPath(link.value);
  }
  return {
    ok: true,
    value: {
      path: textOfPath(path),
      type: stat.type,
      mode: stat.mode.toString(8).padStart(4, "0"),
      size: stat.size,
      mtime: stat.mtime,
      sha256,
      target,
    },
  };
}
