// Group commit: what was applied in memory waits here for the disk, many changes for one flush, in order. Spec: design.md
// decision 3; pmxcfs.md §1.6. Where somebody waits for this disk it is at once, else the next 20 ms go together. A caller is answered
// when its change is durable, never before; after a disk error nobody is.
import type { Result } from "../../result.ts";
import type { Clock } from "../../world.ts";
import { Batch, type JournalChange } from "./batch.ts";

/** What nobody waits for is on its way to the disk after this, milliseconds, or when there is so much of it. */
const lazyMsMax = 20;
const lazyBytesMax = 4 * 1024 * 1024;
const lazyObjectsMax = 1000;

export interface CommitQueueOptions {
  /** Stores one batch in one transaction. */
  readonly commit: (changes: readonly JournalChange[]) => Promise<Result<undefined>>;
  /** The disk refused: nothing that was added and not settled will be. Called once. */
  readonly onFailed: (reason: string) => void;
  readonly clock: Clock;
}

/** What the disk has had to do, since the start. */
export interface JournalCounts {
  /** Transactions. */
  readonly commits: number;
  /** Changes and answers that wait for it now. */
  readonly waiting: number;
  /** What the transactions took together, and the longest of them. */
  readonly totalMs: number;
  readonly longestMs: number;
}

export class CommitQueue {
  readonly #options: CommitQueueOptions;
  #batch = new Batch();
  #settled: (() => void)[] = [];
  /** Changes and answers of the batch. */
  #waiting = 0;
  /** The batch goes as soon as the one before is through. */
  #isUrgent = false;
  #cancelDeadline: (() => void) | undefined;
  #scheduled = false;
  #running = false;
  #failed = false;
  #idle: (() => void)[] = [];
  #commits = 0;
  #totalMs = 0;
  #longestMs = 0;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  get counts(): JournalCounts {
    const [totalMs, longestMs] = [this.#totalMs, this.#longestMs];
    return { commits: this.#commits, waiting: this.#waiting, totalMs, longestMs };
  }

  /**
   * `settled` is called once the change, and all before it, are durable; somebody waits for that. Without a change it waits for those
   * before it: an answer must not show something that a crash could take back. A change without `settled` may wait for others to come.
   */
  add(change: JournalChange | undefined, settled?: () => void): void {
    if (this.#failed) return;
    if (change === undefined && this.#waiting === 0 && !this.#running) return settled?.();
    this.#waiting += 1;
    if (change !== undefined) this.#batch.add(change);
    if (settled !== undefined) {
      this.#settled.push(settled);
      return this.hurry();
    }
    const { bytes, size } = this.#batch;
    if (bytes > lazyBytesMax || size > lazyObjectsMax) return this.hurry();
    this.#cancelDeadline ??= this.#options.clock.after(lazyMsMax, () => this.hurry());
  }

  /** Somebody waits for all that was added so far. */
  hurry(): void {
    if (this.#waiting === 0 || this.#failed) return;
    this.#isUrgent = true;
    if (this.#scheduled || this.#running) return;
    this.#scheduled = true;
    // Everything that is applied in this turn goes into one batch.
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#run();
    });
  }

  /** Resolves when nothing waits for the disk any more, at once after a failure. */
  drained(): Promise<void> {
    if (this.#failed || (this.#waiting === 0 && !this.#running)) return Promise.resolve();
    this.hurry();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#isUrgent && this.#waiting > 0 && !this.#failed) {
      const [batch, settled] = [this.#batch, this.#settled];
      this.#clear();
      const begunAt = this.#options.clock.now();
      const stored = await this.#options.commit([batch.change]);
      const tookMs = this.#options.clock.now() - begunAt;
      this.#totalMs += tookMs;
      this.#longestMs = Math.max(this.#longestMs, tookMs);
      if (!stored.ok) {
        this.#failed = true;
        this.#clear();
        this.#options.onFailed(stored.reason);
        break;
      }
      this.#commits += 1;
      for (const settle of settled) settle();
    }
    this.#running = false;
    // Whoever waits until it is drained waits for what came meanwhile, too.
    if (this.#idle.length > 0 && this.#waiting > 0) return this.hurry();
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #clear(): void {
    this.#batch = new Batch();
    this.#settled = [];
    this.#waiting = 0;
    this.#isUrgent = false;
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
  }
}
