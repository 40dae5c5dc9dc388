// What of the tree's corosync.conf nobody does by mistake: put a file that no node could use, or take it away. The words are those of whoever asks.
import type { Files } from "../../../fs/tree/files.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";

export interface ConfGuard {
  readonly files: Pick<Files, "stat">;
  /** Why the cluster could not use this corosync.conf, a sentence; "" when it could. */
  readonly confProblem: (content: Uint8Array) => Promise<string>;
  /** How somebody insists: "--force", "force=1". */
  readonly force: string;
}

/** What to do about that. */
export function insisting({ force }: Pick<ConfGuard, "force">): string {
  return `Correct it, or insist with ${force}`;
}

/** Why this content must not become the file of this name, a sentence without its end; "": it may. */
export async function unusableReason(
  { confProblem }: Pick<ConfGuard, "confProblem">,
  path: string,
  content: Uint8Array,
): Promise<string> {
  if (path !== corosyncConfPath) return "";
  const problem = await confProblem(content);
  return problem === "" ? "" : `nothing was changed, for the cluster could not use it: ${problem}`;
}

/** Why the file of this name must not lose it, a sentence; "": it may. */
export function lossReason({ files, force }: ConfGuard, path: string): string {
  if (path !== corosyncConfPath || !files.stat(path).ok) return "";
  return (
    "nothing was changed, for all nodes take their configuration from this file, and without it no change of it reaches them. " +
    `To change it, put another one in its place; ${force} takes it away`
  );
}
