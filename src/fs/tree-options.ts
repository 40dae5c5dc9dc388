// What the tree of a node is opened with.
import type { Clock, GroupPort, LogAction } from "../world.ts";

/** What the tree shows of the cluster (`.members`). */
export interface ClusterInfo {
  readonly name: string;
  /** totem.config_version */
  readonly configVersion: number;
  readonly nodes: readonly { readonly nodeid: number; readonly name: string }[];
}

/** strict: every change is answered as `durable`. full: each as it was asked for. normal: what pmxcfs does, no commit waits for a flush. */
export type Durability = "strict" | "full" | "normal";

export interface TreeOptionsOfNode {
  /** Directory of `config.db`. */
  readonly directory: string;
  readonly nodeid: number;
  readonly nodeName: string;
  readonly pid: number;
  /** Undefined: local mode. */
  readonly groups: GroupPort | undefined;
  /** Own address as text, for `.members` of all nodes. */
  readonly address?: string;
  /** Undefined in local mode. */
  readonly cluster: ClusterInfo | undefined;
  /** The ring's own copy of corosync.conf. */
  readonly corosyncConfPath: string;
  readonly durability: Durability;
  /** Tries for the lock of the directory, one a second; default 10. */
  readonly lockTries?: number;
  /** gid of www-data; undefined when there is no such group. */
  readonly gid?: number;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** Default: this process's. */
  readonly clock?: Clock;
  readonly log: (line: LogAction) => void;
  /** This node cannot keep its tree any more and must stop. Called once. */
  readonly onFatal: (reason: string) => void;
  /** The local corosync.conf was replaced. `reload`: this node wrote the change, so it tells the ring. */
  readonly onCorosyncConf: (conf: { readonly version: number; readonly reload: boolean }) => void;
}
