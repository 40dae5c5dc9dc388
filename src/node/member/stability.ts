// Which of the messages told to the local processes are held by every member of the ring (world.ts, StableEvent): the ring
// counts what it hands up, the processes count what they are told. Says nothing while services synchronise.

interface Mark {
  /** Messages handed up by the ring, the one that was told included. */
  readonly handedUp: number;
  /** Messages told to local processes, that one included. */
  readonly told: number;
}

export class Stability {
  #handedUp = 0;
  #told = 0;
  #stable = 0;
  #published = 0;
  #isSynchronising = false;
  /** Told on the present ring and not known to be held by all. */
  #waiting: Mark[] = [];

  /** The ring handed up a message; `told` messages to local processes came of it. */
  delivered(told: number): void {
    this.#handedUp += 1;
    if (told === 0) return;
    this.#told += told;
    this.#waiting.push({ handedUp: this.#handedUp, told: this.#told });
  }

  /** Every member has received the first `deliveries` messages that the ring handed up. Returns a new count to publish. */
  held(deliveries: number): number | undefined {
    let count = 0;
    for (const mark of this.#waiting) {
      if (mark.handedUp > deliveries) break;
      this.#stable = mark.told;
      count += 1;
    }
    if (count > 0) this.#waiting.splice(0, count);
    return this.#news();
  }

  /** A regular configuration: who came along with us was told the same before it. */
  ringChanged(): void {
    this.#isSynchronising = true;
    this.#stable = this.#told;
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
