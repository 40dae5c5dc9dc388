// The wait of a member that keeps its token for a caller (ring/keep.ts): for the next request, or a fraction of a millisecond. Host code.
import type { Clock } from "../../world.ts";
import type { KeepLimits } from "../ring/state.ts";

/**
 * Create, write, close and rename of one caller are few messages with a pause between each; a fourth pause is for what comes between. All
 * of them together are below a thousandth of the shortest time after which anybody misses a token.
 */
export const keepLimits: KeepLimits = {
  keepMs: 0.2,
  keepsMax: 4,
  afterAnswerMs: 2,
  whileStoredMs: 10,
};

/** What is nearer than this is now: nobody can wait for so little. */
const nowMs = 0.001;

export interface KeptTokenOptions {
  readonly clock: Clock;
  /** As RingMachine.awaitPost. */
  readonly awaitPost: (waitMs: number, act: () => void) => void;
  /** The time is over. */
  readonly over: () => void;
}

export class KeptToken {
  readonly #options: KeptTokenOptions;
  /** Undefined: none is kept. */
  #until: number | undefined;
  #isWaiting = false;

  constructor(options: KeptTokenOptions) {
    this.#options = options;
  }

  arm(at: number): void {
    this.#until = at;
  }

  disarm(): void {
    this.#until = undefined;
  }

  /** To be called when nothing else is to be done and all that was said is out. */
  wait(): void {
    if (this.#until === undefined || this.#isWaiting) return;
    const { clock, awaitPost, over } = this.#options;
    const waitMs = this.#until - clock.now();
    if (waitMs < nowMs) {
      this.#until = undefined;
      return over();
    }
    this.#isWaiting = true;
    awaitPost(waitMs, () => {
      this.#isWaiting = false;
      this.wait();
    });
  }
}
