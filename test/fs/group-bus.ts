// A totally ordered group of replicas in one process, for tests: virtual synchrony by construction. A message is ordered when it
// is sent and put into the inbox of every member of the sender's side; inboxes are emptied in a seeded random order, so members
// lag behind each other but never disagree. Time stands still unless a test moves it.
import { Dfsm } from "../../src/fs/replica/dfsm.ts";
import type { DfsmAction, DfsmTimer } from "../../src/fs/replica/dfsm-events.ts";
import type { Body } from "../../src/fs/replica/message.ts";
import type { Replica } from "../../src/fs/replica/replica.ts";
import type {
  GroupChange,
  GroupEvent,
  GroupMember,
  GroupReason,
  GroupRequest,
} from "../../src/world.ts";

export const startTimeS = 1_800_000_000;

export class BusNode<Action, R extends Replica<Action>> {
  readonly self: GroupMember;
  readonly replica: R;
  readonly dfsm: Dfsm<Action>;
  readonly timers = new Map<DfsmTimer, number>();
  readonly actions: (DfsmAction | Action)[] = [];
  inbox: GroupEvent[] = [];
  /** Nothing is processed: a member that is there but mute. */
  mute = false;
  alive = true;

  constructor(self: GroupMember, replica: R) {
    this.self = self;
    this.replica = replica;
    this.dfsm = new Dfsm({ replica, self });
  }

  logged(): string {
    return this.actions
      .flatMap((action) => {
        const line = action as { kind: string; text?: string };
        return line.kind === "log" ? [line.text] : [];
      })
      .join("\n");
  }
}

export class GroupBus<Action, R extends Replica<Action>> {
  readonly group: string;
  readonly nodes: BusNode<Action, R>[] = [];
  /** Everything that was sent, in order. */
  readonly sent: { from: GroupMember; message: Uint8Array }[] = [];
  now = 1000;
  timeS = startTimeS;
  /** Sees every message before it is ordered; what it returns is sent instead. */
  tamper: (from: GroupMember, message: Uint8Array) => Uint8Array | undefined = (_, m) => m;
  /** Sees every event before its node does: what the ring tells in the same order, quorum above all. */
  beforeEvent: (node: BusNode<Action, R>, event: GroupEvent) => void = () => {};
  onAction: (node: BusNode<Action, R>, action: DfsmAction | Action) => void = () => {};
  #sides: Set<BusNode<Action, R>>[] = [new Set()];
  /** Which side a node is on when it joins. */
  #home = new Map<number, number>();
  #random: number;

  constructor(group: string, seed = 1) {
    this.group = group;
    this.#random = seed;
  }

