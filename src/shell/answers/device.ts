// What a node answers that was told to try its quorum device: each part by itself, so that whoever looks knows where it ends.
import * as v from "valibot";

/** In this order; a part behind one that is bad is skipped. */
export const deviceCheckNames = ["reach", "server", "tls", "vote"] as const;

const deviceCheck = v.object({
  name: v.picklist(deviceCheckNames),
  state: v.picklist(["good", "warn", "bad", "skipped"]),
  /** What was found, or what is wrong and what to do: a sentence. */
  text: v.string(),
});
export type DeviceCheck = v.InferOutput<typeof deviceCheck>;

/** All of it, of one node. */
export const deviceChecks = v.object({
  /** "10.0.0.9 port 5403" */
  where: v.string(),
  checks: v.array(deviceCheck),
});
export type DeviceChecks = v.InferOutput<typeof deviceChecks>;
