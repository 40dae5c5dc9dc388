// Slows who guesses passwords: by address, and by user over all addresses. Pure; bounded however many strangers come. Times in milliseconds of any
// clock that only goes forward.

export interface AttemptLimits {
  /** Failures of an address that cost nothing but the usual three seconds. */
  readonly freeFailures: number;
  /** The pause after one more; it doubles with each. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  /** Without an attempt for so long, an address begins anew. */
  readonly forgottenAfterMs: number;
  /** Failures of a user within `userWindowMs`, from wherever, after which only addresses that have logged in before may try. */
  readonly userFailures: number;
  readonly userWindowMs: number;
  readonly entriesMax: number;
}

export const attemptLimits: AttemptLimits = {
  freeFailures: 5,
  pauseMs: 2000,
  pauseMsMax: 60_000,
  forgottenAfterMs: 15 * 60_000,
  userFailures: 30,
  userWindowMs: 60_000,
  entriesMax: 4096,
};

interface Address {
  failures: number;
  /** No attempt is looked at before. */
  closedUntil: number;
  lastAt: number;
}

export class LoginAttempts {
  readonly #limits: AttemptLimits;
  /** Least recently used first, as all maps here. */
  readonly #addresses = new Map<string, Address>();
  readonly #users = new Map<string, { failures: number; since: number }>();
  /** Addresses from which a user has logged in: "user address". */
  readonly #known = new Map<string, true>();

  constructor(limits: AttemptLimits = attemptLimits) {
    this.#limits = limits;
  }

  /** Entries that are held. */
  get size(): number {
    return this.#addresses.size + this.#users.size + this.#known.size;
  }

  /** 0: the attempt may be looked at; else milliseconds until the next one may. */
  waitMs(address: string, user: string, now: number): number {
    const from = networkOf(address);
    const entry = this.#addresses.get(from);
    if (entry !== undefined && entry.closedUntil > now) return entry.closedUntil - now;
    const { userFailures, userWindowMs } = this.#limits;
    const of = this.#users.get(user);
    if (of === undefined || of.failures < userFailures) return 0;
    const openAt = of.since + userWindowMs;
    if (openAt <= now || this.#known.has(`${user} ${from}`)) return 0;
    return openAt - now;
  }

  failed(address: string, user: string, now: number): void {
    const { freeFailures, pauseMs, pauseMsMax, forgottenAfterMs, userWindowMs } = this.#limits;
    const from = networkOf(address);
    const before = this.#addresses.get(from);
    const isForgotten = before === undefined || now - before.lastAt > forgottenAfterMs;
    const failures = isForgotten ? 1 : before.failures + 1;
    const over = failures - freeFailures;
    const pause = over <= 0 ? 0 : Math.min(pauseMs * 2 ** Math.min(over - 1, 30), pauseMsMax);
    this.#put(this.#addresses, from, { failures, closedUntil: now + pause, lastAt: now });
    const of = this.#users.get(user);
    const isNew = of === undefined || now - of.since >= userWindowMs;
    this.#put(
      this.#users,
      user,
      isNew ? { failures: 1, since: now } : { ...of, failures: of.failures + 1 },
    );
  }

  succeeded(address: string, user: string): void {
    const from = networkOf(address);
    this.#addresses.delete(from);
    this.#put(this.#known, `${user} ${from}`, true);
  }

  #put<Value>(map: Map<string, Value>, key: string, value: Value): void {
    map.delete(key);
    map.set(key, value);
    if (map.size <= this.#limits.entriesMax) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
}

/** Whoever has an IPv6 address has 2^64 of them. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.toLowerCase().split("::", 2);
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0");
  return `${[...first, ...zeros, ...last]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
