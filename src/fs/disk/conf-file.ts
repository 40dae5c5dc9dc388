// The local copy of corosync.conf on disk: read, and replaced atomically. Spec: pmxcfs.md §1.1, §2.8. A reader sees the old
// file or the new one, whole; the file is never removed.
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Result, success, failure } from "../../result.ts";
import { replaceDurably } from "../../durable-file.ts";
import { fileBytesMax } from "../tree/rules.ts";
import { compareCorosyncConf } from "./corosync-conf.ts";

/** Content of the file; undefined when it is missing, unreadable or larger than a file of the tree can be. */
export function readConf(path: string): Uint8Array | undefined {
  try {
    if (statSync(path).size > fileBytesMax) return undefined;
    return new Uint8Array(readFileSync(path));
  } catch {
    // Not there or not ours to read: the same to the caller, who goes on without it.
    return undefined;
  }
}

/** Brings the file to what the tree has, where that is newer (pmxcfs.md §2.8). Returns what was written; undefined: nothing. */
export function followConf(
  path: string,
  stored: Uint8Array,
  log: (level: "notice" | "error", text: string) => void,
): { readonly version: number; readonly replaces: number | undefined } | undefined {
  const comparison = compareCorosyncConf(stored, readConf(path));
  switch (comparison.kind) {
    case "keep":
      return undefined;
    case "refuse":
      log("notice", comparison.reason);
      return undefined;
    case "write": {
      const { version, replaces } = comparison;
      const written = replaceConf(path, stored);
      if (written.ok) {
        log("notice", `wrote new corosync config '${path}' (version = ${version})`);
        return { version, replaces };
      }
      log("error", written.reason);
      return undefined;
    }
  }
  comparison satisfies never;
  return undefined;
}

/** Makes the directory if it is missing. The reason says what the disk refused; the old file is then as it was. */
export function replaceConf(path: string, content: Uint8Array): Result<undefined> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    replaceDurably(path, content, 0o644);
    return success(undefined);
  } catch (error) {
    return failure(
      `${path} could not be written (${String(error)}); the ring keeps its old configuration`,
    );
  }
}
