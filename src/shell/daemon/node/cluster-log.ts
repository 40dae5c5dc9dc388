// Lines for the cluster log in the form of Proxmox's daemons: who did what on which node (pmxcfs.md §3.6).
import { byteStringOfText } from "../../../bytes.ts";
import type { ConfigurationTree } from "../../../fs/fs.ts";
import { clusterLogTextMax } from "../../api/cluster-log-line.ts";

/** As Proxmox's daemon that carries out what the API is asked: its tools look for it. */
const tag = "pvedaemon";

export interface ClusterLogEntry {
  /** Who did it: "root@pam". */
  readonly user: string;
  /** One line; a longer one than the log takes is cut. */
  readonly message: string;
  /** True: an error's priority instead of information. */
  readonly isFailure?: boolean;
}

/** Never throws and never waits: without a cluster the line is this node's alone. */
export type ClusterLogger = (entry: ClusterLogEntry) => void;

export function clusterLogger(tree: ConfigurationTree): ClusterLogger {
  return ({ user, message, isFailure = false }) => {
    const text = message.slice(0, clusterLogTextMax).replace(/\p{C}+/gu, " ");
    tree.statusStore.log({
      ident: byteStringOfText(user),
      tag,
      priority: isFailure ? 3 : 6,
      message: new TextEncoder().encode(text),
    });
  };
}
