// Group commit: what was applied in memory waits here for the disk, many changes for one flush, in order. Spec: design.md
// decision 3; pmxcfs.md §1.6. A caller is answered when its change is durable, never before; after a disk error nobody is.
import type { Result } from "../../result.ts";
import type { Lineage } from "../epoch/lineage.ts";
import type { TreeChange } from "../tree/entry.ts";

/** A change of the database; `replaceAll`: rows that `stored` lacks are removed. */
export interface JournalChange extends TreeChange {
  readonly replaceAll?: boolean;
  /** True when the change came with a state exchange (pmxcfs.md §1.3: the record's type is 4 then, else 8). */
  readonly fromSync?: boolean;
  /** What the tree descends from, from this change on. */
  readonly lineage?: Lineage;
}

export interface CommitQueueOptions {
  /** Stores one batch in one transaction. */
  readonly commit: (changes: readonly JournalChange[]) => Promise<Result<undefined>>;
  /** The disk refused: nothing that was added and not settled will be. Called once. */
  readonly onFailed: (reason: string) => void;
}

interface Waiting {
  readonly change: JournalChange | undefined;
  readonly settled: (() => void) | undefined;
}

export class CommitQueue {
  readonly #options: CommitQueueOptions;
  #waiting: Waiting[] = [];
  #scheduled = false;
  #running = false;
  #failed = false;
  #idle: (() => void)[] = [];
  #commits = 0;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  /** Batches written since the start. */
  get commits(): number {
    return this.#commits;
  }

  /** Changes and answers that wait for the disk. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * `settled` is called once the change, and all before it, are durable. Without a change it waits for those before it: an
   * answer must not show something that a crash could take back.
   */
  add(change: JournalChange | undefined, settled?: () => void): void {
    if (this.#failed) return;
    if (change === undefined && this.#waiting.length === 0 && !this.#running) return settled?.();
    this.#waiting.push({ change, settled });
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
    if (this.#failed || (this.#waiting.length === 0 && !this.#running)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0 && !this.#failed) {
      const batch = this.#waiting;
      this.#waiting = [];
      const changes: JournalChange[] = [];
      for (const { change } of batch) if (change !== undefined) changes.push(change);
      const stored = await this.#options.commit(changes);
      if (!stored.ok) {
        this.#failed = true;
        this.#waiting = [];
        this.#options.onFailed(stored.reason);
        break;
      }
      this.#commits += 1;
      for (const { settled } of batch) settled?.();
    }
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
