// Slows who guesses passwords: by address, and by user over all addresses. An attempt counts as a failure from its beginning, so that many at once
// are no way around. Pure; bounded however many strangers come, and none of them makes it forget another's failures. Times in milliseconds
// of any clock that only goes forward.
import { createHash, randomBytes } from "node:crypto";

export interface AttemptLimits {
  /** Failures of an address that cost nothing but the usual three seconds. */
  readonly freeFailures: number;
  /** The same for a whole IPv6 site (/48), which one stranger may have. */
  readonly siteFreeFailures: number;
  /** The pause after one more; it doubles with each. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  /** Without an attempt for so long, an address begins anew. */
  readonly forgottenAfterMs: number;
  /** Attempts for a user within `userWindowMs`, from wherever, after which only addresses that have logged in before may try. */
  readonly userFailures: number;
  readonly userWindowMs: number;
  readonly entriesMax: number;
}

export const attemptLimits: AttemptLimits = {
  freeFailures: 5,
  siteFreeFailures: 20,
  pauseMs: 2000,
  pauseMsMax: 60_000,
  forgottenAfterMs: 15 * 60_000,
  userFailures: 30,
  userWindowMs: 60_000,
  entriesMax: 4096,
};

interface Source {
  failures: number;
  /** No attempt is looked at before. */
  closedUntil: number;
  lastAt: number;
}

/** One attempt, counted as a failure until it is something else. */
export interface Attempt {
  /** The right password, whole. */
  readonly succeeded: () => void;
  /** It was not about the password, or only its first half: it does not count. */
  readonly takeBack: () => void;
}

export class LoginAttempts {
  readonly #limits: AttemptLimits;
  /** Addresses and sites. */
  readonly #sources = new Map<string, Source>();
  /**
   * Users by a hash that no stranger can foresee: a name that nobody has takes no entry away from one that somebody has. Never more than
   * `entriesMax`.
   */
  readonly #users = new Map<number, { failures: number; since: number }>();
  /** Addresses from which a user has logged in: "user address". Least recently used first. */
  readonly #known = new Map<string, true>();
  readonly #salt: string;

  /** `salt`: of the users' hash; unknown to strangers. */
  constructor(
    limits: AttemptLimits = attemptLimits,
    salt: string = randomBytes(16).toString("hex"),
  ) {
    this.#limits = limits;
    this.#salt = salt;
  }

  /** Entries that are held. */
  get size(): number {
    return this.#sources.size + this.#users.size + this.#known.size;
  }

  /** 0: the attempt may be looked at; else milliseconds until the next one may. */
  waitMs(address: string, user: string, now: number): number {
    const isKnown = this.#known.has(knownKey(address, user));
    // Who was here before is not shut out by neighbours.
    const sources = isKnown ? [networkOf(address)] : sourcesOf(address);
    const waits = sources.map((source) => (this.#sources.get(source)?.closedUntil ?? now) - now);
    const longest = Math.max(0, ...waits);
    const { userFailures, userWindowMs } = this.#limits;
    const of = this.#users.get(this.#bucket(user));
    if (longest > 0 || isKnown || of === undefined || of.failures < userFailures) return longest;
    return Math.max(0, of.since + userWindowMs - now);
  }

  /** An attempt begins, after `waitMs` said 0. */
  begin(address: string, user: string, now: number): Attempt {
    const undo = [
      ...sourcesOf(address).map((source) => this.#countSource(source, now)),
      this.#countUser(user, now),
    ];
    const takeBack = (): void => {
      for (const step of undo.splice(0)) step();
    };
    const succeeded = (): void => {
      takeBack();
      this.#sources.delete(networkOf(address));
      const key = knownKey(address, user);
      this.#known.delete(key);
      this.#known.set(key, true);
      const [oldest] = this.#known.keys();
      if (this.#known.size > this.#limits.entriesMax && oldest !== undefined)
        this.#known.delete(oldest);
    };
    return { succeeded, takeBack };
  }

  /** Answers how it is taken back. */
  #countSource(name: string, now: number): () => void {
    const { freeFailures, siteFreeFailures, pauseMs, pauseMsMax, forgottenAfterMs } = this.#limits;
    const known = this.#sources.get(name);
    const isForgotten = known === undefined || now - known.lastAt > forgottenAfterMs;
    const source = isForgotten ? { failures: 0, closedUntil: 0, lastAt: now } : known;
    const earlier = source.closedUntil;
    source.failures += 1;
    source.lastAt = now;
    const over = source.failures - (isSite(name) ? siteFreeFailures : freeFailures);
    const closes =
      over <= 0 ? 0 : now + Math.min(pauseMs * 2 ** Math.min(over - 1, 30), pauseMsMax);
    source.closedUntil = Math.max(earlier, closes);
    if (isForgotten) this.#makeRoom(now);
    this.#sources.set(name, source);
    return () => {
      source.failures -= 1;
      // Unless one that came later has closed it for longer.
      if (source.closedUntil === closes) source.closedUntil = earlier;
      if (source.failures <= 0 && this.#sources.get(name) === source) this.#sources.delete(name);
    };
  }

  /** One with the fewest failures goes: who comes with many addresses forgets his own one by one, not what others did. */
  #makeRoom(now: number): void {
    const { entriesMax, forgottenAfterMs } = this.#limits;
    if (this.#sources.size < entriesMax) return;
    let victim: string | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const [name, { failures, lastAt }] of this.#sources) {
      const weight = now - lastAt > forgottenAfterMs ? 0 : failures;
      if (weight < fewest) [victim, fewest] = [name, weight];
    }
    if (victim !== undefined) this.#sources.delete(victim);
  }

  #countUser(user: string, now: number): () => void {
    const bucket = this.#bucket(user);
    const known = this.#users.get(bucket);
    const isNew = known === undefined || now - known.since >= this.#limits.userWindowMs;
    const of = isNew ? { failures: 0, since: now } : known;
    of.failures += 1;
    this.#users.set(bucket, of);
    return () => {
      of.failures -= 1;
      if (of.failures <= 0 && this.#users.get(bucket) === of) this.#users.delete(bucket);
    };
  }

  #bucket(user: string): number {
    const hash = createHash("sha256").update(this.#salt).update(user).digest();
    return hash.readUInt32BE(0) % this.#limits.entriesMax;
  }
}

function knownKey(address: string, user: string): string {
  return `${user} ${networkOf(address)}`;
}

/** What an address counts for: itself or its IPv6 network, and of IPv6 also its site. */
function sourcesOf(address: string): readonly string[] {
  const network = networkOf(address);
  if (!network.endsWith("::/64")) return [network];
  return [network, `${network.split(":").slice(0, 3).join(":")}${siteSuffix}`];
}

const siteSuffix = "::/48";

function isSite(source: string): boolean {
  return source.endsWith(siteSuffix);
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
