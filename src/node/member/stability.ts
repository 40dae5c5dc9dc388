// Which of the messages delivered to the local processes every member of the ring has received (world.ts, StableEvent). The ring counts
// its own deliveries, a local process counts only those of group messages. Reports nothing while services synchronise.

interface Mark {
  /** Messages delivered by the ring, this one included. */
  readonly ring: number;
  /** Messages delivered to local processes, this one included. */
  readonly local: number;
}

export class Stability {
  #ring = 0;
  #local = 0;
  #stable = 0;
  #published = 0;
  #isSynchronising = false;
  /** Delivered on the present ring and not known to be received by all. */
  #waiting: Mark[] = [];

  /** The ring delivered a message, and `local` messages were delivered to local processes for it. */
  delivered(local: number): void {
    this.#ring += 1;
    if (local === 0) return;
    this.#local += local;
    this.#waiting.push({ ring: this.#ring, local: this.#local });
  }

  /** Every member has received the first `deliveries` messages that the ring delivered. Returns a new count to publish. */
  stable(deliveries: number): number | undefined {
    let count = 0;
    for (const mark of this.#waiting) {
      if (mark.ring > deliveries) break;
      this.#stable = mark.local;
      count += 1;
    }
    if (count > 0) this.#waiting.splice(0, count);
    return this.#news();
  }

  /** A regular configuration: transitional members had the same deliveries before it. */
  ringChanged(): void {
    this.#isSynchronising = true;
    this.#stable = this.#local;
    this.#waiting = [];
  }

  /** The services agree on the ring. Returns a new count to publish. */
  synchronised(): number | undefined {
    this.#isSynchronising = false;
    return this.#news();
  }

  #news(): number | undefined {
    if (this.#isSynchronising || this.#stable === this.#published) return undefined;
    this.#published = this.#stable;
    return this.#stable;
  }
}
