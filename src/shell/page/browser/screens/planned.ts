// A change of votes that is shown before it is made. What was shown is what is sent; when the cluster is not any more as it was when it was shown, it must
// be asked for again.
import type * as v from "valibot";
import { votesEffectAnswer } from "../../../answers/change.ts";
import type { Overview } from "../../../answers/ring.ts";
import type { Answer, Api } from "../api.ts";
import { Store } from "../store.ts";
import { deviceVotesHere } from "../verdict.ts";

export type VotesEffect = v.InferOutput<typeof votesEffectAnswer>;
type Given = Readonly<Record<string, number>>;

interface Shown {
  readonly given: Given;
  /** Of the cluster as the person saw it who asked. */
  readonly basis: string;
  readonly answer: Answer<VotesEffect>;
}

export interface PlannedState {
  readonly shown: Shown | undefined;
  /** What became of it. */
  readonly done: Answer<VotesEffect> | undefined;
  readonly isBusy: boolean;
  /** A plan was dropped, as the cluster has changed since. */
  readonly isOutdated: boolean;
}

const idle: PlannedState = { shown: undefined, done: undefined, isBusy: false, isOutdated: false };

export interface PlannedOptions {
  readonly api: Pick<Api, "call">;
  readonly method: "PUT" | "POST";
  readonly path: string;
  /** An answer has come: what is shown of the cluster may be old. */
  readonly onAnswer: () => void;
}

export class PlannedChange {
  readonly state = new Store<PlannedState>(idle);
  readonly #options: PlannedOptions;

  constructor(options: PlannedOptions) {
    this.#options = options;
  }

  /** What it would do. */
  async ask(given: Given, basis: string): Promise<void> {
    if (this.state.value.isBusy) return;
    this.state.set({ ...idle, isBusy: true });
    const answer = await this.#call({ ...given, "dry-run": true });
    this.state.set({ ...idle, shown: { given, basis, answer } });
    this.#options.onAnswer();
  }

  /** Does what was shown; nothing when nothing is. */
  async send(): Promise<void> {
    const { shown, isBusy } = this.state.value;
    if (isBusy || shown?.answer.ok !== true) return;
    this.state.set({ ...idle, shown, isBusy: true });
    const done = await this.#call(shown.given);
    this.state.set({ ...idle, done });
    this.#options.onAnswer();
  }

  /** The cluster is so now: a plan that was made for another state is dropped. */
  see(basis: string): void {
    const { shown, isBusy } = this.state.value;
    if (shown === undefined || isBusy || shown.basis === basis) return;
    this.state.set({ ...idle, isOutdated: true });
  }

  #call(given: Readonly<Record<string, number | boolean>>): Promise<Answer<VotesEffect>> {
    const { api, method, path } = this.#options;
    return api.call(method, { schema: votesEffectAnswer, path, given });
  }
}

/** All that decides what a change of votes does: who is here, with how many votes, and how many are needed. */
export function basisOf(overview: Pick<Overview, "quorum" | "nodes">): string {
  const { members, voters, totalVotes, expectedVotes, quorum, deviceVotes, flags } =
    overview.quorum;
  const votes = voters.map(({ nodeid, votes: each, state }) => [nodeid, each, state]);
  const numbers = { totalVotes, expectedVotes, quorum, deviceVotes };
  const given = deviceVotesHere(overview);
  return JSON.stringify({ members, votes, numbers, flags, given });
}
