// How many may stand at the enrolment door, and who must wait: few at once, and nobody who failed often lately. Pure; it must never
// remember more addresses than its limit, and never let the failures of one network keep out another.
import { type Decoded, decoded, malformed } from "../bytes.ts";
import { originOf } from "./admission.ts";

export const gateLimits = {
  atOnceMax: 8,
  atOncePerNetworkMax: 2,
  /** Failures of one network, each within `memoryMs` of the one before, until it must wait. */
  failuresMax: 5,
  /** A network without a failure for so long is forgotten, and let in again. */
  memoryMs: 60_000,
  networksMax: 1024,
} as const;

export class EnrolmentGate {
  /** In the order of their last failure. */
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  readonly #inside = new Map<string, number>();
  #insideCount = 0;

  /** Lets one in, who must `leave`, or says why not. `now`: monotonic milliseconds. */
  enter(address: string, now: number): Decoded<void> {
    const network = originOf(address);
    const failed = this.#failures.get(network);
    if (failed !== undefined && now - failed.at >= gateLimits.memoryMs) {
      this.#failures.delete(network);
    } else if (failed !== undefined && failed.count >= gateLimits.failuresMax) {
      return malformed(
        `${failed.count} attempts of ${network} failed; it waits ${gateLimits.memoryMs / 1000} s`,
      );
    }
    const there = this.#inside.get(network) ?? 0;
    if (this.#insideCount >= gateLimits.atOnceMax || there >= gateLimits.atOncePerNetworkMax) {
      return malformed("too many enrolments at the same time");
    }
    this.#inside.set(network, there + 1);
    this.#insideCount += 1;
    return decoded(undefined);
  }

  leave(address: string): void {
    const network = originOf(address);
    const there = (this.#inside.get(network) ?? 0) - 1;
    if (there > 0) this.#inside.set(network, there);
    else this.#inside.delete(network);
    this.#insideCount -= 1;
  }

  failed(address: string, now: number): void {
    const network = originOf(address);
    const before = this.#failures.get(network);
    const isFresh = before !== undefined && now - before.at < gateLimits.memoryMs;
    this.#failures.delete(network);
    this.#failures.set(network, { count: isFresh ? before.count + 1 : 1, at: now });
    if (this.#failures.size <= gateLimits.networksMax) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      return;
    }
  }

  /** For tests and status. */
  get remembered(): number {
    return this.#failures.size;
  }
  get inside(): number {
    return this.#insideCount;
  }
}
