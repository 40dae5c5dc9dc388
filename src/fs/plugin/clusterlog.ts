// `.clusterlog`: the newest lines of the cluster's own log. Spec: pmxcfs.md §3.4. Strings were escaped when they entered
// the log (cluster-log.ts) and are printed as they are stored.

/** Lines shown by the file. */
const shownEntriesMax = 50;

export interface LogLine {
  readonly uid: number;
  /** Unix seconds. */
  readonly time: number;
  readonly priority: number;
  readonly tag: string;
  readonly pid: number;
  readonly node: string;
  /** The user who caused it. */
  readonly ident: string;
  readonly message: string;
}

/** `entries`: newest first. */
export function clusterLogText(entries: Iterable<LogLine>, entriesMax = shownEntriesMax): string {
  const lines: string[] = [];
  for (const entry of entries) {
    if (lines.length >= entriesMax) break;
    lines.push(
      `{"uid": ${entry.uid}, "time": ${entry.time}, "pri": ${entry.priority}, "tag": "${entry.tag}", ` +
        `"pid": ${entry.pid}, "node": "${entry.node}", "user": "${entry.ident}", "msg": "${entry.message}"}`,
    );
  }
  return lines.length === 0 ? `{\n"data": [\n]\n}\n` : `{\n"data": [\n${lines.join(",\n")}\n]\n}\n`;
}
