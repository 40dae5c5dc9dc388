// What a link has been through lately, for people: its last changes, and which of its last pings were answered and how fast. Bounded. Pure.

/** Changes that are kept. */
export const changesMax = 16;
/** Pings that are kept: about a minute's. */
const pingsMax = 100;
/** A pong echoes the time of its ping in nanoseconds, cut. */
const sameMs = 0.001;

export interface LinkChange {
  /** How long ago, milliseconds. */
  readonly agoMs: number;
  readonly isUp: boolean;
  /** Why it went down, a clause; "" when it came up. */
  readonly reason: string;
}

/** Of the last pings since the link came up, those that were answered or are overdue. */
export interface PingRecord {
  readonly pings: number;
  readonly lost: number;
  /** Of those that were answered; absent: none was. */
  readonly latencyUs?: { readonly min: number; readonly p50: number; readonly max: number };
}

interface Ping {
  readonly at: number;
  us: number | undefined;
}

export class LinkHistory {
  #changes: { readonly at: number; readonly isUp: boolean; readonly reason: string }[] = [];
  readonly #pings: Ping[] = [];

  /** A ping was sent that its peer must answer. */
  pinged(now: number): void {
    this.#pings.push({ at: now, us: undefined });
    if (this.#pings.length > pingsMax) this.#pings.shift();
  }

  /** The answer to the ping of `sentAt` is here. */
  answered(sentAt: number, now: number): void {
    const ping = this.#pings.findLast(({ at }) => Math.abs(at - sentAt) < sameMs);
    if (ping !== undefined) ping.us ??= Math.max(0, Math.floor((now - sentAt) * 1000));
  }

  /** What was not answered before a link came up is part of the time it was down, no loss of the link that is up. */
  changed(isUp: boolean, reason: string, now: number): void {
    if (isUp) this.#pings.length = 0;
    this.#changes = [{ at: now, isUp, reason }, ...this.#changes.slice(0, changesMax - 1)];
  }

  /** Newest first. */
  changes(now: number): readonly LinkChange[] {
    return this.#changes.map(({ at, isUp, reason }) => ({
      ...{ agoMs: Math.max(0, Math.round(now - at)), isUp, reason },
    }));
  }

  /** `answerMs`: a ping without an answer for longer is lost. */
  pings(now: number, answerMs: number): PingRecord {
    const answers = this.#pings.flatMap(({ us }) => (us === undefined ? [] : [us]));
    const isLost = ({ at, us }: Ping): boolean => us === undefined && now - at > answerMs;
    const lost = this.#pings.filter(isLost).length;
    const counts = { pings: answers.length + lost, lost };
    answers.sort((a, b) => a - b);
    const [min] = answers;
    const max = answers.at(-1);
    const p50 = answers[Math.floor((answers.length - 1) / 2)];
    if (min === undefined || max === undefined || p50 === undefined) return counts;
    return { ...counts, latencyUs: { min, p50, max } };
  }
}
