// Who waits for an answer about the tree, by token.
import type { Errno, Outcome, Promised } from "./tree/files.ts";
import { refused } from "./tree/view.ts";

interface Caller {
  readonly answer: (outcome: Outcome<number>) => void;
  readonly promised: Promised;
  readonly executed: (() => void) | undefined;
}

export interface Waiting {
  readonly token: number;
  readonly outcome: Promise<Outcome<number>>;
}

export class Callers {
  readonly #callers = new Map<number, Caller>();
  #token = 0;

  /** `outcome` resolves with what is answered under the token; `executed` is called when the change comes, answered or not. */
  add(promised: Promised, executed?: () => void): Waiting {
    this.#token += 1;
    const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
    this.#callers.set(this.#token, { answer: resolve, promised, executed });
    return { token: this.#token, outcome: promise };
  }

  /** The change of this caller was carried out or refused. Returns what the caller wants to be sure of; undefined for nobody. */
  executed(token: number | undefined): Promised | undefined {
    const caller = this.#callers.get(token ?? 0);
    caller?.executed?.();
    return caller?.promised;
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
