// What charts show: values of a node over a day (a minute each) and over a month (half an hour each), as the lowest, the mean and the highest of
// all samples in that time. Bounded: so many series, so many slots. Pure: times are given, Unix seconds.

export interface Span {
  /** Seconds that one slot covers. */
  readonly stepS: number;
  /** How many are kept. */
  readonly slots: number;
}

export const spanNames = ["day", "month"] as const;
export type SpanName = (typeof spanNames)[number];

export const spans: Readonly<Record<SpanName, Span>> = {
  day: { stepS: 60, slots: 1440 },
  month: { stepS: 1800, slots: 1488 },
};

/** A sample: a number, or what was measured since the one before: its lowest, what stands for all of it, its highest. */
export type Sample = number | { readonly min: number; readonly mean: number; readonly max: number };
export type Samples = ReadonlyMap<string, Sample>;

/** Of each span; a link has two. */
export const seriesMax = 200;
export const seriesNamePattern = /^[A-Za-z0-9/]{1,48}$/;

/** One series of one span; the slot of number n stands at n modulo the slots. Float32: NaN is no sample. */
export interface Series {
  readonly min: Float32Array;
  readonly mean: Float32Array;
  readonly max: Float32Array;
  /** Of the newest slot, which is not over yet. */
  sum: number;
  count: number;
  /** Number of the last slot with a sample. */
  last: number;
}

/** As it is read: from the oldest slot to the newest; null: there was no sample. */
export interface ReadSeries {
  readonly min: readonly (number | null)[];
  readonly mean: readonly (number | null)[];
  readonly max: readonly (number | null)[];
}

export interface ReadArchive {
  readonly stepS: number;
  /** Where the first slot begins, Unix seconds; 0 with no slots. */
  readonly fromS: number;
  readonly series: Readonly<Record<string, ReadSeries>>;
}

export class Archive {
  readonly span: Span;
  readonly #series: Map<string, Series>;
  /** Slot number of the newest sample; undefined: there was none. */
  #newest: number | undefined;

  constructor(
    span: Span,
    stored: {
      readonly newest: number | undefined;
      readonly series: ReadonlyMap<string, Series>;
    } = { newest: undefined, series: new Map() },
  ) {
    this.span = span;
    this.#newest = stored.newest;
    this.#series = new Map(stored.series);
  }

  get newest(): number | undefined {
    return this.#newest;
  }

  get series(): ReadonlyMap<string, Series> {
    return this.#series;
  }

  /** Values that are no numbers are no samples. A clock that was set back takes away what is in its future. */
  record(atS: number, samples: Samples): void {
    const slot = Math.floor(atS / this.span.stepS);
    if (!Number.isSafeInteger(slot) || slot < 0) return;
    this.#move(slot);
    const at = slot % this.span.slots;
    for (const [name, sample] of samples) {
      const { min, mean, max } =
        typeof sample === "number" ? { min: sample, mean: sample, max: sample } : sample;
      if (![min, mean, max].every((value) => Number.isFinite(value))) continue;
      const series = this.#seriesOf(name, slot);
      if (series === undefined) continue;
      series.sum += mean;
      series.count += 1;
      series.last = slot;
      series.mean[at] = series.sum / series.count;
      series.min[at] = series.count === 1 ? min : Math.min(series.min[at] ?? min, min);
      series.max[at] = series.count === 1 ? max : Math.max(series.max[at] ?? max, max);
    }
  }

  /**
   * The last `periodS` seconds of the series that `isWanted`, in at most `pointsMax` points: neighbours are put together where there
   * are more.
   */
  read(isWanted: (name: string) => boolean, periodS: number, pointsMax: number): ReadArchive {
    const { stepS, slots } = this.span;
    const newest = this.#newest;
    if (newest === undefined) return { stepS, fromS: 0, series: {} };
    const shown = Math.max(1, Math.min(slots, newest + 1, Math.ceil(periodS / stepS)));
    const width = Math.max(1, Math.ceil(shown / Math.max(1, pointsMax)));
    const points = Math.ceil(shown / width);
    // Whole points to the newest slot; the first one may begin before the period.
    const first = newest - points * width + 1;
    const series: Record<string, ReadSeries> = {};
    for (const [name, each] of this.#series) {
      if (!isWanted(name)) continue;
      const oldest = Math.max(0, newest - slots + 1);
      series[name] = thinned(each, { slots, first, points, width, oldest });
    }
    return { stepS: stepS * width, fromS: first * stepS, series };
  }

