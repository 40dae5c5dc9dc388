// What this node has to answer for: who waits for which change of the tree, when each may be told, and what was told before it was
// durable. Spec: design.md decision 3. It knows no group and no disk: its owner says what was executed, stored and received by all.
import type { Answered } from "../world.ts";
import { Callers, type Waiting } from "./callers.ts";
import { Acknowledgements, type Needs, type WriteResult } from "./disk/acknowledgement.ts";
import type { Standing } from "./epoch/events.ts";
import type { Errno, Outcome, Promised } from "./tree/files.ts";
import type { Durability } from "./tree-options.ts";
import { refused } from "./tree/view.ts";
import { lostContact, lostSince } from "./words.ts";

const nothing: Needs = { disk: false, stable: false, majority: false };
const members: Needs = { disk: false, stable: true, majority: false };
const ownDisk: Needs = { disk: true, stable: false, majority: false };
const membersAndDisk: Needs = { disk: true, stable: true, majority: false };
const majority: Needs = { disk: true, stable: true, majority: true };

/** What an answer waits for; `isRefused`: nothing was changed, but what the refusal shows must last as well. */
export function needsOf(promised: Promised, durability: Durability, isRefused = false): Needs {
  // As the original: ordered, and what it calls stored is with the operating system.
  if (durability === "normal") return promised === "ordered" ? nothing : ownDisk;
  if (durability === "strict" || promised === "durable") {
    return isRefused ? membersAndDisk : majority;
  }
  return promised === "held" ? members : nothing;
}

interface CallerAnswer {
  readonly token: number;
  readonly outcome: Outcome<number>;
}

/** How one caller is answered. */
export interface Answering {
  readonly needs: Needs;
  /** Returns what to call once the disk has the change; undefined: nobody waits for the disk. */
  readonly answer: (outcome: Outcome<number>) => (() => void) | undefined;
}

/** Where in the history of this process a change was executed. */
export interface Place {
  /** Group deliveries up to and including the message that made the change. */
  readonly delivery: number;
  /** Of the tree with the change. */
  readonly version: number;
}

/** The last change of ours that was promised less than durable, and has not been asked for since; how often was lost before the first of them. */
interface Loose extends Place {
  readonly losses: number;
}

export interface AnswersOptions {
  readonly durability: Durability;
  /** Calls back once this disk has all changes so far. */
  readonly whenStored: (settled: () => void) => void;
  /** Asks the others to say what their disks have, up to the tree as it is. */
  readonly askOthers: () => void;
  /** Version of the tree as it is. */
  readonly version: () => number;
  /** What stops every change now. */
  readonly refusal: () => Outcome<never> | undefined;
}

