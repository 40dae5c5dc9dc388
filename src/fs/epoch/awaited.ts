// Which changes show by their kind that their writer waits for the disks of the others. Pure.
import type { TreeOperation } from "../tree/entry.ts";

/** Everybody who removes, moves or replaces something as a whole waits for a majority's disks (design.md, decision 3). */
export function isAwaited(operation: TreeOperation): boolean {
  return !mustAsk(operation) || isReplacement(operation);
}

/** The others may not know by its kind that it is waited for: nodes of the first versions did not know of replacements. */
export function mustAsk({ kind }: TreeOperation): boolean {
  return kind !== "rename" && kind !== "delete" && kind !== "mkdir";
}

/** New content in the place of the old: nobody who writes piece by piece sends such a one. */
function isReplacement(operation: TreeOperation): boolean {
  return operation.kind === "write" && operation.truncate && operation.data.length > 0;
}
