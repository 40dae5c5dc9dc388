// What the pure cores and their hosts share: the shapes of timers, log lines and closed process groups, and the few
// things of the outside world that a core may be given. A core never reaches for a clock, a socket or randomness.

export type Level = "error" | "warning" | "notice" | "info" | "debug";

/** A line for the operator. `subsystem` uses corosync's names: TOTEM, KNET, VOTEQ, CPG, SYNC, QUORUM, CFG, MAIN, … */
export interface LogAction {
  readonly kind: "log";
  readonly level: Level;
  readonly subsystem: string;
  readonly text: string;
}

/**
 * A timer is a name, not a handle: `arm` replaces a running one, `disarm` clears it. `at` is in milliseconds on the same
 * monotonic clock as the `now` given to `step`. A host never fires a timer that was re-armed or disarmed since.
 */
export type TimerAction<Timer extends string> =
  | { readonly kind: "arm"; readonly timer: Timer; readonly at: number }
  | { readonly kind: "disarm"; readonly timer: Timer };

/**
 * The form of every protocol core: one event in, ordered actions out (spec: engineering §3).
 * - `now`: milliseconds, monotonic, from an arbitrary start.
 * - The order of actions is a contract: a `persist…` must be durable before any later action is carried out.
 * - Bytes of an event or an action never change, neither by their maker nor by who takes them: so nobody copies in order to keep
 *   them. The host copies once, out of a buffer that it uses again. Who keeps a small part of them for long copies that part
 *   (`ownBytes`): a view keeps the whole buffer alive.
 */
export interface Core<Event, Action> {
  step(event: Event, now: number, out: Action[]): void;
}

/** The identity of a ring (totem.md §1). */
export interface RingId {
  /** nodeid of the representative. */
  readonly rep: number;
  readonly seq: number;
}

export function sameRing(a: RingId, b: RingId): boolean {
  return a.rep === b.rep && a.seq === b.seq;
}

/** As corosync prints it everywhere: both halves in hexadecimal. */
export function ringText(ring: RingId): string {
  return `${ring.rep.toString(16)}.${ring.seq.toString(16)}`;
}

/** Time as a host gives it; the simulator's own in the simulator. */
export interface Clock {
  /** Milliseconds, monotonic, from an arbitrary start. */
  readonly now: () => number;
  /** Calls `act` once, not before `delayMs` (0 … 2^31 - 1) have passed; the result takes that back. */
  readonly after: (delayMs: number, act: () => void) => () => void;
}

/** A source of randomness; seeded in the simulator. */
export interface Random {
  /** A whole number in 0 … limit - 1. */
  below(limit: number): number;
}

/** SHA-256 over several pieces as if they were one; 32 bytes. */
export type Sha256 = (pieces: readonly Uint8Array[]) => Uint8Array;

/** A process in a closed process group (CPG). */
export interface GroupMember {
  readonly nodeid: number;
  readonly pid: number;
}

/** A node that is silent while its machine refuses packets on these links. */
export interface EndedPeer {
  readonly nodeid: number;
  readonly links: readonly number[];
}

/** Quorate nodes are in it, originals are not; as CPG sees it: the NUL counts. */
export const quorateGroup = "quorate_v1\0";

/** CPG's reasons on the wire: 1 join, 2 leave, 3 node down, 4 node up, 5 process died. */
export type GroupReason = 1 | 2 | 3 | 4 | 5;

export interface GroupChange extends GroupMember {
  readonly reason: GroupReason;
}

/** What a group member sees, in one total order on all members. `group` is a byte string, any trailing NUL included. */
export type GroupEvent =
  | {
      readonly kind: "delivered";
      readonly group: string;
      readonly nodeid: number;
      readonly pid: number;
      readonly message: Uint8Array;
    }
  | {
      readonly kind: "configured";
      readonly group: string;
      /** Ascending by (nodeid, pid). */
      readonly members: readonly GroupMember[];
      readonly left: readonly GroupChange[];
      readonly joined: readonly GroupChange[];
    };

/**
 * The first `deliveries` messages delivered to us (`delivered` events, all groups, since start) were received by every member of the
 * ring: none of them can be lost while one of those lives. Comes in order with the events; never while the ring changes.
 */
export interface StableEvent {
  readonly kind: "stable";
  readonly deliveries: number;
}

export type PortEvent = GroupEvent | StableEvent;

/** When the sender of a message has its answer: as it is delivered here, as it is stable, or when the disks of others have it too. */
export type Answered = "delivered" | "stable" | "stored";

/**
 * What a group member may ask. One membership per group and process. `answered`: whoever waits for this message has its answer then, and
 * probably sends the next at once; absent: nobody waits, or for more than that.
 */
export type GroupRequest =
  | { readonly kind: "join"; readonly group: string }
  | { readonly kind: "leave"; readonly group: string }
  | {
      readonly kind: "send";
      readonly group: string;
      readonly message: Uint8Array;
      readonly answered?: Answered | undefined;
    };

/**
 * What this member has received of one group, and of its quorum, known at any moment and ahead of the listener. Whatever any member calls stable is counted
 * here by then: who answers from what the listener has made, and waits until it has passed the mark of now, never answers with less than
 * what was stable when it was asked.
 */
export interface Receipts {
  /** What has been received so far. */
  mark(): number;
  /** Whether the listener has had everything up to a mark. */
  hasPassed(mark: number): boolean;
  /**
   * Something was given out that holds only until the next event of the group: `message` (40 bytes) is written to the device with
   * that event, before any other member can know that it came. Undefined: no room, so nothing may be given out. Ask for `mark` again
   * afterwards: what has come meanwhile withdraws nothing any more.
   */
  withdraw(message: Uint8Array): number | undefined;
  /** Whether that is still to be written. */
  isWaiting(withdrawal: number): boolean;
  /** Where to write; undefined: nowhere, and the descriptor may be closed when this returns. */
  device(fd: number | undefined): void;
}

/** Closed process groups as their users (the tree) know them: ordered messages and membership, nothing of the ring. */
export interface GroupPort {
  /** Our own identity in every group. */
  readonly self: GroupMember;
  /**
   * Queues a request. False: too much is waiting already and nothing was queued; `whenRoom` tells when to try again.
   * Own messages come back through the listener like everybody's.
   */
  request(request: GroupRequest): boolean;
  /** Calls `act` once, later, when a request may be taken again. */
  whenRoom(act: () => void): void;
  /** Resolves once the listener has all that this member had received when it was asked; at once when the ring has ended. */
  caughtUp(): Promise<void>;
  /** Of one group, chosen where the port is made; undefined where nothing keeps what it read (tests, tools). */
  readonly receipts?: Receipts;
  /** Sets the one listener. It is called with all events of one turn of the ring together, in order. */
  listen(listener: (events: readonly PortEvent[]) => void): void;
}
