// One link's heartbeat: when to ping, how slow the other side is, when the link is up and when it is down. Spec: knet.md §2.4, §2.5.
// Pure; times are milliseconds of the core's clock, latency is microseconds, as corosync-cfgtool shows it.

const BACKOFF_MAX = 10;
const ADJUST_MS = 1000;
const US_PER_MS = 1000;

export interface HeartbeatTuning {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** How many pongs the running mean remembers. */
  readonly pingPrecision: number;
  /** Good pongs before the one that brings the link up. */
  readonly pongCount: number;
}

/** What a pong meant: nonsense, an answer we had, too slow to count, counted, or the one that brings the link up. */
export type PongOutcome = "nonsense" | "repeated" | "slow" | "counted" | "up";

export class Heartbeat {
  #tuning: HeartbeatTuning;
  #isUp = false;
  #latencyUs = 0;
  #latencyUsRange: { readonly min: number; readonly max: number } | undefined;
  #samples = 0;
  #pongs = 0;
  #backoff = BACKOFF_MAX;
  #timeoutMs: number;
  #adjustAt: number | undefined;
  #pingedAt: number | undefined;
  #pongAt: number | undefined;
  /** When the latest ping that was answered had been sent. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #suspectedAt: number | undefined;

  constructor(tuning: HeartbeatTuning) {
    this.#tuning = tuning;
    this.#timeoutMs = tuning.pingTimeoutMs * BACKOFF_MAX;
  }

  get isUp(): boolean {
    return this.#isUp;
  }
  get isSuspected(): boolean {
    return this.#suspectedAt !== undefined;
  }
  get latencyUs(): number {
    return this.#latencyUs;
  }
  /** Lowest and highest of all answers that counted; undefined before the first. */
  get latencyUsRange(): { readonly min: number; readonly max: number } | undefined {
    return this.#latencyUsRange;
  }
  /** How many answers the mean covers. */
  get samples(): number {
    return this.#samples;
  }
  /** Silence that takes the link down: the configured timeout, stretched while the link is young, and twice the latency. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }
  /** How long to wait for an answer on a link that is known to work. */
  get answerMs(): number {
    return this.#tuning.pingTimeoutMs + (2 * this.#latencyUs) / US_PER_MS;
  }

  retune(tuning: HeartbeatTuning): void {
    this.#tuning = tuning;
  }

  /** True when a periodic ping is to be sent now; remembers that it was. */
  pingDue(now: number): boolean {
    if (this.#pingedAt !== undefined && now - this.#pingedAt < this.#tuning.pingIntervalMs) {
      return false;
    }
    this.#pingedAt = now;
    return true;
  }

  /** Recomputes the timeout once a second: the stretch of a young link shrinks from ten to one. */
  adjust(now: number): void {
    this.#adjustAt ??= now + ADJUST_MS;
    if (now < this.#adjustAt) return;
    this.#adjustAt = now + ADJUST_MS;
    if (this.#backoff > 1) this.#backoff -= 1;
    this.#timeoutMs =
      this.#tuning.pingTimeoutMs * this.#backoff + (2 * this.#latencyUs) / US_PER_MS;
  }

  /** A pong whose echoed time is `sentAt`. */
  pong(sentAt: number, now: number): PongOutcome {
    const us = Math.floor((now - sentAt) * US_PER_MS);
    if (!(us >= 0)) return "nonsense";
    // Recorded pongs that are sent again must not keep a dead link up.
    if (sentAt <= this.#answeredAt) return "repeated";
    this.#answeredAt = sentAt;
    this.#pongAt = now;
    if (us > this.#tuning.pingTimeoutMs * US_PER_MS) return "slow";
    const { min, max } = this.#latencyUsRange ?? { min: us, max: us };
    this.#latencyUsRange = { min: Math.min(min, us), max: Math.max(max, us) };
    this.#samples = Math.min(this.#samples + 1, Math.max(1, this.#tuning.pingPrecision));
    this.#latencyUs = Math.floor((this.#latencyUs * (this.#samples - 1) + us) / this.#samples);
    if (this.#isUp || this.#latencyUs >= this.#timeoutMs * US_PER_MS) return "counted";
    if (this.#pongs < this.#tuning.pongCount) {
      this.#pongs += 1;
      return "counted";
    }
    this.#isUp = true;
    return "up";
  }

  /** Data came over a link that is down: newer libknet takes it up when a pong was seen already. True if it did. */
  dataSeen(): boolean {
    if (this.#isUp || this.#pongs === 0) return false;
    this.#isUp = true;
    return true;
  }

  /**
   * The kernel says that a port over there is closed, not always whose. A peer that answers a ping from now on is not the one.
   * True if a ping must be sent for that.
   */
  suspect(now: number): boolean {
    if (!this.#isUp || this.#suspectedAt !== undefined) return false;
    this.#suspectedAt = now;
    return true;
  }

  /** Why the link must go down now, if it must. `graceMs`: the least time a suspected peer has for its answer. */
  downReason(now: number, graceMs: number): "silent" | "refused" | undefined {
    if (this.#pongAt === undefined) return undefined;
    if (this.#suspectedAt !== undefined) {
      const answered = this.#pongAt > this.#suspectedAt;
      const answerMsMax = Math.max(graceMs, (4 * this.#latencyUs) / US_PER_MS);
      if (answered) this.#suspectedAt = undefined;
      else if (now - this.#suspectedAt >= answerMsMax) return "refused";
    }
    return now - this.#pongAt > this.#timeoutMs ? "silent" : undefined;
  }

  /** Takes the link down, or keeps it down: pongs are counted from the beginning. True if it was up. */
  down(): boolean {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#pongs = 0;
    this.#pongAt = undefined;
    this.#suspectedAt = undefined;
    if (wasUp) this.#backoff = BACKOFF_MAX;
    return wasUp;
  }
}
