// A totally ordered process group of ports in one process, for tests of hosts: like GroupBus, but it speaks `GroupPort`
// and delivers in turns of the real event loop, all events of a turn together, as the ring thread does.
import { dcdbGroup } from "../../src/fs/replica/message.ts";
import { writeFd } from "../../src/libc.ts";
import { SharedReceipts } from "../../src/node/thread/receipts.ts";
import type {
  GroupChange,
  GroupEvent,
  GroupMember,
  GroupPort,
  GroupReason,
  GroupRequest,
  PortEvent,
} from "../../src/world.ts";

export class MemberPort implements GroupPort {
  readonly self: GroupMember;
  readonly #bus: MemberBus;
  listener: (events: readonly PortEvent[]) => void = () => {};
  readonly inbox: GroupEvent[] = [];
  readonly receipts = new SharedReceipts(dcdbGroup);
  #isFull = false;
  #wantRoom: (() => void)[] = [];
  /** True: nothing is delivered, as if the process hung. */
  isMute = false;
  /** True: the others do not confirm what was delivered here. */
  isUnconfirmed = false;
  /** Messages delivered so far. */
  deliveries = 0;
  /** Every request that was taken. */
  readonly requests: GroupRequest[] = [];

  constructor(bus: MemberBus, self: GroupMember) {
    this.#bus = bus;
    this.self = self;
  }

  /** True: nothing is taken. */
  get isFull(): boolean {
    return this.#isFull;
  }
  set isFull(isFull: boolean) {
    this.#isFull = isFull;
    if (isFull) return;
    for (const act of this.#wantRoom.splice(0)) act();
  }

  /** As the ring thread does: whatever comes is counted at once, and shown to the listener later. */
  received(event: GroupEvent): void {
    this.receipts.heard(event, writeFd);
    this.inbox.push(event);
  }

  /** What is in the inbox is given to the listener within a turn. */
  async caughtUp(): Promise<void> {
    while (this.inbox.length > 0 && !this.isMute) await new Promise(setImmediate);
  }

  whenRoom(act: () => void): void {
    this.#wantRoom.push(act);
  }

  request(request: GroupRequest): boolean {
    if (this.isFull) return false;
    this.requests.push(request);
    this.#bus.requested(this, request);
    return true;
  }

  listen(listener: (events: readonly PortEvent[]) => void): void {
    this.listener = listener;
  }
}

export class MemberBus {
  readonly #groups = new Map<string, Set<MemberPort>>();
  #ports: MemberPort[] = [];
  #scheduled = false;
  /** Who is cut off from the rest, together. */
  readonly #apart = new Set<MemberPort>();

  /** The port is alone from now on; what it has sent and the others have not received never reaches them. */
  cut(port: MemberPort): void {
    this.#apart.add(port);
    for (const [group, members] of this.#groups) {
      if (!members.has(port)) continue;
      const others = new Set([...members].filter((member) => member !== port));
      for (const { inbox } of others) {
        const { nodeid } = port.self;
        const lost = (event: GroupEvent): boolean =>
          event.kind === "delivered" && event.group === group && event.nodeid === nodeid;
        inbox.splice(0, inbox.length, ...inbox.filter((event) => !lost(event)));
      }
      this.#configured(group, new Set([port]), changes(others, 3), []);
      this.#configured(group, others, changes([port], 3), []);
    }
    this.schedule();
  }

  heal(port: MemberPort): void {
    this.#apart.delete(port);
    for (const [group, members] of this.#groups) {
      if (members.has(port)) this.#configured(group, members, [], changes([port], 4));
    }
    this.schedule();
  }

  port(nodeid: number, pid = 1000 + nodeid): MemberPort {
    const port = new MemberPort(this, { nodeid, pid });
    this.#ports.push(port);
    return port;
  }

  requested(port: MemberPort, request: GroupRequest): void {
    const members = this.#groups.get(request.group) ?? new Set();
    this.#groups.set(request.group, members);
    switch (request.kind) {
      case "join":
        members.add(port);
        this.#configured(request.group, members, [], changes([port], 1));
        break;
      case "leave":
        this.#remove(port, request.group, 2);
        break;
      case "send":
        for (const member of members) {
          if (this.#apart.has(member) !== this.#apart.has(port)) continue;
          const { message } = request;
          member.received({ kind: "delivered", group: request.group, ...port.self, message });
        }
        break;
      default:
        request satisfies never;
    }
    this.schedule();
  }

  /** The process ends without a word. */
  crash(port: MemberPort): void {
    this.#ports = this.#ports.filter((other) => other !== port);
    port.listener = () => {};
    for (const group of this.#groups.keys()) this.#remove(port, group, 5);
    this.schedule();
  }

  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const port of this.#ports) {
        if (port.isMute || port.inbox.length === 0) continue;
        const events: PortEvent[] = port.inbox.splice(0);
        port.deliveries += events.filter(({ kind }) => kind === "delivered").length;
        if (!port.isUnconfirmed) events.push({ kind: "stable", deliveries: port.deliveries });
        port.listener(events);
        port.receipts.passed(events);
      }
    });
  }

  #remove(port: MemberPort, group: string, reason: GroupReason): void {
    const members = this.#groups.get(group);
    if (members === undefined || !members.delete(port)) return;
    this.#configured(group, new Set([...members, port]), changes([port], reason), []);
  }

  #configured(
    group: string,
    seenBy: Set<MemberPort>,
    left: GroupChange[],
    joined: GroupChange[],
  ): void {
    const gone = new Set(left.map(({ nodeid }) => nodeid));
    const members = Array.from(seenBy, ({ self }) => self).filter(
      ({ nodeid }) => !gone.has(nodeid),
    );
    members.sort((a, b) => a.nodeid - b.nodeid || a.pid - b.pid);
    for (const port of seenBy) port.received({ kind: "configured", group, members, left, joined });
  }
}

function changes(ports: Iterable<MemberPort>, reason: GroupReason): GroupChange[] {
  return Array.from(ports, ({ self }) => ({ ...self, reason }));
}
