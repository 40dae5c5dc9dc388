// COMMIT: the commit token goes round twice (totem.md §3.6). On the first pass every member writes where it stands on its old ring,
// the second shows all of them that all have written. The new ring's number is on disk before the token is passed on.
import { sameRing } from "../../world.ts";
import { serialBefore, serialPlus } from "./serial.ts";
import { seek } from "./deaths.ts";
import type { RingAction } from "./events.ts";
import { encodeMessage, type CommitEntry, type CommitToken } from "./message.ts";
import { enterRecovery, sendInitialToken } from "./recovery.ts";
import { ringSeqStep } from "./sequence.ts";
import {
  armToken,
  armTokenRetransmit,
  disarm,
  isRepresentative,
  log,
  refuse,
  type RingState,
} from "./state.ts";
import { becomeCommit } from "./transitions.ts";

/** `members`: proc - failed, ascending; we are the first. */
export function createCommitToken(state: RingState, members: readonly number[]): CommitToken {
  const blank: CommitEntry = { ring: { rep: 0, seq: 0 }, aru: 0, highDelivered: 0, received: 0 };
  return {
    kind: "commit",
    nodeid: state.nodeid,
    target: 0,
    tokenSeq: 0,
    ring: { rep: state.nodeid, seq: Math.max(state.ring.seq, state.ringSeqReceived) + ringSeqStep },
    retransFlag: 0,
    index: 0,
    members,
    entries: members.map(() => blank),
  };
}

/** Takes the ring that `token` proposes: fills our entry, stores the ring's number, passes the token on. */
export function enterCommit(
  state: RingState,
  token: CommitToken,
  now: number,
  out: RingAction[],
): void {
  log(out, "debug", "entering COMMIT state.");
  const index = token.index + 1;
  const next = token.members[index % token.members.length] ?? state.nodeid;
  becomeCommit(state, token);
  seek(state, out);
  out.push({ kind: "persistRing", ringSeq: token.ring.seq });
  disarm(out, "join");
  disarm(out, "consensus");
  passOn(state, { ...token, index, entries: fillEntry(state, token) }, next, out);
  armToken(state, now, out);
  armTokenRetransmit(state, now, out);
}

/** Our entry, and the received flags of all so far: whoever is behind another of the same old ring has not received everything. */
function fillEntry(state: RingState, token: CommitToken): CommitEntry[] {
  const own: CommitEntry = {
    ring: state.installed,
    aru: state.regular.aru,
    highDelivered: state.highDelivered,
    received: state.regular.aru === state.regular.highest ? 1 : 0,
  };
  const entries = token.entries.with(token.index, own);
  const filled = entries.slice(0, token.index + 1);
  const sameOldRing = filled.filter((entry) => sameRing(entry.ring, own.ring));
  const highest = sameOldRing.reduce(
    (aru, entry) => (serialBefore(aru, entry.aru) ? entry.aru : aru),
    own.aru,
  );
  return entries.map((entry, i) =>
    i <= token.index && sameRing(entry.ring, own.ring) && serialBefore(entry.aru, highest)
      ? { ...entry, received: 0 }
      : entry,
  );
}

/** Sends a commit token and keeps it for retransmission. */
function passOn(state: RingState, token: CommitToken, target: number, out: RingAction[]): void {
  const tokenSeq = serialPlus(token.tokenSeq, 1);
  const bytes = encodeMessage({ ...token, nodeid: state.nodeid, target, tokenSeq });
  state.sentToken = { nodeid: target, bytes };
  state.commitTokenSeq = tokenSeq;
  state.counters.sent.commit += 1;
  out.push({ kind: "unicast", nodeid: target, bytes });
}

export function commitTokenArrived(
  state: RingState,
  token: CommitToken,
  now: number,
  out: RingAction[],
): void {
  switch (state.phase) {
    case "gather":
      if (isForUs(state, token, now, out)) {
        log(out, "debug", "got commit token");
        enterCommit(state, token, now, out);
      }
      return;
    case "commit": {
      if (!sameRing(token.ring, state.ring) || token.index !== token.members.length) return;
      if (!isSameList(token.members, state.newMembers)) {
        refuse(state, "Received memb_commit_token message changes its members.", now, out);
        return;
      }
      log(out, "debug", "got commit token");
      const own = token.members.indexOf(state.nodeid);
      const next = token.members[(own + 1) % token.members.length] ?? state.nodeid;
      enterRecovery(state, token, now, out);
      passOn(state, token, next, out);
      return;
    }
    case "recovery":
      // Back at the representative after the second pass. A first pass that was sent twice carries a smaller number.
      if (!isRepresentative(state) || state.isInitialTokenSent) return;
      if (!sameRing(token.ring, state.ring) || serialBefore(token.tokenSeq, state.commitTokenSeq)) {
        return;
      }
      sendInitialToken(state, now, out);
      return;
    case "operational":
    case "starting":
    case "stopped":
      return;
  }
  state.phase satisfies never;
}

/** A commit token is taken up in GATHER when it proposes exactly what we agreed to, a newer ring, and it is our turn. */
function isForUs(state: RingState, token: CommitToken, now: number, out: RingAction[]): boolean {
  if (token.ring.seq <= state.ring.seq) return false;
  const agreed = [...state.proc].filter((nodeid) => !state.failed.has(nodeid));
  if (agreed.length !== token.members.length) return false;
  if (!agreed.every((nodeid) => token.members.includes(nodeid))) return false;
  if (token.members[token.index] === state.nodeid) return true;
  refuse(
    state,
    "Received memb_commit_token message memb_index is not at this node...  ignoring.",
    now,
    out,
  );
  return false;
}

function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((nodeid, i) => nodeid === b[i]);
}
