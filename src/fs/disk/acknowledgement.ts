// When a change is answered, by what its caller was promised. Always in a tree that is synchronised, quorate, and of an epoch that a
// majority has on disk; beyond that a change may have to be (1) on this disk, (2) received by every member of the ring ("stable"), (3) on
// the disks of a majority of the votes. Agreed delivery alone promises little: a node that is cut off while it has the token delivers its own
// message that nobody else may ever see. Pure; no peer notices.
import type { Standing } from "../epoch/events.ts";

/** acknowledged: what was promised holds. unknown: the change may be lost or kept. */
export type WriteResult = "acknowledged" | "unknown";

/** What an answer waits for beyond the execution of its change. */
export interface Needs {
  /** This disk has it. */
  readonly disk: boolean;
  /** Every member of the ring has received it. */
  readonly stable: boolean;
  /** The disks of a majority have it, where all members can say what theirs have. */
  readonly majority: boolean;
}

export interface Executed {
  /** Group deliveries up to and including the message that made the change. */
  readonly delivery: number;
  /** Of the tree with the change. */
  readonly version: number;
  readonly needs: Needs;
}

interface Pending<Answer> extends Executed {
  readonly answer: Answer;
  isDurable: boolean;
}

export class Acknowledgements<Answer> {
  readonly #answer: (answer: Answer, result: WriteResult) => void;
  #pending: Pending<Answer>[] = [];
  #stable = 0;
  #isSynced = false;
  #isQuorate = false;
  #standing: Standing = { isAgreed: false, majority: undefined };

  constructor(onResult: (answer: Answer, result: WriteResult) => void) {
    this.#answer = onResult;
  }

  /** Changes that are executed here and not answered yet. */
  get size(): number {
    return this.#pending.length;
  }

  /** A change of our own was executed; call the result once this disk has it. */
  executed(answer: Answer, executed: Executed): () => void {
    const isDurable = !executed.needs.disk;
    const pending: Pending<Answer> = { answer, ...executed, isDurable };
    this.#pending.push(pending);
    if (isDurable) this.#answerReady();
    return () => {
      pending.isDurable = true;
      this.#answerReady();
    };
  }

  /** The first `deliveries` group deliveries were received by every member of the ring. */
  stable(deliveries: number): void {
    this.#stable = deliveries;
    this.#answerReady();
  }

  /** False from the configuration change of the group to the end of its state exchange. */
  synced(isSynced: boolean): void {
    this.#isSynced = isSynced;
    this.#answerReady();
  }

  /** Without quorum the others may go on without our last changes. */
  quorate(isQuorate: boolean): void {
    this.#isQuorate = isQuorate;
    if (isQuorate) this.#answerReady();
    else this.#giveUp();
  }

  /** What the members have agreed on, and what their disks have. */
  standing(standing: Standing): void {
    this.#standing = standing;
    this.#answerReady();
  }

  /** Another member's tree replaced ours: what was not answered may be gone. */
  replaced(): void {
    this.#giveUp();
  }

  #giveUp(): void {
    const lost = this.#pending;
    this.#pending = [];
    for (const { answer } of lost) this.#answer(answer, "unknown");
  }

  /** In order among those that wait for the same: what is promised less does not wait for what is promised more. */
  #answerReady(): void {
    if (!this.#isSynced || !this.#isQuorate || !this.#standing.isAgreed) return;
    const ready: Answer[] = [];
    const waiting: Pending<Answer>[] = [];
    const behind = new Set<Needs>();
    for (const pending of this.#pending) {
      if (!behind.has(pending.needs) && this.#isReady(pending)) ready.push(pending.answer);
      else {
        waiting.push(pending);
        behind.add(pending.needs);
      }
    }
    if (ready.length === 0) return;
    this.#pending = waiting;
    for (const answer of ready) this.#answer(answer, "acknowledged");
  }

  #isReady({ isDurable, delivery, version, needs }: Pending<Answer>): boolean {
    if (!isDurable) return false;
    if (needs.stable && delivery > this.#stable) return false;
    const { majority } = this.#standing;
    return !needs.majority || majority === undefined || version <= majority;
  }
}
