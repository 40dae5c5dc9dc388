// An operation as a plan: named steps over ports, each done or undone, so that a kill at any moment is followed by completion or by
// everything being as before (issue 9 §1). This file is what an author of a plan needs; `operations.ts` runs plans, `dry-run.ts` shows them,
// `test/double/plan-kills.ts` kills them everywhere.
//
//   const facts = v.object({ address: v.string(), before: v.optional(v.string()) });
//   export const joinPlan: Plan<v.InferOutput<typeof facts>, JoinPorts> = {
//     kind: "join", facts, timeMsMax: 300_000,
//     steps: [
//       { name: "reserve", text: () => "reserve a place", run: …, undo: … },
//       { name: "confirm", text: () => "…", commits: true, run: … },
//     ],
//   };
//   await operations.run(joinPlan, ports, { address }, { tell });
import * as v from "valibot";
import { type Result, failure, success } from "../../result.ts";

/** What a step has besides its facts and ports. */
export interface StepContext {
  /** Aborted when this process ends; before the commit also by a cancellation or the end of the plan's time. */
  readonly signal: AbortSignal;
  /** One line of progress for people. */
  readonly tell: (text: string) => void;
  /** Somebody began this step before, and may have been killed in its middle. */
  readonly isRepeated: boolean;
  /** The plan's time is over: a commit that was not done by then must not be done now, and throws. */
  readonly isLate?: boolean;
}

/** A file as it is and as it will be, for --dry-run. Undefined: there is none. */
export interface FileChange {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Thrown by an undo, or by a step after the commit: repeating it does not help, so it is left to be done by hand at once. */
export class NotRepeatable extends Error {}

/**
 * One step. A kill may come at any moment, and then the step is begun anew by another process with the facts of before it, so:
 *  - `run` first looks whether it was done already, in whole or in part, and does only the rest;
 *  - what is chosen (a key, a nodeid, the content of before) is chosen in a step of its own that only answers it as facts, and is used
 *    in a later one: only facts are on disk.
 * Whatever `run` throws undoes the plan, this step included; the message is what people read.
 */
export interface Step<Facts, Ports> {
  /** Never changed once released: it stands in the records of other versions. */
  readonly name: string;
  /** One line, in the imperative: for --dry-run and the task's log. */
  readonly text: (facts: Facts) => string;
  /** May answer new facts, which are on disk before the next step begins. */
  readonly run: (facts: Facts, ports: Ports, context: StepContext) => Promise<Facts | void>;
  /**
   * Takes the step back, also when `run` was killed or failed in its middle, or was never begun; may be repeated like `run`. Without it
   * there is nothing to take back.
   */
  readonly undo?: (facts: Facts, ports: Ports, context: StepContext) => Promise<void>;
  /** What somebody has to do by hand when this step can neither be done nor undone: a sentence; "": nothing. */
  readonly byHand?: (facts: Facts) => string;
  /** Once this step is done, the plan is only completed, never undone. At most one step has it. */
  readonly commits?: true;
  /** Which files the step changes, as far as it is known before the plan begins. */
  readonly changes?: (facts: Facts) => readonly FileChange[];
}

export interface Plan<Facts, Ports> {
  /** Of operations: "join", "leave" …; stands in records, so never changed. */
  readonly kind: string;
  /** The facts as JSON has them: no transformations, no bytes (base64 instead). */
  readonly facts: v.GenericSchema<unknown, Facts>;
  readonly steps: readonly Step<Facts, Ports>[];
  /** From its beginning, kills included. After it an uncommitted plan is undone instead of completed. */
  readonly timeMsMax: number;
  /**
   * What fails and can only be repeated (an undo, a step after the commit) is tried again after each of these pauses, then left to be done
   * by hand. Undefined: five times within 38 s.
   */
  readonly retryPausesMs?: readonly number[];
}

const retryPausesMsDefault = [1000, 2000, 5000, 10_000, 20_000] as const;

/** A plan with its ports, its facts' type hidden: what the core and the driver know. Made by `bindPlan`. */
export interface BoundPlan {
  readonly kind: string;
  readonly timeMsMax: number;
  readonly retryPausesMs: readonly number[];
  readonly steps: readonly BoundStep[];
  /** The facts as the record stores them; what is wrong with them. */
  readonly check: (facts: unknown) => Result<unknown>;
}

export interface BoundStep {
  readonly name: string;
  readonly commits: boolean;
  readonly text: (facts: unknown) => string;
  readonly byHand: (facts: unknown) => string;
  readonly run: (facts: unknown, context: StepContext) => Promise<unknown>;
  readonly undo: ((facts: unknown, context: StepContext) => Promise<void>) | undefined;
}

/** For `Operations.resume`, which gets all plans that a process knows. */
export function bindPlan<Facts, Ports>(plan: Plan<Facts, Ports>, ports: Ports): BoundPlan {
  checkPlan(plan);
  const typed = (facts: unknown): Facts => v.parse(plan.facts, facts);
  return {
    kind: plan.kind,
    timeMsMax: plan.timeMsMax,
    retryPausesMs: plan.retryPausesMs ?? retryPausesMsDefault,
    steps: plan.steps.map(({ name, text, run, undo, byHand, commits }) => ({
      name,
      commits: commits === true,
      text: (facts) => text(typed(facts)),
      byHand: (facts) => {
        const known = typed(facts);
        return byHand === undefined ? `unfinished: ${text(known)}` : byHand(known);
      },
      run: async (facts, context) => {
        const answer = await run(typed(facts), ports, context);
        return answer === undefined ? facts : v.parse(plan.facts, answer);
      },
      undo: undo && ((facts, context) => undo(typed(facts), ports, context)),
    })),
    check: (facts) => {
      const read = v.safeParse(plan.facts, facts);
      if (read.success) return success(read.output);
      const [issue] = read.issues;
      return failure(`${v.getDotPath(issue) ?? "the facts"}: ${issue.message}`);
    },
  };
}

/** Programming errors, found at the first use of the plan. */
function checkPlan<Facts, Ports>({ kind, steps }: Plan<Facts, Ports>): void {
  const names = new Set(steps.map(({ name }) => name));
  if (names.size !== steps.length) throw new Error(`plan ${kind}: two steps of one name`);
  if (steps.filter(({ commits }) => commits).length > 1) {
    throw new Error(`plan ${kind}: two steps commit`);
  }
}
