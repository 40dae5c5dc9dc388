// Operations of a running node as tasks: each is a plan whose record is on disk before each step, with a UPID and a log that can be followed. What
// a daemon before this one left is resumed under the same UPID once the node can write its tree again.
import { setTimeout as wait } from "node:timers/promises";
import { type Result, failure, reasonOf, success } from "../../../result.ts";
import { OperationFiles } from "../../operation/operation-store.ts";
import { type OperationEnd, Operations } from "../../operation/operations.ts";
import type { BoundPlan, Plan } from "../../operation/plan.ts";
import { unexpectedStatus } from "../../task/task-list.ts";
import type { TaskContext, TaskSpec } from "../../task/tasks.ts";
import type { NodeParts } from "./parts.ts";

/** Between two looks whether the tree can be written. */
const lookMs = 1000;

export interface Operation<Facts, Ports> {
  readonly plan: Plan<Facts, Ports>;
  readonly facts: Facts;
  /** For its ports: `tell` writes into the task's log. */
  readonly ports: (tell: (text: string) => void) => Ports;
  /** Lines for the log when all is done. */
  readonly done?: (facts: Facts) => readonly string[];
}

export class NodeOperations {
  readonly #parts: NodeParts;
  readonly #operations: Operations;
  readonly #ending = new AbortController();

  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { operationDir } = parts.options.paths;
    this.#operations = new Operations({
      store: new OperationFiles(operationDir),
      ending: this.#ending.signal,
    });
  }

  /** The task's UPID, or why nothing was begun. */
  start<Facts, Ports>(spec: TaskSpec, operation: Operation<Facts, Ports>): Result<string> {
    const underway = this.#operations.underway();
    if (!underway.ok) return underway;
    if (underway.value !== undefined) {
      const { kind, id } = underway.value;
      return failure(
        `the operation ${kind} is under way on this node (${id}): wait until it has ended`,
      );
    }
    return this.#parts.tasks.start(spec, async (task) => {
      const end = await this.#operations.run(
        operation.plan,
        operation.ports((text) => task.log(text)),
        operation.facts,
        { id: task.upid, tell: (text) => task.log(text), signal: task.signal },
      );
      if (end.kind === "completed") {
        for (const line of operation.done?.(end.facts) ?? []) task.log(line);
      }
      return outcomeOf(end);
    });
  }

  /** Resolves with the status of a task's end: "OK", "WARNINGS: 1", or why it failed. */
  async ended(upid: string): Promise<string> {
    return (await this.#parts.tasks.ended(upid)) ?? unexpectedStatus;
  }

  /** Goes on with what a daemon before this one left, when the tree can be written. `plans`: of the kinds that are known here. */
  resume(plans: (tell: (text: string) => void) => readonly BoundPlan[]): void {
    const found = this.#operations.underway();
    if (!found.ok) return this.#parts.log("warning", found.reason, "TASK");
    if (found.value === undefined) return;
    const { id, kind } = found.value;
    if (!plans(() => undefined).some((plan) => plan.kind === kind)) return;
    const work = async ({ log }: Pick<TaskContext, "log">) => {
      await this.#untilWritable();
      if (this.#ending.signal.aborted) return "suspended";
      const text = `going on with the interrupted operation ${kind} (${id})`;
      this.#parts.log("notice", text, "TASK");
      const end = await this.#operations.resume(plans(log), { tell: log });
      return end === undefined ? success(undefined) : outcomeOf(end);
    };
    const resumed = this.#parts.tasks.resume(id, work);
    if (resumed.ok) return;
    // Its log is gone, or it was no task's: it is carried out all the same.
    const log = (text: string): void => this.#parts.log("notice", text, "TASK");
    void work({ log }).catch((error: unknown) => log(reasonOf(error)));
  }

  /** What is under way stays on disk for the next daemon. */
  stop(): void {
    this.#ending.abort(new Error("the node's daemon ends"));
  }

  async #untilWritable(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted && !this.#parts.tree.status().writable) {
      await wait(lookMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function outcomeOf(end: OperationEnd<unknown>): Result<unknown> | "suspended" {
  switch (end.kind) {
    case "completed":
      return success(end.facts);
    case "suspended":
      return "suspended";
    case "undone":
      return failure(`${end.reason}; all is as before`);
    case "refused":
      return failure(end.reason);
    case "byHand": {
      const { reason, obstacle, left } = end.leftover;
      return failure([reason, obstacle, ...left].filter((text) => text !== "").join("; "));
    }
  }
  return end satisfies never;
}
