// Which connections may enrol: few at once, and none of a network that failed often lately. One without a request yet
// makes room for the next one, so that stalled handshakes keep nobody out (issue 8, A.8). Pure; it must never remember more addresses
// than its limit, and never let the failures of one network keep out another.
import { originOf } from "../server/origin.ts";

export const enrolmentLimits = {
  atOnceMax: 16,
  atOncePerNetworkMax: 2,
  /** Failures of one network, each within `memoryMs` of the one before, until it must wait. */
  failuresMax: 5,
  /** A network without a failure for so long is forgotten, and admitted again. */
  memoryMs: 60_000,
  networksMax: 1024,
} as const;

export type Admitted =
  /** `evicted`: the connection that must end for it; it is forgotten here, and the caller ends it. */
  | { readonly kind: "admitted"; readonly evicted: number | undefined }
  | { readonly kind: "refused"; readonly why: string };

interface Connection {
  readonly network: string;
  hasAsked: boolean;
}

export class EnrolmentAdmission {
  /** In the order of their last failure. */
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  /** Connections by the caller's numbers, in the order of their arrival. */
  readonly #connections = new Map<number, Connection>();

  /** Admits a connection, which must `leave`, or says why not. `now`: monotonic milliseconds. */
  admit(connection: number, address: string, now: number): Admitted {
    const network = originOf(address);
    const failed = this.#failures.get(network);
    if (failed !== undefined && now - failed.at >= enrolmentLimits.memoryMs) {
      this.#failures.delete(network);
    } else if (failed !== undefined && failed.count >= enrolmentLimits.failuresMax) {
      const waitS = enrolmentLimits.memoryMs / 1000;
      const why = `${failed.count} attempts of ${network} failed; it waits ${waitS} s`;
      return { kind: "refused", why };
    }
    const candidates = this.#candidatesOf(network);
    let evicted: number | undefined;
    if (candidates !== undefined) {
      evicted = candidates.find((other) => this.#connections.get(other)?.hasAsked === false);
      if (evicted === undefined) {
        return { kind: "refused", why: "too many enrolments at the same time" };
      }
      this.#connections.delete(evicted);
    }
    this.#connections.set(connection, { network, hasAsked: false });
    return { kind: "admitted", evicted };
  }

  /** Its request is here: it gets its answer. */
  asked(connection: number): void {
    const found = this.#connections.get(connection);
    if (found !== undefined) found.hasAsked = true;
  }

  leave(connection: number): void {
    this.#connections.delete(connection);
  }

  failed(address: string, now: number): void {
    const network = originOf(address);
    const before = this.#failures.get(network);
    const isFresh = before !== undefined && now - before.at < enrolmentLimits.memoryMs;
    this.#failures.delete(network);
    this.#failures.set(network, { count: isFresh ? before.count + 1 : 1, at: now });
    if (this.#failures.size <= enrolmentLimits.networksMax) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      return;
    }
  }

  /** For tests and status. */
  get remembered(): number {
    return this.#failures.size;
  }
  get connections(): number {
    return this.#connections.size;
  }

  /** Of which one must end for a connection of this network, the oldest first; undefined: there is room. */
  #candidatesOf(network: string): readonly number[] | undefined {
    const connections = [...this.#connections];
    const ofNetwork = connections.filter(([, { network: other }]) => other === network);
    if (ofNetwork.length >= enrolmentLimits.atOncePerNetworkMax) return ofNetwork.map(([id]) => id);
    return connections.length >= enrolmentLimits.atOnceMax
      ? connections.map(([id]) => id)
      : undefined;
  }
}
