// The votes a node knows of and what follows from them (services.md §4.1, §4.2): how many make a quorum, and whether we have it.
// Every node with the same deliveries must come to the same numbers: no rounding, order or clock of our own.
import { voterFlags } from "./message.ts";
import { expectedAtLeast, neededVotes } from "./needed.ts";
import type { Rules } from "./rules.ts";

export type VoterState = "member" | "dead" | "leaving";

export interface Voter {
  readonly nodeid: number;
  state: VoterState;
  votes: number;
  expectedVotes: number;
  flags: number;
}

export interface Ledger {
  rules: Rules;
  readonly us: Voter;
  /** By nodeid, ourselves included. */
  readonly voters: Map<number, Voter>;
  /** Votes of the quorum device: the most anybody claims for it. */
  deviceVotes: number;
  quorum: number;
  isQuorate: boolean;
  /** Configured expected votes: the floor of allow_downscale. */
  barrier: number;
  /** The floor of expected_votes_tracking, kept over restarts. 0: none yet. */
  trackingBarrier: number;
  /** Ends of the last membership that was quorate by itself; the tie breaker looks for them. */
  lowest: number;
  highest: number;
  /** The two were set by a quorate membership. */
  hasEnds: boolean;
  /** Members of the ring before the current one, and of the current one. */
  previous: readonly number[];
  current: readonly number[];
  /** wait_for_all has not seen everybody yet. */
  isWaiting: boolean;
  /** The local device client lets the node that has the device's vote win. */
  masterWins: boolean;
}

export interface Tally {
  readonly quorum: number;
  readonly total: number;
}

export const hasFlag = (voter: Voter, flag: number): boolean => (voter.flags & flag) !== 0;

export function setFlag(voter: Voter, flag: number, isOn: boolean): void {
  voter.flags = isOn ? voter.flags | flag : voter.flags & ~flag;
}

export function* members(ledger: Ledger): Generator<Voter> {
  for (const voter of ledger.voters.values()) if (voter.state === "member") yield voter;
}

/**
 * `mayDecrease`: the quorum may become smaller than it is. `maxExpected`: expected votes to assume, 0 for those that the
 * members state.
 */
export function calculate(
  ledger: Ledger,
  mayDecrease: boolean,
  maxExpected: number,
  allowDownscale = ledger.rules.allowDownscale,
): Tally {
  let assumed = maxExpected;
  if (allowDownscale && mayDecrease && assumed > 0) assumed = Math.max(ledger.barrier, assumed);
  let total = 0;
  let count = 0;
  let highest = 0;
  for (const voter of members(ledger)) {
    total += voter.votes;
    count += 1;
    highest = Math.max(highest, voter.expectedVotes);
  }
  if (hasFlag(ledger.us, voterFlags.deviceCastVote)) {
    total += ledger.deviceVotes;
    count += 1;
  }
  if (assumed > 0) highest = assumed;
  let quorum = neededVotes(highest, total);
  if (!mayDecrease) quorum = Math.max(ledger.quorum, quorum);
  if (ledger.rules.twoNode && count <= 2) quorum = 1;
  return { quorum, total };
}

export interface Recalculation {
  readonly total: number;
  /** wait_for_all still waits, nothing else changed. */
  readonly isWaitingForAll: boolean;
  /** The floor of expected votes rose and must be stored. */
  readonly hasNewTrackingBarrier: boolean;
}

