// How far a download is, for somebody who watches: one line that is written over in place on a terminal, whole lines every quarter on
// a dumb one, nothing in a log or a pipe. No colours and no escape sequences, so NO_COLOR holds by itself (issue 4, first contact).
import { standardError } from "./output.ts";

/** "line": written over in place; "plain": whole lines; "silent": nothing. */
export type ProgressStyle = "line" | "plain" | "silent";

export interface ProgressOptions {
  /** What is on its way, such as a file's name. */
  readonly what: string;
  /** Undefined when the other side did not say. */
  readonly bytesTotal: number | undefined;
  readonly style: ProgressStyle;
  /** Width of the terminal; the line stays below it. */
  readonly columns: number;
  readonly write: (text: string) => void;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

const redrawMs = 100;
/** The rate is that of the last seconds. */
const rateMs = 5000;
const megabyte = 1_000_000;
const columnsDefault = 80;
const columnsMin = 20;

/** The style for a stream; `term` is the environment's TERM. */
export function progressStyle(
  stream: { readonly isTTY?: boolean },
  term: string | undefined,
): ProgressStyle {
  if (stream.isTTY !== true) return "silent";
  return term === "dumb" || term === undefined || term === "" ? "plain" : "line";
}

/** Progress on stderr, as this terminal has it. */
export function stderrProgress(what: string, bytesTotal: number | undefined): Progress {
  return new Progress({
    what,
    bytesTotal,
    style: progressStyle(process.stderr, process.env["TERM"]),
    columns: process.stderr.columns ?? columnsDefault,
    write: (text) => void standardError.write(text),
    now: () => performance.now(),
  });
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #startMs: number;
  /** What was there when, for the rate; the first is the oldest that counts. */
  #samples: { readonly ms: number; readonly bytes: number }[] = [];
  #drawnMs = Number.NEGATIVE_INFINITY;
  #drawnWidth = 0;
  #quarter = -1;
  #bytes = 0;
  #ended = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startMs = options.now();
  }

  /** `bytes`: how many are there in all. May be called for every piece: it draws ten times a second at most. */
  update(bytes: number): void {
    if (this.#ended) return;
    const nowMs = this.#options.now();
    this.#bytes = bytes;
    if (nowMs - this.#drawnMs < redrawMs) return;
    this.#samples.push({ ms: nowMs, bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[0]?.ms ?? 0) > rateMs) {
      this.#samples.shift();
    }
    this.#drawnMs = nowMs;
    this.#draw(this.#line(nowMs));
  }

  /** The last line: done, or broken off. The cursor is then on a line of its own. */
  end(outcome: "done" | "failed" = "done"): void {
    if (this.#ended) return;
    this.#ended = true;
    const { style, what, now, write } = this.#options;
    if (style === "silent") return;
    const seconds = Math.max(0, now() - this.#startMs) / 1000;
    const size = megabytes(this.#bytes);
    const line =
      outcome === "done"
        ? `${what}  ${size} MB in ${durationText(seconds)}`
        : `${what}  broken off after ${size} MB`;
    write(style === "line" ? `\r${this.#fitted(line)}\n` : `${line}\n`);
  }

  #line(nowMs: number): string {
    const { what, bytesTotal } = this.#options;
    const perSecond = this.#bytesPerSecond(nowMs);
    const speed = perSecond > 0 ? `  ${megabytes(perSecond)} MB/s` : "";
    if (bytesTotal === undefined || bytesTotal <= 0) {
      return `${what}  ${megabytes(this.#bytes)} MB${speed}`;
    }
    const percent = Math.min(100, Math.floor((this.#bytes / bytesTotal) * 100));
    const left =
      perSecond > 0 && this.#bytes < bytesTotal
        ? `, ${durationText((bytesTotal - this.#bytes) / perSecond)} left`
        : "";
    return `${what}  ${String(percent).padStart(3)} %  ${megabytes(this.#bytes)} of ${megabytes(bytesTotal)} MB${speed}${left}`;
  }

  #bytesPerSecond(nowMs: number): number {
    const first = this.#samples[0];
    if (first === undefined || nowMs <= first.ms) return 0;
    return Math.max(0, ((this.#bytes - first.bytes) / (nowMs - first.ms)) * 1000);
  }

  #draw(line: string): void {
    const { style, write, bytesTotal } = this.#options;
    switch (style) {
      case "silent":
        return;
      case "line":
        write(`\r${this.#fitted(line)}`);
        return;
      case "plain": {
        const part = bytesTotal === undefined || bytesTotal <= 0 ? 0 : this.#bytes / bytesTotal;
        const quarter = Math.min(4, Math.floor(part * 4));
        if (quarter <= this.#quarter) return;
        this.#quarter = quarter;
        write(`${line}\n`);
        return;
      }
    }
    style satisfies never;
  }

  /** Cut to the terminal, and filled so that it covers what was there. */
  #fitted(line: string): string {
    const most = Math.max(columnsMin, this.#options.columns) - 1;
    const cut = line.length > most ? line.slice(0, most) : line;
    const covering = cut.padEnd(Math.min(most, this.#drawnWidth));
    this.#drawnWidth = cut.length;
    return covering;
  }
}

function megabytes(bytes: number): string {
  return (bytes / megabyte).toFixed(1);
}

function durationText(seconds: number): string {
  if (seconds < 10) return `${Math.max(0.1, seconds).toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes} min ${Math.floor(seconds - minutes * 60)} s`;
}
