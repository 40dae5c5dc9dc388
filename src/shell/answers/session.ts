// What a browser's session is answered with.
import * as v from "valibot";

export const sessionAnswer = v.object({
  user: v.string(),
  /** For the header CSRFPreventionToken of everything but GET. */
  csrfToken: v.string(),
  /** By kind of object the privileges that the user has on any of it, each 1. */
  capabilities: v.record(v.string(), v.record(v.string(), v.number())),
  node: v.string(),
  /** "" for who may not see it, or without one. */
  cluster: v.string(),
});
export type Session = v.InferOutput<typeof sessionAnswer>;

/** The password was right; a code of one of these kinds ("totp") is wanted as well. */
export const halfAnswer = v.object({ kinds: v.array(v.string()), challenge: v.string() });
export type LoginChallenge = v.InferOutput<typeof halfAnswer>;
