// When a write is acknowledged. Agreed delivery alone is not enough: a node that is cut off while it has the
// token delivers its own message that nobody else may ever see. So an answer waits until the change is (1) on this disk,
// (2) received by every member of the ring ("stable"), (3) in a tree that is synchronised and quorate. Pure; no peer notices.

/** acknowledged: the change is in the tree of the primary component and durable here. unknown: it may be lost or kept. */
export type WriteResult = "acknowledged" | "unknown";

interface Pending<Answer> {
  readonly answer: Answer;
  /** Group deliveries up to and including the message that made the change. */
  readonly delivery: number;
  isDurable: boolean;
}

export class Acknowledgements<Answer> {
  readonly #answer: (answer: Answer, result: WriteResult) => void;
  #pending: Pending<Answer>[] = [];
  #stable = 0;
  #isSynced = false;
  #isQuorate = false;

  constructor(onResult: (answer: Answer, result: WriteResult) => void) {
    this.#answer = onResult;
  }

  /** Changes that are executed here and not answered yet. */
  get size(): number {
    return this.#pending.length;
  }

  /** A change of our own was executed; call the result once it is durable. */
  executed(answer: Answer, delivery: number): () => void {
    const pending: Pending<Answer> = { answer, delivery, isDurable: false };
    this.#pending.push(pending);
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

  /** Another member's tree replaced ours: what was not answered may be gone. */
  replaced(): void {
    this.#giveUp();
  }

  #giveUp(): void {
    const lost = this.#pending;
    this.#pending = [];
    for (const { answer } of lost) this.#answer(answer, "unknown");
  }

  /** In order: a later change is never answered before an earlier one. */
  #answerReady(): void {
    if (!this.#isSynced || !this.#isQuorate) return;
    for (;;) {
      const first = this.#pending[0];
      if (first === undefined || !first.isDurable || first.delivery > this.#stable) return;
      this.#pending.shift();
      this.#answer(first.answer, "acknowledged");
    }
  }
}
