// Runs plans: one at a time on a node, its record on disk before each step, resumed where a killed process left it. The decisions
// are `plan-core.ts`'s; here its actions are carried out.
//
//   const operations = new Operations({ store: new OperationFiles(nodePaths(root).operationDir) });
//   const end = await operations.run(plan, ports, facts, { id: upid, tell, signal });   // a task, or a command in its own process
//   await operations.resume([bindPlan(joinPlan, joinPorts), …], { tell });              // at a daemon's start
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { type BoundPlan, bindPlan, NotRepeatable, type Plan } from "./plan.ts";
import { type OperationAction, type OperationEvent, PlanCore } from "./plan-core.ts";
import type { Leftover, OperationRecord } from "./operation-record.ts";
import type { OperationStore } from "./operation-store.ts";

const timerMsMax = 2 ** 31 - 1;

export interface OperationsOptions {
  readonly store: OperationStore;
  /** This process ends: what is under way stays on disk for the next one to resume. */
  readonly ending?: AbortSignal;
  /** Unix time, milliseconds. */
  readonly now?: () => number;
  readonly pause?: (pauseMs: number, signal: AbortSignal) => Promise<void>;
  /** Called before each action is carried out; tests end the process here. */
  readonly before?: (action: OperationAction) => void;
}

export interface RunOptions {
  /** The task's UPID, or "". */
  readonly id?: string;
  /** One line of progress; never throws. */
  readonly tell: (text: string) => void;
  /** Aborted: the plan is undone, unless its commit was done. The reason is an Error with the sentence. */
  readonly signal?: AbortSignal;
}

export type OperationEnd<Facts> =
  | { readonly kind: "completed"; readonly facts: Facts }
  /** All is as before. `cause`: what the failing step threw, if it was this process that ran it. */
  | { readonly kind: "undone"; readonly reason: string; readonly cause: unknown }
  /** Neither could be done; `cause` as above. */
  | { readonly kind: "byHand"; readonly leftover: Leftover; readonly cause: unknown }
  /** This process ends; the next one goes on. */
  | { readonly kind: "suspended" }
  /** Nothing was begun: another operation is under way, or its record cannot be read. */
  | { readonly kind: "refused"; readonly reason: string };

/** An operation as `status` and a refusal name it. */
export interface Underway {
  readonly kind: string;
  readonly id: string;
  readonly beganAtMs: number;
  readonly step: string;
  readonly isGoingBack: boolean;
}

export class Operations {
  readonly #options: OperationsOptions;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** Resolves at the end of the plan; never rejects for what a step throws. */
  async run<Facts, Ports>(
    plan: Plan<Facts, Ports>,
    ports: Ports,
    facts: Facts,
    options: RunOptions,
  ): Promise<OperationEnd<Facts>> {
    const bound = bindPlan(plan, ports);
    const checked = bound.check(facts);
    if (!checked.ok) return { kind: "refused", reason: checked.reason };
    const lock = this.#lock();
    if (!lock.ok) return { kind: "refused", reason: lock.reason };
    using _ = lock.value;
    const found = this.#options.store.record();
    if (!found.ok) return { kind: "refused", reason: found.reason };
    if (found.value !== undefined) {
      const reason = `${underwayText(found.value)} and was interrupted: it is resumed when the node starts`;
      return { kind: "refused", reason };
    }
    const record: OperationRecord = {
      format: 1,
      kind: plan.kind,
      id: options.id ?? "",
      beganAtMs: this.#now(),
      phase: "forward",
      at: "",
      resumptions: 0,
      reason: "",
      facts: checked.value,
    };
    const end = await this.#drive(bound, record, options, false);
    return end.kind === "completed" ? { ...end, facts: v.parse(plan.facts, end.facts) } : end;
  }

  /**
   * Completes or undoes what a killed process left. Undefined: nothing was left. `plans`: all kinds that this process can resume; a record of
   * another kind is refused and stays.
   */
  async resume(
    plans: readonly BoundPlan[],
    options: Omit<RunOptions, "id">,
  ): Promise<OperationEnd<unknown> | undefined> {
    const { store } = this.#options;
    const first = store.record();
    if (!first.ok) return { kind: "refused", reason: first.reason };
    if (first.value === undefined) return undefined;
    const lock = this.#lock();
    if (!lock.ok) return { kind: "refused", reason: lock.reason };
    using _ = lock.value;
    // Whoever had the lock may have gone on, or finished.
    const found = store.record();
    if (!found.ok) return { kind: "refused", reason: found.reason };
    const record = found.value;
    if (record === undefined) return undefined;
    const plan = plans.find(({ kind }) => kind === record.kind);
    if (plan === undefined) {
      return { kind: "refused", reason: `${underwayText(record)}; it cannot be resumed here` };
    }
    const checked = plan.check(record.facts);
    if (!checked.ok) {
      return { kind: "refused", reason: `${underwayText(record)}; its record: ${checked.reason}` };
    }
    return this.#drive(plan, record, options, true);
  }

  /** What is on disk; it may be running, or have been interrupted. */
  underway(): Result<Underway | undefined> {
    const found = this.#options.store.record();
    if (!found.ok) return found;
    if (found.value === undefined) return success(undefined);
    const { kind, id, beganAtMs, at, phase } = found.value;
    return success({ kind, id, beganAtMs, step: at, isGoingBack: phase === "back" });
  }

