// A chart over time: lines with the range about them, a moment to read, the figures in words, and all of it as a table. Own SVG and not a library: it is a
// twentieth of one, is drawn by unit tests too, and takes its colours, dark or light, from the sheet.
import { useState } from "preact/hooks";
import { TableFrame } from "../parts.tsx";
import { timeText } from "../shown.ts";
import { words } from "../words.ts";
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

export interface ChartSpec {
  readonly title: string;
  /** All of as many points. */
  readonly lines: readonly Line[];
  /** A value in words: "0.88 ms". */
  readonly text: (value: number) => string;
  /** Where the scale ends at the lowest. */
  readonly least: number;
  /** Votes and members: whole numbers that jump; drawn is the lowest of each time. */
  readonly isStep?: boolean;
}

interface Window {
  /** Where the first point begins, Unix milliseconds. */
  readonly fromMs: number;
  readonly stepMs: number;
}

/** Lines differ in their dashes too; there are not more kinds. */
const kinds = 8;

export function Chart({ spec, window }: { readonly spec: ChartSpec; readonly window: Window }) {
  const { title, lines } = spec;
  const count = lines[0]?.mean.length ?? 0;
  const [chosen, setChosen] = useState<number>();
  const at = Math.min(chosen ?? newestOf(lines), count - 1);
  const read = lines.map((line) => readText(spec, line, at)).join(", ");
  const moment = momentText(window, at);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <Legend lines={lines} />
      <Plot {...{ spec, window, count }} at={chosen} onMoment={setChosen} />
      <label class="soft">
        <span class="hidden">{words.chart.moment(title)}</span>
        <input
          type="range"
          {...{ min: 0, max: Math.max(0, count - 1), value: at }}
          aria-valuetext={`${moment}: ${read}`}
          onInput={({ currentTarget }) => setChosen(currentTarget.valueAsNumber)}
        />
      </label>
      <p class="soft">
        {moment}: {read}
      </p>
      {lines.map((line) => (
        <FiguresText key={line.label} {...{ spec, line }} />
      ))}
      <Table {...{ spec, window, count }} />
    </figure>
  );
}

/** The last point of which something is known. */
function newestOf(lines: readonly Line[]): number {
  return Math.max(0, ...lines.map(({ mean }) => mean.findLastIndex((value) => value !== null)));
}

function momentText({ fromMs, stepMs }: Window, at: number): string {
  return timeText(fromMs + at * stepMs, Date.now());
}

function readText(spec: ChartSpec, line: Line, at: number): string {
  const said = valueText(spec, line, at, false);
  return spec.lines.length === 1 ? said : `${line.label} ${said}`;
}

/** Of votes the mean would be no number of votes: they have been from so many to so many. */
function valueText(
  { text, isStep = false }: ChartSpec,
  { min, mean, max }: Line,
  at: number,
  isLong: boolean,
): string {
  const value = mean[at] ?? null;
  if (value === null) return words.unknown;
  const [low, high] = [min[at] ?? value, max[at] ?? value];
  if (isStep) return low === high ? text(low) : words.chart.between(text(low), text(high));
  if (!isLong || low === high) return text(value);
  return words.chart.range(text(value), text(low), text(high));
}

function Legend({ lines }: { readonly lines: readonly Line[] }) {
  if (lines.length < 2) return null;
  return (
    <ul class="legend">
      {lines.map(({ label }, at) => (
        <li key={label}>
          <svg viewBox="0 0 32 8" aria-hidden="true">
            <path class={`line line-${at % kinds}`} d="M0 4H32" />
          </svg>
          {label}
        </li>
      ))}
    </ul>
  );
}

function Plot(props: {
  readonly spec: ChartSpec;
  readonly window: Window;
  readonly count: number;
  readonly at: number | undefined;
  readonly onMoment: (at: number) => void;
}) {
  const { spec, window, count, at, onMoment } = props;
  const { lines, isStep = false, least, text } = spec;
  const { max, ticks } = scaleOf(highestShown(lines), least, isStep);
  const { fromMs, stepMs } = window;
  const spanMs = count * stepMs;
  const point = ({ clientX, currentTarget }: PointerEvent): void => {
    if (!(currentTarget instanceof Element)) return;
    const { left, width } = currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (clientX - left) / Math.max(1, width)));
    onMoment(Math.min(count - 1, Math.floor(share * count)));
  };
  return (
    <div class="plot" aria-hidden="true">
      {ticks.map((tick) => (
        <span key={tick} class="tick-y" style={{ bottom: percent(tick / max) }}>
          {text(tick)}
        </span>
      ))}
      <div class="area" onPointerMove={point} onPointerDown={point}>
        <svg viewBox={`0 0 ${boxWidth} ${boxHeight}`} preserveAspectRatio="none">
          {ticks.map((tick) => {
            const y = (1 - tick / max) * boxHeight;
            return <path key={tick} class="grid" d={`M0 ${y}H${boxWidth}`} />;
          })}
          {lines.map(({ label, min, max: high }, line) => (
            <path
              key={label}
              class={`band band-${line % kinds}`}
              d={isStep ? "" : bandPath(min, high, max)}
            />
          ))}
          {lines.map(({ label, min, mean }, line) => (
            <path
              key={label}
              class={`line line-${line % kinds}`}
              d={isStep ? stepPath(min, max) : linePath(mean, max)}
            />
          ))}
        </svg>
        {at !== undefined && (
          <div class="moment" style={{ left: percent((at + 0.5) / Math.max(1, count)) }} />
        )}
        {timeTicks(fromMs, fromMs + spanMs).map(({ atMs, text: time }) => (
          <span key={atMs} class="tick-x" style={{ left: percent((atMs - fromMs) / spanMs) }}>
            {time}
          </span>
        ))}
      </div>
    </div>
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}

/** What the drawing says, for who does not see it. */
function FiguresText({ spec, line }: { readonly spec: ChartSpec; readonly line: Line }) {
  const figures = figuresOf(line);
  const { text, lines, isStep = false } = spec;
  const label = lines.length === 1 ? "" : `${line.label}: `;
  return (
    <p>
      {label}
      {figures === undefined
        ? words.chart.nothing
        : isStep
          ? words.chart.ends(text(figures.lowest), text(figures.highest))
          : words.chart.figures(text(figures.lowest), text(figures.median), text(figures.highest))}
    </p>
  );
}

function Table(props: {
  readonly spec: ChartSpec;
  readonly window: Window;
  readonly count: number;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{words.chart.asTable}</summary>
      {isOpen && <ChartTable {...props} />}
    </details>
  );
}

/** The newest first; times of which nothing is known are left out. */
export function ChartTable(props: {
  readonly spec: ChartSpec;
  readonly window: Window;
  readonly count: number;
}) {
  const { spec, window, count } = props;
  const { title, lines } = spec;
  const points = Array.from({ length: count }, (_, at) => count - 1 - at).filter((at) =>
    lines.some(({ mean }) => (mean[at] ?? null) !== null),
  );
  return (
    <TableFrame label={title}>
      <table class="points">
        <thead>
          <tr>
            <th scope="col">{words.chart.from}</th>
            {lines.map(({ label }) => (
              <th scope="col" key={label}>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.map((at) => (
            <tr key={at}>
              <th scope="row">{momentText(window, at)}</th>
              {lines.map((line) => (
                <td key={line.label}>{valueText(spec, line, at, true)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
