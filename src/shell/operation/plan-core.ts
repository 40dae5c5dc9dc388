// An operation as a pure core: from its first step, or from whatever a killed predecessor left on disk, to "completed", "undone" or "to be
// done by hand". Events in, actions out, carried out one after another; `operations.ts` does that. A step is on disk before it begins.
import type { BoundPlan, BoundStep } from "./plan.ts";
import type { Leftover, OperationRecord } from "./operation-record.ts";

/** Without a step done in between: an operation that kills its process must not be begun for ever. */
export const resumptionsMax = 5;

export type OperationOutcome =
  | { readonly kind: "completed"; readonly facts: unknown }
  /** All is as before. `reason`: why it was not completed. */
  | { readonly kind: "undone"; readonly reason: string }
  | { readonly kind: "byHand"; readonly leftover: Leftover };

export type OperationEvent =
  /** `isResumed`: the record was on disk. */
  | { readonly kind: "began"; readonly isResumed: boolean }
  /** What was ordered is done. */
  | { readonly kind: "ran"; readonly facts: unknown }
  | { readonly kind: "undone" }
  | { readonly kind: "paused" }
  /** An action could not be carried out; those after it were not tried. */
  | {
      readonly kind: "failed";
      readonly action: OperationAction["kind"];
      readonly reason: string;
      /** Repeating it does not help. */
      readonly isFinal: boolean;
    }
  /** Somebody wants it undone: heeded as soon as the step in hand ends, if that is before the commit. */
  | { readonly kind: "cancelled"; readonly reason: string };

export type OperationAction =
  | { readonly kind: "persist"; readonly record: OperationRecord }
  | {
      readonly kind: "run";
      readonly step: BoundStep;
      readonly facts: unknown;
      readonly isCancellable: boolean;
      readonly isRepeated: boolean;
      /** It commits, and the plan's time is over. */
      readonly isLate: boolean;
    }
  | {
      readonly kind: "undo";
      readonly step: BoundStep;
      readonly facts: unknown;
      readonly isRepeated: boolean;
    }
  /** Before something is tried again. */
  | { readonly kind: "pause"; readonly pauseMs: number }
  | { readonly kind: "tell"; readonly text: string }
  /** Removes the record: nothing is under way any more. Completed: what an earlier one left to be done by hand is done, too. */
  | { readonly kind: "forget"; readonly isCompleted: boolean }
  /** Stores what is left to be done by hand, and removes the record. */
  | { readonly kind: "setAside"; readonly leftover: Leftover }
  | { readonly kind: "finish"; readonly outcome: OperationOutcome };

export class PlanCore {
  readonly #plan: BoundPlan;
  #record: OperationRecord;
  /** Of the step in hand. */
  #position = 0;
  #tries = 0;
  /** It was begun before, by a process that is gone or by an earlier try. */
  #isRepeated = false;
  #cancellation: string | undefined;
  #isDiskFailing = false;
  #outcome: OperationOutcome | undefined;
  #now = 0;

  constructor(plan: BoundPlan, record: OperationRecord) {
    this.#plan = plan;
    this.#record = record;
  }

  /** `now`: Unix time in milliseconds; it may jump, which moves the end of the plan's time and nothing else. */
  step(event: OperationEvent, now: number, out: OperationAction[]): void {
    this.#now = now;
    switch (event.kind) {
      case "began":
        return this.#begin(event.isResumed, out);
      case "cancelled":
        this.#cancellation ??= event.reason;
        return;
      case "ran":
        this.#stepDone(event.facts);
        return this.#ran(out);
      case "undone":
        this.#stepDone(this.#record.facts);
        return this.#undo(this.#position - 1, out);
      case "paused":
        return this.#record.phase === "back"
          ? this.#undo(this.#position, out)
          : this.#run(this.#position, out);
      case "failed":
        return this.#failed(event, out);
    }
    event satisfies never;
  }

  #begin(isResumed: boolean, out: OperationAction[]): void {
    if (!isResumed) return this.#run(0, out);
    const record = { ...this.#record, resumptions: this.#record.resumptions + 1 };
    this.#record = record;
    this.#isRepeated = true;
    this.#position = this.#plan.steps.findIndex(({ name }) => name === record.at);
    if (this.#position < 0) {
      return this.#giveUp(`this version of quorate does not know the step "${record.at}"`, out);
    }
    const isTooOften = record.resumptions > resumptionsMax;
    const interrupted = `it was interrupted more than ${resumptionsMax} times in one step (${this.#step.text(record.facts)})`;
    if (record.phase === "back") {
      return isTooOften ? this.#giveUp(interrupted, out) : this.#undo(this.#position, out);
    }
    // The step that commits may have done so before the kill: it alone can tell, so it is repeated whatever the time is.
    if (this.#isCommitted || this.#step.commits) {
      return isTooOften ? this.#giveUp(interrupted, out) : this.#run(this.#position, out);
    }
    if (isTooOften) return this.#turnBack(interrupted, this.#position, out);
    if (this.#isLate) {
      return this.#turnBack("it was interrupted, and its time is over", this.#position, out);
    }
    this.#run(this.#position, out);
  }

