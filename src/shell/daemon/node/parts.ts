// What the parts of a running node know of each other: the options it was started with, and what runs so far.
import type { ConfigurationTree } from "../../../fs/fs.ts";
import type { Durability } from "../../../fs/tree-options.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { LogAction } from "../../../world.ts";
import type { RecentLog } from "../../monitor/recent-log.ts";
import type { NodePaths } from "../../paths.ts";
import type { Tasks } from "../../task/tasks.ts";
import type { ApiAddress } from "../door.ts";
import type { NodeOperations } from "./node-operations.ts";
import type { ServiceManager } from "../service-notify.ts";
import type { ClusterLogger } from "./cluster-log.ts";

export interface NodeOptions {
  readonly paths: NodePaths;
  /** Our name in the nodelist, and of our directory in the tree, when they are not the host's. */
  readonly name: string | undefined;
  /** Where to mount the tree; undefined: not at all. */
  readonly mount: string | undefined;
  readonly durability: Durability;
  /** Where the network API listens; undefined: nowhere. */
  readonly api: ApiAddress | undefined;
  readonly version: string;
  readonly log: (line: LogAction) => void;
}

/** Why a running node ends. */
export interface End {
  readonly code: number;
  readonly reason: string;
  /** It begins anew as the same process, once everything is given back. */
  readonly isRestart?: true;
}

export interface NodeParts {
  readonly options: NodeOptions;
  /** Without a corosync.conf a node is alone: no ring, its tree is local and always writable (pmxcfs's local mode). */
  readonly mode: "standalone" | "cluster";
  readonly cluster: Cluster;
  readonly tree: ConfigurationTree;
  /** Of our directory below `nodes/` in the tree. */
  readonly directoryName: string;
  /** Runs what takes longer than an answer. */
  readonly tasks: Tasks;
  /** Tells all nodes who did what. */
  readonly clusterLog: ClusterLogger;
  readonly manager: ServiceManager;
  /** Unix seconds. */
  readonly startedAt: number;
  /** Where the tree is mounted; a target of "" with the reason beside it: nowhere. */
  readonly mount: () => { readonly target: string; readonly reason: string };
  readonly log: Log;
  /** The last lines of it. */
  readonly recentLog: RecentLog;
  readonly end: (end: End) => void;
  /** The node leaves its cluster gracefully and begins anew as the same process. `reason`: for its log. Returns at once. */
  readonly restart: (reason: string) => void;
  /** Why it runs standalone although it has the configuration of a member, a sentence; "": it is as it is configured. */
  readonly startFault: string;
  /** Aborted when the node begins to end, whatever for: what is under way is left to its next start. */
  readonly ending: AbortSignal;
  /** Plans that run as tasks. */
  readonly operations: NodeOperations;
}

/** Of `subsystem` MAIN where none is given. */
export type Log = (level: LogAction["level"], text: string, subsystem?: string) => void;

/** Undoes what a part has started; parts end in reverse order. */
export type Stop = () => Promise<void>;

/** Starts what runs beside the tree; throws CommandFailure when the node cannot do without it. */
export type NodeService = (parts: NodeParts) => Promise<Stop>;
