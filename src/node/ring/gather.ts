// GATHER: who is there? (totem.md §3.3, §3.5, §3.10, §3.11). Join messages spread the processor and failed sets until all nodes
// in proc - failed say the same; then the lowest of them creates the commit token. Lists are sets here: their order means nothing.
import { createCommitToken, enterCommit } from "./commit.ts";
import {
  failEndedMembers,
  gatherBegan,
  joinHeard,
  mustGatherForDeath,
  processorList,
  seek,
} from "./deaths.ts";
import type { RingAction } from "./events.ts";
import { encodeMessage, nodesMax, type Join } from "./message.ts";
import { ringSeqFollowedMax } from "./sequence.ts";
import { arm, ascending, disarm, freshReason, log, refuse, type RingState } from "./state.ts";
import { becomeGather, restartCount } from "./transitions.ts";

/** Why GATHER was entered: corosync's numbers and texts of the debug log. */
export type GatherReason = 0 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16;

const reasonTexts: Readonly<Record<GatherReason, string>> = {
  0: "consensus timeout",
  2: "The token was lost in the OPERATIONAL state.",
  3: "The consensus timeout expired.",
  4: "The token was lost in the COMMIT state.",
  5: "The token was lost in the RECOVERY state.",
  6: "failed to receive",
  7: "foreign message in operational state",
  8: "foreign message in gather state",
  9: "merge during operational state",
  10: "merge during gather state",
  11: "merge during join",
  12: "join during operational state",
  13: "join during commit state",
  14: "join during recovery",
  15: "interface change",
  // Ours alone.
  16: "a member's process has ended.",
};

const gathersBeforeWarning = 3;
/** Pauses are measured with a stamp every token / 5, and one of token / 2 counts (totem.md §3.11). */
const stampsPerToken = 5;
const pausesPerToken = 2;

/** Enters or re-enters GATHER: a join goes out at once and consensus starts over. */
export function enterGather(
  state: RingState,
  reason: GatherReason,
  now: number,
  out: RingAction[],
): void {
  log(out, "debug", `entering GATHER state from ${reason}(${reasonTexts[reason]}).`);
  if (reason === 3) countContinuous(state, now, out);
  if (state.ring.seq > ringSeqFollowedMax) countFromZero(state, out);
  if (state.phase !== "gather") gatherBegan(state, now);
  becomeGather(state);
  seek(state, out);
  for (const timer of [
    "token",
    "tokenWarning",
    "tokenRetransmit",
    "merge",
    "hold",
    "keep",
  ] as const) {
    disarm(out, timer);
  }
  arm(out, "consensus", now + state.tuning.consensusMs);
  announce(state, now, out);
}

/** The others refuse what our join would say, and the file will count as 0 as well. */
function countFromZero(state: RingState, out: RingAction[]): void {
  const text =
    `Ring sequence 0x${state.ring.seq.toString(16)} is the last that a ring can have (a forged message was believed): this node begins to count ` +
    "at 0 again, as a new one. Nothing needs to be done here; whoever sends such messages can reach the cluster network.";
  log(out, "warning", text);
  restartCount(state);
}

function countContinuous(state: RingState, now: number, out: RingAction[]): void {
  state.continuousGathers += 1;
  if (state.continuousGathers <= gathersBeforeWarning) return;
  const reason = freshReason(state.refusal, now);
  const text =
    reason === ""
      ? "Totem is unable to form a cluster because of an operating system or network fault " +
        "(reason: totem is continuously in gather state). The most common cause of this message is that " +
        "the local firewall is configured improperly."
      : "Totem is unable to form a cluster (reason: totem is continuously in gather state). The last message that was refused: " +
        reason;
  out.push({ kind: "log", level: "warning", subsystem: "MAIN", text });
}

/** Sends a join, at once or spread over send_join, and arms the next. */
function announce(state: RingState, now: number, out: RingAction[]): void {
  const { sendJoinMs, joinMs } = state.tuning;
  if (sendJoinMs > 0) {
    arm(out, "join", now + state.random.below(sendJoinMs));
    return;
  }
  sendJoin(state, now, out);
  arm(out, "join", now + joinMs);
}

function sendJoin(state: RingState, now: number, out: RingAction[]): void {
  const join: Join = {
    kind: "join",
    nodeid: state.nodeid,
    target: 0,
    from: state.nodeid,
    ringSeq: state.ring.seq,
    proc: processorList(state, now),
    failed: [...state.failed],
  };
  state.counters.sent.join += 1;
  out.push({ kind: "multicast", bytes: encodeMessage(join) });
}

