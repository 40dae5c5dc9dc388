// What charts draw, in numbers: scales, times, paths, and the figures in words.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  bandPath,
  boxHeight,
  boxWidth,
  figuresOf,
  highestShown,
  type Line,
  linePath,
  scaleOf,
  stepPath,
  timeTicks,
} from "./figures.ts";

const lineOf = (mean: Line["mean"], min = mean, max = mean): Line => ({
  ...{ label: "a", min, mean, max },
});

test("a scale is round, begins at 0 and holds what is highest", () => {
  expect(scaleOf(3, 3, true)).toEqual({ max: 3, ticks: [0, 1, 2, 3] });
  expect(scaleOf(0.9, 1, true).ticks).toEqual([0, 1]);
  expect(scaleOf(880, 1000, false).ticks).toEqual([0, 250, 500, 750, 1000]);
  expect(scaleOf(0.031, 0.05, false).ticks).toEqual([0, 0.02, 0.04, 0.06]);
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.double({ min: 0.01, max: 1e3, noNaN: true }),
      fc.boolean(),
      (highest, least, isWhole) => {
        const { max, ticks } = scaleOf(highest, least, isWhole);
        expect(max).toBeGreaterThanOrEqual(Math.max(highest, least) * 0.999_99);
        expect(ticks[0]).toBe(0);
        expect(ticks.length).toBeLessThanOrEqual(6);
        expect(ticks.at(-1)).toBe(max);
        if (isWhole) expect(ticks.every((tick) => Number.isInteger(tick))).toBe(true);
      },
    ),
  );
});

test("one slow ping of a day does not press the line flat; a mean is always inside", () => {
  const mean = Array.from({ length: 100 }, () => 1);
  const max = mean.map((value, at) => (at === 50 ? 900 : value * 2));
  expect(highestShown([lineOf(mean, mean, max)])).toBe(2);
  expect(highestShown([lineOf([...mean, 30])])).toBe(30);
  // Nor where there are few points yet.
  expect(highestShown([lineOf([1, 2], [1, 1], [3, 632])])).toBe(20);
  expect(highestShown([lineOf([null, null])])).toBe(0);
  expect(highestShown([])).toBe(0);
});

test("times are round by the clock of who looks, and not more than fit", () => {
  const begin = new Date(2026, 2, 3, 10, 7).getTime();
  expect(timeTicks(begin, begin + 3_600_000).map(({ text }) => text)).toEqual([
    ...["10:15", "10:30", "10:45", "11:00"],
  ]);
  expect(timeTicks(begin, begin + 86_400_000).map(({ text }) => text)).toEqual([
    ...["12:00", "18:00", "00:00", "06:00"],
  ]);
  const month = timeTicks(begin, begin + 31 * 86_400_000);
  expect(month.map(({ text }) => text)).toEqual(["03-04", "03-11", "03-18", "03-25", "04-01"]);
  for (const { atMs } of month) expect(new Date(atMs).getHours()).toBe(0);
  expect(timeTicks(begin, begin)).toEqual([]);
});

test("a line has gaps where nothing is known; what stands alone is as long as its time", () => {
  expect(linePath([0, 10, null, 5], 10)).toBe("M125.0 200.0L375.0 0.0M750.0 100.0H1000.0");
  expect(stepPath([1, 1, null, 2], 2)).toBe("M0.0 100.0H250.0V100.0H500.0M750.0 0.0H1000.0");
  expect(bandPath([0, null, 5], [10, null, 10], 10)).toBe(
    "M0.0 0.0L333.3 0.0L333.3 200.0L0.0 200.0ZM666.7 0.0L1000.0 0.0L1000.0 100.0L666.7 100.0Z",
  );
  for (const path of [linePath, stepPath]) expect(path([null, null], 1)).toBe("");
  expect(bandPath([], [], 1)).toBe("");
});

test("property: no path leaves its box, whatever the values", () => {
  const values = fc.array(fc.option(fc.double({ min: 0, max: 1e12, noNaN: true })), {
    maxLength: 50,
  });
  fc.assert(
    fc.property(values, fc.double({ min: 0.001, max: 1e6, noNaN: true }), (given, max) => {
      const text = linePath(given, max) + stepPath(given, max) + bandPath(given, given, max);
      expect(text).not.toMatch(/NaN|Infinity|e/);
      for (const [, x = "", y = ""] of text.matchAll(/[ML](\S+?) ([\d.]+)/g)) {
        expect(Number(x)).toBeLessThanOrEqual(boxWidth);
        expect(Number(y)).toBeLessThanOrEqual(boxHeight);
      }
    }),
  );
});

test("the figures: lowest of all, median of the points, highest of all", () => {
  expect(figuresOf(lineOf([3, null, 1, 2], [1, null, 0, 2], [9, null, 4, 2]))).toEqual({
    ...{ lowest: 0, median: 2, highest: 9 },
  });
  expect(figuresOf(lineOf([1, 2]))).toEqual({ lowest: 1, median: 1.5, highest: 2 });
  expect(figuresOf(lineOf([null]))).toBeUndefined();
});
