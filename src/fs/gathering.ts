// Writes that wait a moment for those behind them, so that a file costs one change of the tree and one row of the journal, whatever the
// pieces in which it is written. What waits is laid over what the tree has, so whoever reads on this node sees it; a write leaves when the
// next one does not adjoin it, when nothing has come for a moment, or when somebody asks for it. Bounded in bytes, number and time.
import { Deadlines } from "../deadlines.ts";
import type { Clock } from "../world.ts";
import { ByteRun } from "./tree/byte-run.ts";
import { fileType, type TreeEntry } from "./tree/entry.ts";
import type { Gathered, Outcome } from "./tree/files.ts";

/** Nothing came for so long, or the first write of a run is so old: it leaves. */
export const quietMs = 20;
export const oldestMs = 100;
/** Of all that was answered here and is not in the tree; who writes beyond waits until his own is. */
const bytesMax = 16 * 1024 * 1024;
const runsMax = 1024;
/** Of one file: somebody writes here and there in it. */
const runsOfFileMax = 16;

export interface GatheringOptions {
  readonly clock: Clock;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** Sends one write; `executed` is called when the tree has it, or refuses it. */
  readonly send: (
    write: { readonly path: string; readonly offset: number; readonly data: Uint8Array },
    executed: () => void,
  ) => Promise<Outcome<number>>;
}

/** One write to be. */
interface Run extends Gathered {
  readonly path: string;
  readonly bytes: ByteRun;
  readonly begunAt: number;
  /** Unix seconds of the last write. */
  timeS: number;
  /** Bytes of it that count for the bound. */
  counted: number;
  isSent: boolean;
  /** The tree has it, or never will. */
  isOver: boolean;
  readonly settle: (outcome: Outcome<number>) => void;
}

export class Gathering {
  readonly #options: GatheringOptions;
  readonly #deadlines: Deadlines<Run>;
  /** By path, in order: those that were sent and are not in the tree yet, then the one that others may still join. */
  readonly #runs = new Map<string, Run[]>();
  #bytes = 0;
  #count = 0;

  constructor(options: GatheringOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines({ clock: options.clock, fire: (run) => this.#send(run) });
  }

  /** Takes a write of at least one byte, which is copied. A promise when too much waits: it resolves once the tree has this write. */
  add(path: string, offset: number, data: Uint8Array): Gathered | Promise<Gathered> {
    const runs = this.#runs.get(path) ?? [];
    const last = runs.at(-1);
    const isJoined = last?.isSent === false && last.bytes.add(offset, data);
    if (last !== undefined && !isJoined) this.#send(last);
    const run = isJoined && last !== undefined ? last : this.#begin(path, offset, data);
    this.#bytes += run.bytes.length - run.counted;
    run.counted = run.bytes.length;
    const now = this.#options.clock.now();
    run.timeS = this.#options.wallS();
    this.#deadlines.arm(run, Math.min(now + quietMs, run.begunAt + oldestMs));
    const isFull = this.#bytes > bytesMax || this.#count > runsMax;
    if (!isFull && (this.#runs.get(path)?.length ?? 0) <= runsOfFileMax) return run;
    if (isFull) this.sendAll();
    else this.#send(run);
    return run.done.then(() => run);
  }

  /** What was written to this file so far is sent, before anything that is sent later. */
  send(path: string): void {
    const last = this.#runs.get(path)?.at(-1);
    if (last !== undefined) this.#send(last);
  }

  sendAll(): void {
    for (const runs of this.#runs.values()) for (const run of runs) this.#send(run);
  }

  /** Sends all and resolves when the tree has it, or has refused it. */
  async settled(): Promise<void> {
    this.sendAll();
    await Promise.all([...this.#runs.values()].flatMap((runs) => runs.map(({ done }) => done)));
  }

  /** The object as it will be once the tree has what was written to it here. */
  ahead(path: string, entry: TreeEntry): TreeEntry {
    const runs = this.#runs.get(path);
    const last = runs?.at(-1);
    if (runs === undefined || last === undefined || entry.type !== fileType) return entry;
    const data = runs.reduce((before, { bytes }) => bytes.over(before), entry.data);
    return { ...entry, data, mtime: last.timeS };
  }

  #begin(path: string, offset: number, data: Uint8Array): Run {
    const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
    const run: Run = {
      path,
      bytes: new ByteRun(offset, data),
      begunAt: this.#options.clock.now(),
      ...{ timeS: 0, counted: 0 },
      isSent: false,
      isOver: false,
      settle: resolve,
      done: promise,
      send: () => this.#send(run),
    };
    const runs = this.#runs.get(path);
    if (runs === undefined) this.#runs.set(path, [run]);
    else runs.push(run);
    this.#count += 1;
    return run;
  }

  #send(run: Run): void {
    if (run.isSent) return;
    run.isSent = true;
    this.#deadlines.disarm(run);
    const { path, bytes } = run;
    const { offset, data } = bytes;
    const sent = this.#options.send({ path, offset, data }, () => this.#over(run));
    void sent.then((outcome) => {
      this.#over(run);
      run.settle(outcome);
    });
  }

  #over(run: Run): void {
    if (run.isOver) return;
    run.isOver = true;
    this.#count -= 1;
    const { path } = run;
    const left = (this.#runs.get(path) ?? []).filter((other) => other !== run);
    if (left.length === 0) this.#runs.delete(path);
    else this.#runs.set(path, left);
    this.#bytes -= run.counted;
  }
}
