// One simulated node: the production cores (links, member, tree) with a simulated clock, network and disk around them.
import type { MemberAction, MemberEvent, MemberTimer, QuorumView } from "../../src/node/events.ts";
import type { LinksAction, LinksEvent, LinksTimer } from "../../src/node/link/events.ts";
import { Links } from "../../src/node/link/links.ts";
import { Member } from "../../src/node/member.ts";
import type { RingAction } from "../../src/node/ring/events.ts";
import type { TreeOperation } from "../../src/fs/entry.ts";
import type { Agenda } from "./agenda.ts";
import type { RingChecker } from "./checkers.ts";
import type { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { addressOf, simulatedSettings } from "./settings.ts";
import { SimDevice, type DeviceSurroundings } from "./sim-device.ts";
import { freshDisk, SimStore, type Disk } from "./store.ts";
import { SimTimers } from "./timers.ts";
import { messageId, payload, simGroup } from "./workload.ts";

export interface SimNodeOptions {
  readonly nodeid: number;
  readonly nodes: number;
  readonly seed: number;
  readonly agenda: Agenda;
  readonly network: Network;
  readonly checker: RingChecker;
  readonly quorum: readonly string[];
  readonly clusterName?: string;
  /** With a quorum device, as `quorum` configures it. */
  readonly device?: DeviceSurroundings;
  /** Rate of this node's clock against the world's. */
  readonly clockRate: number;
  readonly onQuorum: () => void;
  readonly acknowledged: (token: number, ok: boolean) => void;
  readonly trace: (nodeid: number, text: string) => void;
}

type Turn =
  | { readonly to: "member"; readonly event: MemberEvent }
  | { readonly to: "links"; readonly event: LinksEvent };

export class SimNode {
  readonly nodeid: number;
  readonly #options: SimNodeOptions;
  readonly #random: SeededRandom;
  readonly #disk: Disk = freshDisk();
  #ringSeq = 0;
  #incarnation = 0;
  #life: Life | undefined;

  constructor(options: SimNodeOptions) {
    this.#options = options;
    this.nodeid = options.nodeid;
    this.#random = new SeededRandom(options.seed, `node${options.nodeid}`);
  }

  get running(): boolean {
    return this.#life !== undefined;
  }
  get quorum(): QuorumView | undefined {
    return this.#life?.quorum;
  }
  get store(): SimStore | undefined {
    return this.#life?.store;
  }
  get member(): Member | undefined {
    return this.#life?.member;
  }
  get device(): SimDevice | undefined {
    return this.#life?.device;
  }
  get pid(): number {
    return this.nodeid * 1000 + this.#incarnation;
  }

  start(): void {
    this.#incarnation += 1;
    const { device } = this.#options;
    device?.streams.setPower(device.host, true);
    this.#options.checker.begin(this.nodeid, this.#incarnation);
    this.#options.trace(
      this.nodeid,
      `starts, life ${this.#incarnation}, stored ring sequence ${this.#ringSeq}`,
    );
    this.#life = new Life({
      ...this.#options,
      random: this.#random,
      disk: this.#disk,
      ringSeq: this.#ringSeq,
      incarnation: this.#incarnation,
      pid: this.pid,
      persist: (seq) => {
        this.#options.checker.persisted(this.nodeid, this.#ringSeq, seq);
        this.#ringSeq = seq;
      },
      ended: (reason) => {
        this.#options.trace(this.nodeid, `ends: ${reason}`);
        this.#end();
      },
    });
    this.#life.start();
  }

  /** Power off: what was not flushed is gone. */
  crash(): void {
    if (this.#life === undefined) return;
    this.#options.trace(this.nodeid, "crashes");
    const { device } = this.#options;
    device?.streams.setPower(device.host, false);
    this.#end();
  }

  /** The process dies, its system lives: connections end with a word. */
  kill(): void {
    if (this.#life === undefined) return;
    this.#options.trace(this.nodeid, "is killed");
    this.#end();
  }

  /** A graceful stop; ends by itself. */
  leave(): void {
    this.#life?.leave();
  }

  receive(source: number, bytes: Uint8Array): void {
    this.#life?.turn({
      to: "links",
      event: { kind: "received", link: 0, address: addressOf(source), packet: bytes },
    });
  }

  /** One ordered message of `size` bytes in the simulator's own group; false when the node is not ready for it. */
  send(size: number): boolean {
    return this.#life?.send(size) ?? false;
  }

  write(token: number, operation: TreeOperation): boolean {
    const store = this.#life?.store;
    if (store === undefined || !store.quorate) return false;
    store.write(token, operation);
    return true;
  }

  #end(): void {
    this.#life?.end();
    this.#life = undefined;
    this.#options.checker.end(this.nodeid);
    this.#options.onQuorum();
  }
}

