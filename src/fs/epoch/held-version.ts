// Up to which version every member of the ring has received the changes of this tree. Pure.

export class HeldVersion {
  #version: number;
  /** Not received by all yet, in order: what is delivered in one message counts once. */
  #isFrozen = false;
  #later: { readonly delivery: number; version: number }[] = [];

  /** `version`: of a tree that another member or a disk has as well. */
  constructor(version: number) {
    this.#version = version;
  }

  get version(): number {
    return this.#version;
  }

  /**
   * Quorum was lost, or members have come: they may go on without what they had not received, and what later rings hold says nothing of
   * that.
   */
  unknown(): void {
    this.#later = [];
    this.#isFrozen = true;
  }

  /** All members have this tree, or will have it before anything else, from this delivery on. */
  agreed(delivery: number, version: number): void {
    this.#isFrozen = false;
    this.executed(delivery, version);
  }

  /** The message of this number (group deliveries so far) has brought the tree to this version. */
  executed(delivery: number, version: number): void {
    if (this.#isFrozen) return;
    const last = this.#later.at(-1);
    if (last?.delivery === delivery) last.version = version;
    else this.#later.push({ delivery, version });
  }

  /** The first `deliveries` group deliveries were received by every member. */
  stable(deliveries: number): void {
    let count = 0;
    for (const { delivery, version } of this.#later) {
      if (delivery > deliveries) break;
      this.#version = version;
      count += 1;
    }
    this.#later.splice(0, count);
  }
}
