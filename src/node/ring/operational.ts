// The token's visit in OPERATIONAL and RECOVERY (totem.md §3.4, §3.9): retransmit what others miss, ask for what we miss, send
// what waits, and pass the token on. Multicasts leave before the token. It must never raise the token's aru above what we hold.
import { sameRing } from "../../world.ts";
import { assert } from "../../assert.ts";
import { serialAtMost, serialBefore, serialDistance, serialMin, serialPlus } from "./serial.ts";
import { deliverAgreed } from "./deliver.ts";
import type { RingAction } from "./events.ts";
import { enterGather } from "./gather.ts";
import { mayKeep, noteFollowed } from "./keep.ts";
import {
  encapsulations,
  encodeMessage,
  mcastHeaderBytes,
  retransmitsMax,
  writeMcastHeader,
  type RetransmitItem,
  type Token,
} from "./message.ts";
import type { Packer } from "./packing.ts";
import { windowMax, type SortQueue } from "./queue.ts";
import { countRotation } from "./recovery.ts";
import {
  arm,
  armToken,
  armTokenRetransmit,
  armTokenWarning,
  disarm,
  freshReason,
  isRepresentative,
  isSynchronising,
  log,
  nextMember,
  refuse,
  retransmitToken,
  type RingState,
  type Visit,
} from "./state.ts";

/** The queue whose numbers the present token counts. */
function currentQueue(state: RingState): SortQueue {
  return state.phase === "recovery" ? state.recovery : state.regular;
}

/**
 * The send queue in use on an OPERATIONAL ring. What is left of the sync queue after synchronisation goes out as soon as no
 * application message is half sent.
 */
function currentPacker(state: RingState): Packer {
  if (isSynchronising(state)) return state.sync;
  return state.sync.messages > 0 && !state.application.isHalfSent ? state.sync : state.application;
}

export function tokenArrived(state: RingState, token: Token, now: number, out: RingAction[]): void {
  noteActivity(state, token, now, out);
  if (!sameRing(token.ring, state.ring)) return;
  if (serialAtMost(token.tokenSeq, state.lastTokenSeq)) return;
  const queue = currentQueue(state);
  // Also true of a number below our aru: both would break the window of an original node.
  if (serialDistance(queue.aru, token.seq) >= windowMax) {
    refuse(
      state,
      "Received orf_token message seq is far from this node's aru...  ignoring.",
      now,
      out,
    );
    return;
  }
  state.counters.tokensReceived += 1;
  if (state.phase === "operational") {
    release(state, token);
    reportStable(state, token, out);
  }
  beginVisit(state, queue, token, now, out);
}

/** Counts rotations without news, for token hold and merge detection; done for discarded tokens too. */
function noteActivity(state: RingState, token: Token, now: number, out: RingAction[]): void {
  if (token.seq === state.lastSeq) {
    if (!state.isMergeArmed) {
      state.isMergeArmed = true;
      arm(out, "merge", now + state.tuning.mergeMs);
    }
    state.seqUnchanged += 1;
  } else {
    if (state.isMergeArmed) disarm(out, "merge");
    if (state.seqUnchanged > 0) disarm(out, "hold");
    state.isMergeArmed = false;
    state.seqUnchanged = 0;
  }
  state.lastSeq = token.seq;
}

/** Forgets what everybody has had for two rotations, as the original does (step 4). */
function release(state: RingState, token: Token): void {
  const released = serialMin(serialMin(token.aru, state.lastAru), state.highDelivered);
  state.regular.releaseTo(released);
}

/**
 * Reports what every member is certain to have: all up to the lesser of the token's aru as we passed it on, never above what we hold, and as
 * it comes back. If a member lacked one of these, the first such on the token's way would have lowered the aru below it and named itself, since the
 * number was given out already; behind it others could only lower it further. Only who is named may raise it, and nobody has the token
 * twice in between. So it would have come back lower (step 14; original nodes do the same).
 */
function reportStable(state: RingState, token: Token, out: RingAction[]): void {
  const held = serialMin(token.aru, state.passedAru);
  const later = state.unstable.findIndex((mark) => serialBefore(held, mark.seq));
  const stable = state.unstable.splice(0, later === -1 ? state.unstable.length : later);
  const last = stable.at(-1);
  if (last !== undefined) out.push({ kind: "stable", ...last });
}

