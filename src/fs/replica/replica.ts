// What a replicated store must be able to do so that `Dfsm` keeps it equal on all members of a group: the tree (dcdb.ts)
// and the status store (status.ts) are the two. Spec: pmxcfs.md §4. Everything here is synchronous and pure.
import type { Result } from "../../result.ts";
import type { GroupMember } from "../../world.ts";
import type { Body, Epoch } from "./message.ts";

export interface MemberState extends GroupMember {
  /** Body of the member's STATE message. */
  readonly state: Uint8Array;
}

/** Where actions go: an array of these or of more kinds. */
export interface Sink<Action> {
  push(action: Action): unknown;
}

/** What follows from all states together. Every member makes the same plan from the same states. */
export type SyncPlan =
  /** All are equal from now on; `send` are messages that fill the others up. */
  | { readonly kind: "merged"; readonly send: readonly Body[] }
  /** `leader` and `synced` are positions in the list of states; the leader counts as synced. */
  | { readonly kind: "led"; readonly leader: number; readonly synced: readonly boolean[] }
  | { readonly kind: "refused"; readonly reason: string }
  /** Not all is here that it takes; `planAgain` says when to ask once more. At one place of the order on all members. */
  | { readonly kind: "waiting" };

export interface Delivery {
  readonly sender: GroupMember;
  readonly subtype: number;
  /** May be kept: nobody changes it any more. */
  readonly body: Uint8Array;
  /** Unix seconds in the header: the sender's clock. */
  readonly timeS: number;
  /** We sent it (same nodeid and pid). */
  readonly isOwn: boolean;
  /** Our nodeid is the lowest of the members. */
  readonly isLowest: boolean;
  /** The caller that waits for it, if we sent it and somebody does. */
  readonly token: number | undefined;
}

export type Executed =
  | { readonly kind: "done"; readonly send?: Body }
  /** This member cannot go on as it is: leave, rejoin, be filled up again. */
  | { readonly kind: "leave"; readonly reason: string };

/** `Action` is what the store asks of its host besides. */
export interface Replica<Action> {
  /** CPG name, NUL included. */
  readonly group: string;
  readonly protocol: number;
  /** Word for the log: "dcdb" or "status". */
  readonly domain: string;

  quorumChanged(quorate: boolean): void;
  /** A configuration change; collected updates are void. Ascending by (nodeid, pid). */
  membersChanged(members: readonly GroupMember[], out: Sink<Action>): void;
  /** Messages to send at each entry into the synced mode. `exchange`: names the state exchange, or the configuration of one member. */
  becameSynced(exchange: Epoch, out: Sink<Action>): readonly Body[];

  encodeState(exchange: Epoch, out: Sink<Action>): Uint8Array;
  /** `states` ascending by (nodeid, pid), one for each member; `self`: position of our own. */
  planSync(
    states: readonly MemberState[],
    self: number,
    out: Sink<Action>,
    exchange: Epoch,
  ): SyncPlan;
  /**
   * Leader only: what the others of these states need, each to be called for the body of its UPDATE message when that can be sent;
   * whatever is changed meanwhile, a body is of now.
   */
  updatesFor(states: readonly MemberState[], self: number): Iterable<() => Uint8Array>;
  /** Keeps one update until `commit` or the next configuration change. */
  addUpdate(body: Uint8Array): Result<undefined>;
  /** Becomes what the leader's state says with the kept updates, or stays as it is and says why. */
  commit(leaderState: Uint8Array, now: number, out: Sink<Action>): Result<undefined>;

  /** Carries out one operation. `now`: monotonic milliseconds. */
  deliver(delivery: Delivery, now: number, out: Sink<Action>): Executed;
  /** Hash over everything; undefined: this store is not verified. */
  checksum(): Uint8Array | undefined;
}
