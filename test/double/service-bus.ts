// A test helper: a totally ordered bus that carries the services of N nodes as a ring would, without tokens or loss. Rings are
// formed by hand and messages can be delivered one at a time, so that a test can cut a synchronisation in half anywhere.
import { present } from "../../src/assert.ts";
import { sameRing, type GroupEvent, type GroupRequest, type RingId } from "../../src/world.ts";
import type { QuorumView } from "../../src/node/member/events.ts";
import type { ServiceAction, ServiceTimer } from "../../src/node/member/service.ts";
import { Services, type Question } from "../../src/node/member/services.ts";
import type { NodeSettings, QuorumSettings } from "../../src/node/settings/settings.ts";

const plainQuorum: QuorumSettings = {
  provider: true,
  expectedVotes: undefined,
  votes: undefined,
  twoNode: false,
  waitForAll: undefined,
  lastManStanding: false,
  lastManStandingWindowMs: 10_000,
  autoTieBreaker: false,
  autoTieBreakerNode: "lowest",
  expectedVotesTracking: false,
  allowDownscale: false,
  device: undefined,
};

export interface BusSettings {
  readonly nodeid: number;
  /** Votes by nodeid, or how many nodes there are. */
  readonly nodes: number | Readonly<Record<number, number>>;
  readonly quorum?: Partial<QuorumSettings>;
  readonly configVersion?: number;
}

/** Settings of a knet cluster with corosync's defaults for two nodes. */
export function busSettings(options: BusSettings): NodeSettings {
  const { nodes } = options;
  const votes =
    typeof nodes === "number"
      ? Array.from({ length: nodes }, (_, at) => [at + 1, 1] as const)
      : Object.entries(nodes).map(([nodeid, count]) => [Number(nodeid), count] as const);
  return {
    clusterName: "bus",
    configVersion: options.configVersion ?? 1,
    transport: "knet",
    nodeid: options.nodeid,
    name: `n${options.nodeid}`,
    nodes: votes.map(([nodeid, count]) => ({
      nodeid,
      name: `n${nodeid}`,
      votes: count,
      addresses: [`10.0.0.${nodeid}`],
    })),
    links: [],
    linkMode: "passive",
    tuning: {
      tokenMs: 3000,
      tokenWarningPercent: 75,
      tokenRetransmitMs: 714,
      holdMs: 561,
      joinMs: 50,
      sendJoinMs: 0,
      consensusMs: 3600,
      mergeMs: 200,
      failReceiveMax: 2500,
      seqnoUnchangedMax: 30,
      windowSize: 50,
      maxMessages: 17,
      missCountMax: 5,
      cancelTokenHoldOnRetransmit: false,
      netMtu: 65_536,
    },
    crypto: { cipher: "none", hash: "none", key: new Uint8Array(0) },
    pmtudIntervalMs: 30_000,
    knetMtu: 0,
    compression: { model: "none", threshold: 0, level: 0 },
    scheduling: { isRoundRobin: false, nice: 0 },
    ipVersion: "ipv6-4",
    blockUnlistedIps: true,
    quorum: { ...plainQuorum, ...options.quorum },
  };
}

interface Message {
  readonly from: number;
  readonly bytes: Uint8Array;
}

export class BusNode {
  readonly nodeid: number;
  readonly services: Services;
  /** Everything that is not a message, timer or log line. */
  readonly actions: ServiceAction[] = [];
  readonly logs: string[] = [];
  readonly timers = new Map<ServiceTimer, number>();
  readonly sync: Uint8Array[] = [];
  readonly application: Uint8Array[] = [];
  isSynchronising = false;
  ring: RingId;

  constructor(settings: NodeSettings, trackingBarrier: number) {
    this.nodeid = settings.nodeid;
    this.ring = { rep: settings.nodeid, seq: 1 };
    this.services = new Services({ settings, trackingBarrier });
  }

  get quorum(): QuorumView {
    return this.services.quorum();
  }
  get events(): GroupEvent[] {
    return this.actions.filter(
      (action): action is GroupEvent => action.kind === "delivered" || action.kind === "configured",
    );
  }
  /** Forgets what was recorded so far. */
  clear(): void {
    this.actions.length = 0;
    this.logs.length = 0;
  }
}

export class OrderedBus {
  now = 0;
  readonly nodes = new Map<number, BusNode>();
  #ringSeq = 5;
  /** Every message in the order of its delivery. */
  readonly delivered: Message[] = [];

  /** A node starts (again) and forms a ring alone. */
  start(settings: NodeSettings, trackingBarrier = 0): BusNode {
    const node = new BusNode(settings, trackingBarrier);
    this.nodes.set(settings.nodeid, node);
    this.#call(node, (out) => node.services.start(out));
    this.form([settings.nodeid]);
    return node;
  }

