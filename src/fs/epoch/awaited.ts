// Which changes show by their kind that their writer waits for the disks of the others. Pure.
import type { TreeOperation } from "../tree/entry.ts";

/** Everybody who removes or moves something waits for a majority's disks (design.md, decision 3). */
export function isAwaited({ kind }: TreeOperation): boolean {
  return kind === "rename" || kind === "delete" || kind === "mkdir";
}
