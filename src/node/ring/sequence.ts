// How far the ring sequence of a message is believed (totem.md §3.5, §3.6, §3.12). It is stored by whoever forms a ring with it and
// only ever grows, so one forged or damaged number must not lead to where no ring can follow.
import { ringSeqReason, type TotemMessage } from "./message.ts";

/** Four a ring: a thousand rings a second for 35 years. A stored sequence above it is no ring's. */
export const ringSeqPlausibleMax = 2 ** 42;
/**
 * How far one message leads a node that is up there already: a quarter of a million rings that others formed without it. So 2^33
 * forged rings, each of which takes milliseconds, lie between the bound and the end of the numbers.
 */
const ringSeqLeadMax = 2 ** 20;

/** Whether a node on a ring of sequence `own` may follow a ring of sequence `seq`. */
function isRingSeqPlausible(seq: number, own: number): boolean {
  return seq <= Math.max(ringSeqPlausibleMax, own) + ringSeqLeadMax;
}

/**
 * Why a node on a ring of sequence `own` follows nothing that `message` says; undefined when its ring sequence is one to believe,
 * or must be our own ring's anyway.
 */
export function ringSeqProblem(message: TotemMessage, own: number): string | undefined {
  const named = namedRingSeq(message);
  if (named === undefined || isRingSeqPlausible(named.seq, own)) return undefined;
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
