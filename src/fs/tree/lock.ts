// How long each lock below `priv/lock` has not been touched, as this node saw it: by that the lowest nodeid frees abandoned
// ones. Spec: pmxcfs.md §2.9. A lock is a directory; the timer belongs to its path and to the entry's checksum. Time is the
// monotonic clock; no wall clock can shorten a lock.
import { byteString } from "../../bytes.ts";
import { splitPath } from "./rules.ts";

/** A lock may be freed when it was not touched for longer than this. */
export const lockExpiryMs = 120_000;

interface LockTimer {
  readonly checksum: string;
  readonly sinceMs: number;
}

export class LockTimers {
  readonly #timers = new Map<string, LockTimer>();

  get size(): number {
    return this.#timers.size;
  }

  /** The lock was taken or refreshed, or the tree was loaded: its time begins. `checksum`: 32 bytes of the entry. */
  start(path: string, checksum: Uint8Array, now: number): void {
    this.#timers.set(normal(path), { checksum: byteString(checksum), sinceMs: now });
  }

  /** The lock is gone. */
  stop(path: string): void {
    this.#timers.delete(normal(path));
  }

  clear(): void {
    this.#timers.clear();
  }

  /** Somebody asks to free the lock, whose entry has this checksum now: only `expired` says yes. */
  requested(
    path: string,
    checksum: Uint8Array,
    now: number,
  ): "started" | "restarted" | "running" | "expired" {
    const timer = this.#timers.get(normal(path));
    if (timer === undefined || timer.checksum !== byteString(checksum)) {
      this.start(path, checksum, now);
      return timer === undefined ? "started" : "restarted";
    }
    return now - timer.sinceMs > lockExpiryMs ? "expired" : "running";
  }
}

function normal(path: string): string {
  const { parent, base } = splitPath(path);
  return `${parent}/${base}`;
}
