// What goes into and comes out of the state machine of one replicated store (dfsm.ts). Spec: pmxcfs.md §4.4–4.12.
import type { Answered, GroupEvent, GroupRequest, LogAction, TimerAction } from "../../world.ts";

export const rejoinMsMin = 6000;
export const verifyIntervalMs = 3_600_000;
/** So long after each state exchange the trees are compared once more: what a newcomer makes of changes is seen soon, not in an hour. */
export const verifySoonMs = 10_000;

/**
 * start: not in the group (or joining) · startSync: states are exchanged · update: the leader fills us up · synced ·
 * leave: left on purpose, rejoins · versionError and error: left for good, only a new process helps.
 */
export type Mode = "start" | "startSync" | "synced" | "update" | "leave" | "versionError" | "error";

/** Modes in which messages and configuration changes count. */
export function isInGroup(mode: Mode): boolean {
  return mode !== "leave" && !isFinal(mode);
}

export function isFinal(mode: Mode): boolean {
  return mode === "error" || mode === "versionError";
}

/** Why nothing can be sent in a mode that is not in the group. */
export function outside(mode: Mode): string {
  return isFinal(mode)
    ? "this node left the group for good; see the log and restart it"
    : "this node is not in the group at the moment; try again in some seconds";
}

export type DfsmTimer = "rejoin" | "verify";

/** `timeS`: Unix seconds of our own clock; goes into headers and epochs only. */
export type DfsmEvent = { readonly timeS: number } & (
  | { readonly kind: "started" }
  | { readonly kind: "groupEvent"; readonly event: GroupEvent }
  /** `token` names the caller; it comes back in exactly one `aborted` or in the replica's own action. */
  | {
      readonly kind: "sendRequested";
      readonly token: number | undefined;
      readonly subtype: number;
      readonly body: Uint8Array;
      readonly answered?: Answered | undefined;
      readonly unit?: number | undefined;
    }
  /** The host retried a `request` as long as it may (100 × 0.1 s) and dropped it. `token` is that request's. */
  | { readonly kind: "sendGivenUp"; readonly token: number | undefined }
  | { readonly kind: "timedOut"; readonly timer: DfsmTimer }
  | { readonly kind: "quorumChanged"; readonly quorate: boolean }
  /** The store may know now what it waited for in `planSync`. */
  | { readonly kind: "planAgain" }
  /** The host could not store a change: the member must go, for good. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Leave and do not come back. */
  | { readonly kind: "stopped" }
);

/**
 * What a request is, for its place among those that wait. Operations keep their order among themselves but go before updates
 * that wait at the end: a member that is filled up queues them whenever they come, all others execute them at once. A new state
 * makes updates that still wait worthless: they are of an older exchange.
 */
export type RequestRank = "operation" | "update" | "state" | "other";

export type DfsmAction =
  /** Requests are carried out in order, as far as their ranks let them: while one is refused, those behind it wait. */
  | {
      readonly kind: "request";
      readonly request: GroupRequest;
      readonly token: number | undefined;
      readonly rank: RequestRank;
      /** As in `Body`. */
      readonly unit?: number | undefined;
    }
  /** The operation of this token will not be executed here (others may have executed it). */
  | {
      readonly kind: "aborted";
      readonly token: number;
      readonly errno: "EBUSY" | "EIO";
      readonly reason: string;
    }
  | { readonly kind: "modeChanged"; readonly mode: Mode }
  /** Our store was compared with that of the member with the lowest nodeid. */
  | { readonly kind: "verified"; readonly isEqual: boolean; readonly digest: string }
  /** Final: this process cannot be a member any more. */
  | { readonly kind: "fatal"; readonly reason: string }
  | TimerAction<DfsmTimer>
  | LogAction;
