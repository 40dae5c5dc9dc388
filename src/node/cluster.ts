// The ring thread as the main thread sees it: what the tree, the API and the commands may use of it.
import type { GroupPort } from "../world.ts";
import type { RingSnapshot } from "./bridge.ts";
import type { QuorumView } from "./events.ts";
import type { NodeSettings } from "./settings.ts";

export interface Cluster {
  readonly settings: NodeSettings;
  readonly groups: GroupPort;
  /** Latest published quorum state; undefined before the first synchronisation. */
  readonly quorum: QuorumView | undefined;
  onQuorum(listener: (quorum: QuorumView) => void): void;
  /** Resolves when the ring thread has ended; rejects never. */
  readonly finished: Promise<{ readonly clean: boolean; readonly reason: string }>;
  snapshot(): Promise<RingSnapshot>;
  setExpectedVotes(votes: number): Promise<{ readonly ok: boolean; readonly reason: string }>;
  cancelWaitForAll(): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Leaves the groups and the ring gracefully. */
  stop(): Promise<void>;
}
