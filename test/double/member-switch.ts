// A test helper: N members on one simulated switch with a virtual clock. Packets take a little time and arrive in order, sides
// of a partition do not hear each other, everything else is perfect. Timers are names, as every host keeps them.
import { present } from "../../src/assert.ts";
import type { GroupEvent, GroupRequest } from "../../src/world.ts";
import type { MemberAction, MemberEvent, MemberTimer } from "../../src/node/member/events.ts";
import { Member, type MemberOptions } from "../../src/node/member/member.ts";

const hopMs = 0.1;

interface Delivery {
  readonly at: number;
  readonly to: number;
  readonly life: number;
  readonly bytes: Uint8Array;
}

export class NetNode {
  readonly member: Member;
  readonly life: number;
  readonly actions: MemberAction[] = [];
  readonly timers = new Map<MemberTimer, number>();
  isFinished = false;

  constructor(options: MemberOptions, life: number) {
    this.member = new Member(options);
    this.life = life;
  }

  get events(): GroupEvent[] {
    return this.actions.filter(
      (action): action is GroupEvent => action.kind === "delivered" || action.kind === "configured",
    );
  }
  get logs(): string[] {
    return this.actions.flatMap((action) =>
      action.kind === "log" ? [`${action.level} ${action.subsystem} ${action.text}`] : [],
    );
  }
}

export class MemberNet {
  now = 0;
  readonly nodes = new Map<number, NetNode>();
  readonly storedSeq = new Map<number, number>();
  #queue: Delivery[] = [];
  #lives = 0;
  /** Side of each node; nodes of different sides do not hear each other. */
  readonly #side = new Map<number, number>();

  start(options: Omit<MemberOptions, "storedRingSeq" | "random">): NetNode {
    const { nodeid } = options.settings;
    const node = new NetNode(
      {
        ...options,
        storedRingSeq: this.storedSeq.get(nodeid) ?? 0,
        random: { below: () => 0 },
      },
      (this.#lives += 1),
    );
    this.nodes.set(nodeid, node);
    this.step(nodeid, { kind: "started" });
    return node;
  }

  node(nodeid: number): NetNode {
    return present(this.nodes.get(nodeid), `node ${nodeid} runs`);
  }

  kill(nodeid: number): void {
    this.nodes.delete(nodeid);
  }

  partition(...sides: readonly (readonly number[])[]): void {
    this.#side.clear();
    sides.forEach((side, index) => side.forEach((nodeid) => this.#side.set(nodeid, index)));
  }

  request(nodeid: number, pid: number, request: GroupRequest): void {
    this.step(nodeid, { kind: "requested", pid, request });
  }

  step(nodeid: number, event: MemberEvent): void {
    const node = this.nodes.get(nodeid);
    if (node === undefined || node.isFinished) return;
    const out: MemberAction[] = [];
    node.member.step(event, this.now, out);
    for (const action of out) this.#carryOut(nodeid, node, action);
  }

  #carryOut(nodeid: number, node: NetNode, action: MemberAction): void {
    switch (action.kind) {
      case "unicast":
        return this.#send(nodeid, [action.nodeid], action.bytes);
      case "multicast":
        return this.#send(nodeid, [...this.nodes.keys()], action.bytes);
      case "arm":
        node.timers.set(action.timer, action.at);
        return;
      case "disarm":
        node.timers.delete(action.timer);
        return;
      case "persistRing":
        this.storedSeq.set(nodeid, action.ringSeq);
        return;
      case "finished":
        node.isFinished = true;
        node.timers.clear();
        break;
      default:
        break; // Only noted, for the tests to look at.
    }
    node.actions.push(action);
  }

  #send(from: number, targets: readonly number[], bytes: Uint8Array): void {
    for (const to of targets) {
      const target = this.nodes.get(to);
      if (target === undefined || this.#side.get(from) !== this.#side.get(to)) continue;
      this.#queue.push({ at: this.now + hopMs, to, life: target.life, bytes });
    }
  }

  /** Lets time pass until `condition` holds; false when it does not within `limitMs`. */
  until(condition: () => boolean, limitMs = 30_000): boolean {
    const end = this.now + limitMs;
    while (!condition()) {
      if (!this.#next(end)) return condition();
    }
    return true;
  }

  run(forMs: number): void {
    const end = this.now + forMs;
    while (this.#next(end));
    this.now = end;
  }

  /** One packet or timer, whichever is first; false: nothing until `end`. */
  #next(end: number): boolean {
    let first: { nodeid: number; timer: MemberTimer; at: number } | undefined;
    for (const [nodeid, node] of this.nodes) {
      for (const [timer, at] of node.timers) {
        if (first === undefined || at < first.at) first = { nodeid, timer, at };
      }
    }
    const packet = this.#queue[0];
    if (packet !== undefined && (first === undefined || packet.at <= first.at)) {
      if (packet.at > end) return false;
      this.#queue.shift();
      this.now = Math.max(this.now, packet.at);
      if (this.nodes.get(packet.to)?.life === packet.life) {
        this.step(packet.to, { kind: "received", bytes: packet.bytes });
      }
      return true;
    }
    if (first === undefined || first.at > end) return false;
    this.now = Math.max(this.now, first.at);
    this.node(first.nodeid).timers.delete(first.timer);
    this.step(first.nodeid, { kind: "timedOut", timer: first.timer });
    return true;
  }
}
