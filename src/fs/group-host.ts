// Runs one `Dfsm` in the real world: its timers, its requests to the group in order with pmxcfs's patience, its clock.
// Spec: pmxcfs.md §4, §9.2 (flow control: 100 tries of 0.1 s). What the store itself asks for goes to `perform`.
import type { GroupEvent, GroupPort, LogAction } from "../world.ts";
import type { DfsmAction, DfsmEvent, DfsmTimer } from "./dfsm-events.ts";

/** A refused request is tried again after this long, this often. */
export const requestRetryMs = 100;
export const requestTriesMax = 100;
/** Requests that wait behind a refused one; a caller beyond gets EBUSY. */
export const requestsWaitingMax = 10_000;

/** The part of a `Dfsm` that is run from here. */
export interface Steppable<Action> {
  step(event: DfsmEvent, now: number, out: (DfsmAction | Action)[]): void;
}

export interface GroupHostOptions<Action> {
  readonly dfsm: Steppable<Action>;
  readonly groups: GroupPort;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
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
  readonly #timers = new Map<DfsmTimer, ReturnType<typeof setTimeout>>();
  #waiting: RequestAction[] = [];
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stepping = false;
  #events: DfsmEvent[] = [];

  constructor(options: GroupHostOptions<Action>) {
    this.#options = options;
  }

  /** Requests that the ring has not taken yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  groupEvent(event: GroupEvent): void {
    this.step({ kind: "groupEvent", event });
  }

  /** A core is never re-entered: an event that comes out of an action waits for its turn. */
  step(event: TimelessEvent): void {
    this.#events.push({ ...event, timeS: this.#options.wallS() });
    if (this.#stepping) return;
    this.#stepping = true;
    const out: (DfsmAction | Action)[] = [];
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      this.#options.dfsm.step(next, this.#options.nowMs(), out);
      for (const action of out.splice(0)) this.#carryOut(action);
    }
    this.#stepping = false;
  }

  /** Stops timers and forgets what was not sent; the group itself is left by the event `stopped` before. */
  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#waiting = [];
  }

  #carryOut(action: DfsmAction | Action): void {
    if (isRequest(action)) return this.#request(action);
    if (isArm(action)) return this.#arm(action.timer, action.at);
    if (isDisarm(action)) return this.#disarm(action.timer);
    this.#options.perform(action);
  }

  #request(action: RequestAction): void {
    // Only callers are turned away: a leader that gave up in the middle of its updates would begin anew for ever.
    if (this.#waiting.length >= requestsWaitingMax && action.token !== undefined) {
      return this.step({ kind: "sendGivenUp", token: action.token });
    }
    this.#waiting.push(action);
    if (this.#retry === undefined) this.#drain();
  }

  #drain(): void {
    this.#retry = undefined;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#options.groups.request(first.request)) {
        this.#waiting.shift();
        this.#tries = 0;
        continue;
      }
      this.#tries += 1;
      if (this.#tries < requestTriesMax) {
        this.#retry = setTimeout(() => this.#drain(), requestRetryMs);
        return;
      }
      this.#waiting.shift();
      this.#tries = 0;
      this.step({ kind: "sendGivenUp", token: first.token });
    }
  }

  #arm(timer: DfsmTimer, at: number): void {
    this.#disarm(timer);
    const delay = Math.max(0, at - this.#options.nowMs());
    const handle = setTimeout(() => {
      this.#timers.delete(timer);
      this.step({ kind: "timedOut", timer });
    }, delay);
    this.#timers.set(timer, handle);
  }

  #disarm(timer: DfsmTimer): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.delete(timer);
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
