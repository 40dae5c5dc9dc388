// What the benches of ring and tree print: medians of some rounds beside the original's, as a table or as JSON, and the guard that fails when a
// ratio has fallen by more than a third against the recorded one (ratios.tsv).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { present } from "../../src/assert.ts";
import type { Choices } from "./choices.ts";

export interface Measurement {
  readonly name: string;
  readonly unit: string;
  /** What is better. */
  readonly better: "more" | "less";
  /** One of each round. */
  readonly ours: readonly number[];
  /** Of the original in the same run; empty: none was there. */
  readonly theirs: readonly number[];
  /** Beneath the line, such as the threads' shares. */
  readonly notes?: readonly string[];
}

export interface Row extends Measurement {
  readonly median: number;
  readonly reference: number | undefined;
  /** Where the reference is from. */
  readonly source: string;
  /** How many times as good as the reference; undefined without one. */
  readonly ratio: number | undefined;
}

export interface Figure {
  readonly unit: string;
  readonly original: number;
  readonly source: string;
}

/** A ratio below this part of the recorded one fails. */
const guardedPart = 2 / 3;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = present(sorted[sorted.length >> 1], "a median is of something");
  if (sorted.length % 2 === 1) return upper;
  return (upper + present(sorted[(sorted.length >> 1) - 1], "there are two in the middle")) / 2;
}

/** Rows of a table with tabs; lines that begin with # and empty ones are none. Throws where a line has not `columns` of them. */
export function readTable(text: string, columns: number): string[][] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const fields = line.split("\t");
    if (fields.length === columns) return fields;
    throw new Error(`a line has ${fields.length} columns, not ${columns}: ${line}`);
  });
}

function numberIn(text: string): number {
  const value = Number(text);
  if (text !== "" && Number.isFinite(value) && value > 0) return value;
  throw new Error(`"${text}" is no figure above 0`);
}

const readHere = (name: string): string => readFileSync(join(import.meta.dir, name), "utf8");

/** The original as it was measured once, by measurement. */
export function readFigures(text = readHere("figures.tsv")): ReadonlyMap<string, Figure> {
  return new Map(
    readTable(text, 5).map(([name = "", unit = "", original = "", , source = ""]) => [
      name,
      { unit, original: numberIn(original), source },
    ]),
  );
}

/** Ratios that the guard of one bench holds against, by measurement. */
export function readRatios(
  bench: string,
  text = readHere("ratios.tsv"),
): ReadonlyMap<string, number> {
  const rows = readTable(text, 3).filter(([of]) => of === bench);
  return new Map(rows.map(([, name = "", ratio = ""]) => [name, numberIn(ratio)]));
}

/** Medians beside the original of the same run, or else beside its figure. */
export function rowOf(measurement: Measurement, figures: ReadonlyMap<string, Figure>): Row {
  const { name, unit, better, ours, theirs } = measurement;
  const figure = figures.get(name);
  if (figure !== undefined && figure.unit !== unit) {
    throw new Error(`${name} is measured in ${unit} and stands in figures.tsv in ${figure.unit}`);
  }
  const value = median(ours);
  const reference = theirs.length > 0 ? median(theirs) : figure?.original;
  const source = theirs.length > 0 ? "same run" : (figure?.source ?? "");
  const ratio =
    reference === undefined ? undefined : better === "more" ? value / reference : reference / value;
  return { ...measurement, median: value, reference, source, ratio };
}

export function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows.flatMap(({ name, unit, median: ours, reference, ratio, source, notes = [] }) => {
    const numbers = `${short(ours).padStart(9)} ${unit.padEnd(3)}`;
    const compared =
      reference === undefined || ratio === undefined
        ? "original unknown"
        : `original ${short(reference).padStart(9)} ${unit.padEnd(3)} ${ratio.toFixed(2).padStart(7)} × as good (${source})`;
    return [`${name.padEnd(width)} ${numbers}  ${compared}`, ...notes.map((note) => `    ${note}`)];
  });
}

/** Three digits that count. */
export function short(value: number): string {
  if (value === 0 || Math.abs(value) >= 100) return value.toFixed(0);
  return value.toPrecision(3);
}

export interface Verdict {
  readonly passed: number;
  /** A sentence each. */
  readonly failed: readonly string[];
}

/** What is recorded must be measured, and no ratio may have fallen by more than a third. */
export function guard(rows: readonly Row[], ratios: ReadonlyMap<string, number>): Verdict {
  const failed: string[] = [];
  for (const [name, recorded] of ratios) {
    const ratio = rows.find((row) => row.name === name)?.ratio;
    if (ratio === undefined) failed.push(`${name}: was not measured`);
    else if (ratio < recorded * guardedPart) {
      failed.push(
        `${name}: ${ratio.toFixed(2)} × as good as the original, was ${recorded.toFixed(2)} × when test/bench/ratios.tsv was written`,
      );
    }
  }
  return { passed: ratios.size - failed.length, failed };
}

/** Tells what was measured; the exit code. The short form ends with "N passed, N failed". */
export function finish(
  bench: string,
  measurements: readonly Measurement[],
  { json, quick }: Pick<Choices, "json" | "quick">,
): number {
  const figures = readFigures();
  const rows = measurements.map((measurement) => rowOf(measurement, figures));
  if (json) console.log(JSON.stringify({ bench, rows }));
  else for (const line of table(rows)) console.log(line);
  if (!quick) return 0;
  const { passed, failed } = guard(rows, readRatios(bench));
  for (const sentence of failed) console.log(`FAIL  ${sentence}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}
