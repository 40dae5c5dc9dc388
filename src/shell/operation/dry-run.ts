// What --dry-run prints of a plan: its steps, and each file that would change as a difference. Nothing is asked and nothing is changed.
import { unifiedDifference } from "../conf/difference.ts";
import type { FileChange, Plan } from "./plan.ts";

export interface DryRun {
  /** In order, a line each. */
  readonly steps: readonly string[];
  /** Files that really differ. */
  readonly changes: readonly FileChange[];
}

export function dryRun<Facts, Ports>(plan: Plan<Facts, Ports>, facts: Facts): DryRun {
  return {
    steps: plan.steps.map(({ text }) => text(facts)),
    changes: plan.steps
      .flatMap(({ changes }) => changes?.(facts) ?? [])
      .filter(({ before, after }) => before !== after),
  };
}

export function dryRunText({ steps, changes }: DryRun): string {
  const lines = steps.map((text, at) => `${at + 1}. ${text}\n`);
  const files = changes.map(
    ({ path, before, after }) => `\n${unifiedDifference(path, before, after)}`,
  );
  return [...lines, ...files].join("");
}