interface LifeOptions extends SimNodeOptions {
  readonly random: SeededRandom;
  readonly disk: Disk;
  readonly ringSeq: number;
  readonly incarnation: number;
  readonly pid: number;
  readonly persist: (seq: number) => void;
  readonly ended: (reason: string) => void;
}

class Life {
  readonly member: Member;
  readonly store: SimStore;
  readonly device: SimDevice | undefined;
  quorum: QuorumView | undefined;
  readonly #options: LifeOptions;
  readonly #links: Links;
  readonly #memberTimers: SimTimers<MemberTimer>;
  readonly #linkTimers: SimTimers<LinksTimer>;
  readonly #turns: Turn[] = [];
  #running = false;
  #over = false;
  #messages = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { agenda, nodes, nodeid, quorum, pid, random } = options;
    const settings = simulatedSettings(nodes, nodeid, quorum, options.clusterName);
    this.member = new Member({
      settings,
      storedRingSeq: options.ringSeq,
      random,
      observe: (action) => this.#observe(action),
    });
    this.#links = new Links({
      ...settings,
      crypto: { cipher: false, hashBytes: 0 },
      inflate: () => "nobody here compresses",
    });
    const delayUntil = (at: number): number => (at - this.#now()) / options.clockRate;
    this.#memberTimers = new SimTimers({
      agenda,
      delayUntil,
      fire: (timer) => this.turn({ to: "member", event: { kind: "timedOut", timer } }),
    });
    this.#linkTimers = new SimTimers({
      agenda,
      delayUntil,
      fire: (timer) => this.turn({ to: "links", event: { kind: "timedOut", timer } }),
    });
    if (options.device !== undefined) {
      this.device = new SimDevice({
        ...options.device,
        settings,
        agenda,
        random,
        now: () => this.#now(),
        delayUntil,
        ask: (request) => this.turn({ to: "member", event: { kind: "deviceAsked", request } }),
        trace: (text) => options.trace(nodeid, text),
      });
    }
    this.store = new SimStore({
      self: { nodeid, pid },
      disk: options.disk,
      agenda,
      random,
      now: () => this.#now(),
      delayUntil,
      request: (request) => {
        if (!this.member.hasRoom()) return false;
        this.turn({ to: "member", event: { kind: "requested", pid, request } });
        return true;
      },
      acknowledged: options.acknowledged,
      failed: (reason) => options.ended(`the tree failed: ${reason}`),
    });
  }

  #now(): number {
    return this.#options.agenda.now * this.#options.clockRate + 1000 * this.#options.nodeid;
  }

  start(): void {
    this.turn({ to: "links", event: { kind: "started" } });
    this.turn({ to: "member", event: { kind: "started" } });
    const { pid } = this.#options;
    this.turn({
      to: "member",
      event: { kind: "requested", pid, request: { kind: "join", group: simGroup } },
    });
    this.store.start();
  }

  end(): void {
    this.#over = true;
    this.#memberTimers.stop();
    this.#linkTimers.stop();
    this.store.stop();
    this.device?.die();
  }

  leave(): void {
    this.device?.stop();
    this.turn({ to: "member", event: { kind: "stopped" } });
  }

  send(size: number): boolean {
    if (this.#over || !this.member.hasRoom()) return false;
    const { checker, nodeid, incarnation, pid } = this.#options;
    this.#messages += 1;
    const id = `${nodeid}.${incarnation}.${this.#messages}`;
    checker.sent(nodeid, id);
    const request = { kind: "send", group: simGroup, message: payload(id, size) } as const;
    this.turn({ to: "member", event: { kind: "requested", pid, request } });
    return true;
  }

  turn(turn: Turn): void {
    this.#turns.push(turn);
    if (this.#running || this.#over) return;
    this.#running = true;
    for (let next = this.#turns.shift(); next !== undefined; next = this.#turns.shift()) {
      if (!this.#over) this.#take(next);
    }
    this.#running = false;
  }

  #take(turn: Turn): void {
    const now = this.#now();
    if (turn.to === "member") {
      const out: MemberAction[] = [];
      this.member.step(turn.event, now, out);
      for (const action of out) this.#carryOutMember(action);
      return;
    }
    const out: LinksAction[] = [];
    this.#links.step(turn.event, now, out);
    for (const action of out) this.#carryOutLinks(action);
  }

  #carryOutMember(action: MemberAction): void {
    switch (action.kind) {
      case "unicast":
        this.#turns.push({
          to: "links",
          event: { kind: "sent", nodeid: action.nodeid, message: action.bytes },
        });
        return;
      case "multicast":
        this.#turns.push({
          to: "links",
          event: { kind: "sent", nodeid: 0, message: action.bytes },
        });
        return;
      case "arm":
        return this.#memberTimers.arm(action.timer, action.at);
      case "disarm":
        return this.#memberTimers.disarm(action.timer);
      case "persistRing":
        return this.#options.persist(action.ringSeq);
      case "delivered":
      case "configured":
        return this.store.event(action);
      case "stable":
        return this.store.stable(action.deliveries);
      case "nodeListChanged":
        return this.device?.event(action);
      case "deviceAnswered": {
        const { request, answer } = action;
        return this.device?.event({ kind: "answered", request, answer });
      }
      case "synchronised":
        return this.#options.onQuorum();
      case "quorumChanged":
        this.quorum = action.quorum;
        this.#tellDevice(action.quorum);
        this.store.quorumChanged(action.quorum.quorate);
        return this.#options.onQuorum();
      case "log":
        return this.#options.trace(this.#options.nodeid, `[${action.subsystem}] ${action.text}`);
      case "finished":
        // What it sent before is on its way: the links turn that carries it is taken first.
        this.#options.agenda.after(0, () => {
          if (!this.#over) this.#options.ended(action.reason);
        });
        return;
      case "persistTracking":
      case "ringChanged":
      case "drained":
      case "replied":
      case "reloadRequested":
      case "keyPhase":
        return;
      default:
        action satisfies never;
    }
  }

  #tellDevice({ ring, quorate, voters }: QuorumView): void {
    this.device?.event({ kind: "quorumChanged", ring, quorate, voters });
  }

  #carryOutLinks(action: LinksAction): void {
    switch (action.kind) {
      case "transmit":
        return this.#options.network.send(
          this.#options.nodeid,
          action.nodeid,
          action.packet.slice(),
        );
      case "received":
        this.#turns.push({ to: "member", event: { kind: "received", bytes: action.message } });
        return;
      case "arm":
        return this.#linkTimers.arm(action.timer, action.at);
      case "disarm":
        return this.#linkTimers.disarm(action.timer);
      case "log":
        return this.#options.trace(this.#options.nodeid, `[${action.subsystem}] ${action.text}`);
      case "linkChanged":
      case "hostChanged":
        return;
      default:
        action satisfies never;
    }
  }

  /** What the ring hands up, before the services: the checkers' view. */
  #observe(action: RingAction): void {
    const { checker, nodeid } = this.#options;
    if (action.kind === "configured") {
      checker.configured(nodeid, action.type, action.ring, action.members);
    } else if (action.kind === "delivered") {
      const id = messageId(action.message);
      if (id !== undefined) checker.delivered(nodeid, id);
    }
  }
}
