// Events and actions of the ring core (Totem single ring with totempg packing): everything that can happen to it and everything it
// can ask for. Spec: totem.md. The ring knows nothing of links, crypto or services.
import type { Answered, EndedPeer, LogAction, RingId, TimerAction } from "../../world.ts";

export type RingTimer =
  | "token"
  | "tokenWarning"
  | "tokenRetransmit"
  | "hold"
  | "keep"
  | "join"
  | "consensus"
  | "merge"
  | "pause";

/** Which of the two send queues: `sync` messages go out between a regular configuration and `synchronised`. */
export type SendQueue = "application" | "sync";

export type RingEvent =
  /** The transport works: leave the starting state, form the first ring (GATHER reason 15). */
  | { readonly kind: "started" }
  /** One whole totem message, our own multicasts included (every transport loops them back). */
  | { readonly kind: "received"; readonly bytes: Uint8Array }
  | { readonly kind: "timedOut"; readonly timer: RingTimer }
  /**
   * A logical message: totempg group header and payload (totem.md §2.2). Kept until sent, also across rings. `answered`: as in GroupRequest,
   * for which the token may be kept a moment (keep.ts).
   */
  | {
      readonly kind: "submitted";
      readonly queue: SendQueue;
      readonly message: Uint8Array;
      readonly answered?: Answered | undefined;
    }
  /**
   * All services are synchronised: the application queue is sent again, the sync buffers are dropped. `ring` is the ring they
   * agree on; the event is ignored when a newer regular configuration was installed meanwhile.
   */
  | { readonly kind: "synchronised"; readonly ring: RingId }
  /** The answer to `paused`. */
  | { readonly kind: "resumed" }
  /** corosync.conf does not name these nodes any more, or not us any more beside them: nothing goes to them or comes from them from now on. */
  | { readonly kind: "removed"; readonly nodeids: readonly number[] }
  /**
   * Whether every member of the present ring has announced itself as one of ours: only then is evidence of a death heeded, and what joins
   * say of it.
   */
  | { readonly kind: "announced"; readonly isAll: boolean }
  /** All nodes whose process has ended, as far as their machines' refusals show (link/evidence.ts); told when it changes. */
  | { readonly kind: "ended"; readonly peers: readonly EndedPeer[] }
  /** Addresses, ports and keys may change on all nodes from now on: refusals mean nothing for a while. */
  | { readonly kind: "reloading" }
  /** Multicast a LEAVE, then be silent for ever (totem.md §3.10). */
  | { readonly kind: "stopped" };

export type RingAction =
  /** `nodeid` may be our own (one-node ring). target_nodeid is already written. */
  | { readonly kind: "unicast"; readonly nodeid: number; readonly bytes: Uint8Array }
  /** To every configured node, and back to ourselves unless `isStored`: that the ring has already. */
  | { readonly kind: "multicast"; readonly bytes: Uint8Array; readonly isStored?: true }
  | TimerAction<RingTimer>
  /** Must be on disk before any later action. */
  | { readonly kind: "persistRing"; readonly ringSeq: number }
  /** A logical message in agreed order (totempg header still in front). */
  | { readonly kind: "delivered"; readonly nodeid: number; readonly message: Uint8Array }
  | {
      readonly kind: "configured";
      readonly type: "transitional" | "regular";
      readonly ring: RingId;
      readonly members: readonly number[];
      readonly left: readonly number[];
      readonly joined: readonly number[];
    }
  /**
   * Every member of the present ring has received its packets up to `seq`, and with them the first `deliveries` messages that were delivered
   * (`delivered` actions since start): none of them can be lost while one member lives. Comes after those deliveries.
   */
  | { readonly kind: "stable"; readonly deliveries: number; readonly seq: number }
  /** Members that are to be heard now: whoever is behind us in the ring; in GATHER (`isForming`) whoever has sent no join. */
  | {
      readonly kind: "sought";
      readonly nodeids: readonly number[];
      readonly isForming: boolean;
    }
  /**
   * Last action of its step. Between the transitional configuration and `synchronised` one step delivers one packet, since
   * the message that ends synchronisation decides how the packets behind it are put together. Carry out everything before
   * this action (with the `synchronised` that may come of it), then step `resumed`. Any later event resumes as well.
   */
  | { readonly kind: "paused" }
  | LogAction;

/** A message that was refused, with the reason as a sentence; `at` in monotonic milliseconds. */
export interface Refusal {
  readonly reason: string;
  readonly at: number;
}

/** Messages of each kind that totem has. */
export interface RingMessageCounts {
  token: number;
  mcast: number;
  mergeDetect: number;
  join: number;
  commit: number;
  holdCancel: number;
}

/** How often each state was entered, and left because the token did not come. */
export interface RingStateCounts {
  gather: number;
  commit: number;
  recovery: number;
  operational: number;
}

export interface RingCounters {
  tokensReceived: number;
  messagesSent: number;
  messagesReceived: number;
  retransmitsSent: number;
  retransmitsAsked: number;
  memberships: number;
  droppedMalformed: number;
  /** By kind, as they came, our own multicasts included. */
  readonly received: RingMessageCounts;
  /** By kind; of tokens only those with which we started a ring, of joins no LEAVE. Nothing that was sent again. */
  readonly sent: RingMessageCounts;
  readonly entered: RingStateCounts;
  readonly tokenLost: RingStateCounts;
  /** Nodes did not agree on the membership in time. */
  consensusTimeouts: number;
}
