// A line of the cluster log: as it is asked for on the local API, and as all that show the log read a stored one (pmxcfs.md §3.6).
import { byteStringOfText, textOfByteString } from "../../bytes.ts";
import type { LogLine } from "../../fs/plugin/clusterlog.ts";
import { unescapedLogText } from "../../fs/replica/log-entry.ts";
import type { LogPriority } from "../../fs/replica/status-host.ts";

export interface ClusterLogLine {
  /** What it comes from: lower case letters, digits, dashes. */
  readonly tag: string;
  /** syslog: 0 emergency … 7 debug. */
  readonly priority: LogPriority;
  /** 1 to `clusterLogTextMax` characters, no NUL. */
  readonly message: string;
}

/** An entry has 4096 bytes at most, and letters beyond ASCII are written as escapes (pmxcfs.md §3.6). */
export const clusterLogTextMax = 1024;

/** Its byte strings as text, its message as it was said. */
export function shownLogLine(line: LogLine): LogLine {
  return {
    ...line,
    tag: textOfByteString(line.tag),
    node: textOfByteString(line.node),
    ident: textOfByteString(line.ident),
    message: unescapedLogText(textOfByteString(line.message)),
  };
}

/** Whether `user` ("root@pam") has caused it. Compared as bytes: two names may show alike. */
export function isLineOf({ ident }: LogLine, user: string): boolean {
  return ident === byteStringOfText(user);
}