  node(nodeid: number): BusNode {
    return present(this.nodes.get(nodeid), `node ${nodeid} runs`);
  }

  /** The nodes are gone without a word; the ring of the others is formed by `form`. */
  kill(...nodeids: number[]): void {
    for (const nodeid of nodeids) this.nodes.delete(nodeid);
  }

  /** Each list of nodes becomes one ring; nothing is delivered yet. */
  form(...rings: readonly (readonly number[])[]): void {
    for (const members of rings) {
      const ring = { rep: Math.min(...members), seq: (this.#ringSeq += 4) };
      const before = new Map(members.map((nodeid) => [nodeid, this.node(nodeid).ring]));
      for (const nodeid of members) {
        const node = this.node(nodeid);
        const old = node.ring;
        const together = members.filter((other) => {
          return sameRing(present(before.get(other), "a member has a ring"), old);
        });
        node.isSynchronising = true;
        this.#configure(node, "transitional", ring, together);
        this.#configure(node, "regular", ring, members);
      }
      for (const nodeid of members) this.node(nodeid).ring = ring;
    }
  }

  #configure(
    node: BusNode,
    type: "transitional" | "regular",
    ring: RingId,
    members: readonly number[],
  ): void {
    this.#call(node, (out) => node.services.configured({ type, ring, members }, this.now, out));
  }

  /** Delivers at most `count` messages, nodes taking turns. Returns how many there were. */
  deliver(count: number): number {
    let done = 0;
    for (let isBusy = true; isBusy && done < count;) {
      isBusy = false;
      for (const node of [...this.nodes.values()]) {
        if (done >= count) break;
        const bytes = (node.isSynchronising ? node.sync : node.application).shift();
        if (bytes === undefined) continue;
        isBusy = true;
        done += 1;
        this.#deliverOne({ from: node.nodeid, bytes }, node.ring);
      }
    }
    return done;
  }

  /** Delivers until everything is quiet. */
  settle(): void {
    const messagesMax = 100_000;
    if (this.deliver(messagesMax) >= messagesMax) throw new Error("the bus never comes to rest");
  }

  /** Forms rings and lets them synchronise. */
  join(...rings: readonly (readonly number[])[]): void {
    this.form(...rings);
    this.settle();
  }

  #deliverOne(message: Message, ring: RingId): void {
    this.delivered.push(message);
    for (const node of [...this.nodes.values()]) {
      if (node.ring.rep !== ring.rep || node.ring.seq !== ring.seq) continue;
      this.#call(node, (out) =>
        node.services.delivered(message.from, message.bytes, this.now, out),
      );
    }
  }

  request(nodeid: number, pid: number, request: GroupRequest): void {
    const node = this.node(nodeid);
    this.#call(node, (out) => node.services.requested(pid, request, out));
  }

  ask(nodeid: number, question: Question): void {
    const node = this.node(nodeid);
    this.#call(node, (out) => node.services.asked(question, out));
  }

  reconfigure(settings: NodeSettings): void {
    const node = this.node(settings.nodeid);
    this.#call(node, (out) => node.services.reconfigured(settings, false, out));
  }

  /** A clean stop: last words, then gone. */
  stop(nodeid: number): void {
    const node = this.node(nodeid);
    this.#call(node, () => void node.services.close());
    this.settle();
    this.kill(nodeid);
  }

  /** The timer must be running; time moves to it. */
  fire(nodeid: number, timer: ServiceTimer): void {
    const node = this.node(nodeid);
    const at = present(node.timers.get(timer), `timer ${timer} of node ${nodeid} runs`);
    node.timers.delete(timer);
    this.now = Math.max(this.now, at);
    this.#call(node, (out) => node.services.timedOut(timer, this.now, out));
  }

  /** Calls into a node's votes as a local device client would. */
  device(nodeid: number, use: (node: BusNode, out: ServiceAction[]) => void): void {
    const node = this.node(nodeid);
    this.#call(node, (out) => use(node, out));
  }

  #call(node: BusNode, use: (out: ServiceAction[]) => void): void {
    const out: ServiceAction[] = [];
    use(out);
    node.services.advance(this.now, out);
    for (const action of out) this.#carryOut(node, action);
    for (;;) {
      const next = node.services.outbox.next();
      if (next === undefined) return;
      node.application.push(next.message);
    }
  }

  #carryOut(node: BusNode, action: ServiceAction): void {
    switch (action.kind) {
      case "submit":
        (action.queue === "sync" ? node.sync : node.application).push(action.message);
        return;
      case "arm":
        node.timers.set(action.timer, action.at);
        return;
      case "disarm":
        node.timers.delete(action.timer);
        return;
      case "log":
        node.logs.push(`${action.level} ${action.subsystem} ${action.text}`);
        return;
      case "synchronised":
        node.isSynchronising = false;
        node.actions.push(action);
        return;
      default:
        node.actions.push(action);
    }
  }
}