/** The LEAVE message: a join with node id 0 that counts ourselves as failed (totem.md §3.10). */
export function sendLeave(state: RingState, out: RingAction[]): void {
  const leave: Join = {
    kind: "join",
    nodeid: 0,
    target: 0,
    from: state.nodeid,
    ringSeq: state.ring.seq,
    proc: [...state.proc].filter((nodeid) => nodeid !== state.nodeid),
    failed: [...new Set(state.failed).add(state.nodeid)],
  };
  out.push({ kind: "multicast", bytes: encodeMessage(leave) });
}

export function joinTimedOut(state: RingState, now: number, out: RingAction[]): void {
  if (state.phase !== "gather") return;
  considerDeaths(state, now, out);
  sendJoin(state, now, out);
  const { sendJoinMs, joinMs } = state.tuning;
  arm(out, "join", now + joinMs + (sendJoinMs > 0 ? state.random.below(sendJoinMs) : 0));
}

export function consensusTimedOut(state: RingState, now: number, out: RingAction[]): void {
  if (state.phase !== "gather") return;
  if (failSilentNodes(state)) {
    enterGather(state, 0, now, out);
    return;
  }
  // Everybody agreed but no commit token came: one token timeout more, then those who stay silent count as failed.
  arm(out, "token", now + state.tuning.tokenMs);
}

/** The token timer in GATHER: the commit token that everybody agreed on did not come. */
export function commitTokenMissed(state: RingState, now: number, out: RingAction[]): void {
  log(out, "debug", `The consensus timeout expired (${state.tuning.consensusMs}ms).`);
  failSilentNodes(state);
  enterGather(state, 3, now, out);
}

/**
 * Adds the nodes without consensus to the failed set. False when there is none; then consensus starts over, so that the next
 * evaluation finds those who are silent from now on.
 */
function failSilentNodes(state: RingState): boolean {
  if (isConsensusComplete(state)) {
    state.consensus = new Set([state.nodeid]);
    return false;
  }
  state.counters.consensusTimeouts += 1;
  for (const nodeid of state.proc) {
    if (!state.consensus.has(nodeid)) state.failed.add(nodeid);
  }
  return true;
}

function isConsensusComplete(state: RingState): boolean {
  for (const nodeid of state.proc) {
    if (!state.failed.has(nodeid) && !state.consensus.has(nodeid)) return false;
  }
  return true;
}

export function joinArrived(state: RingState, join: Join, now: number, out: RingAction[]): void {
  if (isPaused(state, now, out)) return;
  state.ringSeqReceived = Math.max(state.ringSeqReceived, join.ringSeq);
  if (join.nodeid === 0) {
    log(out, "debug", `Received LEAVE message from ${join.from}`);
    state.leaving.add(join.from);
  }
  switch (state.phase) {
    case "operational": {
      const isStale = state.members.includes(join.from) && join.ringSeq < state.ring.seq;
      if (isStale || join.failed.includes(state.nodeid)) return;
      const isNews = considerJoin(state, join, now, out);
      if (isNews !== undefined) gatherFor(state, join, isNews ? 11 : 12, now, out);
      return;
    }
    case "gather": {
      const isNews = considerJoin(state, join, now, out);
      if (isNews === undefined) return;
      if (isNews) gatherFor(state, join, 11, now, out);
      else countConsensus(state, join, now, out);
      return considerDeaths(state, now, out);
    }
    case "commit":
    case "recovery": {
      const isOfThisAttempt =
        state.newMembers.includes(join.from) && join.ringSeq >= state.ring.seq;
      if (!isOfThisAttempt) return;
      const isNews = considerJoin(state, join, now, out);
      if (isNews === undefined) return;
      gatherFor(state, join, state.phase === "commit" ? 13 : 14, now, out);
      return;
    }
    case "starting":
    case "stopped":
      return;
  }
  state.phase satisfies never;
}

/**
 * Adds what a join says to our sets (totem.md §3.5, 2–5). True: something was new; false: nothing was; undefined: it was
 * refused or not worth a thought.
 */
function considerJoin(
  state: RingState,
  join: Join,
  now: number,
  out: RingAction[],
): boolean | undefined {
  const isKnown =
    join.proc.every((nodeid) => state.proc.has(nodeid)) &&
    join.failed.every((nodeid) => state.failed.has(nodeid));
  if (isKnown || state.failed.has(join.from)) return false;
  // A join of our own from before, or from before a restart, says nothing new.
  if (join.from === state.nodeid) return undefined;
  const proc = new Set(state.proc);
  for (const nodeid of join.proc) proc.add(nodeid);
  const failed = new Set(state.failed);
  if (join.failed.includes(state.nodeid)) {
    // It dropped us, so we drop it.
    failed.add(join.from);
  } else if (state.members.includes(join.from)) {
    // Only a member of our own ring is believed about others.
    for (const nodeid of join.failed) failed.add(nodeid);
  }
  if (proc.size > nodesMax || failed.size > nodesMax) {
    refuse(
      state,
      `Received memb_join message of node ${join.from} makes more than ${nodesMax} nodes...  ignoring.`,
      now,
      out,
    );
    return undefined;
  }
  // The original enters GATHER again even so. Two nodes that must not take over each other's failed set would answer one another
  // for ever, each putting off its consensus timeout.
  if (proc.size === state.proc.size && failed.size === state.failed.size) return false;
  state.proc = proc;
  state.failed = failed;
  return true;
}

