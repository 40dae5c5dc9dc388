// The cluster-wide lock of Proxmox's tools for corosync.conf (pmxcfs.md §6.2, pvecm.md §1.0): a directory in the tree. Taken, the work
// done within its time, given back whatever happened. A lock that its holder abandoned is freed by asking, as the tools do.
import { setTimeout as wait } from "node:timers/promises";
import { reasonOf } from "../../result.ts";
import type { NodeClient } from "../api/client.ts";
import { CommandFailure } from "../exit.ts";

const parent = "priv/lock";
export const corosyncConfLock = "file-corosync_conf";
const acquireMsMax = 10_000;
/** An untouched lock is freed for who asks after 120 s without a change of members (pmxcfs.md §2.9). */
const abandonedMsMax = 150_000;
const noticeMsMin = 1000;
const retryMs = 500;
/** Half of the time after which an untouched lock may be freed. */
const workMsMax = 60_000;
/** Later another node may have it. */
const releaseMsMax = 100_000;

/** Time for those who wait and look again. */
export interface WaitingClock {
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

export const realClock: WaitingClock = {
  now: () => performance.now(),
  wait: (ms) => wait(ms),
};

export interface LockOptions {
  readonly client: Pick<NodeClient, "mkdir" | "remove" | "setMtime" | "status">;
  readonly name: string;
  readonly note: (text: string) => void;
  readonly clock?: WaitingClock;
}

/** Throws when the lock's time is over: the work must not go on as if it were alone. */
export function checkLock(signal: Pick<AbortSignal, "aborted">): void {
  if (signal.aborted) {
    throw new CommandFailure(`'${corosyncConfLock}'-locked command timed out - aborting`);
  }
}

/** The lock over several steps of a plan. Whether it is held is this process's knowledge alone. */
export class ClusterLock {
  readonly #options: LockOptions;
  readonly #clock: WaitingClock;
  readonly #path: string;
  #heldAt: number | undefined;

  constructor(options: LockOptions) {
    this.#options = options;
    this.#clock = options.clock ?? realClock;
    this.#path = `${parent}/${options.name}`;
  }

  /** It is not held, or its time is over. */
  get aborted(): boolean {
    return this.#heldAt === undefined || this.#clock.now() - this.#heldAt >= workMsMax;
  }

  /**
   * Takes the lock, unless it is held and in its time. `mayBeOurs`: a killed process of this operation may have it; then its end is waited
   * for, two minutes. Rejects in the words of the original's tools.
   */
  async hold(mayBeOurs = false): Promise<void> {
    if (!this.aborted) return;
    this.#heldAt = undefined;
    this.#heldAt = await this.#acquire(mayBeOurs ? abandonedMsMax : acquireMsMax);
  }

  /** Nothing when it is not held, or another node may have it by now. What cannot be given back, tried twice, ends by itself, which is noted. */
  async release(): Promise<void> {
    if (this.#heldAt === undefined) return;
    const heldMs = this.#clock.now() - this.#heldAt;
    this.#heldAt = undefined;
    if (heldMs >= releaseMsMax) return;
    const { client, note } = this.#options;
    const remove = (): Promise<void> => client.remove(this.#path);
    await remove()
      .catch(() => this.#clock.wait(retryMs).then(remove))
      .catch((error: unknown) => {
        note(
          `Warning: the lock ${this.#path} could not be given back (${reasonOf(error)}); it ends by itself within two minutes.\n`,
        );
      });
  }

  /** Answers when it was asked for successfully: its time begins no sooner. */
  async #acquire(waitMsMax: number): Promise<number> {
    const { client, name, note } = this.#options;
    const fail = (reason: string): never => {
      throw new CommandFailure(`cfs-lock '${name}' error: ${reason}`);
    };
    const begun = this.#clock.now();
    let noticedAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      // There already, as a rule; what cannot be made is refused with its reason by the step after.
      await client.mkdir("priv").catch(() => undefined);
      await client.mkdir(parent).catch(() => undefined);
      const askedAt = this.#clock.now();
      const refused = await client.mkdir(this.#path).then(
        () => undefined,
        (error: unknown) => reasonOf(error),
      );
      if (refused === undefined) return askedAt;
      const now = this.#clock.now();
      const status = await client.status();
      if (!status.quorum.quorate) return fail("no quorum!");
      if (!/EEXIST/.test(refused)) return fail(refused);
      if (now - begun >= waitMsMax) return fail("got lock request timeout");
      if (now - noticedAt >= noticeMsMin) {
        note(`trying to acquire cfs lock '${name}' ...\n`);
        noticedAt = now;
      }
      // Asks for its release in case nobody holds it any more; the time itself is always refused (pmxcfs.md §2.9).
      await client.setMtime(this.#path, 0).catch(() => undefined);
      await this.#clock.wait(retryMs);
    }
  }
}