export class Answers {
  readonly #callers = new Callers();
  readonly #acknowledgements: Acknowledgements<CallerAnswer>;
  readonly #options: AnswersOptions;
  #loose: Loose | undefined;
  /** Of which it was told that it is in doubt, to somebody who asked for all of this node. */
  #told: Loose | undefined;
  #losses = 0;
  #stable = 0;

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#acknowledgements = new Acknowledgements((answer, result) =>
      this.#settled(answer, result),
    );
  }

  /** How often a tree of another part replaced this node's, which had something that the other lacks. */
  get losses(): number {
    return this.#losses;
  }

  /** Somebody waits for a change that is sent under the token. `executed` is called once it was carried out or refused, before any answer. */
  add(promised: Promised, executed?: () => void): Waiting {
    return this.#callers.add(promised, executed);
  }

  /** For the ring, which keeps its token a moment for a caller who goes on once it is answered. */
  answeredWhen(promised: Promised): Answered {
    const needs = needsOf(promised, this.#options.durability);
    if (needs.majority) return "stored";
    return needs.stable ? "stable" : "delivered";
  }

  /** At once, whatever was promised: nothing was changed, or nobody knows. */
  answer(token: number | undefined, outcome: Outcome<number>): void {
    this.#callers.answer(token, outcome);
  }

  refuseAll(errno: Errno, reason: string): void {
    this.#callers.refuseAll(errno, reason);
  }

  /**
   * The change of this caller was executed, or refused and nothing was changed. Returns how to answer it and what that waits for; undefined
   * when nobody waits.
   */
  executed(token: number | undefined, isRefused: boolean, place: Place): Answering | undefined {
    const promised = this.#callers.executed(token);
    if (promised === undefined || token === undefined) return undefined;
    const { durability } = this.#options;
    const { losses } = this.#told === this.#loose ? this : (this.#loose ?? this);
    if (promised !== "durable" && durability !== "strict") {
      if (!isRefused) this.#loose = { losses, ...place };
    }
    const needs = needsOf(promised, durability, isRefused);
    return { needs, answer: (outcome) => this.#when(needs, token, outcome, place) };
  }

  /** Returns what to call once the disk has the change; undefined: its caller does not wait for the disk. */
  #when(
    needs: Needs,
    token: number,
    outcome: Outcome<number>,
    place: Place,
  ): (() => void) | undefined {
    const stored = this.#acknowledgements.executed({ token, outcome }, { ...place, needs });
    return needs.disk ? stored : undefined;
  }

  /**
   * Resolves when all that was answered here so far is what `promised` says; refused when that cannot be. `since`: the losses before the
   * caller's first change, who is told whatever was lost since; without, it is all of this node, of which a loss is told once.
   */
  async sync(
    promised: Exclude<Promised, "ordered">,
    since: number | undefined,
  ): Promise<Outcome<number>> {
    if (since !== undefined && since !== this.#losses) return refused("EIO", lostSince);
    const loose = this.#loose;
    const isOfNode = since === undefined;
    if (loose === undefined || (isOfNode && loose === this.#told)) return { ok: true, value: 0 };
    const isLost = isOfNode && loose.losses !== this.#losses;
    const refusal = isLost ? refused("EIO", lostSince) : this.#options.refusal();
    if (refusal !== undefined) {
      if (isOfNode) this.#told = loose;
      return refusal;
    }
    const { token, outcome } = this.#callers.add(promised);
    const needs = needsOf(promised, this.#options.durability);
    // In a tree that was taken over since the change may have another version, not above the tree's.
    const place = { ...loose, version: this.#options.version() };
    const stored = this.#when(needs, token, { ok: true, value: 0 }, place);
    if (stored !== undefined) this.#options.whenStored(stored);
    if (needs.majority) this.#options.askOthers();
    const answer = await outcome;
    if (!answer.ok && isOfNode) this.#told = loose;
    if (answer.ok && promised === "durable" && this.#loose === loose) this.#loose = undefined;
    return answer;
  }

  // What may be told, as acknowledgement.ts has it.

  stable(deliveries: number): void {
    this.#stable = deliveries;
    this.#acknowledgements.stable(deliveries);
  }
  synced(isSynced: boolean): void {
    this.#acknowledgements.synced(isSynced);
  }
  quorate(isQuorate: boolean): void {
    this.#acknowledgements.quorate(isQuorate);
  }
  standing(standing: Standing): void {
    this.#acknowledgements.standing(standing);
    // Durable without having been asked for.
    const loose = this.#loose;
    if (loose === undefined || loose.losses !== this.#losses) return;
    if (loose.delivery > this.#stable) return;
    if ((standing.majority ?? -1) >= loose.version) this.#loose = undefined;
  }
  /** Another member's tree replaced ours; `hasLost`: it lacks something that ours had. */
  replaced(hasLost: boolean): void {
    if (hasLost) this.#losses += 1;
    // What the other has as well may be of another version there, not above the tree's.
    else if (this.#loose !== undefined && this.#loose !== this.#told) {
      this.#loose = { ...this.#loose, version: this.#options.version() };
    }
    this.#acknowledgements.replaced();
  }

  #settled({ token, outcome }: CallerAnswer, result: WriteResult): void {
    switch (result) {
      case "acknowledged":
        return this.#callers.answer(token, outcome);
      case "unknown":
        return this.#callers.answer(token, outcome.ok ? refused("EBUSY", lostContact) : outcome);
    }
    result satisfies never;
  }
}
