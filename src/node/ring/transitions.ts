// The transitions of the ring's state (totem.md §3.1), one function each: it sets all that the transition sets, and nothing else
// sets `phase`. What a transition sends, arms and logs stands in the `enter…` function of its state. Pure.
import type { CommitToken } from "./message.ts";
import type { RingState } from "./state.ts";

/** Membership is open again; what is known of processor and failed sets stays, and so does the ring that was being formed. */
export function becomeGather(state: RingState): void {
  state.phase = "gather";
  state.counters.entered.gather += 1;
  state.proc.add(state.nodeid);
  state.consensus = new Set([state.nodeid]);
  state.isTokenHeld = false;
  state.kept = undefined;
  state.followed = undefined;
  state.isMergeArmed = false;
}

/** No ring can follow ours: we are on one that nobody was on, as a new node is. The installed ring stays what it was. */
export function restartCount(state: RingState): void {
  state.ring = { rep: state.nodeid, seq: 1 };
}

/** The ring that `token` proposes is being formed. */
export function becomeCommit(state: RingState, token: CommitToken): void {
  state.phase = "commit";
  state.counters.entered.commit += 1;
  state.continuousGathers = 0;
  state.ring = token.ring;
  state.ringSeqReceived = 0;
  state.newMembers = token.members;
  state.sentLastVisit = 0;
  state.backlogLastVisit = 0;
}

/** `transMembers`: those of the new members that come along from the installed ring. */
export function becomeRecovery(state: RingState, transMembers: readonly number[]): void {
  state.phase = "recovery";
  state.counters.entered.recovery += 1;
  state.transMembers = transMembers;
  state.recovery.clear();
  state.originate.clear();
  // The first token carries 0, which must come after it.
  state.lastTokenSeq = 0xffff_ffff;
  state.lastSeq = 0;
  state.lastAru = 0;
  state.passedAru = 0;
  state.aruCount = 0;
  // A representative that comes from an idle ring would hold the token in here for seconds.
  state.seqUnchanged = 0;
  state.isTokenHeld = false;
  state.isFlagSetter = false;
  state.flagCount = 0;
  state.installSeq = 0;
  state.rotations = 0;
  state.isInitialTokenSent = false;
}

/** The ring that was being formed is the installed one; all that was numbered in RECOVERY counts as delivered. */
export function becomeOperational(state: RingState): void {
  const { recovery, regular } = state;
  state.phase = "operational";
  state.counters.entered.operational += 1;
  state.installed = state.ring;
  state.members = state.newMembers;
  state.proc = new Set([state.nodeid, ...state.newMembers]);
  state.failed = new Set();
  state.leaving = new Set();
  state.isFailedToReceive = false;
  state.regular = recovery;
  state.recovery = regular;
  state.recovery.clear();
  // The rotations have shown that aru covers every wrapper; what a stray packet put above it is none.
  recovery.dropAboveAru();
  recovery.releaseTo(recovery.aru);
  state.highDelivered = recovery.aru;
  state.unstable = [];
  state.originate.clear();
  state.lastAru = 0;
  state.aruCount = 0;
  state.application.ringChanged();
  state.sync.ringChanged();
}

/** Silent for ever. */
export function becomeStopped(state: RingState): void {
  state.phase = "stopped";
  state.kept = undefined;
}
