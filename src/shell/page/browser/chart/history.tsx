// How a node was over an hour, a day or a month: its history, read again while somebody looks, as charts.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { historyAnswer, type HistoryAnswer } from "../../../answers/history.ts";
import { type Api, failureText } from "../api.ts";
import { Busy, Card, Notice } from "../parts.tsx";
import { latency, share } from "../shown.ts";
import { words } from "../words.ts";
import { Chart, type ChartSpec } from "./chart.tsx";
import type { Line } from "./figures.ts";
import { useReading } from "./reading.ts";

const spanNames = ["hour", "day", "month"] as const;
type SpanName = (typeof spanNames)[number];

/** As many points as a chart is wide, and no more than a line each minute, ten, or two hours. */
const spans: Readonly<
  Record<SpanName, { readonly given: Readonly<Record<string, string | number>>; everyMs: number }>
> = {
  hour: { given: { span: "day", seconds: 3600, points: 60 }, everyMs: 20_000 },
  day: { given: { span: "day", seconds: 86_400, points: 288 }, everyMs: 60_000 },
  month: { given: { span: "month", points: 372 }, everyMs: 300_000 },
};

interface HistoryProps {
  readonly api: Api;
  readonly title: ComponentChildren;
  /** Whose; undefined: of the node that serves this page. */
  readonly node: string | undefined;
  /** Names of series, or what they begin with. */
  readonly series: readonly string[];
  readonly charts: (history: HistoryAnswer) => readonly ChartSpec[];
  readonly hint?: string;
}

export function HistoryCharts(props: HistoryProps) {
  const [span, setSpan] = useState<SpanName>("day");
  return (
    <Card title={props.title} isWide>
      {props.hint !== undefined && <p class="soft">{props.hint}</p>}
      <div class="buttons" role="group" aria-label={words.chart.span}>
        {spanNames.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === span}
            onClick={() => setSpan(name)}
          >
            {words.chart.spans[name]}
          </button>
        ))}
      </div>
      <Drawn key={`${span} ${props.node} ${props.series.join()}`} {...props} span={span} />
    </Card>
  );
}

function Drawn(props: HistoryProps & { readonly span: SpanName }) {
  const { api, node, series, charts, span } = props;
  const { given, everyMs } = spans[span];
  const path =
    node === undefined ? "/api/v1/history" : `/api/v1/nodes/${encodeURIComponent(node)}/history`;
  const wanted = { ...given, series: series.join(",") };
  const answer = useReading(() => api.get(historyAnswer, path, wanted), everyMs, [api]);
  if (answer === undefined) return <Busy />;
  if (!answer.ok) return <Notice mood="warn">{failureText(answer)}</Notice>;
  const history = withoutBefore(answer.data);
  return <Charts history={history} specs={charts(history)} />;
}

/** The fewest points that are shown. */
const pointsMin = 12;

/** Without the time before anything was recorded: a young node has a chart of the time that it has. */
export function withoutBefore(history: HistoryAnswer): HistoryAnswer {
  const { stepS, fromS, series } = history;
  const all = Object.values(series);
  const count = Math.max(0, ...all.map(({ mean }) => mean.length));
  const firsts = all.map(({ mean }) => mean.findIndex((value) => value !== null));
  const first = Math.min(count, ...firsts.filter((at) => at >= 0));
  const cut = Math.max(0, Math.min(first, count - pointsMin));
  const kept = Object.entries(series).map(([name, { min, mean, max }]) => [
    name,
    { min: min.slice(cut), mean: mean.slice(cut), max: max.slice(cut) },
  ]);
  return { stepS, fromS: fromS + cut * stepS, series: Object.fromEntries(kept) };
}

export function Charts(props: {
  readonly history: HistoryAnswer;
  readonly specs: readonly ChartSpec[];
}) {
  const { history, specs } = props;
  const window = { fromMs: history.fromS * 1000, stepMs: history.stepS * 1000 };
  const drawn = specs.filter(({ lines }) => lines.length > 0);
  if (drawn.length === 0) return <p class="soft">{words.chart.nothing}</p>;
  return (
    <div class="charts">
      {drawn.map((spec) => (
        <Chart key={spec.title} spec={spec} window={window} />
      ))}
    </div>
  );
}

/** Lines of the series of these names; of a name that there is no series of, none. */
function linesOf(
  { series }: HistoryAnswer,
  named: readonly { readonly name: string; readonly label: string }[],
): readonly Line[] {
  return named.flatMap(({ name, label }) => {
    const found = Object.hasOwn(series, name) ? series[name] : undefined;
    return found === undefined ? [] : [{ label, ...found }];
  });
}

export const clusterSeries = ["votes", "votesNeeded", "members", "writesPerSecond"] as const;

export function clusterCharts(history: HistoryAnswer): readonly ChartSpec[] {
  const whole = { text: countText, least: 3, isStep: true };
  const of = (...named: readonly (readonly [string, string])[]) =>
    linesOf(
      history,
      named.map(([name, label]) => ({ name, label })),
    );
  return [
    {
      ...whole,
      title: words.votes,
      lines: of(["votes", words.present], ["votesNeeded", words.chart.needed]),
    },
    { ...whole, title: words.chart.members, lines: of(["members", words.chart.members]) },
    {
      title: words.chart.writes,
      lines: of(["writesPerSecond", words.chart.writes]),
      text: words.chart.perSecond,
      least: 1,
    },
  ];
}

/** Of one node to another: a line each link. */
export function linkCharts(history: HistoryAnswer, nodeid: number): readonly ChartSpec[] {
  const numbers = Object.keys(history.series).flatMap((name) => {
    const [, node, link] = /^link\/(\d+)\/(\d+)\/loss$/.exec(name) ?? [];
    return node === String(nodeid) && link !== undefined ? [Number(link)] : [];
  });
  const of = (what: string): readonly Line[] =>
    linesOf(
      history,
      numbers
        .toSorted((a, b) => a - b)
        .map((link) => ({ name: `link/${nodeid}/${link}/${what}`, label: words.link(link) })),
    );
  return [
    { title: words.chart.latency, lines: of("latencyUs"), text: latency, least: 1000 },
    { title: words.chart.loss, lines: of("loss"), text: lossText, least: 0.05 },
  ];
}

function lossText(part: number): string {
  return share(part, 1);
}

function countText(count: number): string {
  return Number.isInteger(count) ? String(count) : count.toFixed(1);
}
