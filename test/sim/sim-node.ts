// One simulated node: the production code of both its threads (ring thread and client, tree and status stores) in a simulated process.
// Only the machine around it, FUSE, API and the database are not the real ones.
import { createHash } from "node:crypto";
import type { Promised } from "../../src/fs/tree/files.ts";
import { ownGroup } from "../../src/fs/epoch/message.ts";
import type { TreeOperation } from "../../src/fs/tree/entry.ts";
import { StatusHost } from "../../src/fs/replica/status-host.ts";
import { TreeStore } from "../../src/fs/tree-store.ts";
import { Tree } from "../../src/fs/tree/tree.ts";
import type { DeviceRequest, DeviceSnapshot } from "../../src/node/device/events.ts";
import type { MemberSnapshot, QuorumView } from "../../src/node/member/events.ts";
import type { Cluster } from "../../src/node/thread/cluster.ts";
import { RingThreadClient } from "../../src/node/thread/client.ts";
import type { RingAction } from "../../src/node/ring/events.ts";
import type { SettingsResult } from "../../src/node/settings/read-settings.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";
import type { GroupPort, LogAction, PortEvent } from "../../src/world.ts";
import type { Agenda } from "./agenda.ts";
import type { RingChecker } from "./checkers.ts";
import { SimClock } from "./clock.ts";
import { type DeviceSurroundings, Disk, type Interfaces, SimProcess } from "./machine.ts";
import type { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { messageId, payload, simGroup } from "./workload.ts";

export interface SimNodeOptions {
  readonly nodeid: number;
  readonly seed: number;
  readonly agenda: Agenda;
  readonly network: Network;
  readonly checker: RingChecker;
  /** What corosync.conf and the key file say now. */
  readonly settings: () => NodeSettings;
  /** With a quorum device, as the settings configure it. */
  readonly device?: DeviceSurroundings;
  /** Default: one link, without a limit of size. */
  readonly interfaces?: Interfaces;
  /** What reading corosync.conf for a reload gives; default: `settings`. */
  readonly load?: (running: NodeSettings) => SettingsResult;
  /** Never in the group of quorate nodes: to the others it is an original. */
  readonly isOriginal?: boolean;
  /** Rate of this node's clock against the world's. */
  readonly clockRate: number;
  readonly onQuorum: () => void;
  /** The caller of this token was told that its change is what was promised. */
  readonly acknowledged: (token: number, answered: Answered) => void;
  /** The node died with changes in its tree that were not on its disk. */
  readonly forgot: () => void;
  /** What this node keeps of a tree that another's has replaced. */
  readonly lost?: (paths: readonly string[]) => void;
  /** Another tree has replaced this node's without this of what it had, and nobody was told. */
  readonly lostInSilence?: (path: string) => void;
  /** `line`: it is a line of the node's own log. */
  readonly trace: (nodeid: number, text: string, line?: LogAction) => void;
}

/** The moment of an answer. */
export interface Answered {
  /** The change was carried out here. */
  readonly isExecuted: boolean;
  /** The node was quorate, its tree synchronised, and of an agreed epoch. */
  readonly isPrimary: boolean;
}

export class SimNode {
  readonly nodeid: number;
  readonly #options: SimNodeOptions;
  readonly #random: SeededRandom;
  readonly #disk = new Disk();
  #incarnation = 0;
  /** Its machine has power, whether its process runs or not. */
  #isPowered = true;
  #life: Life | undefined;

  constructor(options: SimNodeOptions) {
    this.#options = options;
    this.nodeid = options.nodeid;
    this.#random = new SeededRandom(options.seed, `node${options.nodeid}`);
  }

  get running(): boolean {
    return this.#life !== undefined;
  }
  get store(): TreeStore | undefined {
    return this.#life?.store;
  }
  /** How often it has started. */
  get life(): number {
    return this.#incarnation;
  }
  /** Of the ring thread at this moment; undefined when the node is down. */
  get member(): MemberSnapshot | undefined {
    return this.#life?.process.thread.host?.memberSnapshot();
  }
  get quorum(): QuorumView | undefined {
    return this.member?.quorum;
  }
  /** Of this life, by reason. */
  get packetsDropped(): Readonly<Record<string, number>> {
    return this.#life?.process.thread.host?.snapshot().packetsDropped ?? {};
  }
  get device(): DeviceSnapshot | undefined {
    return this.#life?.process.thread.host?.deviceSnapshot();
  }
  /** The version of the configuration in force. */
  get configVersion(): number {
    return this.#life?.client.settings.configVersion ?? 0;
  }

  /** Of its tree, or of what its disk has while it is down. */
  get treeVersion(): number {
    const stored = this.#disk.rows.get(0)?.version ?? 0;
    return Math.max(stored, this.store?.tree.version ?? 0);
  }

  /** A file of the tree's root is on this node's disk. */
  hasStored(name: string): boolean {
    return this.#disk.rows.values().some((row) => row.name === name && row.parent === 0);
  }

  /** Nobody listens on its machine, which says so. */
  get isRefusing(): boolean {
    return this.#isPowered && this.#life === undefined;
  }

  start(): void {
    this.#isPowered = true;
    this.#incarnation += 1;
    const { device, checker, trace } = this.#options;
    device?.streams.setPower(device.host, true);
    checker.begin(this.nodeid, this.#incarnation, () => this.member);
    trace(
      this.nodeid,
      `starts, life ${this.#incarnation}, stored ring sequence ${this.#disk.ringSeq}`,
    );
    this.#life = new Life(this.#options, {
      random: this.#random,
      disk: this.#disk,
      incarnation: this.#incarnation,
      ended: (reason) => {
        trace(this.nodeid, `ends: ${reason}`);
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
    this.#isPowered = false;
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

  receive(source: number, datagram: Uint8Array, link = 0): void {
    this.#life?.process.receive(source, datagram, link);
  }

  /** A forged answer of another node's machine, that nobody is there: to a packet of this one, as only somebody on the way can make it. */
  forgeRefusal(nodeid: number, link = 0): void {
    this.#life?.process.hint(link);
    this.#life?.process.refuse(nodeid, link);
  }

  /** The node gets no processor for so long. */
  pause(durationMs: number): void {
    this.#options.checker.paused(this.nodeid, durationMs);
    this.#life?.process.pause(durationMs);
  }

  /** What a local client of votequorum asks, as the quorum device's does. */
  askAsDevice(request: DeviceRequest): void {
    const event = { kind: "deviceAsked", request } as const;
    this.#life?.process.thread.host?.run({ to: "member", event });
  }

  /** The ring as the API of this node has it; undefined when it is down. */
  get cluster(): Cluster | undefined {
    return this.#life?.client;
  }

  /** One ordered message of `size` bytes in the simulator's own group; false when the node does not take it. */
  send(size: number): boolean {
    return this.#life?.send(size) ?? false;
  }

  write(token: number, operation: TreeOperation, promised: Promised = "held"): boolean {
    return this.#life?.write(token, operation, promised) ?? false;
  }

  /**
   * As a program that closes what it wrote (`held`), or asks for all of the node (`durable`). `settled`: with which of its life's writes of
   * `ordered` are so, or are told to be in doubt.
   */
  sync(
    promised: "held" | "durable",
    settled: (tokens: readonly number[], isOk: boolean) => void,
  ): void {
    this.#life?.sync(promised, settled);
  }

  /** No flush of its disk is done for so long. */
  stallDisk(durationMs: number): void {
    this.#options.trace(this.nodeid, `its disk stalls for ${Math.round(durationMs)} ms`);
    this.#disk.stalledUntil = this.#options.agenda.now + durationMs;
  }

  /** The disk answers again. */
  healDisk(): void {
    this.#disk.stalledUntil = Math.min(this.#disk.stalledUntil, this.#options.agenda.now);
  }

  /** Has all members read their configuration again, as `quorate reload` does. */
  reload(): void {
    this.#life?.reload();
  }

  setExpectedVotes(votes: number): void {
    void this.#life?.client.setExpectedVotes(votes);
  }

  #end(): void {
    if (this.#life?.isUnflushed === true) this.#options.forgot();
    this.#options.checker.end(this.nodeid);
    this.#life?.end();
    this.#life = undefined;
    this.#options.onQuorum();
  }
}

/** Whoever has sent a message sends another when it is delivered, so likely and so soon on average. */
const goesOnChance = 0.7;
const thinkingMs = 0.02;

interface LifeOptions {
  readonly random: SeededRandom;
  readonly disk: Disk;
  readonly incarnation: number;
  readonly ended: (reason: string) => void;
}

class Life {
  readonly process: SimProcess;
  readonly client: RingThreadClient;
  readonly store: TreeStore;
  readonly #status: StatusHost;
  /** Names that came into the tree's root in this life, and those that were told when another tree came. */
  readonly #names = new Set<string>();
  #told: readonly string[] = [];
  /** Answered as ordered, not known to be more. */
  #ordered: number[] = [];
  /** Losses of the tree before the first of these. */
  #since: number | undefined;
  /** Writes without an answer. */
  #waiting = 0;
  /** The last moment at which it was of the primary component, while somebody waits. */
  #primaryAt = -1;
  readonly #node: SimNodeOptions;
  readonly #options: LifeOptions;
  #isOver = false;
  #messages = 0;

  constructor(node: SimNodeOptions, options: LifeOptions) {
    this.#node = node;
    this.#options = options;
    const { nodeid, agenda } = node;
    const load = (): SettingsResult =>
      node.load?.(this.client.settings) ?? { ok: true, value: node.settings() };
    const clock = new SimClock({ agenda, rate: node.clockRate, offsetMs: 1000 * nodeid });
    this.process = new SimProcess({
      ...{
        nodeid,
        agenda,
        clock,
        network: node.network,
        device: node.device,
        interfaces: node.interfaces,
      },
      ...{ random: options.random, disk: options.disk },
      keyOnDisk: () => {
        const loaded = load();
        if (!loaded.ok) return undefined;
        const { crypto, configVersion } = loaded.value;
        return { crypto, configVersion };
      },
      observe: (action) => this.#observe(action),
      persisted: (before, after) => node.checker.persisted(nodeid, before, after),
      sending: (asked, stored) => node.checker.sending(nodeid, asked, stored),
      quorumChanged: () => node.onQuorum(),
    });
    const machine = this.process.client;
    const log = (line: LogAction): void =>
      node.trace(nodeid, `[${line.subsystem}] ${line.text}`, line);
    const pid = nodeid * 1000 + options.incarnation;
    this.client = new RingThreadClient({
      ...{ settings: node.settings(), stateDir: "", deviceDir: "", pid, log, machine },
      load: async () => load(),
    });
    const groups = node.isOriginal === true ? asOriginal(this.client.groups) : this.client.groups;
    const { wallS } = machine;
    this.store = new TreeStore({
      ...{ tree: loadTree(options.disk), options: { sha256 }, groups, clock, wallS, log },
      commit: (changes) => this.process.commit(changes),
      ...{ lineage: options.disk.lineage, durability: "full" },
      onFatal: (reason) => this.#ended(`the tree failed: ${reason}`),
      onChanged: (paths) => this.#changed(paths),
      onLost: ({ paths }) => {
        node.trace(nodeid, `loses ${paths.join(" ")}`);
        node.lost?.(paths);
        this.#told = paths;
      },
      onCorosyncConf: () => undefined,
    });
    this.#status = new StatusHost({
      ...{ nodeid, pid, nodeName: `n${nodeid}`, address: undefined, groups, clock, wallS, log },
    });
  }

  start(): void {
    const { groups } = this.client;
    groups.listen((events) => this.#heard(events));
    this.client.onQuorum((quorum) => {
      this.#act(() => this.store.setQuorum({ ...quorum, ringSeq: quorum.ring.seq }, "no quorum"));
      this.#status.setQuorate(quorum.quorate);
    });
    void this.client.finished.then(({ reason }) => this.#ended(reason));
    groups.request({ kind: "join", group: simGroup });
    this.store.start();
    this.#status.start();
    void this.client.start(this.#node.settings());
  }

  /** The tree has changes that the disk has not: if the process dies now, they are gone here. */
  get isUnflushed(): boolean {
    return this.process.isFlushing || this.store.journal.waiting > 0;
  }

  /** In the order of a real node (shell/command/node.ts): the tree leaves its groups before the ring is left. */
  leave(): void {
    this.#status.stop();
    void this.store.stop().then(() => this.client.stop());
  }

  end(): void {
    this.#isOver = true;
    this.process.end();
  }

  send(size: number): boolean {
    const { checker, nodeid } = this.#node;
    if (this.#isOver || this.process.thread.host === undefined) return false;
    this.#messages += 1;
    const id = `${nodeid}.${this.#options.incarnation}.${this.#messages}`;
    const message = payload(id, size);
    const answered = this.#options.random.chance(0.8) ? "delivered" : "stable";
    const request = { kind: "send", group: simGroup, message, answered } as const;
    if (!this.client.groups.request(request)) return false;
    checker.sent(nodeid, id);
    return true;
  }

  write(token: number, operation: TreeOperation, promised: Promised): boolean {
    if (!this.store.isWritable) return false;
    this.#waiting += 1;
    let isExecuted = false;
    const executed = (): void => void (isExecuted = true);
    void this.store.change(operation, promised, executed).then((outcome) => {
      this.#waiting -= 1;
      if (!outcome.ok || this.#isOver) return;
      if (promised === "ordered") {
        this.#ordered.push(token);
        this.#since ??= this.store.losses;
      }
      this.#look();
      const isPrimary = this.#primaryAt === this.#node.agenda.now;
      this.#node.acknowledged(token, { isExecuted, isPrimary });
    });
    return true;
  }

  sync(
    promised: "held" | "durable",
    settled: (tokens: readonly number[], isOk: boolean) => void,
  ): void {
    const tokens = [...this.#ordered];
    const since = this.#since;
    void this.store.sync(promised, promised === "held" ? since : undefined).then(({ ok }) => {
      if (this.#isOver) return;
      if (!ok || promised === "durable") {
        this.#ordered = this.#ordered.filter((token) => !tokens.includes(token));
        if (since === this.#since) this.#since = this.#ordered.length > 0 ? since : undefined;
      }
      settled(tokens, ok);
    });
  }

  #look(): void {
    const { isWritable, isAgreed, synced } = this.store;
    if (isWritable && isAgreed && synced.length > 0) this.#primaryAt = this.#node.agenda.now;
  }

  /** Answers come at the same moment, in the microtasks behind it. */
  #act(act: () => void): void {
    if (this.#waiting > 0) this.#look();
    act();
    if (this.#waiting > 0) this.#look();
  }

  reload(): void {
    void this.client.reload();
  }

  #heard(events: readonly PortEvent[]): void {
    for (const event of events) this.#act(() => this.#take(event));
  }

  #take(event: PortEvent): void {
    if (event.kind === "stable") return this.store.stable(event.deliveries);
    this.store.groupEvent(event);
    this.#status.groupEvent(event);
    if (event.kind === "delivered" && event.group === simGroup) this.#goOn(event.nodeid);
  }

  /** As a caller who has its answer: mostly at once, for a while. */
  #goOn(nodeid: number): void {
    const { random } = this.#options;
    if (nodeid !== this.#node.nodeid || !random.chance(goesOnChance)) return;
    this.#node.agenda.after(random.exponential(thinkingMs), () => this.send(random.below(300)));
  }

  #changed(paths: readonly string[] | undefined): void {
    const { tree } = this.store;
    for (const path of paths ?? [...this.#names]) {
      if (tree.lookup(path) !== undefined) this.#names.add(path);
      else if (this.#names.delete(path) && paths === undefined && !this.#told.includes(path)) {
        this.#node.lostInSilence?.(path);
      }
    }
    if (paths === undefined) this.#told = [];
  }

  #ended(reason: string): void {
    if (!this.#isOver) this.#options.ended(reason);
  }

  /** What the ring delivers, before the services: the checkers' view. */
  #observe(action: RingAction): void {
    const { checker, nodeid, agenda } = this.#node;
    checker.kept(nodeid, action, agenda.now);
    if (action.kind === "configured") {
      checker.configured(nodeid, action.type, action.ring, action.members);
    } else if (action.kind === "delivered") {
      const id = messageId(action.message);
      if (id !== undefined) checker.delivered(nodeid, id);
    } else if (action.kind === "stable") checker.stable(nodeid, action.seq);
    else if (action.kind === "persistRing") checker.parted(nodeid);
  }
}

/** What it asks of the group of quorate nodes is dropped. */
function asOriginal(groups: GroupPort): GroupPort {
  const { self } = groups;
  return {
    self,
    request: (request) => request.group === ownGroup || groups.request(request),
    whenRoom: (act) => groups.whenRoom(act),
    caughtUp: () => groups.caughtUp(),
    listen: (listener) => groups.listen(listener),
  };
}

function loadTree(disk: Disk): Tree {
  const loaded = Tree.load(disk.rows.values(), { sha256, rootName: "" });
  if (!loaded.ok) throw new Error(`the simulated disk does not load: ${loaded.reason}`);
  return loaded.value;
}

function sha256(pieces: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
}
