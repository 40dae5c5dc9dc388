// What a member answers a node that asks whether it is one still. Lengths are bounded: the node that asks may have met somebody else.
import * as v from "valibot";

export const membershipAnswer = v.object({
  /** Who answers. */
  node: v.pipe(v.string(), v.maxLength(256)),
  /** It is quorate and has the cluster's tree: what it says is so. */
  isCertain: v.boolean(),
  isMember: v.boolean(),
  /** When it ceased to be one and by whom; only for who has the cluster's key, and where that is known. */
  former: v.optional(
    v.object({
      /** Unix seconds. */
      at: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
      by: v.pipe(v.string(), v.maxLength(128)),
      how: v.picklist(["removed", "left"]),
    }),
  ),
});
export type MembershipAnswer = v.InferOutput<typeof membershipAnswer>;
