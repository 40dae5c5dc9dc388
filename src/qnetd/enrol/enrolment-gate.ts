// How many may stand at the enrolment door, and who must wait: few at once, and nobody who failed often lately. Who has not asked yet
// makes room for the next one, so that stalled handshakes close it for nobody (issue 8, A.8). Pure; it must never remember more addresses
// than its limit, and never let the failures of one network keep out another.
import { originOf } from "../server/admission.ts";

export const gateLimits = {
  atOnceMax: 16,
  atOncePerNetworkMax: 2,
  /** Failures of one network, each within `memoryMs` of the one before, until it must wait. */
  failuresMax: 5,
  /** A network without a failure for so long is forgotten, and let in again. */
  memoryMs: 60_000,
  networksMax: 1024,
} as const;

export type Entered =
  /** `evicted`: the visit that has to go for it; it is already out, and the caller ends it. */
  | { readonly kind: "in"; readonly evicted: number | undefined }
  | { readonly kind: "refused"; readonly why: string };

interface Inside {
  readonly network: string;
  hasAsked: boolean;
}

export class EnrolmentGate {
  /** In the order of their last failure. */
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  /** Visits by the caller's numbers, in the order of their arrival. */
  readonly #inside = new Map<number, Inside>();

  /** Lets a visit in, which must `leave`, or says why not. `now`: monotonic milliseconds. */
  enter(visit: number, address: string, now: number): Entered {
    const network = originOf(address);
    const failed = this.#failures.get(network);
    if (failed !== undefined && now - failed.at >= gateLimits.memoryMs) {
      this.#failures.delete(network);
    } else if (failed !== undefined && failed.count >= gateLimits.failuresMax) {
      const waitS = gateLimits.memoryMs / 1000;
      const why = `${failed.count} attempts of ${network} failed; it waits ${waitS} s`;
      return { kind: "refused", why };
    }
    const crowd = this.#crowdOf(network);
    let evicted: number | undefined;
    if (crowd !== undefined) {
      evicted = crowd.find((other) => this.#inside.get(other)?.hasAsked === false);
      if (evicted === undefined) {
        return { kind: "refused", why: "too many enrolments at the same time" };
      }
      this.#inside.delete(evicted);
    }
    this.#inside.set(visit, { network, hasAsked: false });
    return { kind: "in", evicted };
  }

  /** Its request is here: it gets its answer. */
  asked(visit: number): void {
    const inside = this.#inside.get(visit);
    if (inside !== undefined) inside.hasAsked = true;
  }

  leave(visit: number): void {
    this.#inside.delete(visit);
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
    return this.#inside.size;
  }

  /** Of whom one must go for a visit of this network, the oldest first; undefined: there is room. */
  #crowdOf(network: string): readonly number[] | undefined {
    const visits = [...this.#inside];
    const ofNetwork = visits.filter(([, inside]) => inside.network === network);
    if (ofNetwork.length >= gateLimits.atOncePerNetworkMax) return ofNetwork.map(([id]) => id);
    return visits.length >= gateLimits.atOnceMax ? visits.map(([id]) => id) : undefined;
  }
}
