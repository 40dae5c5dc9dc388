// What a chart draws, in numbers: scales, marks of time, paths in a box, and the figures that say the same in words. Pure; the zone is the browser's.

/** From the oldest to the newest; null: nothing is known of that time. */
export type Values = readonly (number | null)[];

export interface Line {
  readonly label: string;
  readonly min: Values;
  readonly mean: Values;
  readonly max: Values;
}

/** Of a path: the box goes from 0 to this, downwards. */
export const boxWidth = 1000;
export const boxHeight = 200;

const steps = [1, 2, 2.5, 5, 10];
const ticksMax = 5;

export interface Scale {
  readonly max: number;
  /** From 0 to `max`. */
  readonly ticks: readonly number[];
}

/** The lowest round scale from 0 that holds `highest`; `least`: where it ends at the lowest. Ticks are whole where `isWhole`. */
export function scaleOf(highest: number, least: number, isWhole: boolean): Scale {
  const top = Math.max(highest, least);
  const rough = top / (ticksMax - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = steps.map((each) => each * power).find((each) => each >= rough * 0.999_999);
  const step = isWhole ? Math.max(1, Math.ceil(round ?? power)) : (round ?? power);
  const count = Math.max(1, Math.ceil(top / step - 1e-6));
  const ticks = Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)));
  return { max: ticks.at(-1) ?? step, ticks };
}

/** The scale does not go further above the highest mean than so many times: then the line is a line still. */
const aboveMeansMax = 10;

/**
 * What has to be inside the scale: all means, and all but the rarest highest values, so that one slow ping of a day does not press the line of all others flat.
 */
export function highestShown(lines: readonly Line[]): number {
  const highs = known(lines.flatMap(({ max }) => max)).toSorted((a, b) => a - b);
  const most = highs[Math.floor(highs.length * 0.95)] ?? highs.at(-1) ?? 0;
  const mean = Math.max(0, ...known(lines.flatMap(({ mean: means }) => means)));
  return Math.max(mean, Math.min(most, mean * aboveMeansMax));
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
const timeSteps = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720].map((each) => each * minuteMs);
const daySteps = [1, 2, 5, 7, 10];

export interface TimeTick {
  readonly atMs: number;
  /** "14:00", or "12-24" where it is of days. */
  readonly text: string;
}

/** At most five round moments between the two, of the browser's clock. */
export function timeTicks(fromMs: number, toMs: number): readonly TimeTick[] {
  const spanMs = toMs - fromMs;
  if (!(spanMs > 0)) return [];
  const begin = new Date(fromMs);
  const midnight = (days: number): Date =>
    new Date(begin.getFullYear(), begin.getMonth(), begin.getDate() + days);
  const step = timeSteps.find((each) => spanMs / each <= ticksMax);
  const found: TimeTick[] = [];
  if (step === undefined) {
    const every = daySteps.find((each) => spanMs / (each * dayMs) <= ticksMax) ?? 31;
    for (let day = 1; midnight(day).getTime() < toMs; day += every) {
      found.push({ atMs: midnight(day).getTime(), text: dateOf(midnight(day)) });
    }
    return found;
  }
  const base = midnight(0).getTime();
  for (let at = base + Math.ceil((fromMs - base) / step) * step; at < toMs; at += step) {
    const moment = new Date(at);
    found.push({ atMs: at, text: `${two(moment.getHours())}:${two(moment.getMinutes())}` });
  }
  return found;
}

function dateOf(moment: Date): string {
  return `${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** The middle of each point's time is joined with the next; where nothing is known there is no line, and what stands alone is as long as its time. */
export function linePath(values: Values, max: number): string {
  return runsOf(values)
    .map(({ from, all }) => {
      if (all.length === 1) {
        const y = heightOf(all[0] ?? 0, max);
        return `M${xOf(from, values)} ${y}H${xOf(from + 1, values)}`;
      }
      const places = all.map(
        (value, at) => `${xOf(from + at + 0.5, values)} ${heightOf(value, max)}`,
      );
      return `M${places.join("L")}`;
    })
    .join("");
}

/** Of what jumps: each point as long as its time. */
export function stepPath(values: Values, max: number): string {
  return runsOf(values)
    .map(({ from, all }) =>
      all
        .map((value, at) => {
          const y = heightOf(value, max);
          const begin = at === 0 ? `M${xOf(from, values)} ${y}` : `V${y}`;
          return `${begin}H${xOf(from + at + 1, values)}`;
        })
        .join(""),
    )
    .join("");
}

/** Between the lowest and the highest; both are of the same points. */
export function bandPath(min: Values, max: Values, top: number): string {
  return runsOf(max)
    .map(({ from, all }) => {
      const places = all.map((high, at) => ({
        xs: all.length === 1 ? [xOf(from, max), xOf(from + 1, max)] : [xOf(from + at + 0.5, max)],
        high: heightOf(high, top),
        low: heightOf(min[from + at] ?? high, top),
      }));
      const above = places.flatMap(({ xs, high }) => xs.map((x) => `${x} ${high}`));
      const below = places.flatMap(({ xs, low }) => xs.map((x) => `${x} ${low}`)).toReversed();
      return `M${[...above, ...below].join("L")}Z`;
    })
    .join("");
}

/** Values without a gap between them. */
function runsOf(values: Values): readonly { readonly from: number; readonly all: number[] }[] {
  const runs: { readonly from: number; readonly all: number[] }[] = [];
  let run: number[] | undefined;
  for (const [at, value] of values.entries()) {
    if (value === null) {
      run = undefined;
      continue;
    }
    if (run === undefined) {
      run = [];
      runs.push({ from: at, all: run });
    }
    run.push(value);
  }
  return runs;
}

function xOf(at: number, { length }: Values): string {
  return ((at / Math.max(1, length)) * boxWidth).toFixed(1);
}

/** What is above the scale stays at its top. */
function heightOf(value: number, max: number): string {
  const share = Math.min(1, Math.max(0, value / max));
  return ((1 - share) * boxHeight).toFixed(1);
}

export interface Figures {
  readonly lowest: number;
  /** Of the points' means. */
  readonly median: number;
  readonly highest: number;
}

/** Undefined: nothing is known. */
export function figuresOf({ min, mean, max }: Line): Figures | undefined {
  const means = known(mean).toSorted((a, b) => a - b);
  if (means.length === 0) return undefined;
  const upper = means[Math.floor(means.length / 2)] ?? 0;
  const lower = means[Math.ceil(means.length / 2) - 1] ?? upper;
  return {
    lowest: lowestOf(known(min)),
    median: (lower + upper) / 2,
    highest: -lowestOf(known(max).map((value) => -value)),
  };
}

function lowestOf(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function known(values: Values): number[] {
  return values.filter((value) => value !== null);
}
