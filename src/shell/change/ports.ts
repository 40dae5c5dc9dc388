// What a change of a running cluster needs of it: one node's view, corosync.conf of the tree under its lock, the tree, the log. The daemon gives
// its own (`node-ports.ts`), tests a cluster on paper.

/** How the cluster looks from the node that carries out a change. */
export interface ClusterView {
  /** Its nodeid. */
  readonly self: number;
  /** config_version of what it runs with. */
  readonly configVersion: number;
  /** Why it refused the last corosync.conf, a sentence; "" when it did not. */
  readonly refusal: string;
  readonly quorate: boolean;
  readonly totalVotes: number;
  readonly quorum: number;
  /** nodeids in the ring, its own too. */
  readonly members: readonly number[];
  /** config_version that each member runs with, as it said last; who has said nothing is not among them. */
  readonly versions: readonly { readonly nodeid: number; readonly version: number }[];
  /** To every other node. */
  readonly links: readonly {
    readonly nodeid: number;
    readonly link: number;
    readonly isConnected: boolean;
    readonly remoteAddress: string;
  }[];
}

/** Methods reject with a sentence. Paths are those of the tree: "nodes/pve1". Text holds one character a byte. */
export interface ChangePorts {
  readonly cluster: {
    view(): Promise<ClusterView>;
    /** Resolves when the view may be another one, after `turnMs` at the latest. */
    turn(signal: AbortSignal): Promise<void>;
    /** corosync.conf of the tree. */
    conf(): Promise<string>;
    /** Replaces it in one step that all nodes see as one; they reload by themselves. */
    putConf(text: string): Promise<void>;
    /**
     * Runs `work` while nobody else changes corosync.conf. `isRepeated`: a daemon that was killed may have left the lock, which is free
     * two minutes later.
     */
    locked(isRepeated: boolean, work: () => Promise<void>): Promise<void>;
    /** Ends a running member's daemon through the ring. */
    kill(nodeid: number, reason: string): Promise<void>;
    /** Why no link can have this address or name, a predicate; "" when one can. */
    addressFault(address: string): Promise<string>;
    /** A line for the cluster log of all nodes. */
    log(message: string): Promise<void>;
  };
  readonly tree: {
    /** Names in a directory, those of directories with a slash at their end; empty when it is not there. */
    list(path: string): Promise<readonly string[]>;
    /** Undefined: it is not there. */
    read(path: string): Promise<string | undefined>;
    put(path: string, text: string): Promise<void>;
    /** A file or an empty directory; one that is gone is no failure. */
    remove(path: string): Promise<void>;
    move(from: string, to: string): Promise<void>;
    /** One that is there is no failure. */
    makeDirectory(path: string): Promise<void>;
  };
}

/** Between two looks at the cluster. */
export const turnMs = 250;

/** The original's sentence for a node without corosync.conf in its tree. */
export const notClusteredText =
  "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?";

/** Ours, with what to do. */
export const standaloneText =
  "this node is standalone: it is in no cluster. Create one (quorate create NAME), or join one (quorate join TOKEN)";

/** The original's sentence for a node that shall remove itself. */
export const deletesItselfText = "Cannot delete myself from cluster!";

/** The original's sentence where nothing can be changed. */
export const noQuorumText = "cluster not ready - no quorum?";