  #stepDone(facts: unknown): void {
    this.#tries = 0;
    this.#isRepeated = false;
    this.#record = { ...this.#record, facts, resumptions: 0 };
  }

  #ran(out: OperationAction[]): void {
    const next = this.#position + 1;
    const isLast = next === this.#plan.steps.length;
    const isDecided = this.#isCommitted || this.#step.commits || isLast;
    if (this.#cancellation !== undefined && !isDecided) {
      return this.#turnBack(this.#cancellation, this.#position, out);
    }
    this.#run(next, out);
  }

  #run(position: number, out: OperationAction[]): void {
    const step = this.#plan.steps[position];
    if (step === undefined) {
      return this.#finish({ kind: "completed", facts: this.#record.facts }, out);
    }
    this.#position = position;
    this.#store({ ...this.#record, at: step.name, phase: "forward" }, out);
    if (this.#tries === 0) out.push({ kind: "tell", text: step.text(this.#record.facts) });
    // A commit that is repeated when the time is over shall say whether it was done.
    const isCancellable = !this.#isCommitted && !(step.commits && this.#isLate);
    out.push({
      ...{ kind: "run", step, isCancellable, isLate: step.commits && this.#isLate },
      facts: this.#record.facts,
      isRepeated: this.#isRepeated,
    });
  }

  /** `from`: the last step that may have done anything. */
  #turnBack(reason: string, from: number, out: OperationAction[]): void {
    this.#tries = 0;
    this.#record = { ...this.#record, reason, phase: "back", resumptions: 0 };
    if (this.#undoable(from) !== undefined) {
      out.push({ kind: "tell", text: `${reason}; what was done is undone` });
    }
    this.#undo(from, out);
  }

  #undo(from: number, out: OperationAction[]): void {
    const step = this.#undoable(from);
    if (step === undefined) {
      return this.#finish({ kind: "undone", reason: this.#record.reason }, out);
    }
    this.#position = this.#plan.steps.indexOf(step);
    this.#store({ ...this.#record, at: step.name }, out);
    if (this.#tries === 0) {
      out.push({ kind: "tell", text: `undo: ${step.text(this.#record.facts)}` });
    }
    out.push({
      ...{ kind: "undo", step },
      facts: this.#record.facts,
      isRepeated: this.#isRepeated,
    });
  }

  #failed(event: OperationEvent & { kind: "failed" }, out: OperationAction[]): void {
    const { action, reason, isFinal } = event;
    const isBack = this.#record.phase === "back";
    switch (action) {
      case "run":
        if (this.#isCommitted) return this.#retry(reason, isFinal, out);
        return this.#turnBack(this.#cancellation ?? reason, this.#position, out);
      case "undo":
        return this.#retry(reason, isFinal, out);
      case "persist":
        // A full disk keeps nothing from being undone, or from being completed once there is no way back.
        this.#isDiskFailing = true;
        if (isBack) return this.#undo(this.#position, out);
        if (this.#isCommitted) return this.#run(this.#position, out);
        return this.#turnBack(
          `the record cannot be written: ${reason}`,
          this.#isRepeated ? this.#position : this.#position - 1,
          out,
        );
      case "forget":
      case "setAside": {
        // Decided already; whoever finds the record goes through its last step again.
        const outcome = this.#outcome;
        if (outcome === undefined) throw new Error("invariant broken: what is removed has ended");
        out.push({ kind: "tell", text: `the record of this operation stays: ${reason}` });
        out.push({ kind: "finish", outcome });
        return;
      }
      default:
        throw new Error(`invariant broken: ${action} cannot fail (${reason})`);
    }
  }

  /** The step in hand failed, and nothing but repeating it is left. */
  #retry(reason: string, isFinal: boolean, out: OperationAction[]): void {
    const pauseMs = this.#plan.retryPausesMs[this.#tries];
    if (pauseMs === undefined || isFinal) return this.#giveUp(reason, out);
    this.#tries += 1;
    this.#isRepeated = true;
    out.push({ kind: "tell", text: `${reason}; tried again in ${pauseMs / 1000} s` });
    out.push({ kind: "pause", pauseMs });
  }

  #giveUp(obstacle: string, out: OperationAction[]): void {
    const { kind, id, reason, facts, phase } = this.#record;
    const { steps } = this.#plan;
    const at = this.#position;
    const left =
      at < 0
        ? []
        : phase === "back"
          ? steps
              .slice(0, at + 1)
              .filter(({ undo }) => undo !== undefined)
              .toReversed()
          : steps.slice(at);
    const leftover: Leftover = {
      format: 1,
      kind,
      id,
      endedAtMs: this.#now,
      reason,
      obstacle,
      left: left.map((step) => step.byHand(facts)).filter((text) => text !== ""),
    };
    this.#finish({ kind: "byHand", leftover }, out);
  }

  #finish(outcome: OperationOutcome, out: OperationAction[]): void {
    this.#outcome = outcome;
    out.push(
      outcome.kind === "byHand"
        ? { kind: "setAside", leftover: outcome.leftover }
        : { kind: "forget", isCompleted: outcome.kind === "completed" },
    );
    out.push({ kind: "finish", outcome });
  }

  /** The last step up to `from` that has something to take back. */
  #undoable(from: number): BoundStep | undefined {
    return this.#plan.steps.slice(0, from + 1).findLast(({ undo }) => undo !== undefined);
  }

  #store(record: OperationRecord, out: OperationAction[]): void {
    this.#record = record;
    if (!this.#isDiskFailing) out.push({ kind: "persist", record });
  }

  get #step(): BoundStep {
    const step = this.#plan.steps[this.#position];
    if (step === undefined) throw new Error("invariant broken: a plan is at one of its steps");
    return step;
  }

  /** A step before the one in hand commits. */
  get #isCommitted(): boolean {
    const commit = this.#plan.steps.findIndex(({ commits }) => commits);
    return commit >= 0 && this.#position > commit;
  }

  get #isLate(): boolean {
    return this.#now - this.#record.beganAtMs >= this.#plan.timeMsMax;
  }
}
