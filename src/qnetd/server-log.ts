// Keeps a flood of connections from becoming a flood of log lines: beyond a burst, a few lines a second, then one line with the
// number of those left out. Never delays a line that it writes.
import type { LogAction } from "../world.ts";

const burst = 100;
const refillMs = 500;

export class LogThrottle {
  readonly #write: (line: LogAction) => void;
  readonly #now: () => number;
  #credit = burst;
  #refilledAt: number;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `now`: milliseconds, monotonic. */
  constructor(write: (line: LogAction) => void, now: () => number = () => performance.now()) {
    this.#write = write;
    this.#now = now;
    this.#refilledAt = now();
  }

  log(line: LogAction): void {
    this.#refill();
    if (this.#credit > 0) {
      this.#flush();
      this.#credit -= 1;
      this.#write(line);
      return;
    }
    this.#left += 1;
    this.#timer ??= setTimeout(() => this.stop(), burst * refillMs);
  }

  /** Says what was left out so far. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flush();
  }

  #refill(): void {
    const earned = Math.floor((this.#now() - this.#refilledAt) / refillMs);
    if (earned <= 0) return;
    this.#credit = Math.min(burst, this.#credit + earned);
    this.#refilledAt += earned * refillMs;
  }

  #flush(): void {
    if (this.#left === 0) return;
    const text = `${this.#left} more lines were left out`;
    this.#left = 0;
    this.#write({ kind: "log", level: "warning", subsystem: "QNETD", text });
  }
}
