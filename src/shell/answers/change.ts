// What routes answer that change the cluster: the plan that was looked at, and the task that carries it out.
import * as v from "valibot";
import type { AsRead } from "../api/route.ts";

/** `upid` is absent when nothing was started. */
export const changeAnswer = v.object({
  upid: v.optional(v.pipe(v.string(), v.description("The task that carries it out."))),
  isDone: v.pipe(v.boolean(), v.description("It was so already.")),
  plan: v.pipe(v.string(), v.description("For people: steps, and the difference of every file.")),
  steps: v.array(v.string()),
  changes: v.array(
    v.object({
      path: v.string(),
      before: v.optional(v.string()),
      after: v.optional(v.string()),
    }),
  ),
  notes: v.array(v.string()),
  question: v.optional(
    v.pipe(v.string(), v.description("For people, before it is begun: what cannot be taken back.")),
  ),
});
export type ChangeAnswer = AsRead<v.InferOutput<typeof changeAnswer>>;

/** What happened to this node's certificates, a line each. */
export const certificatesAnswer = v.object({ lines: v.array(v.string()) });

/** What a small change answers: it is done, or would be. */
export const effectAnswer = v.object({
  /** False: nothing was changed, by a dry run or because it is so already. */
  isChanged: v.boolean(),
  /** What is or would be, a sentence each. */
  notes: v.array(v.string()),
});

/** What a change of votes answers. */
export const votesEffectAnswer = v.object({
  ...effectAnswer.entries,
  isQuorate: v.pipe(
    v.boolean(),
    v.description("Whether this node's part is quorate with it, or would be."),
  ),
});
