// The history as a file: JSON, each series as the base64 of its little-endian floats. What cannot be read is no history: never thrown, and nothing
// is allocated beyond the text that is there. Pure.
import * as v from "valibot";
import { type Result, failure, success } from "../../result.ts";
import {
  Archive,
  History,
  type Series,
  seriesMax,
  seriesNamePattern,
  type SpanName,
  spanNames,
  spans,
} from "./history.ts";

/** A longer file is not read: more cannot have been written. */
export const historyBytesMax = 16 * 1024 * 1024;

const slotNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(-1));
const seriesSchema = v.object({
  min: v.string(),
  mean: v.string(),
  max: v.string(),
  sum: v.number(),
  count: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  last: slotNumber,
});
const archiveSchema = v.object({
  stepS: v.number(),
  slots: v.number(),
  newest: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  series: v.array(v.tuple([v.pipe(v.string(), v.regex(seriesNamePattern)), seriesSchema])),
});
const fileSchema = v.object({
  format: v.literal(1),
  archives: v.object({ day: archiveSchema, month: archiveSchema }),
});

export function historyText(history: History): string {
  const archives = Object.fromEntries(
    spanNames.map((name) => [name, archiveData(history.archives[name])]),
  );
  return JSON.stringify({ format: 1, archives });
}

function archiveData({ span, newest, series }: Archive) {
  return {
    ...span,
    newest: newest ?? null,
    series: [...series].map(([name, { min, mean, max, sum, count, last }]) => [
      name,
      { min: floatsText(min), mean: floatsText(mean), max: floatsText(max), sum, count, last },
    ]),
  };
}

export function historyOf(text: string): Result<History> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failure("it is no JSON");
  }
  const read = v.safeParse(fileSchema, value);
  if (!read.success) return failure(read.issues.map(({ message }) => message).join("; "));
  const archives = new Map<SpanName, Archive>();
  for (const name of spanNames) {
    const archive = archiveOf(name, read.output.archives[name]);
    if (!archive.ok) return failure(`the ${name}: ${archive.reason}`);
    archives.set(name, archive.value);
  }
  return success(
    new History({
      day: archives.get("day") ?? new Archive(spans.day),
      month: archives.get("month") ?? new Archive(spans.month),
    }),
  );
}

function archiveOf(name: SpanName, data: v.InferOutput<typeof archiveSchema>): Result<Archive> {
  const span = spans[name];
  if (data.stepS !== span.stepS || data.slots !== span.slots) {
    return failure("another version has written it, with other steps");
  }
  if (data.series.length > seriesMax) return failure(`it has more than ${seriesMax} series`);
  const series = new Map<string, Series>();
  for (const [each, { min, mean, max, ...numbers }] of data.series) {
    const floats = [min, mean, max].map((text) => floatsOf(text, span.slots));
    const [low, middle, high] = floats;
    if (low === undefined || middle === undefined || high === undefined) {
      return failure(`the series ${each} has not ${span.slots} numbers`);
    }
    series.set(each, { min: low, mean: middle, max: high, ...numbers });
  }
  return success(new Archive(span, { newest: data.newest ?? undefined, series }));
}

function floatsText(values: Float32Array): string {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}

function floatsOf(text: string, count: number): Float32Array | undefined {
  if (text.length !== Math.ceil((count * 4) / 3) * 4) return undefined;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== count * 4) return undefined;
  return Float32Array.from({ length: count }, (_, index) => bytes.readFloatLE(index * 4));
}