function beginVisit(
  state: RingState,
  queue: SortQueue,
  token: Token,
  now: number,
  out: RingAction[],
): void {
  const isRep = isRepresentative(state);
  const unchangedMax = state.tuning.seqnoUnchangedMax;
  state.isTokenHeld = isRep
    ? state.seqUnchanged > unchangedMax
    : state.seqUnchanged >= unchangedMax;
  if (token.retransmits.length > 0) logRetransmits(token.retransmits, out);
  const aruBefore = state.lastAru;
  state.lastAru = token.aru;

  const backlog = backlogOf(state);
  let allowed = allowance(state, token, backlog);
  const retransmits = plausibleItems(state, queue, token);
  const resent = retransmit(state, queue, retransmits, allowed, out);
  allowed -= resent;
  askForMissing(state, queue, token.seq, retransmits);
  if (state.tuning.cancelTokenHoldOnRetransmit && (resent > 0 || retransmits.length > 0)) {
    state.isTokenHeld = false;
  }
  if (!hasWindow(state, queue, token.seq, allowed)) allowed = 0;
  state.lastTokenSeq = token.tokenSeq;
  const visit: Visit = {
    ...{ queue, token, retransmits, aruBefore, resent, allowed, backlog },
    ...{ seq: token.seq, sent: resent, keeps: 0 },
  };
  sendWaiting(state, visit, out);
  if (mayKeep(state, visit, now)) keepToken(state, visit, now, out);
  else endVisit(state, visit, now, out);
}

/** Multicasts what waits, as far as this visit may; returns how many. */
function sendWaiting(state: RingState, visit: Visit, out: RingAction[]): number {
  const fresh = originate(state, visit.queue, visit.seq, visit.allowed, out);
  if (fresh === 0) return 0;
  visit.seq = serialPlus(visit.seq, fresh);
  visit.allowed -= fresh;
  visit.sent += fresh;
  // A representative that has just sent something must not sit on the token that announces it.
  state.isTokenHeld = false;
  noteFollowed(state, visit);
  return fresh;
}

/** What was sent goes up at once, as it may: it is in order. */
function keepToken(state: RingState, visit: Visit, now: number, out: RingAction[]): void {
  visit.keeps += 1;
  state.kept = visit;
  arm(out, "keep", now + (state.keep?.keepMs ?? 0));
  deliverAgreed(state, now, out);
}

/** The time is over for which the token was kept, or what it was kept for has come. */
export function keepTimedOut(state: RingState, now: number, out: RingAction[]): void {
  const visit = state.kept;
  if (visit === undefined) return;
  state.kept = undefined;
  visit.backlog += backlogOf(state);
  const fresh = sendWaiting(state, visit, out);
  if (fresh > 0 && mayKeep(state, visit, now)) keepToken(state, visit, now, out);
  else endVisit(state, visit, now, out);
}

/** Our caller has gone on: as soon as nothing else comes with it, all of it is sent. */
export function keptTokenIsWanted(state: RingState, now: number, out: RingAction[]): void {
  if (state.kept !== undefined) arm(out, "keep", now);
}

/** Something else wants the token. */
function releaseToken(state: RingState, now: number, out: RingAction[]): void {
  const visit = state.kept;
  if (visit === undefined) return;
  state.kept = undefined;
  disarm(out, "keep");
  endVisit(state, visit, now, out);
}

function endVisit(state: RingState, visit: Visit, now: number, out: RingAction[]): void {
  const { queue, token, seq, sent, backlog, aruBefore } = visit;
  const fcc = (token.fcc + sent - state.sentLastVisit) >>> 0;
  const backlogSum = (token.backlog + backlog - state.backlogLastVisit) >>> 0;
  state.sentLastVisit = sent;
  state.backlogLastVisit = backlog;
  const { aru, aruNode } = lowerAru(state, queue, token, seq);
  if (isFailedToReceive(state, aru, aruNode, aruBefore)) {
    log(out, "error", "FAILED TO RECEIVE");
    state.isFailedToReceive = true;
    state.failed.add(state.nodeid);
    enterGather(state, 6, now, out);
    return;
  }
  let retransFlag = token.retransFlag;
  if (state.phase === "recovery") {
    retransFlag = countRotation(state, { seq, aru, retransFlag }, now, out);
  }
  const next: Token = {
    kind: "token",
    nodeid: state.nodeid,
    target: nextMember(state),
    seq,
    tokenSeq: serialPlus(token.tokenSeq, 1),
    aru,
    aruNode,
    ring: state.ring,
    backlog: backlogSum,
    fcc,
    retransFlag,
    retransmits: visit.retransmits,
  };
  passOn(state, next, now, out);
  deliverAgreed(state, now, out);
}

function logRetransmits(items: readonly RetransmitItem[], out: RingAction[]): void {
  log(out, "debug", `Retransmit List ${items.length}`);
  const seqs = items.map((item) => `${item.seq.toString(16)} `).join("");
  log(out, "notice", `Retransmit List: ${seqs}`);
}

