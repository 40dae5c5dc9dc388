// What --dry-run prints of a plan: its steps, and each file that would change as a difference. Nothing is asked and nothing is changed.
import type { FileChange, Plan } from "./plan.ts";

/** Lines around a change. */
const contextLines = 3;
/** Above so many lines on both sides a file is shown as replaced: the table of the comparison is their product. */
const linesMax = 4000;

export interface DryRun {
  /** In order, a line each. */
  readonly steps: readonly string[];
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
  const lines = steps.map((text, at) => `${at + 1}. ${text}`);
  const files = changes.map((change) => `\n${difference(change)}`);
  return `${lines.join("\n")}\n${files.join("")}`;
}

/** In the form of diff -u, without times. "" when nothing differs. */
export function difference({ path, before, after }: FileChange): string {
  if (before === after) return "";
  const edits = editsOf(linesOf(before), linesOf(after));
  const head = [
    `--- ${before === "" ? "/dev/null" : path}`,
    `+++ ${after === "" ? "/dev/null" : path}`,
  ];
  return `${[...head, ...hunksOf(edits)].join("\n")}\n`;
}

interface Edit {
  readonly sign: " " | "-" | "+";
  readonly line: string;
}

/** A text's last line ends like the others; one that does not is marked as diff does. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  return last === "" ? lines : [...lines, `${last}\n\\ No newline at end of file`];
}

/** By the longest common subsequence. */
function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  const removed = before.map((line): Edit => ({ sign: "-", line }));
  const added = after.map((line): Edit => ({ sign: "+", line }));
  if (before.length > linesMax || after.length > linesMax) return [...removed, ...added];
  const width = after.length + 1;
  // lengths[i * width + j]: of the longest common subsequence of before[i…] and after[j…].
  const lengths = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const edits: Edit[] = [];
  for (let i = 0, j = 0; i < before.length || j < after.length;) {
    const [old, young] = [before[i], after[j]];
    if (old !== undefined && old === young) {
      edits.push({ sign: " ", line: old });
      i += 1;
      j += 1;
    } else if (old !== undefined && (young === undefined || at(i + 1, j) >= at(i, j + 1))) {
      edits.push({ sign: "-", line: old });
      i += 1;
    } else {
      edits.push({ sign: "+", line: young ?? "" });
      j += 1;
    }
  }
  return edits;
}

function hunksOf(edits: readonly Edit[]): string[] {
  const isShown = edits.map((_, at) =>
    edits
      .slice(Math.max(0, at - contextLines), at + contextLines + 1)
      .some(({ sign }) => sign !== " "),
  );
  const lines: string[] = [];
  let [before, after] = [1, 1];
  for (let at = 0; at < edits.length;) {
    const end = isShown.indexOf(!isShown[at], at);
    const part = edits.slice(at, end < 0 ? edits.length : end);
    const count = (sign: "-" | "+"): number => part.filter((edit) => edit.sign !== sign).length;
    const [old, young] = [count("+"), count("-")];
    if (isShown[at] === true) {
      lines.push(`@@ -${range(before, old)} +${range(after, young)} @@`);
      lines.push(...part.map(({ sign, line }) => `${sign}${line}`));
    }
    before += old;
    after += young;
    at += part.length;
  }
  return lines;
}

/** As diff -u has it: a single line without its count, an empty range after the line before. */
function range(start: number, count: number): string {
  if (count === 1) return String(start);
  return `${count === 0 ? start - 1 : start},${count}`;
}
