// Runs one `Dfsm` in the real world: its timers, its requests to the group in order and for as long as pmxcfs retries them, its clock.
// Spec: pmxcfs.md §4, §9.2 (flow control). What the store itself asks for goes to `perform`.
import { Deadlines } from "../../deadlines.ts";
import { Turns } from "../../turns.ts";
import type { Clock, GroupEvent, GroupPort, LogAction } from "../../world.ts";
import type { DfsmAction, DfsmEvent, DfsmTimer } from "./dfsm-events.ts";

/** A request that the group has not taken for so long is given up: pmxcfs tries 100 times, 0.1 s apart. */
export const requestMsMax = 10_000;
/** Bounds the requests of callers that the group does not take yet, which wait for `whenRoom`; a caller beyond gets EBUSY. */
export const requestsWaitingMax = 10_000;

/** The part of a `Dfsm` that is run from here. */
export interface Steppable<Action> {
  step(event: DfsmEvent, now: number, out: (DfsmAction | Action)[]): void;
}

export interface GroupHostOptions<Action> {
  readonly dfsm: Steppable<Action>;
  readonly groups: GroupPort;
  readonly clock: Clock;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** Everything but timers and requests, in order. */
  readonly perform: (action: HostedAction | Action) => void;
}

/** What is left of the state machine's actions for the owner. */
export type HostedAction = Exclude<DfsmAction, { kind: "request" | "arm" | "disarm" }> | LogAction;

/** An event as its owner knows it; the wall clock is added here. */
export type TimelessEvent = DfsmEvent extends infer Event
  ? Event extends DfsmEvent
    ? Omit<Event, "timeS">
    : never
  : never;

type RequestAction = Extract<DfsmAction, { kind: "request" }>;

export class GroupHost<Action extends { readonly kind: string }> {
  readonly #options: GroupHostOptions<Action>;
  readonly #turns: Turns<DfsmEvent>;
  readonly #deadlines: Deadlines<DfsmTimer | "request">;
  readonly #actions: (DfsmAction | Action)[] = [];
  #waiting: RequestAction[] = [];
  /** Of those that wait. */
  #updatesWaiting = 0;
  #isAwaitingRoom = false;
  #isClosed = false;

  constructor(options: GroupHostOptions<Action>) {
    this.#options = options;
    this.#turns = new Turns({ take: (event) => this.#take(event) });
    this.#deadlines = new Deadlines({
      clock: options.clock,
      fire: (timer) => {
        if (timer === "request") this.#giveUpFirst();
        else this.step({ kind: "timedOut", timer });
      },
    });
  }

  /** Requests that the ring has not taken yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  groupEvent(event: GroupEvent): void {
    this.step({ kind: "groupEvent", event });
  }

  step(event: TimelessEvent): void {
    this.#turns.add({ ...event, timeS: this.#options.wallS() });
  }

  /** Stops timers and forgets what was not sent; the group itself is left by the event `stopped` before. */
  close(): void {
    this.#isClosed = true;
    this.#deadlines.stop();
    this.#waiting = [];
    this.#updatesWaiting = 0;
  }

  #take(event: DfsmEvent): void {
    const out = this.#actions;
    this.#options.dfsm.step(event, this.#options.clock.now(), out);
    for (const action of out.splice(0)) this.#carryOut(action);
  }

  #carryOut(action: DfsmAction | Action): void {
    if (isRequest(action)) return this.#request(action);
    if (isArm(action)) return this.#deadlines.arm(action.timer, action.at);
    if (isDisarm(action)) return this.#deadlines.disarm(action.timer);
    this.#options.perform(action);
  }

  #request(action: RequestAction): void {
    // Only callers are turned away: a leader that gave up in the middle of its updates would begin anew for ever.
    const others = this.#waiting.length - this.#updatesWaiting;
    if (others >= requestsWaitingMax && action.token !== undefined) {
      return this.step({ kind: "sendGivenUp", token: action.token });
    }
    const wasEmpty = this.#waiting.length === 0;
    this.#place(action);
    if (wasEmpty) this.#drain();
  }

  /** By its rank: no writer here waits behind the whole tree that another member is sent. */
  #place(action: RequestAction): void {
    switch (action.rank) {
      case "operation": {
        const last = this.#waiting.findLastIndex(({ rank }) => rank !== "update");
        // One update between two operations, so that many writers do not keep a member from being filled up.
        const turn = this.#waiting[last]?.rank === "operation" ? 1 : 0;
        this.#waiting.splice(last + 1 + turn, 0, action);
        return;
      }
      case "state":
        if (this.#updatesWaiting > 0) {
          this.#waiting = this.#waiting.filter(({ rank }) => rank !== "update");
          this.#updatesWaiting = 0;
        }
        break;
      case "update":
        this.#updatesWaiting += 1;
        break;
      case "other":
        break;
    }
    this.#waiting.push(action);
  }

  /** Hands on what waits, in order, as far as the group takes it. */
  #drain(): void {
    if (this.#isClosed) return;
    let taken = 0;
    for (const { request, rank } of this.#waiting) {
      if (!this.#options.groups.request(request)) break;
      taken += 1;
      if (rank === "update") this.#updatesWaiting -= 1;
    }
    this.#waiting.splice(0, taken);
    if (this.#waiting.length === 0) return this.#deadlines.disarm("request");
    if (taken > 0 || !this.#isAwaitingRoom) this.#armRequest();
    if (this.#isAwaitingRoom) return;
    this.#isAwaitingRoom = true;
    this.#options.groups.whenRoom(() => {
      this.#isAwaitingRoom = false;
      this.#drain();
    });
  }

  #armRequest(): void {
    this.#deadlines.arm("request", this.#options.clock.now() + requestMsMax);
  }

  #giveUpFirst(): void {
    const first = this.#waiting.shift();
    if (first === undefined) return;
    if (first.rank === "update") this.#updatesWaiting -= 1;
    const { unit } = first;
    const behind = unit === undefined ? [] : this.#waiting.filter((other) => other.unit === unit);
    if (behind.length > 0) this.#waiting = this.#waiting.filter((other) => other.unit !== unit);
    if (this.#waiting.length > 0) this.#armRequest();
    for (const { token } of [first, ...behind]) this.step({ kind: "sendGivenUp", token });
  }
}

function isRequest(action: { readonly kind: string }): action is RequestAction {
  return action.kind === "request";
}

function isArm(action: { readonly kind: string }): action is Extract<DfsmAction, { kind: "arm" }> {
  return action.kind === "arm";
}

function isDisarm(action: {
  readonly kind: string;
}): action is Extract<DfsmAction, { kind: "disarm" }> {
  return action.kind === "disarm";
}