/** `byNodes`: expected votes become the number of nodes that are there (last man standing, downscale). */
export function recalculate(ledger: Ledger, mayDecrease: boolean, byNodes: boolean): Recalculation {
  const { us, rules } = ledger;
  let present = 0;
  let count = 0;
  for (const voter of members(ledger)) {
    present += voter.votes;
    count += 1;
  }
  if (ledger.deviceVotes > 0) count += 1;
  const assumed = byNodes ? count : 0;
  us.expectedVotes = expectedAtLeast(us.expectedVotes, present, ledger.deviceVotes);
  let hasNewTrackingBarrier = false;
  const isHigher =
    us.expectedVotes > ledger.trackingBarrier && us.expectedVotes <= rules.expectedVotesMax;
  if (rules.expectedVotesTracking && isHigher) {
    ledger.trackingBarrier = us.expectedVotes;
    hasNewTrackingBarrier = true;
  }
  const tally = calculate(ledger, mayDecrease, assumed);
  ledger.quorum = tally.quorum;
  if (assumed > 0) for (const voter of members(ledger)) voter.expectedVotes = assumed;
  return {
    total: tally.total,
    isWaitingForAll: !updateQuorate(ledger, tally.total),
    hasNewTrackingBarrier,
  };
}

/** An operator's expected votes for all members; `recalculate` with `mayDecrease` is to follow. */
export function takeExpectedVotes(ledger: Ledger, votes: number): void {
  const { us } = ledger;
  for (const voter of members(ledger)) if (votes > 0) voter.expectedVotes = votes;
  ledger.barrier = votes;
  if (ledger.rules.expectedVotesTracking) {
    us.expectedVotes = Math.max(us.expectedVotes, ledger.trackingBarrier);
  }
}

/** Decides again whether we are quorate. False: wait_for_all still waits, nothing changes. */
function updateQuorate(ledger: Ledger, total: number): boolean {
  const { rules, us } = ledger;
  if (rules.waitForAll && ledger.isWaiting) {
    if (total !== us.expectedVotes) return false;
    setWaiting(ledger, false);
  }
  let isQuorate = total >= ledger.quorum;
  if (isQuorate) rememberEnds(ledger);
  const lost = ledger.previous.length - ledger.current.length;
  if (
    !isQuorate &&
    rules.tieBreaker !== undefined &&
    total === Math.floor(us.expectedVotes / 2) &&
    lost < ledger.quorum
  ) {
    isQuorate = winsTie(ledger);
  }
  if (!isQuorate && ledger.masterWins) isQuorate = hasMaster(ledger);
  ledger.isQuorate = isQuorate;
  setFlag(us, voterFlags.quorate, isQuorate);
  // Armed again by every loss: after it a mere majority is not enough (services.md §4.7).
  if (rules.waitForAll) setWaiting(ledger, !isQuorate);
  return true;
}

export function setWaiting(ledger: Ledger, isWaiting: boolean): void {
  ledger.isWaiting = isWaiting;
  setFlag(ledger.us, voterFlags.waitForAll, isWaiting);
}

function rememberEnds(ledger: Ledger): void {
  ledger.hasEnds = true;
  ledger.lowest = ledger.us.nodeid;
  ledger.highest = ledger.us.nodeid;
  for (const voter of members(ledger)) {
    ledger.lowest = Math.min(ledger.lowest, voter.nodeid);
    ledger.highest = Math.max(ledger.highest, voter.nodeid);
  }
}

function winsTie(ledger: Ledger): boolean {
  const breaker = ledger.rules.tieBreaker;
  if (breaker === undefined) return false;
  const isMember = (nodeid: number): boolean => ledger.voters.get(nodeid)?.state === "member";
  switch (breaker.kind) {
    // A half that was started as such, and was never part of a majority, does not know whose the tie is: the other half may have it.
    case "lowest":
      return ledger.hasEnds && isMember(ledger.lowest);
    case "highest":
      return ledger.hasEnds && isMember(ledger.highest);
    case "list":
      for (const nodeid of breaker.nodes) {
        if (ledger.current.includes(nodeid)) return true;
        if (ledger.previous.includes(nodeid)) return false; // The other half has a better one.
      }
      return false;
  }
  breaker satisfies never;
}

function hasMaster(ledger: Ledger): boolean {
  const wanted = voterFlags.deviceMasterWins | voterFlags.deviceCastVote;
  for (const voter of members(ledger)) if ((voter.flags & wanted) === wanted) return true;
  return false;
}
