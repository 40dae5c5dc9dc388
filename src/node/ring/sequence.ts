// How far the ring sequence of a message is believed (totem.md §3.5, §3.6, §3.12). It is stored by whoever forms a ring with it and
// only ever grows, so one forged or damaged number must not lead to where no ring can follow.
import { ringSeqReason, type TotemMessage } from "./message.ts";

/** Ring sequence numbers grow by this much a ring. */
export const ringSeqStep = 4;
/** No ring has a number above it: four a ring, a thousand rings a second for 35 years. */
const ringSeqBound = 2 ** 42;
/**
 * The highest number that a ring may follow. It is the same for every node, whatever ring it is on: a number that one believes
 * and another refuses would part them for ever. Who is on a ring above it counts from 0 again (`enterGather`).
 */
export const ringSeqFollowedMax = ringSeqBound - ringSeqStep;

/**
 * Why nothing that `message` says is followed; undefined when its ring sequence is one to believe, or must be our own ring's
 * anyway. A join is followed by a ring with a higher number, the others name a ring that there may be.
 */
export function ringSeqProblem(message: TotemMessage): string | undefined {
  const named = namedRingSeq(message);
  const max = message.kind === "join" ? ringSeqFollowedMax : ringSeqBound;
  if (named === undefined || named.seq <= max) return undefined;
  return ringSeqReason(named.type, named.from, named.seq);
}

function namedRingSeq(
  message: TotemMessage,
): { readonly type: string; readonly from: number; readonly seq: number } | undefined {
  switch (message.kind) {
    case "join":
      return { type: "memb_join", from: message.from, seq: message.ringSeq };
    case "mergeDetect":
      return { type: "memb_merge_detect", from: message.from, seq: message.ring.seq };
    case "mcast":
      return { type: "mcast", from: message.from, seq: message.ring.seq };
    case "commit":
      return { type: "memb_commit_token", from: message.nodeid, seq: message.ring.seq };
    case "token":
    case "holdCancel":
      return undefined;
  }
  return message satisfies never;
}