  #below(limit: number): number {
    // xorshift32
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0 || 1;
    return this.#random % limit;
  }

  add(self: GroupMember, replica: R): BusNode<Action, R> {
    const node = new BusNode<Action, R>(self, replica);
    this.nodes.push(node);
    return node;
  }

  start(node: BusNode<Action, R>): void {
    this.step(node, { kind: "started", timeS: this.timeS });
  }

  step(node: BusNode<Action, R>, event: Parameters<Dfsm<Action>["step"]>[0]): void {
    const out: (DfsmAction | Action)[] = [];
    node.dfsm.step(event, this.now, out);
    for (const action of out) {
      node.actions.push(action);
      this.onAction(node, action);
      this.#perform(node, action as DfsmAction);
    }
  }

  send(node: BusNode<Action, R>, body: Body, token?: number): void {
    this.step(node, { kind: "sendRequested", token, ...body, timeS: this.timeS });
  }

  quorum(node: BusNode<Action, R>, quorate: boolean): void {
    this.step(node, { kind: "quorumChanged", quorate, timeS: this.timeS });
  }

  /** Delivers until nothing is under way. */
  run(stepsMax = 1_000_000): void {
    for (let steps = 0; ; steps += 1) {
      const ready = this.nodes.filter((node) => node.alive && !node.mute && node.inbox.length > 0);
      if (ready.length === 0) return;
      if (steps >= stepsMax) throw new Error("the group does not come to rest");
      this.deliverTo(ready[this.#below(ready.length)]!);
    }
  }

  deliverTo(node: BusNode<Action, R>): void {
    const event = node.inbox.shift();
    if (event === undefined) return;
    this.beforeEvent(node, event);
    this.step(node, { kind: "groupEvent", event, timeS: this.timeS });
  }

  /** Time passes; due timers fire in order, and everything is delivered after each. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let first: { node: BusNode<Action, R>; timer: DfsmTimer; at: number } | undefined;
      for (const node of this.nodes) {
        if (!node.alive || node.mute) continue;
        for (const [timer, at] of node.timers) {
          if (at <= end && (first === undefined || at < first.at)) first = { node, timer, at };
        }
      }
      if (first === undefined) break;
      this.#clock(Math.max(this.now, first.at));
      first.node.timers.delete(first.timer);
      this.step(first.node, { kind: "timedOut", timer: first.timer, timeS: this.timeS });
      this.run();
    }
    this.#clock(end);
  }

  #clock(now: number): void {
    this.timeS += Math.floor(now / 1000) - Math.floor(this.now / 1000);
    this.now = now;
  }

  /** The process ends without a word. */
  crash(node: BusNode<Action, R>): void {
    node.alive = false;
    node.inbox = [];
    this.#remove(node, 5);
  }

  /** Lists of nodeids; nodes that are not members go to their side when they join. */
  partition(...sides: number[][]): void {
    const before = this.#sides;
    this.#home = new Map(sides.flatMap((side, i) => side.map((nodeid) => [nodeid, i] as const)));
    this.#sides = sides.map(
      (side) =>
        new Set(
          before.flatMap((old) => [...old]).filter((node) => side.includes(node.self.nodeid)),
        ),
    );
    for (const side of this.#sides) {
      for (const node of side) {
        const old = before.find((members) => members.has(node))!;
        const left = [...old].filter((other) => !side.has(other));
        const joined = [...side].filter((other) => !old.has(other));
        if (left.length + joined.length === 0) continue;
        node.inbox.push(this.#configured(side, changes(left, 3), changes(joined, 4)));
      }
    }
  }

  heal(): void {
    this.partition(this.nodes.map((node) => node.self.nodeid));
  }

  #perform(node: BusNode<Action, R>, action: DfsmAction): void {
    if (action.kind === "arm") node.timers.set(action.timer, action.at);
    else if (action.kind === "disarm") node.timers.delete(action.timer);
    else if (action.kind === "request") this.#request(node, action.request);
  }

  #request(node: BusNode<Action, R>, request: GroupRequest): void {
    if (request.group !== this.group) throw new Error(`foreign group ${request.group}`);
    switch (request.kind) {
      case "join": {
        const side = this.#sides[this.#home.get(node.self.nodeid) ?? 0]!;
        side.add(node);
        const event = this.#configured(side, [], changes([node], 1));
        for (const member of side) member.inbox.push(event);
        return;
      }
      case "leave":
        this.#remove(node, 2);
        return;
      case "send": {
        const message = this.tamper(node.self, request.message);
        if (message === undefined) return;
        this.inject(node, message);
        return;
      }
    }
    request satisfies never;
  }

  /** Any bytes, as if `node` had sent them. */
  inject(node: BusNode<Action, R>, message: Uint8Array): void {
    const side = this.#sides.find((members) => members.has(node));
    if (side === undefined) return;
    this.sent.push({ from: node.self, message });
    for (const member of side) {
      member.inbox.push({ kind: "delivered", group: this.group, ...node.self, message });
    }
  }

  #remove(node: BusNode<Action, R>, reason: GroupReason): void {
    for (const side of this.#sides) {
      if (!side.delete(node)) continue;
      const event = this.#configured(side, changes([node], reason), []);
      for (const member of side) member.inbox.push(event);
      if (node.alive) node.inbox.push(event);
    }
  }

  #configured(
    side: Iterable<BusNode<Action, R>>,
    left: GroupChange[],
    joined: GroupChange[],
  ): GroupEvent {
    const members = Array.from(side, ({ self }) => self);
    members.sort((a, b) => a.nodeid - b.nodeid || a.pid - b.pid);
    return { kind: "configured", group: this.group, members, left, joined };
  }
}

function changes(nodes: Iterable<{ self: GroupMember }>, reason: GroupReason): GroupChange[] {
  return Array.from(nodes, ({ self }) => ({ ...self, reason }));
}