  /** What the last operation that could be neither completed nor undone left to be done by hand. */
  leftover(): Result<Leftover | undefined> {
    return this.#options.store.leftover();
  }

  #lock(): Result<Disposable> {
    const { store } = this.#options;
    const lock = store.lock();
    if (!lock.ok) return lock;
    if (lock.value !== undefined) return success(lock.value);
    const running = store.record();
    const what =
      running.ok && running.value !== undefined
        ? underwayText(running.value)
        : "another operation began just now";
    return failure(`${what} on this node: try again when it has ended`);
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  async #drive(
    plan: BoundPlan,
    record: OperationRecord,
    { tell, signal }: Omit<RunOptions, "id">,
    isResumed: boolean,
  ): Promise<OperationEnd<unknown>> {
    using limit = timeLimit(plan, record.beganAtMs - this.#now());
    const cancelling = AbortSignal.any([limit.signal, ...(signal === undefined ? [] : [signal])]);
    const { ending = new AbortController().signal } = this.#options;
    const drive: Drive = { cancelling, ending, tell, cause: undefined };
    const core = new PlanCore(plan, record);
    let event: OperationEvent = { kind: "began", isResumed };
    for (;;) {
      const out: OperationAction[] = [];
      if (cancelling.aborted) {
        const reason = reasonOf(cancelling.reason);
        core.step({ kind: "cancelled", reason }, this.#now(), out);
      }
      core.step(event, this.#now(), out);
      const next = await this.#carryOut(out, drive);
      if ("end" in next) return next.end;
      event = next.event;
    }
  }

  async #carryOut(
    actions: readonly OperationAction[],
    drive: Drive,
  ): Promise<{ readonly event: OperationEvent } | { readonly end: OperationEnd<unknown> }> {
    for (const action of actions) {
      this.#options.before?.(action);
      switch (action.kind) {
        case "finish": {
          const { outcome } = action;
          return {
            end: outcome.kind === "completed" ? outcome : { ...outcome, cause: drive.cause },
          };
        }
        case "tell":
          drive.tell(action.text);
          continue;
        case "run":
        case "undo":
        case "pause": {
          if (drive.ending.aborted) return { end: { kind: "suspended" } };
          const event = await this.#await(action, drive);
          // What failed because the process ends did not fail.
          const isSuspended = event.kind === "failed" && drive.ending.aborted;
          return isSuspended ? { end: { kind: "suspended" } } : { event };
        }
        default: {
          const reason = this.#write(action);
          if (reason !== undefined)
            return { event: { kind: "failed", action: action.kind, reason, isFinal: false } };
        }
      }
    }
    throw new Error("invariant broken: an operation goes on or ends");
  }

  async #await(
    action: OperationAction & { kind: "run" | "undo" | "pause" },
    drive: Drive,
  ): Promise<OperationEvent> {
    const { tell, ending, cancelling } = drive;
    try {
      switch (action.kind) {
        case "run": {
          const { step, facts, isCancellable, isRepeated, isLate } = action;
          const signal = isCancellable ? AbortSignal.any([ending, cancelling]) : ending;
          return {
            kind: "ran",
            facts: await step.run(facts, { signal, tell, isRepeated, isLate }),
          };
        }
        case "undo": {
          const { step, facts, isRepeated } = action;
          await step.undo?.(facts, { signal: ending, tell, isRepeated });
          return { kind: "undone" };
        }
        case "pause":
          await (this.#options.pause ?? pauseFor)(action.pauseMs, ending);
          return { kind: "paused" };
      }
      return action satisfies never;
    } catch (error) {
      if (action.kind === "run") drive.cause = error;
      const isFinal = error instanceof NotRepeatable;
      return { kind: "failed", action: action.kind, reason: reasonOf(error), isFinal };
    }
  }

  /** Undefined when it is on disk. */
  #write(
    action: OperationAction & { kind: "persist" | "forget" | "setAside" },
  ): string | undefined {
    const { store } = this.#options;
    try {
      if (action.kind === "persist") store.persist(action.record);
      else if (action.kind === "forget") {
        store.forget();
        if (action.isCompleted) store.dismissLeftover();
      } else store.setAside(action.leftover);
      return undefined;
    } catch (error) {
      return reasonOf(error);
    }
  }
}

/** One plan on its way. */
interface Drive {
  readonly cancelling: AbortSignal;
  readonly ending: AbortSignal;
  readonly tell: (text: string) => void;
  /** What the last step that failed has thrown. */
  cause: unknown;
}

/** `beganMs`: when the plan began, from now. */
function timeLimit(
  { timeMsMax }: BoundPlan,
  beganMs: number,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const leftMs = Math.min(Math.max(0, beganMs + timeMsMax), timerMsMax);
  const timer = setTimeout(
    () => controller.abort(new Error(`not done in ${timeMsMax / 1000} s`)),
    leftMs,
  );
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}

async function pauseFor(pauseMs: number, signal: AbortSignal): Promise<void> {
  await wait(pauseMs, undefined, { signal });
}

function underwayText({ kind, beganAtMs, at, phase }: OperationRecord): string {
  const since = new Date(beganAtMs).toISOString();
  const where = at === "" ? "" : ` (${phase === "back" ? "undoing" : "at"} "${at}")`;
  return `the operation ${kind} is under way since ${since}${where}`;
}
