// History for charts: slots against a plain model, bounds, and the file.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Archive, History, type Span, seriesMax } from "./history.ts";
import { historyOf, historyText } from "./history-text.ts";

const span: Span = { stepS: 10, slots: 6 };
const all = () => true;
const one = (value: number) => new Map([["a", value]]);

test("a slot has the lowest, the mean and the highest of its samples; one without is null", () => {
  const archive = new Archive(span);
  for (const [at, value] of [
    [100, 1],
    [103, 5],
    [109, 3],
    [120, 7],
  ] as const) {
    archive.record(at, one(value));
  }
  expect(archive.read(all, 60, 100)).toEqual({
    stepS: 10,
    fromS: 70,
    series: {
      a: {
        min: [null, null, null, 1, null, 7],
        mean: [null, null, null, 3, null, 7],
        max: [null, null, null, 5, null, 7],
      },
    },
  });
  expect(archive.read(all, 30, 100)).toMatchObject({ fromS: 100 });
  expect(archive.read((name) => name === "b", 60, 100).series).toEqual({});
});

test("a sample that has measured several times keeps its lowest and its highest", () => {
  const archive = new Archive(span);
  archive.record(100, new Map([["a", { min: 2, mean: 3, max: 90 }]]));
  archive.record(105, new Map([["a", { min: 1, mean: 5, max: 6 }]]));
  archive.record(106, new Map([["a", { min: 0, mean: Number.NaN, max: 6 }]]));
  expect(archive.read(all, 10, 1).series["a"]).toEqual({ min: [1], mean: [4], max: [90] });
});

test("in fewer points neighbours are put together, the newest point to the end", () => {
  const archive = new Archive(span);
  for (let slot = 0; slot < 6; slot += 1) archive.record(slot * 10, one(slot));
  expect(archive.read(all, 60, 2)).toEqual({
    stepS: 30,
    fromS: 0,
    series: { a: { min: [0, 3], mean: [1, 4], max: [2, 5] } },
  });
  // Not a whole number of points: the first one begins before there was anything.
  expect(archive.read(all, 60, 4)).toMatchObject({
    stepS: 20,
    fromS: 0,
    series: { a: { mean: [0.5, 2.5, 4.5] } },
  });
});

test("a clock that was set back: what is in its future is gone, what was before stays", () => {
  const archive = new Archive(span);
  for (const slot of [1, 2, 3, 4]) archive.record(slot * 10, one(slot));
  archive.record(25, one(9));
  expect(archive.read(all, 60, 100)).toMatchObject({
    fromS: 0,
    series: { a: { mean: [null, 1, 9] } },
  });
  // Long ago: nothing of it is left.
  const late = new Archive(span);
  late.record(1000, one(1));
  late.record(10, one(2));
  expect(late.read(all, 60, 100).series["a"]?.mean).toEqual([null, 2]);
});

test("there is room for so many series; one that has had no sample for long makes room", () => {
  const archive = new Archive(span);
  const names = Array.from({ length: seriesMax }, (_, index) => `s${index}`);
  archive.record(0, new Map(names.map((name) => [name, 1])));
  archive.record(0, one(1));
  expect(archive.series.has("a")).toBe(false);
  archive.record(10, new Map(names.slice(1).map((name) => [name, 1])));
  archive.record(10, one(1));
  expect(archive.series.has("a")).toBe(true);
  expect(archive.series.has("s0")).toBe(false);
  expect(archive.series.size).toBe(seriesMax);
});

test("what is no number is no sample, and no name that is none", () => {
  const archive = new Archive(span);
  archive.record(1, new Map([["a", Number.NaN]]));
  archive.record(1, new Map([["b", Number.POSITIVE_INFINITY]]));
  archive.record(1, new Map([["../x", 1]]));
  archive.record(Number.NaN, one(1));
  archive.record(-5, one(1));
  expect(archive.series.size).toBe(0);
});

const samples = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: -1000, max: 1000 })),
  { maxLength: 60 },
);

/** What each slot has had, from the definition. */
function modelled(given: readonly (readonly [number, number])[]) {
  let at = 0;
  const slots = new Map<number, number[]>();
  for (const [step, value] of given) {
    at += step;
    const slot = Math.floor(at / span.stepS);
    slots.set(slot, [...(slots.get(slot) ?? []), value]);
  }
  const newest = Math.floor(at / span.stepS);
  const shown = Math.min(span.slots, newest + 1);
  return Array.from({ length: shown }, (_, index) => slots.get(newest - shown + 1 + index) ?? []);
}

test("property: slots hold what a list of all samples says", () => {
  fc.assert(
    fc.property(samples, (given) => {
      fc.pre(given.length > 0);
      const history = new History({ day: new Archive(span), month: new Archive(span) });
      let at = 0;
      for (const [step, value] of given) {
        at += step;
        history.record(at, one(value));
      }
      const read = history.archives.day.read(all, 3600, 3600).series["a"];
      const model = modelled(given);
      expect(read?.mean.length).toBe(model.length);
      for (const [index, values] of model.entries()) {
        if (values.length === 0) {
          expect(read?.mean[index]).toBeNull();
          continue;
        }
        const sum = values.reduce((total, value) => total + value, 0);
        expect(read?.mean[index]).toBeCloseTo(sum / values.length, 2);
        expect(read?.min[index]).toBe(Math.min(...values));
        expect(read?.max[index]).toBe(Math.max(...values));
      }
    }),
  );
});

test("the file gives back what was written, and goes on in the slot that was not over", () => {
  const history = new History();
  for (let at = 1_700_000_000; at < 1_700_010_000; at += 7) {
    history.record(
      at,
      new Map([
        ["a", at % 13],
        ["link/2/0/latencyUs", at % 17],
      ]),
    );
  }
  const back = historyOf(historyText(history));
  if (!back.ok) throw new Error(back.reason);
  for (const each of [history, back.value]) each.record(1_700_010_001, one(100));
  for (const name of ["day", "month"] as const) {
    expect(back.value.archives[name].read(all, 1e9, 1e9)).toEqual(
      history.archives[name].read(all, 1e9, 1e9),
    );
  }
});

test("a file that is none is refused with a reason, whatever is in it", () => {
  const good = historyText(new History());
  const withOne = new History();
  withOne.record(60, one(1));
  const text = historyText(withOne);
  for (const bad of [
    "",
    "null",
    "[]",
    good.replace('"format":1', '"format":2'),
    good.replace('"stepS":60', '"stepS":61'),
    text.replace('"a"', '"../a"'),
    text.replace(/"mean":"[^"]{40}/, '"mean":"'),
    text.replace(/"mean":"./, '"mean":"!'),
    text.replace('"newest":1', '"newest":1e300'),
  ]) {
    expect(bad === good || bad === text).toBe(false);
    expect(historyOf(bad)).toMatchObject({ ok: false });
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: text.length }), fc.string(), (at, junk) => {
      historyOf(text.slice(0, at) + junk + text.slice(at + junk.length));
    }),
  );
});
