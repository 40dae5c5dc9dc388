// Whether the token may stay here for a moment: somebody here has just been answered and probably goes on, so that what he asks for next
// goes out in the same visit (create, write and rename of one caller); or he waits for disks, which do not answer sooner because an idle
// token races around and takes the processor from them. Only on a ring where nobody else has anything to say, so nobody
// waits for it; and each time for a fraction of a millisecond, so no timer of a peer comes near. Pure.
import { serialAtMost, serialMin } from "./serial.ts";
import { isSynchronising, type RingState, type Visit } from "./state.ts";

/** Behind what was multicast in this visit: whether somebody goes on once that is answered. */
export function noteFollowed(state: RingState, visit: Visit): void {
  const { lastAnswered, application } = state;
  state.followed =
    lastAnswered === undefined || application.messages > 0
      ? undefined
      : { seq: visit.seq, answered: lastAnswered, answeredAt: undefined };
}

/** Whether `visit` may keep its token once more. */
export function mayKeep(state: RingState, visit: Visit, now: number): boolean {
  const { keep, followed } = state;
  // Whatever was said since, by us or by others: nothing is expected any more.
  if (keep === undefined || followed === undefined || followed.seq !== visit.seq) return false;
  if (visit.keeps >= keep.keepsMax || state.isTokenHeld) return false;
  if (state.phase !== "operational" || isSynchronising(state)) return false;
  if (state.application.messages > 0 || state.sync.messages > 0) return false;
  if (!areOthersQuiet(state, visit) || !isAnswered(state, visit)) return false;
  followed.answeredAt ??= now;
  const limitMs = followed.answered === "stored" ? keep.whileStoredMs : keep.afterAnswerMs;
  return now - followed.answeredAt <= limitMs;
}

/** At their last visits the others had nothing to send, and nobody lacks anything. */
function areOthersQuiet(state: RingState, { token, retransmits, resent }: Visit): boolean {
  return (
    token.backlog === state.backlogLastVisit &&
    token.fcc === state.sentLastVisit &&
    token.aru === token.seq &&
    retransmits.length === 0 &&
    resent === 0
  );
}

/** Our message has gone up to the caller, or the token tells that it is stable (operational.ts, reportStable): until then it is in haste. */
function isAnswered(state: RingState, visit: Visit): boolean {
  const { followed } = state;
  if (followed === undefined || visit.queue.aru !== visit.seq) return false;
  if (followed.answered === "delivered") return true;
  return serialAtMost(followed.seq, serialMin(visit.token.aru, state.passedAru));
}