/**
 * What somebody can really miss: numbers of this ring that were given out and that not everybody has received. Anything else would
 * stay on the list for ever and take the place of honest requests.
 */
function plausibleItems(state: RingState, queue: SortQueue, token: Token): RetransmitItem[] {
  const given = serialDistance(queue.released, token.seq);
  const seen = new Set<number>();
  return token.retransmits.filter(({ ring, seq }) => {
    const above = serialDistance(queue.released, seq);
    if (!sameRing(ring, state.ring) || above === 0 || above > given || seen.has(seq)) return false;
    seen.add(seq);
    return true;
  });
}

/** Packets that wait to be sent (cbl). */
function backlogOf(state: RingState): number {
  return state.phase === "recovery" ? state.originate.size : currentPacker(state).packets;
}

/** Flow control: how many mcasts this visit may send (step 7). All sums wrap as on the original's u32. */
function allowance(state: RingState, token: Token, backlog: number): number {
  const { maxMessages, windowSize } = state.tuning;
  let allowed = Math.min(maxMessages, (windowSize - token.fcc) >>> 0);
  const sum = (token.backlog + backlog - state.backlogLastVisit) >>> 0;
  if (sum !== 0) {
    const share = Math.floor((windowSize * state.backlogLastVisit) / sum);
    if (share > 0) allowed = Math.min(allowed, share);
  }
  return allowed;
}

/** Sends again what others asked for and we hold (step 8); removes those items from the list. */
function retransmit(
  state: RingState,
  queue: SortQueue,
  items: RetransmitItem[],
  allowed: number,
  out: RingAction[],
): number {
  let resent = 0;
  for (let i = 0; i < items.length && resent < allowed;) {
    const item = items[i];
    const stored = item === undefined ? undefined : queue.get(item.seq);
    if (stored === undefined) {
      i += 1;
      continue;
    }
    multicastStored(state, stored.bytes, out);
    items.splice(i, 1);
    resent += 1;
  }
  state.counters.retransmitsSent += resent;
  return resent;
}

/** Asks for what has been missing at several visits in a row (step 9). */
function askForMissing(
  state: RingState,
  queue: SortQueue,
  tokenSeq: number,
  items: RetransmitItem[],
): void {
  const count = serialDistance(queue.aru, tokenSeq);
  const { missCountMax } = state.tuning;
  for (let i = 1; i <= count && items.length < retransmitsMax; i += 1) {
    const seq = serialPlus(queue.aru, i);
    if (!queue.isInWindow(seq)) return;
    if (queue.get(seq) !== undefined || queue.miss(seq) < missCountMax) continue;
    if (items.some((item) => item.seq === seq)) continue;
    items.push({ ring: state.ring, seq });
    state.counters.retransmitsAsked += 1;
  }
}

/** Whether what we may send still fits the window that everybody has to keep (step 11). */
function hasWindow(state: RingState, queue: SortQueue, tokenSeq: number, allowed: number): boolean {
  const room = windowMax - allowed - state.tuning.windowSize;
  return serialDistance(queue.released, tokenSeq) <= room;
}

/** Multicasts up to `allowed` waiting messages with the next sequence numbers (step 12); returns how many. */
function originate(
  state: RingState,
  queue: SortQueue,
  tokenSeq: number,
  allowed: number,
  out: RingAction[],
): number {
  const isRecovery = state.phase === "recovery";
  // Before a configuration was delivered nobody can have sent a message on its ring.
  if (!isRecovery && state.upward.length > 0) return 0;
  for (let sent = 0; sent < allowed; sent += 1) {
    const bytes = isRecovery ? wrapNext(state) : currentPacker(state).pack(mcastHeaderBytes);
    if (bytes === undefined) return sent;
    const seq = serialPlus(tokenSeq, sent + 1);
    writeMcastHeader(bytes, {
      encapsulated: isRecovery ? encapsulations.wrapper : encapsulations.plain,
      nodeid: state.nodeid,
      target: 0,
      from: state.nodeid,
      seq,
      thisSeqno: state.thisSeqno,
      ring: state.ring,
      unused: 0,
      guarantee: 0,
    });
    state.thisSeqno = serialPlus(state.thisSeqno, 1);
    queue.put(seq, { bytes, from: state.nodeid, source: state.nodeid });
    state.counters.messagesSent += 1;
    state.counters.sent.mcast += 1;
    multicastStored(state, bytes, out);
  }
  return allowed;
}

