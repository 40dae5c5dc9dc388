// Which directory of the tree is this machine's own: /etc/pve/local, `nodename` of .members, the node of our log lines (pmxcfs.md §2.1).

export interface OwnDirectory {
  /** Below `nodes/` of the tree. */
  readonly name: string;
  /** For the log where nodelist and host name differ, for somebody who looks for the reason; "" otherwise. */
  readonly remark: string;
}

/**
 * The host name up to its first dot, whatever the nodelist calls the node, as pmxcfs has it; with --name (`isGiven`) the
 * nodelist's name, as one machine may have many nodes. `nodeName`: the nodelist's.
 */
export function ownDirectory(host: string, nodeName: string, isGiven: boolean): OwnDirectory {
  const short = host.split(".")[0] ?? "";
  if (short === "" || short === nodeName) return { name: nodeName, remark: "" };
  if (isGiven) {
    const remark = `/etc/pve/local is nodes/${nodeName} as --name says, not nodes/${short} after the host name`;
    return { name: nodeName, remark };
  }
  const remark = `/etc/pve/local is nodes/${short} after the host name; corosync.conf calls this node ${nodeName}`;
  return { name: short, remark };
}
