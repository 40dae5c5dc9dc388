// Who waits for an answer about the tree, by token.
import type { Errno, Outcome, Promised } from "./tree/files.ts";
import { refused } from "./tree/view.ts";

interface Caller {
  readonly answer: (outcome: Outcome<number>) => void;
  readonly promised: Promised;
}

export class Callers {
  readonly #callers = new Map<number, Caller>();
  #token = 0;

  /** `outcome` resolves with what is answered under the token. */
  add(promised: Promised): { readonly token: number; readonly outcome: Promise<Outcome<number>> } {
    this.#token += 1;
    const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
    this.#callers.set(this.#token, { answer: resolve, promised });
    return { token: this.#token, outcome: promise };
  }

  /** What this caller wants to be sure of; `held` for nobody. */
  promised(token: number | undefined): Promised {
    return this.#callers.get(token ?? 0)?.promised ?? "held";
  }

  answer(token: number | undefined, outcome: Outcome<number>): void {
    if (token === undefined) return;
    const caller = this.#callers.get(token);
    this.#callers.delete(token);
    caller?.answer(outcome);
  }

  refuseAll(errno: Errno, reason: string): void {
    for (const { answer } of this.#callers.values()) answer(refused(errno, reason));
    this.#callers.clear();
  }
}
