// RECOVERY: members that come from one old ring bring each other's messages up to date before the new ring is used (totem.md
// §3.7). Old messages travel wrapped in new ones. A node must stay here until the token has shown twice that all have them.
import { ringText, sameRing } from "../../world.ts";
import { serialAtMost, serialBefore, serialDistance, serialMin, serialPlus } from "./serial.ts";
import type { RingAction } from "./events.ts";
import { enterOperational } from "./install.ts";
import { encodeMessage, type CommitEntry, type CommitToken, type Token } from "./message.ts";
import { windowMax } from "./queue.ts";
import { armToken, armTokenRetransmit, log, nextMember, type RingState } from "./state.ts";
import { becomeRecovery } from "./transitions.ts";

const aruUnknown = 0xffff_ffff;
/** Rotations with nothing left to originate before the last wrapper's number is fixed, and before the count begins. */
const rotationsToInstall = 2;
const rotationsToCount = 3;
/** Rotations with everything received by all before the ring is OPERATIONAL. */
const rotationsComplete = 2;

/** `token` has been filled by all members; the caller passes it on. */
export function enterRecovery(
  state: RingState,
  token: CommitToken,
  now: number,
  out: RingAction[],
): void {
  log(out, "debug", "entering RECOVERY state.");
  const transitional = new Map<number, CommitEntry>();
  token.members.forEach((nodeid, i) => {
    const entry = token.entries[i];
    if (entry === undefined) return;
    logEntry(nodeid, i, entry, out);
    if (state.members.includes(nodeid) && sameRing(entry.ring, state.installed)) {
      transitional.set(nodeid, entry);
    }
  });
  becomeRecovery(state, [...transitional.keys()]);
  collectOriginals(state, [...transitional.values()], out);
  armToken(state, now, out);
  armTokenRetransmit(state, now, out);
}

function logEntry(nodeid: number, position: number, entry: CommitEntry, out: RingAction[]): void {
  const { ring, aru, highDelivered, received } = entry;
  log(out, "debug", `position [${position}] member ${nodeid}:`);
  log(out, "debug", `previous ringid (${ringText(ring)})`);
  log(
    out,
    "debug",
    `aru ${aru.toString(16)} high delivered ${highDelivered.toString(16)} received flag ${received}`,
  );
}

/** Every message of the old ring that we have and a transitional member may lack is to be originated again. */
function collectOriginals(
  state: RingState,
  transitional: readonly CommitEntry[],
  out: RingAction[],
): void {
  const { regular } = state;
  if (transitional.every((entry) => entry.received === 1)) {
    log(out, "debug", "Did not need to originate any messages in recovery.");
    return;
  }
  const low = transitional.reduce((least, entry) => serialMin(least, entry.aru), regular.highest);
  // Below `released` there is nothing left, whatever an entry claims.
  const from = serialBefore(low, regular.released) ? regular.released : low;
  const count = Math.min(serialDistance(from, regular.highest), windowMax);
  const first = serialPlus(from, 1);
  log(
    out,
    "debug",
    `copying all old ring messages from ${first.toString(16)}-${regular.highest.toString(16)}.`,
  );
  for (let i = 0; i < count; i += 1) {
    const seq = serialPlus(first, i);
    const stored = regular.get(seq);
    if (stored !== undefined) state.originate.set(seq, stored.bytes);
  }
  log(out, "debug", `Originated ${state.originate.size} messages in RECOVERY.`);
}

/** The representative starts the token once the commit token is back for the second time. */
export function sendInitialToken(state: RingState, now: number, out: RingAction[]): void {
  log(out, "debug", "Sending initial ORF token");
  state.isInitialTokenSent = true;
  state.isFlagSetter = state.originate.size > 0;
  const target = nextMember(state);
  const bytes = encodeMessage({
    kind: "token",
    nodeid: state.nodeid,
    target,
    seq: 0,
    tokenSeq: 0,
    aru: aruUnknown,
    aruNode: state.nodeid,
    ring: state.ring,
    backlog: 0,
    fcc: 0,
    retransFlag: state.isFlagSetter ? 1 : 0,
    retransmits: [],
  });
  state.sentToken = { nodeid: target, bytes };
  state.counters.sent.token += 1;
  out.push({ kind: "unicast", nodeid: target, bytes });
  armToken(state, now, out);
  armTokenRetransmit(state, now, out);
}

/**
 * What a token visit means for the recovery (totem.md §3.7, step 17 of §3.4). `token` as it will be passed on, without the flag;
 * returns the flag to pass on. May end in OPERATIONAL.
 */
export function countRotation(
  state: RingState,
  token: Pick<Token, "seq" | "aru" | "retransFlag">,
  now: number,
  out: RingAction[],
): number {
  let flag = token.retransFlag;
  if (state.originate.size > 0) {
    if (flag === 0) {
      flag = 1;
      state.isFlagSetter = true;
    }
  } else if (flag !== 0 && state.isFlagSetter) {
    flag = 0;
    state.isFlagSetter = false;
  }
  state.flagCount = flag === 0 ? state.flagCount + 1 : 0;
  if (state.flagCount === rotationsToInstall) state.installSeq = token.seq;
  const isComplete =
    state.flagCount >= rotationsToCount && serialAtMost(state.installSeq, token.aru);
  state.rotations = isComplete ? state.rotations + 1 : 0;
  if (state.rotations === rotationsComplete) enterOperational(state, now, out);
  return flag;
}
