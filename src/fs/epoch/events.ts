// What goes into and comes out of the core that agrees on epochs and durable positions (epochs.ts).
import type { GroupEvent, GroupMember, LogAction } from "../../world.ts";
import type { Epoch as Exchange } from "../replica/message.ts";
import type { Lineage } from "./lineage.ts";
import type { VoteCounts } from "./votes-needed.ts";

export interface QuorumOfRing extends VoteCounts {
  /** Sequence of the ring. */
  readonly ringSeq: number;
}

export type EpochEvent =
  /** Of our own group. */
  | { readonly kind: "groupEvent"; readonly event: GroupEvent }
  | { readonly kind: "quorumChanged"; readonly view: QuorumOfRing }
  /** The tree's group has other members: what they agreed on is void. */
  | { readonly kind: "treeConfigured"; readonly members: readonly GroupMember[] }
  /** We are asked for our state. */
  | { readonly kind: "exchangeBegan"; readonly exchange: Exchange }
  /** `isEqual`: our tree is the leader's already; else it will be replaced, and `adopted` asked for what to store with it. */
  | { readonly kind: "led"; readonly leader: GroupMember; readonly isEqual: boolean }
  /** Our tree is the leader's; `version`: before any change that waited. */
  | { readonly kind: "synced"; readonly exchange: Exchange; readonly version: number }
  /** A change of another node (nodeid), after which the tree has this version, and whose writer waits for the disks of a majority. */
  | { readonly kind: "awaited"; readonly version: number; readonly writer: number }
  /** What `wait` asked for has passed. */
  | { readonly kind: "waited" }
  /** A caller here waits for the disks of the others, and what it changed does not show that. */
  | { readonly kind: "asked"; readonly version: number }
  /** This disk has the tree of this process up to here; undefined: not since the tree was replaced. */
  | { readonly kind: "durable"; readonly version: number | undefined }
  /** This disk has what `store` asked for, and all before it. */
  | { readonly kind: "stored"; readonly lineage: Lineage };

export type EpochAction =
  | { readonly kind: "send"; readonly message: Uint8Array }
  /** To be made durable behind all changes of the tree so far; answered by `stored`. */
  | { readonly kind: "store"; readonly lineage: Lineage }
  /** Somebody waits for this disk to have all changes so far. */
  | { readonly kind: "hurry" }
  /** Look again in a moment (`waited`), in place of a moment that was asked for before. */
  | { readonly kind: "wait" }
  | LogAction;

/** What may be answered. */
export interface Standing {
  /** The epoch of this component is on the disks of a majority, so nothing older can lead any more. */
  readonly isAgreed: boolean;
  /** Disks of a majority of the votes have the tree up to this version; undefined: not all members can say what theirs have. */
  readonly majority: number | undefined;
}
