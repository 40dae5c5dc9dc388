// Charts as they are drawn, without a browser: what of a history becomes a line, what is said beside it, and the table.
import { expect, test } from "bun:test";
import { renderToString } from "preact-render-to-string";
import type { HistoryAnswer } from "../../../answers/history.ts";
import { ChartTable } from "./chart.tsx";
import { Charts, clusterCharts, linkCharts, withoutBefore } from "./history.tsx";

const series = (mean: (number | null)[], min = mean, max = mean) => ({ min, mean, max });
const begin = new Date(2026, 2, 3, 10, 0).getTime();

const history: HistoryAnswer = {
  ...{ stepS: 300, fromS: begin / 1000 },
  series: {
    votes: series([3, 3, null, 2]),
    votesNeeded: series([2, 2, null, 2]),
    members: series([3, 3, null, 2]),
    writesPerSecond: series([0, 0.25, null, 4]),
    "link/2/1/loss": series([0, 0, null, 1]),
    "link/2/0/latencyUs": series(
      [300, 400, null, 500],
      [200, 210, null, 220],
      [900, 910, null, 920],
    ),
    "link/2/0/loss": series([0, 0.005, null, 0]),
    "link/21/0/loss": series([1, 1, 1, 1]),
  },
};

function text(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

test("of a pair: a line each link, in order, with the figures in words", () => {
  const specs = linkCharts(history, 2);
  expect(specs.map(({ lines }) => lines.map(({ label }) => label))).toEqual([
    ["Link 0"],
    ["Link 0", "Link 1"],
  ]);
  const html = renderToString(<Charts history={history} specs={specs} />);
  expect(text(html)).toContain("lowest 0.20 ms, median 0.40 ms, highest 0.92 ms");
  expect(text(html)).toContain("Link 0: lowest 0 %, median 0 %, highest 0.5 %");
  expect(text(html)).toContain("Link 1: lowest 0 %, median 0 %, highest 100 %");
  // Lines differ by more than their colour, and each is named.
  expect(html.match(/class="line line-1"/g)).toHaveLength(2);
  expect(html).toContain('type="range"');
  expect(html).toMatch(/aria-valuetext="[^"]*10:15:00: Link 0 0 %, Link 1 100 %"/);
});

test("of a cluster: votes with those that are needed, members, changes", () => {
  const html = renderToString(<Charts history={history} specs={clusterCharts(history)} />);
  expect(html.match(/<figure/g)).toHaveLength(3);
  expect(text(html)).toContain("present: lowest 2, highest 3");
  expect(text(html)).toContain("needed: lowest 2, highest 2");
  // Of a time with both the lowest is drawn, and both are said: 1.5 votes are none.
  const both = { ...history, series: { votes: series([1.5], [1], [2]) } };
  const drawn = renderToString(<Charts history={both} specs={clusterCharts(both)} />);
  expect(drawn).toContain('d="M0.0 133.3H1000.0"');
  expect(text(drawn)).toContain(": 1 to 2 lowest 1, highest 2");
  expect(text(html)).toContain("lowest 0 /s, median 0.25 /s, highest 4 /s");
});

test("as a table: the newest first, without times of which nothing is known", () => {
  const [latencies] = linkCharts(history, 2);
  if (latencies === undefined) throw new Error("there is no chart of latency");
  const window = { fromMs: begin, stepMs: 300_000 };
  const html = renderToString(<ChartTable spec={latencies} window={window} count={4} />);
  expect(html.match(/<tr>/g)).toHaveLength(4);
  expect(text(html)).toMatch(
    /^From Link 0 2026-03-03 10:15:00 0\.50 ms \(0\.22 ms to 0\.92 ms\) 2026-03-03 10:05:00/,
  );
});

test("a young node has a chart of the time that it has, and not of less than twelve points", () => {
  const long = (known: number, all: number) => [
    ...Array<null>(all - known).fill(null),
    ...Array.from({ length: known }, (_, at) => at),
  ];
  const given = {
    stepS: 60,
    fromS: 6000,
    series: { a: series(long(20, 50)), b: series(long(3, 50)) },
  };
  const seen = withoutBefore(given);
  expect(seen).toMatchObject({ stepS: 60, fromS: 6000 + 30 * 60 });
  expect(seen.series["a"]?.mean).toEqual(long(20, 20));
  expect(seen.series["b"]?.max).toEqual(long(3, 20));
  const few = withoutBefore({ ...given, series: { b: series(long(3, 50)) } });
  expect(few.series["b"]?.min).toEqual(long(3, 12));
  for (const empty of [{}, { a: series([]) }, { a: series([null, null]) }]) {
    expect(withoutBefore({ ...given, series: empty })).toEqual({ ...given, series: empty });
  }
});

test("a history of nothing says so, and a series of a name that objects have is none", () => {
  const nothing = { stepS: 60, fromS: 0, series: {} };
  expect(renderToString(<Charts history={nothing} specs={clusterCharts(nothing)} />)).toContain(
    "Nothing is recorded yet.",
  );
  const strange = { ...nothing, series: { "link/2/0/loss": series([]) } };
  const html = renderToString(<Charts history={strange} specs={linkCharts(strange, 2)} />);
  expect(html).not.toContain("NaN");
});
