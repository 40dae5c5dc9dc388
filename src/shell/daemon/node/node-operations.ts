// The operations of a running node: each a plan (operation/plan.ts) that runs as a task (pvecm.md §4.6), so that a command line or the API
// follows its log, and its next daemon, after a restart in place or a kill, goes on under the same UPID.
import { type Result, failure, reasonOf, success } from "../../../result.ts";
import { OperationFiles } from "../../operation/operation-store.ts";
import type { Leftover } from "../../operation/operation-record.ts";
import { type OperationEnd, Operations, type Underway } from "../../operation/operations.ts";
import type { BoundPlan, Plan } from "../../operation/plan.ts";
import type { TaskContext, Tasks, TaskSpec } from "../../task/tasks.ts";

export interface NodeOperationsOptions {
  /** Of the record of the operation under way. */
  readonly operationDir: string;
  readonly tasks: Tasks;
  /** For the daemon's log. */
  readonly warn: (text: string) => void;
  /** The node ends: what is under way is left to its next start. */
  readonly ending: AbortSignal;
}

export interface OperationReport {
  readonly underway?: Underway;
  readonly leftover?: Leftover;
  /** Records that cannot be read, a sentence each. */
  readonly faults: readonly string[];
}

export class NodeOperations {
  readonly #tasks: Tasks;
  readonly #operations: Operations;
  readonly #warn: (text: string) => void;
  /** Of what runs now; awaited when the node ends. */
  readonly #running = new Set<Promise<unknown>>();

  constructor({ operationDir, tasks, warn, ending }: NodeOperationsOptions) {
    this.#tasks = tasks;
    this.#operations = new Operations({ store: new OperationFiles(operationDir), ending });
    this.#warn = warn;
  }

  /**
   * Starts a plan as a task: its UPID, or the sentence that says why it cannot begin. One at a time on a node.
   */
  start<Facts, Ports>(
    spec: TaskSpec,
    plan: Plan<Facts, Ports>,
    ports: Ports,
    facts: Facts,
  ): Result<string> {
    const underway = this.#operations.underway();
    if (!underway.ok) return underway;
    if (underway.value !== undefined) {
      const { kind, id } = underway.value;
      const task = id === "" ? "" : ` (task ${id})`;
      return failure(
        `the operation ${kind}${task} is under way on this node: try again when it has ended`,
      );
    }
    return this.#tasks.start(spec, (task) => {
      const { upid: id, signal } = task;
      const tell = (text: string): void => task.log(text);
      return this.#work(task, this.#operations.run(plan, ports, facts, { id, tell, signal }));
    });
  }

  /** Once, when the node is up: goes on with what the daemon before this one left. `plans`: all that this version knows. */
  resume(plans: readonly BoundPlan[]): void {
    const underway = this.#operations.underway();
    if (!underway.ok) this.#warn(underway.reason);
    else if (underway.value !== undefined) this.#resumeOne(underway.value.id, plans);
  }

  /** For the status: what is under way or was interrupted, and what is left to be done by hand. */
  report(): OperationReport {
    const [underway, leftover] = [this.#operations.underway(), this.#operations.leftover()];
    const faults = [underway, leftover].flatMap((each) => (each.ok ? [] : [each.reason]));
    return {
      ...(underway.ok && underway.value !== undefined ? { underway: underway.value } : {}),
      ...(leftover.ok && leftover.value !== undefined ? { leftover: leftover.value } : {}),
      faults,
    };
  }

  /** Resolves when nothing runs any more; after `ending` only. */
  async suspended(): Promise<void> {
    await Promise.all(this.#running);
  }

  #resumeOne(id: string, plans: readonly BoundPlan[]): void {
    const resumed = this.#tasks.resume(id, (task) => {
      const { signal } = task;
      const tell = (text: string): void => task.log(text);
      return this.#work(task, this.#operations.resume(plans, { tell, signal }));
    });
    if (resumed.ok) return;
    // Of an operation without a task, or one whose log is gone: it is carried out all the same.
    this.#warn(`an operation goes on without its task's log (${resumed.reason})`);
    const tell = (text: string): void => this.#warn(text);
    void this.#kept(this.#operations.resume(plans, { tell })).then(
      (end) => {
        const outcome = end === undefined ? success(undefined) : resultOf(end);
        if (outcome !== "suspended" && !outcome.ok) this.#warn(outcome.reason);
      },
      (error: unknown) => this.#warn(`the operation ended: ${reasonOf(error)}`),
    );
  }

  async #work(
    task: TaskContext,
    run: Promise<OperationEnd<unknown> | undefined>,
  ): Promise<Result<unknown> | "suspended"> {
    const end = await this.#kept(run);
    if (end === undefined) return success(undefined);
    if (end.kind === "byHand") {
      for (const left of end.leftover.left) task.log(`to be done by hand: ${left}`);
    }
    return resultOf(end);
  }

  #kept<Value>(run: Promise<Value>): Promise<Value> {
    this.#running.add(run);
    const forget = (): void => void this.#running.delete(run);
    run.then(forget, forget);
    return run;
  }
}

function resultOf(end: OperationEnd<unknown>): Result<unknown> | "suspended" {
  switch (end.kind) {
    case "completed":
      return success(end.facts);
    case "suspended":
      return "suspended";
    case "undone":
    case "refused":
      return failure(end.reason);
    case "byHand": {
      const { reason, obstacle } = end.leftover;
      const why = reason === "" ? "" : `${reason}; `;
      return failure(`${why}it could be neither completed nor undone: ${obstacle}`);
    }
  }
  return end satisfies never;
}
