// The log of this machine for its operator: the journal where systemd keeps one, else the file that a syslog daemon or this node writes.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { JournalLog } from "./journal.ts";
import { FileLog } from "./log-file.ts";
import type { SystemLog } from "./log-range.ts";
import type { RunProgram } from "./programs.ts";

/** Below a directory of its own a node has no journal: that is the machine's. */
const journalFolders = ["var/log/journal", "run/log/journal"];
const logFiles = ["var/log/syslog", "var/log/messages", "var/log/quorate-node.log"];

/** The log of the machine whose files are below `root`. */
export function systemLog(root: string, run: RunProgram): SystemLog {
  if (root === "/" && journalFolders.some((folder) => hasJournal(join(root, folder)))) {
    return new JournalLog(run);
  }
  const path = logFiles.map((file) => join(root, file)).find((file) => existsSync(file));
  return new FileLog(path);
}

/** A folder that was made for one may be empty: nobody writes there. */
function hasJournal(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}