  /** Empties what lies between the newest slot so far and this one. */
  #move(slot: number): void {
    const { slots } = this.span;
    const before = this.#newest;
    this.#newest = slot;
    if (before === undefined || before === slot) return;
    const isBack = slot < before;
    const count = Math.min(slots, Math.abs(slot - before));
    for (const series of this.#series.values()) {
      for (let step = 0; step < count; step += 1) {
        const number = isBack ? before - step : slot - step;
        // A slot of before that is reached again going back is begun anew with the next sample.
        clearSlot(series, ((number % slots) + slots) % slots);
      }
      if (isBack) clearSlot(series, slot % slots);
      series.sum = 0;
      series.count = 0;
      series.last = Math.min(series.last, slot);
    }
  }

  #seriesOf(name: string, slot: number): Series | undefined {
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    if (!seriesNamePattern.test(name)) return undefined;
    if (this.#series.size >= seriesMax && !this.#forgetOne(slot)) return undefined;
    const made = emptySeries(this.span.slots);
    this.#series.set(name, made);
    return made;
  }

  /** The one that has had no sample for the longest time makes room; false: all of them have one now. */
  #forgetOne(slot: number): boolean {
    let oldest: readonly [string, number] | undefined;
    for (const [name, { last }] of this.#series) {
      if (last < slot && (oldest === undefined || last < oldest[1])) oldest = [name, last];
    }
    return oldest !== undefined && this.#series.delete(oldest[0]);
  }
}

function clearSlot({ min, mean, max }: Series, at: number): void {
  for (const values of [min, mean, max]) values[at] = Number.NaN;
}

function emptySeries(slots: number): Series {
  const empty = () => new Float32Array(slots).fill(Number.NaN);
  return { min: empty(), mean: empty(), max: empty(), sum: 0, count: 0, last: -1 };
}

interface Cut {
  readonly slots: number;
  /** Number of the first slot; may be before there was one. */
  readonly first: number;
  readonly points: number;
  /** Slots that one point has. */
  readonly width: number;
  /** Slots of lower numbers are not kept any more. */
  readonly oldest: number;
}

function thinned(series: Series, { slots, first, points, width, oldest }: Cut): ReadSeries {
  const read: {
    readonly [K in keyof ReadSeries]: (number | null)[];
  } = { min: [], mean: [], max: [] };
  for (let point = 0; point < points; point += 1) {
    let count = 0;
    let sum = 0;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let step = 0; step < width; step += 1) {
      const number = first + point * width + step;
      if (number < oldest) continue;
      const at = number % slots;
      const mean = series.mean[at] ?? Number.NaN;
      if (Number.isNaN(mean)) continue;
      count += 1;
      sum += mean;
      min = Math.min(min, series.min[at] ?? mean);
      max = Math.max(max, series.max[at] ?? mean);
    }
    read.min.push(count === 0 ? null : rounded(min));
    read.mean.push(count === 0 ? null : rounded(sum / count));
    read.max.push(count === 0 ? null : rounded(max));
  }
  return read;
}

/** What a Float32 has of digits, so that 0.1 is not 0.10000000149011612. */
function rounded(value: number): number {
  return Number(value.toPrecision(7));
}

export class History {
  readonly archives: Readonly<Record<SpanName, Archive>>;

  constructor(
    archives: Readonly<Record<SpanName, Archive>> = {
      day: new Archive(spans.day),
      month: new Archive(spans.month),
    },
  ) {
    this.archives = archives;
  }

  record(atS: number, samples: Samples): void {
    for (const name of spanNames) this.archives[name].record(atS, samples);
  }
}
