// A line for the cluster log, as it is asked for on the local API.
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