/** Counted as received: the original's comes back to it. */
function multicastStored(state: RingState, bytes: Uint8Array, out: RingAction[]): void {
  state.counters.received.mcast += 1;
  out.push({ kind: "multicast", bytes, isStored: true });
}

/** The next old message with room for a new header in front. */
function wrapNext(state: RingState): Uint8Array | undefined {
  for (const [seq, inner] of state.originate) {
    state.originate.delete(seq);
    const bytes = new Uint8Array(mcastHeaderBytes + inner.length);
    bytes.set(inner, mcastHeaderBytes);
    return bytes;
  }
  return undefined;
}

/** Step 14: the token's aru is what the slowest node holds, and whose that is. */
function lowerAru(
  state: RingState,
  queue: SortQueue,
  token: Token,
  seq: number,
): { readonly aru: number; readonly aruNode: number } {
  const isOurs = token.aruNode === state.nodeid || token.aruNode === 0;
  if (!isOurs && !serialBefore(queue.aru, token.aru)) {
    return { aru: token.aru, aruNode: token.aruNode };
  }
  return { aru: queue.aru, aruNode: queue.aru === seq ? 0 : state.nodeid };
}

/** Step 15: for thousands of rotations the whole ring has waited for us. */
function isFailedToReceive(
  state: RingState,
  aru: number,
  aruNode: number,
  aruBefore: number,
): boolean {
  state.aruCount = aru === aruBefore && aruNode !== 0 ? state.aruCount + 1 : 0;
  return state.aruCount > state.tuning.failReceiveMax && aruNode === state.nodeid;
}

/** Keeps a copy and sends the token on, unless we hold an idle ring (steps 18, 19). */
function passOn(state: RingState, token: Token, now: number, out: RingAction[]): void {
  assert(token.retransmits.length <= retransmitsMax, "a token asks for at most 30 messages");
  const bytes = encodeMessage(token);
  state.sentToken = { nodeid: token.target, bytes };
  state.passedAru = token.aru;
  const isHolding = state.isTokenHeld && isRepresentative(state);
  if (isHolding) arm(out, "hold", now + state.tuning.holdMs);
  else out.push({ kind: "unicast", nodeid: token.target, bytes });
  armToken(state, now, out);
  armTokenRetransmit(state, now, out);
}

/** The token has not come back: perhaps the one we sent was lost. */
export function tokenRetransmitTimedOut(state: RingState, now: number, out: RingAction[]): void {
  switch (state.phase) {
    case "operational":
    case "recovery":
    case "commit":
      if (state.kept !== undefined) return releaseToken(state, now, out);
      retransmitToken(state, out);
      armTokenRetransmit(state, now, out);
      return;
    case "gather":
    case "starting":
    case "stopped":
      return;
  }
  state.phase satisfies never;
}

/** The hold timer ran out: an idle ring's token goes on. */
export function holdTimedOut(state: RingState, out: RingAction[]): void {
  if (state.phase === "operational" || state.phase === "recovery") retransmitToken(state, out);
}

/** A HOLD CANCEL: somebody has a message to send. */
export function holdCancelArrived(state: RingState, now: number, out: RingAction[]): void {
  state.seqUnchanged = 0;
  if (state.kept !== undefined) return releaseToken(state, now, out);
  if (state.phase === "gather" || !isRepresentative(state)) return;
  disarm(out, "hold");
  retransmitToken(state, out);
}

export function tokenWarningTimedOut(state: RingState, now: number, out: RingAction[]): void {
  if (state.phase !== "operational") return;
  const silentMs = Math.trunc(now - state.tokenReceivedAt);
  log(out, "notice", `Token has not been received in ${silentMs} ms`);
  armTokenWarning(state, now, out);
}

const callRefusedEveryMs = 30_000;

/**
 * Only the representative asks whether there are other rings (totem.md §3.9). What we refuse may come of a ring that we cannot
 * join: every call of ours would have it wait a consensus timeout for us.
 */
export function mergeTimedOut(state: RingState, now: number, out: RingAction[]): void {
  state.isMergeArmed = false;
  if (state.phase !== "operational" || !isRepresentative(state)) return;
  const isRefusing = freshReason(state.refusal, now) !== "";
  if (isRefusing && now - state.mergeDetectAt < callRefusedEveryMs) return;
  state.mergeDetectAt = now;
  const bytes = encodeMessage({
    kind: "mergeDetect",
    nodeid: state.nodeid,
    target: 0,
    from: state.nodeid,
    ring: state.ring,
  });
  state.counters.sent.mergeDetect += 1;
  out.push({ kind: "multicast", bytes });
}
