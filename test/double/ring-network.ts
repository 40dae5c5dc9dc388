// A network of rings for tests: virtual clock, seeded randomness, loss and partitions by rule, and the smallest service that can
// synchronise (every member sends a barrier). Same seed, same run. It must never be imported by anything but tests.
import { assert, present } from "../../src/assert.ts";
import { Writer } from "../../src/bytes.ts";
import { type Answered, sameRing, type Random, type RingId } from "../../src/world.ts";
import type { TotemTuning } from "../../src/node/settings/settings.ts";
import type { RingAction, RingEvent, RingTimer } from "../../src/node/ring/events.ts";
import { Ring } from "../../src/node/ring/ring.ts";
import type { KeepLimits } from "../../src/node/ring/state.ts";

/** corosync's defaults for three nodes, knet. */
export const defaultTuning: TotemTuning = {
  tokenMs: 3650,
  tokenWarningPercent: 75,
  tokenRetransmitMs: 869,
  holdMs: 685,
  joinMs: 50,
  sendJoinMs: 0,
  consensusMs: 4380,
  mergeMs: 200,
  failReceiveMax: 2500,
  seqnoUnchangedMax: 30,
  windowSize: 50,
  maxMessages: 17,
  missCountMax: 5,
  cancelTokenHoldOnRetransmit: false,
  netMtu: 65_536,
};

/** A small seeded generator (mulberry32). */
export class SeededRandom implements Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
}

export type Configured = Extract<RingAction, { readonly kind: "configured" }>;

/** What a node saw, in order: messages by name, and configurations. */
export type Seen =
  | { readonly kind: "message"; readonly from: number; readonly name: string; readonly ok: boolean }
  | Configured;

export interface Frame {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

const barrierMark = 0;
const messageMark = 1;

/** A test message: mark, length of the name, name, then filler that can be checked. */
export function testMessage(name: string, size: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, name.length + 2));
  bytes[0] = messageMark;
  bytes[1] = name.length;
  for (let i = 0; i < name.length; i += 1) bytes[i + 2] = name.charCodeAt(i);
  for (let i = name.length + 2; i < bytes.length; i += 1) bytes[i] = (i * 7 + bytes.length) & 0xff;
  return bytes;
}

function barrierOf(ring: RingId): Uint8Array {
  return new Writer(13).u8(barrierMark).u32(ring.rep).u64(ring.seq).finish();
}

function readTestMessage(bytes: Uint8Array): { readonly name: string; readonly ok: boolean } {
  const length = bytes[1] ?? 0;
  const name = String.fromCharCode(...bytes.subarray(2, 2 + length));
  const expected = testMessage(name, bytes.length);
  return { name, ok: Buffer.compare(expected, bytes) === 0 };
}

export class TestNode {
  readonly nodeid: number;
  readonly ring: Ring;
  readonly seen: Seen[] = [];
  readonly logs: string[] = [];
  /** Messages that the ring reported stable, and the members it had then. */
  readonly stable: { readonly name: string; readonly members: readonly number[] }[] = [];
  #stable = 0;
  /** Names of what was delivered and is not reported stable; undefined for a barrier. */
  readonly #unstable: (string | undefined)[] = [];
  /** How many of the messages delivered since start the ring has reported stable, barriers included. */
  get stableDeliveries(): number {
    return this.#stable;
  }
  /** Names of the messages submitted, in order. */
  readonly sent: string[] = [];
  readonly persisted: number[] = [];
  isAlive = true;
  /** True while the test wants to hold back the barrier of this node's services. */
  isSlowToSync = false;
  synchronisedRing: RingId | undefined;
  readonly #network: TestNetwork;
  readonly #timers = new Map<RingTimer, number>();
  #generation = 0;
  #configuration: Configured | undefined;
  #barriers = new Set<number>();
  readonly #events: RingEvent[] = [];
  #isStepping = false;

  constructor(network: TestNetwork, nodeid: number, ring: Ring) {
    this.#network = network;
    this.nodeid = nodeid;
    this.ring = ring;
  }

  /** Names of the messages delivered, in order. */
  get names(): string[] {
    return this.seen.flatMap((seen) => (seen.kind === "message" ? [seen.name] : []));
  }

  get regular(): readonly Configured[] {
    return this.seen.flatMap((seen) =>
      seen.kind === "configured" && seen.type === "regular" ? [seen] : [],
    );
  }

  /** `answered`: when its sender has his answer and may go on. */
  send(name: string, size: number, answered?: Answered): void {
    this.sent.push(name);
    const message = testMessage(name, size);
    this.step({ kind: "submitted", queue: "application", message, answered });
  }

  /** Is called with the name of each message of its own that was delivered here, after that step. */
  goesOn: (name: string) => void = () => {};

  /** Lets a slow service go on. */
  sync(): void {
    this.isSlowToSync = false;
    const configuration = this.#configuration;
    if (configuration !== undefined) this.#sendBarrier(configuration.ring);
  }