/** A join that says exactly what our own will say counts for consensus at once. */
function gatherFor(
  state: RingState,
  join: Join,
  reason: GatherReason,
  now: number,
  out: RingAction[],
): void {
  enterGather(state, reason, now, out);
  countConsensus(state, join, now, out);
}

function countConsensus(state: RingState, join: Join, now: number, out: RingAction[]): void {
  joinHeard(state, join);
  if (!isSameSet(join.proc, state.proc) || !isSameSet(join.failed, state.failed)) return;
  if (join.nodeid !== 0) state.consensus.add(join.from);
  if (!isConsensusComplete(state)) return;
  if (state.isFailedToReceive) {
    // All agree that we receive nothing: go alone, and merge again when it is over.
    state.isFailedToReceive = false;
    state.proc = new Set([state.nodeid]);
    state.failed = new Set();
  }
  const members = ascending(state.proc).filter((nodeid) => !state.failed.has(nodeid));
  if (members[0] !== state.nodeid) return;
  log(out, "debug", "Creating commit token because I am the rep.");
  enterCommit(state, createCommitToken(state, members), now, out);
}

function isSameSet(list: readonly number[], set: ReadonlySet<number>): boolean {
  return new Set(list).size === set.size && list.every((nodeid) => set.has(nodeid));
}

/** A message of another ring came: its sender may belong to us (totem.md §3.3). */
export function foreignerHeard(
  state: RingState,
  nodeid: number,
  reasons: { readonly operational: GatherReason; readonly gather: GatherReason },
  now: number,
  out: RingAction[],
): void {
  const isGather = state.phase === "gather";
  if (!isGather && state.phase !== "operational") return;
  if (isGather && state.proc.has(nodeid)) return;
  if (!state.proc.has(nodeid) && state.proc.size >= nodesMax) {
    refuse(state, `Node ${nodeid} would be one more than ${nodesMax} nodes.`, now, out);
    return;
  }
  state.proc.add(nodeid);
  enterGather(state, isGather ? reasons.gather : reasons.operational, now, out);
}

/**
 * The token would stop at a member that nobody sends to any more, as it does in the original, and all would wait for its timeout. So it counts as
 * failed at once. Members that have not read corosync.conf yet believe that of another member, as they do after a timeout; the removed node
 * itself ignores a join that names it failed.
 */
export function nodesRemoved(
  state: RingState,
  nodeids: readonly number[],
  now: number,
  out: RingAction[],
): void {
  if (state.phase === "starting" || state.phase === "stopped") return;
  const gone = nodeids.filter(
    (nodeid) => nodeid !== state.nodeid && state.proc.has(nodeid) && !state.failed.has(nodeid),
  );
  if (gone.length === 0) return;
  for (const nodeid of gone) {
    state.failed.add(nodeid);
    state.leaving.add(nodeid);
  }
  enterGather(state, 15, now, out);
}

/** What the evidence of deaths demands now (deaths.ts). */
export function considerDeaths(state: RingState, now: number, out: RingAction[]): void {
  if (mustGatherForDeath(state, now, out) || failEndedMembers(state, now, out)) {
    enterGather(state, 16, now, out);
  }
}

export function stampPause(state: RingState, now: number, out: RingAction[]): void {
  state.pauseStampAt = now;
  state.isPauseReported = false;
  arm(out, "pause", now + Math.trunc(state.tuning.tokenMs / stampsPerToken));
}

/**
 * Whether this process stood still: what waited in the sockets meanwhile is about the past. Joins are dropped until the stamp
 * timer has run again; the others repeat theirs every 50 ms.
 */
function isPaused(state: RingState, now: number, out: RingAction[]): boolean {
  const pauseMs = now - state.pauseStampAt;
  if (pauseMs <= Math.trunc(state.tuning.tokenMs / pausesPerToken)) return false;
  if (!state.isPauseReported) {
    state.isPauseReported = true;
    log(
      out,
      "notice",
      `Process pause detected for ${Math.trunc(pauseMs)} ms, flushing membership messages.`,
    );
  }
  return true;
}
