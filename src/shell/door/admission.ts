// Who may be connected to the network API at one time: limits in all and for each address. Where room is needed, the connection that has been idle for
// the longest time goes, of the address that has no room or of the one with most connections; without an idle one the newcomer is refused. And how many
// requests an address may send: a bucket that fills at a steady rate. Pure: times are given, milliseconds of one clock.
import { originOf } from "../../qnetd/server/origin.ts";

export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
}

/** What the book knows of a connection. */
export interface Guest {
  /** Of the other side, as the system writes it. */
  readonly address: string;
  /** Since when it has no request under way; undefined: it has one. */
  readonly idleSince: number | undefined;
}

export type Admitted<G> =
  { readonly isTaken: true; readonly evicted: G | undefined } | { readonly isTaken: false };

export class DoorAdmission<G extends Guest> {
  readonly #limits: AdmissionLimits;
  readonly #byOrigin = new Map<string, Set<G>>();
  #count = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes a connection in, unless there is no room; `evicted` is booked out already and has to be closed. */
  admit(guest: G): Admitted<G> {
    const origin = originOf(guest.address);
    const own = this.#byOrigin.get(origin);
    let evicted: G | undefined;
    if (own !== undefined && own.size >= this.#limits.connectionsPerAddressMax) {
      evicted = longestIdle(own);
      if (evicted === undefined) return { isTaken: false };
    } else if (this.#count >= this.#limits.connectionsMax) {
      evicted = this.#evictable();
      if (evicted === undefined) return { isTaken: false };
    }
    if (evicted !== undefined) this.left(evicted);
    // Evicting may have removed the set.
    const set = this.#byOrigin.get(origin) ?? new Set<G>();
    set.add(guest);
    this.#byOrigin.set(origin, set);
    this.#count += 1;
    return { isTaken: true, evicted };
  }

  /** It is gone; for one that is not in the book nothing happens. */
  left(guest: G): void {
    const origin = originOf(guest.address);
    const set = this.#byOrigin.get(origin);
    if (set === undefined || !set.delete(guest)) return;
    this.#count -= 1;
    if (set.size === 0) this.#byOrigin.delete(origin);
  }

  /** The longest idle one of the most crowded address that has one. */
  #evictable(): G | undefined {
    const crowded = [...this.#byOrigin.values()].toSorted((a, b) => b.size - a.size);
    for (const set of crowded) {
      const idle = longestIdle(set);
      if (idle !== undefined) return idle;
    }
    return undefined;
  }
}

function longestIdle<G extends Guest>(guests: Iterable<G>): G | undefined {
  let found: G | undefined;
  for (const guest of guests) {
    if (guest.idleSince === undefined) continue;
    if (found?.idleSince === undefined || guest.idleSince < found.idleSince) found = guest;
  }
  return found;
}

export interface RateLimits {
  /** Per second and address, in the long run. */
  readonly perSecond: number;
  /** At once, after a pause. */
  readonly burst: number;
}

/** Addresses that are remembered; of more, the one that was heard least recently is forgotten. */
const addressesMax = 4096;

export class RequestRate {
  readonly #limits: RateLimits;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(limits: RateLimits) {
    this.#limits = limits;
  }

  /** Books one; false: too many, it is to be refused. `now`: milliseconds. */
  take(address: string, now: number): boolean {
    const origin = originOf(address);
    const { perSecond, burst } = this.#limits;
    const known = this.#buckets.get(origin) ?? { tokens: burst, at: now };
    this.#buckets.delete(origin);
    const tokens = Math.min(burst, known.tokens + (Math.max(0, now - known.at) / 1000) * perSecond);
    const isTaken = tokens >= 1;
    this.#buckets.set(origin, { tokens: isTaken ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > addressesMax) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return isTaken;
  }
}