  step(event: RingEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      if (!this.isAlive) continue;
      const actions: RingAction[] = [];
      this.ring.step(next, this.#network.now, actions);
      for (const action of actions) this.#carryOut(action);
    }
    this.#isStepping = false;
  }

  #carryOut(action: RingAction): void {
    switch (action.kind) {
      case "unicast":
        return this.#network.send({ from: this.nodeid, to: action.nodeid, bytes: action.bytes });
      case "multicast":
        for (const to of this.#network.nodeids) {
          if (to === this.nodeid && action.isStored === true) continue;
          this.#network.send({ from: this.nodeid, to, bytes: action.bytes });
        }
        return;
      case "arm": {
        this.#generation += 1;
        const generation = this.#generation;
        this.#timers.set(action.timer, generation);
        this.#network.at(action.at, () => {
          if (!this.isAlive || this.#timers.get(action.timer) !== generation) return;
          this.#timers.delete(action.timer);
          this.step({ kind: "timedOut", timer: action.timer });
        });
        return;
      }
      case "disarm":
        this.#timers.delete(action.timer);
        return;
      case "persistRing":
        this.persisted.push(action.ringSeq);
        return;
      case "delivered":
        return this.#delivered(action.nodeid, action.message);
      case "configured":
        this.seen.push(action);
        if (action.type === "transitional") return;
        // Members that join now have not heard what was told before.
        this.#unstable.fill(undefined);
        this.#configuration = action;
        this.#barriers = new Set();
        if (!this.isSlowToSync) this.#sendBarrier(action.ring);
        return;
      case "paused":
        return this.step({ kind: "resumed" });
      case "stable": {
        const { members, ring } = this.ring.snapshot();
        this.#network.expectHeld(ring, members, action.seq);
        const fresh = action.deliveries - this.#stable;
        assert(
          fresh > 0 && fresh <= this.#unstable.length,
          "only what was delivered becomes stable",
        );
        for (const name of this.#unstable.splice(0, fresh)) {
          if (name !== undefined) this.stable.push({ name, members });
        }
        this.#stable = action.deliveries;
        return;
      }
      case "log":
        this.logs.push(action.text);
        return;
      case "sought":
        return;
    }
    action satisfies never;
  }

  #sendBarrier(ring: RingId): void {
    this.step({ kind: "submitted", queue: "sync", message: barrierOf(ring) });
  }

  #delivered(from: number, message: Uint8Array): void {
    if (message[0] !== barrierMark) {
      const read = readTestMessage(message);
      this.#unstable.push(read.name);
      this.seen.push({ kind: "message", from, ...read });
      if (from === this.nodeid) this.goesOn(read.name);
      return;
    }
    this.#unstable.push(undefined);
    const configuration = present(this.#configuration, "a barrier follows a configuration");
    const { ring, members } = configuration;
    if (Buffer.compare(message, barrierOf(ring)) !== 0) return;
    this.#barriers.add(from);
    if (!members.every((nodeid) => this.#barriers.has(nodeid))) return;
    this.synchronisedRing = ring;
    this.step({ kind: "synchronised", ring });
  }
}

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class TestNetwork {
  now = 0;
  readonly random: SeededRandom;
  readonly nodes = new Map<number, TestNode>();
  readonly #configured: readonly number[];
  readonly #tuning: TotemTuning;
  readonly #keep: KeepLimits | undefined;
  /** Frames for which this says true are lost. */
  isLost: (frame: Frame) => boolean = () => false;
  /** Somebody forges tokens, and what those say of other nodes is believed: without crypto nothing protects from that. */
  hasForgedTokens = false;
  /** Sees every frame that is sent. */
  onFrame: (frame: Frame) => void = () => {};
  /** Which side of a partition a node is on. */
  #sides = new Map<number, number>();
  #queue: Scheduled[] = [];
  #order = 0;
  readonly #lastArrival = new Map<string, number>();

  constructor(options: {
    readonly seed: number;
    readonly nodeids: readonly number[];
    readonly tuning?: TotemTuning;
    readonly keep?: KeepLimits;
  }) {
    this.random = new SeededRandom(options.seed);
    this.#configured = options.nodeids;
    this.#tuning = options.tuning ?? defaultTuning;
    this.#keep = options.keep;
  }

  get nodeids(): readonly number[] {
    return this.#configured;
  }

  node(nodeid: number): TestNode {
    return present(this.nodes.get(nodeid), `node ${nodeid} was started`);
  }

  get alive(): TestNode[] {
    return [...this.nodes.values()].filter((node) => node.isAlive);
  }

  /** Starts (or restarts, with what it stored) a node. */
  start(nodeid: number, storedRingSeq = this.nodes.get(nodeid)?.persisted.at(-1) ?? 0): TestNode {
    const before = this.nodes.get(nodeid);
    if (before !== undefined) before.isAlive = false;
    const ring = new Ring({
      nodeid,
      configured: this.#configured,
      storedRingSeq,
      tuning: this.#tuning,
      random: this.random,
      keep: this.#keep,
    });
    const node = new TestNode(this, nodeid, ring);
    this.nodes.set(nodeid, node);
    node.step({ kind: "started" });
    return node;
  }

  /** Starts all nodes and runs until they are one synchronised ring. */
  startAll(): void {
    for (const nodeid of this.#configured) this.start(nodeid);
    this.runUntil(() => this.isWhole(this.#configured), 30_000, "all nodes on one ring");
  }

  kill(nodeid: number): void {
    this.node(nodeid).isAlive = false;
  }

  partition(...sides: readonly (readonly number[])[]): void {
    this.#sides = new Map(sides.flatMap((side, i) => side.map((nodeid) => [nodeid, i] as const)));
  }

  heal(): void {
    this.#sides = new Map();
  }

  at(time: number, run: () => void): void {
    this.#order += 1;
    this.#insert({ at: Math.max(time, this.now), order: this.#order, run });
  }

  /** A binary heap by (time, order). */
  #insert(item: Scheduled): void {
    const heap = this.#queue;
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const above = (i - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(item, parent)) break;
      heap[i] = parent;
      i = above;
    }
    heap[i] = item;
  }

  #take(): Scheduled | undefined {
    const heap = this.#queue;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let below = 2 * i + 1;
      const left = heap[below];
      if (left === undefined) break;
      const right = heap[below + 1];
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        below += 1;
      }
      if (!isBefore(least, last)) break;
      heap[i] = least;
      i = below;
    }
    heap[i] = last;
    return first;
  }

  send(frame: Frame): void {
    this.onFrame(frame);
    const isLocal = frame.from === frame.to;
    if (!isLocal) {
      if (this.#sides.get(frame.from) !== this.#sides.get(frame.to)) return;
      if (this.isLost(frame)) return;
    }
    // In order on each path, as a switch keeps it.
    const path = `${frame.from}>${frame.to}`;
    const delayMs = isLocal ? 0.01 : 0.05 + this.random.next() * 0.25;
    const at = Math.max(this.now + delayMs, this.#lastArrival.get(path) ?? 0);
    this.#lastArrival.set(path, at);
    // One buffer for the sender and all receivers: whoever changed it would change it for all.
    const { bytes } = frame;
    this.at(at, () => {
      const node = this.nodes.get(frame.to);
      if (node === undefined || !node.isAlive) return;
      node.step({ kind: "received", bytes });
    });
  }

  /** Runs what is due within `ms`. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#queue[0]; next !== undefined && next.at <= end; next = this.#queue[0]) {
      this.#take();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  /** Runs until `condition`; throws after `ms` of virtual time. Returns how long it took. */
  runUntil(condition: () => boolean, ms: number, what: string): number {
    const begin = this.now;
    while (!condition()) {
      const next = this.#take();
      if (next === undefined || next.at > begin + ms) {
        throw new Error(`not within ${ms} ms: ${what}\n${this.describe()}`);
      }
      this.now = next.at;
      next.run();
    }
    return this.now - begin;
  }

  /** Whether these nodes stand on one synchronised ring of exactly themselves. */
  isWhole(nodeids: readonly number[]): boolean {
    const expected = nodeids.toSorted((a, b) => a - b).join(" ");
    const rings = new Set<string>();
    for (const nodeid of nodeids) {
      const node = this.node(nodeid);
      const { state, members, ring, isSynchronising } = node.ring.snapshot();
      if (state !== "operational" || isSynchronising || members.join(" ") !== expected)
        return false;
      rings.add(`${ring.rep}.${ring.seq}`);
    }
    return rings.size === 1;
  }

  /** Whoever of these is still on this ring has all of its messages up to `seq`. */
  expectHeld(ring: RingId, members: readonly number[], seq: number): void {
    if (this.hasForgedTokens) return;
    for (const nodeid of members) {
      const held = this.node(nodeid).ring.snapshot();
      assert(
        !sameRing(held.ring, ring) || held.aru >= seq,
        `message ${seq} is called stable, node ${nodeid} has those up to ${held.aru}`,
      );
    }
  }

  describe(): string {
    return [...this.nodes.values()]
      .map((node) => {
        const { state, members, ring, aru, highSeqReceived, proc, failed } = node.ring.snapshot();
        const tail = node.logs.slice(-30).join("\n    ");
        return `node ${node.nodeid} ${node.isAlive ? state : "dead"}${node.ring.snapshot().isSynchronising ? " synchronising" : ""} ${ring.rep}.${ring.seq} [${members.join(" ")}] aru ${aru} high ${highSeqReceived} proc ${proc.join(" ")} failed ${failed.join(" ")}\n    ${tail}`;
      })
      .join("\n");
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
