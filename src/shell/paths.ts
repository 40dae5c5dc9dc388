// Where a node keeps its things: corosync's and Proxmox's own paths, all of them below one directory with --root.
import { dirname, join, resolve } from "node:path";

export interface NodePaths {
  readonly root: string;
  readonly conf: string;
  readonly authkey: string;
  /** Directory of ringid_<nodeid>. */
  readonly stateDir: string;
  /** Directory of the certificates for a vote server. */
  readonly deviceDir: string;
  /** The options that the service unit of corosync-qdevice reads. */
  readonly deviceDefaults: string;
  /** Where corosync-qdevice-tool asks. */
  readonly deviceSocket: string;
  /** Directory of config.db. */
  readonly treeDir: string;
  readonly mount: string;
  /** The local API's socket. */
  readonly socket: string;
  /** Where an operation under way has its record. */
  readonly operationDir: string;
  /** What the charts show, from one run of the node to the next. */
  readonly history: string;
  /** What was announced of alerts. */
  readonly alerts: string;
  /** Where the logs of tasks lie. */
  readonly taskDir: string;
  /** The hashes of the passwords by which people log in. */
  readonly shadow: string;
  /** Certificate and key that the network API shows until the tree has some. */
  readonly selfSigned: string;
}

/** Paths below `root` ("/" for a real machine); `root` may be relative to the current directory. */
export function nodePaths(root: string): NodePaths {
  const base = resolve(root) === "/" ? "" : resolve(root);
  return {
    root: base === "" ? "/" : base,
    conf: `${base}/etc/corosync/corosync.conf`,
    authkey: `${base}/etc/corosync/authkey`,
    stateDir: `${base}/var/lib/corosync`,
    deviceDir: `${base}/etc/corosync/qdevice/net`,
    deviceDefaults: `${base}/etc/default/corosync-qdevice`,
    deviceSocket: `${base}/var/run/corosync-qdevice/corosync-qdevice.sock`,
    treeDir: `${base}/var/lib/pve-cluster`,
    mount: `${base}/etc/pve`,
    socket: `${base}/run/quorate.sock`,
    operationDir: `${base}/var/lib/quorate`,
    history: `${base}/var/lib/quorate/history.json`,
    alerts: `${base}/var/lib/quorate/alerts.json`,
    taskDir: `${base}/var/log/pve/tasks`,
    shadow: `${base}/etc/shadow`,
    selfSigned: `${base}/var/lib/quorate/api/self-signed.pem`,
  };
}

/** The lock that a node holds from before it has its socket to its end (pmxcfs.md §1.1). `socket`: the local API's. */
export function treeLockOf(socket: string): string {
  return join(nodePaths(join(dirname(socket), "..")).treeDir, ".pmxcfs.lockfile");
}
