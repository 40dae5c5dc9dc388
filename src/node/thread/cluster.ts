// The ring thread as the main thread sees it: what the API and the status may use of it, which a node without a ring answers too, and what
// the tree and the node itself use.
import type { GroupPort } from "../../world.ts";
import type { RingSnapshot } from "./bridge.ts";
import type { ReloadOutcome } from "./reloader.ts";
import type { MemberEnd, QuorumView } from "../member/events.ts";
import type { ConfigurationKey } from "../settings/configuration-keys.ts";
import type { NodeSettings } from "../settings/settings.ts";

export interface Cluster {
  /** In force now: a reload replaces them. */
  readonly settings: NodeSettings;
  /** The last reload that was tried, whoever asked for it; undefined: none since start. */
  readonly lastReload: ReloadOutcome | undefined;
  /** Latest published quorum state; undefined before the first synchronisation. */
  readonly quorum: QuorumView | undefined;
  onQuorum(listener: (quorum: QuorumView) => void): void;
  snapshot(): Promise<RingSnapshot>;
  setExpectedVotes(votes: number): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Running votes of one node, until it states its own again (services.md §4.11). */
  setVotes(
    nodeid: number,
    votes: number,
  ): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Member `nodeid` ends at once, without leaving the ring; `reason` is for its log. */
  killNode(
    nodeid: number,
    reason: string,
  ): Promise<{ readonly ok: boolean; readonly reason: string }>;
  cancelWaitForAll(): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Ends the quorum device's client until corosync.conf is reloaded. */
  stopDevice(): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /**
   * Asks all nodes to read corosync.conf again, as `corosync-cfgtool -R` does; resolves when this node has done so, which says
   * nothing about the others.
   */
  reload(): Promise<ReloadOutcome>;
  /** Puts these keys of corosync.conf in force in place of those that are, on this node alone and until the next reload. */
  changeConfiguration(
    keys: readonly ConfigurationKey[],
  ): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Called with the settings of every reload that succeeded. */
  onReloaded(listener: (settings: NodeSettings) => void): void;
}

export interface RingCluster extends Cluster {
  readonly groups: GroupPort;
  /** Resolves when the ring thread has ended; rejects never. */
  readonly finished: Promise<MemberEnd>;
  /** Leaves the groups and the ring gracefully. */
  stop(): Promise<void>;
}
