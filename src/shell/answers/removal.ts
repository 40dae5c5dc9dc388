// What the removal of a node would mean, before anybody decides: votes, what of it is in the tree, and why it cannot be done now.
import * as v from "valibot";

const votes = v.object({
  /** Of all nodes and the quorum device. */
  all: v.number(),
  needed: v.number(),
  /** In this part. */
  present: v.number(),
});

export const removalReport = v.object({
  name: v.string(),
  /** 0: it is out of corosync.conf already. */
  nodeid: v.number(),
  /** It is in the ring, so it runs. */
  isMember: v.boolean(),
  /** Its daemon is ended by the removal: the others are quorate without it. */
  isEnded: v.boolean(),
  /** Why it cannot be removed now, a sentence with what to do; "": it can. */
  refusal: v.string(),
  before: votes,
  after: votes,
  /** What the votes of the quorum device become, and the like: sentences. */
  notes: v.array(v.string()),
  /** Of the tree below nodes/NAME. */
  guests: v.array(v.string()),
  files: v.array(v.string()),
  /** Files of the tree with keys of it beside those of others. */
  lines: v.array(v.string()),
  /** Files of the tree that name it, and are left as they are. */
  naming: v.array(v.string()),
});
export type RemovalReport = v.InferOutput<typeof removalReport>;
