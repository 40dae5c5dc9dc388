// One seed: some nodes, a load, faults for a while (safety: nothing wrong may ever happen), then peace (liveness: everything
// must come right within a deadline). Same seed and same commit give the same fingerprint.
import { Agenda } from "./agenda.ts";
import {
  BrokenRings,
  findingOf,
  InvariantBroken,
  isWholeRing,
  lookEveryMs,
  RingChecker,
} from "./checkers.ts";
import { healAll, scheduleFaults, type FaultOptions } from "./faults.ts";
import { Network, slow } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { simulatedSettings } from "./settings.ts";
import { type Answered, SimNode } from "./sim-node.ts";
import type { Promised } from "../../src/fs/tree/files.ts";

export interface SeedOptions {
  readonly seed: number;
  /** Simulated milliseconds in all. */
  readonly durationMs: number;
  /** No faults but new keys: the network is whole and loses nothing, and nobody stops. */
  readonly isCalm?: boolean;
  /** Every event as it happens, for reading; the last ones are kept anyway. */
  readonly print?: (line: string) => void;
}

export interface SeedResult {
  readonly seed: number;
  readonly ok: boolean;
  /** The invariant and what broke it; "" when all held. */
  readonly failure: string;
  readonly invariant: string;
  readonly fingerprint: number;
  readonly steps: number;
  readonly deliveries: number;
  readonly acknowledged: number;
  /** The last events, one line each. */
  readonly trace: readonly string[];
}

const traceMax = 200;
const reloadEveryMs = 1000;
/** 4 × token + consensus with five nodes, and five seconds for the trees (L1). */
const livenessMs = 4 * 4950 + 5940 + 5000;
/** For a write of each node, when all has come right. */
const lastWritesMs = 3000;
const peaceMs = livenessMs + lastWritesMs;

export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const world = new World(options);
  const finding = await findingOf(() => world.run());
  return { ...world.result(), ...finding, seed: options.seed };
}

class World {
  readonly #options: SeedOptions;
  readonly #agenda = new Agenda();
  readonly #checker = new RingChecker();
  readonly #nodes: SimNode[] = [];
  readonly #network: Network;
  readonly #load: SeededRandom;
  readonly #trace: string[] = [];
  readonly #written = new Map<number, string>();
  /** Writes that were answered. */
  readonly #answers = new Set<number>();
  /** F5: an answer that was given too early. */
  #early: string | undefined;
  /** Of these, what must be there at the end: promised to be held by all members. */
  readonly #acknowledged = new Set<number>();
  /** And what was promised to be on the disks of a majority. */
  readonly #durable = new Set<number>();
  readonly #promised = new Map<number, Promised>();
  /** A node died with unflushed changes: a quorate ring may form without what it had. */
  #isForgetful = false;
  /** F4: what a tree that is replaced had and the other lacks is told. */
  #silent: string | undefined;
  readonly #broken = new BrokenRings();
  readonly #tokenMs: number;
  /** A node that is not of ours, as far as the tree's epochs go. */
  readonly #original: number | undefined;
  /** What every node's corosync.conf and key file say. */
  #conf: { readonly version: number; readonly key: number | undefined };
  #tokens = 0;
  /** Of each path, who asked for it, in which of its lives. */
  readonly #makers = new Map<string, { token: number; node: SimNode; life: number }>();

  constructor(options: SeedOptions) {
    this.#options = options;
    const setup = new SeededRandom(options.seed, "setup");
    this.#load = new SeededRandom(options.seed, "load");
    this.#network = new Network({
      agenda: this.#agenda,
      random: new SeededRandom(options.seed, "network"),
      deliver: (source, target, bytes) => this.#nodes[target - 1]?.receive(source, bytes),
      isRefusing: (target) => this.#nodes[target - 1]?.isRefusing === true,
    });
    const count = 3 + setup.below(3);
    this.#tokenMs = simulatedSettings(1, { nodes: count }).tuning.tokenMs;
    this.#conf = { version: 1, key: setup.chance(0.25) ? 1 : undefined };
    this.#original = setup.chance(0.15) ? 1 + setup.below(count) : undefined;
    for (let nodeid = 1; nodeid <= count; nodeid += 1) {
      this.#nodes.push(
        new SimNode({
          nodeid,
          seed: options.seed,
          agenda: this.#agenda,
          network: this.#network,
          checker: this.#checker,
          settings: () => simulatedSettings(nodeid, { nodes: count, ...this.#conf }),
          clockRate: setup.between(0.99, 1.01),
          isOriginal: nodeid === this.#original,
          onQuorum: () => this.#checkQuorum(),
          acknowledged: (token, answered) => this.#answered(nodeid, token, answered),
          forgot: () => this.#forgot(),
          lostInSilence: (path) => this.#lostInSilence(nodeid, path),
          trace: (id, text) => this.#note(`n${id}`, text),
        }),
      );
    }
  }

  async run(): Promise<void> {
    const peaceAt = this.#options.durationMs - peaceMs;
    const faults: FaultOptions = {
      agenda: this.#agenda,
      network: this.#network,
      nodes: this.#nodes,
      random: new SeededRandom(this.#options.seed, "faults"),
      ...(this.#options.isCalm === true ? { only: ["new key"] } : {}),
      changeKey: () => this.#changeKey(),
      endMs: peaceAt,
      trace: (text) => this.#note("--", text),
    };
    for (const node of this.#nodes) {
      this.#agenda.after(this.#load.between(0, 2000), () => {
        if (!node.running) node.start();
      });
    }
    this.#look();
    if (this.#options.isCalm === true) this.#network.weather = slow;
    this.#startLoad(peaceAt);
    scheduleFaults(faults);
    await this.#agenda.runUntil(peaceAt);
    healAll(faults);
    this.#repeatReloads();
    await this.#agenda.runUntil(this.#options.durationMs - lastWritesMs);
    const last = this.#nodes.map((node) => ({ node, token: this.#writeFile(node) }));
    await this.#agenda.runUntil(this.#options.durationMs);
    // What must never happen comes first: a ring that has lost its order seldom comes right either.
    this.#checker.checkAgreement();
    this.#checkLive();
    for (const { node, token } of last) {
      if (this.#answers.has(token)) continue;
      throw new InvariantBroken("L1", `a write of node ${node.nodeid} in peace is not answered`);
    }
    this.#checker.checkSelfDelivery();
    this.#checkTrees();
    // Nothing was lost any more when these were answered, whatever they promised.
    for (const { token } of last) {
      if (this.#nodes.every(({ store }) => store?.tree.lookup(`w${token}`) !== undefined)) continue;
      throw new InvariantBroken("F5", `w${token} was answered in peace and is not everywhere`);
    }
    if (this.#silent !== undefined) throw new InvariantBroken("F4", this.#silent);
    if (this.#options.isCalm === true) this.#checkOpened();
  }

  result(): Pick<SeedResult, "fingerprint" | "steps" | "deliveries" | "acknowledged" | "trace"> {
    return {
      fingerprint: this.#checker.fingerprint(),
      steps: this.#agenda.steps,
      deliveries: this.#checker.deliveries,
      acknowledged: this.#acknowledged.size + this.#durable.size,
      trace: this.#trace,
    };
  }

  #note(who: string, text: string): void {
    const line = `${(this.#agenda.now / 1000).toFixed(4).padStart(9)} ${who}  ${text}`;
    this.#options.print?.(line);
    this.#trace.push(line);
    if (this.#trace.length > traceMax) this.#trace.shift();
  }

  /** A new key on all machines, as an operator copies it; also crypto where there was none. */
  #changeKey(): boolean {
    // Who is not in the ring yet would hear nothing of it, and who has not read the last key never could.
    if (this.#options.isCalm === true && this.#states().some(({ good }) => !good)) return false;
    const { version, key } = this.#conf;
    this.#conf = { version: version + 1, key: (key ?? 0) + 1 };
    return true;
  }

  /** Who missed a reload, in another partition or while it was down for one, is told again: as an operator does. */
  #repeatReloads(): void {
    for (const node of this.#nodes) {
      if (node.running && node.configVersion < this.#conf.version) node.reload();
    }
    this.#agenda.after(reloadEveryMs, () => this.#repeatReloads());
  }

  /** Messages of their own and tree writes from everybody, until peace. */
  #startLoad(endMs: number): void {
    const meanMs = this.#load.between(50, 400);
    for (const node of this.#nodes) {
      this.#repeat(endMs, meanMs, () => void node.send(this.#messageSize()));
      this.#repeat(endMs, meanMs, () => this.#write(node));
      this.#repeat(endMs, 3 * meanMs, () => this.#sync(node));
    }
  }

  #repeat(endMs: number, meanMs: number, act: () => void): void {
    this.#agenda.after(this.#load.exponential(meanMs), () => {
      if (this.#agenda.now > endMs) return;
      act();
      this.#repeat(endMs, meanMs, act);
    });
  }

  #messageSize(): number {
    const draw = this.#load.unit();
    if (draw < 0.8) return this.#load.below(300);
    if (draw < 0.98) return this.#load.below(5000);
    return this.#load.below(150_000);
  }

  #write(node: SimNode): void {
    const size = this.#load.below(200);
    const draw = this.#load.unit();
    if (draw >= 0.3) return void this.#writeFile(node);
    this.#tokens += 1;
    const token = this.#tokens;
    const data = new Uint8Array(size).fill(token & 0xff);
    const write = { kind: "write", path: "shared", offset: 0, data, truncate: true } as const;
    node.write(token, draw < 0.05 ? { kind: "create", path: "shared" } : write);
  }

  /** A new file or directory; returns the token of its write. */
  #writeFile(node: SimNode): number {
    this.#tokens += 1;
    const token = this.#tokens;
    const path = `w${token}`;
    const draw = this.#load.unit();
    // By its kind, by what its writer asks for, or less.
    const kind = draw < 0.3 ? "mkdir" : "create";
    const promised = draw < 0.5 ? "durable" : draw < 0.65 ? "held" : "ordered";
    this.#promised.set(token, promised);
    if (node.write(token, { kind, path }, promised)) {
      this.#written.set(token, path);
      this.#makers.set(path, { token, node, life: node.life });
    }
    return token;
  }

  /** What was answered as ordered becomes more. */
  #sync(node: SimNode): void {
    const promised = this.#load.chance(0.7) ? "held" : "durable";
    node.sync(promised, (tokens, isOk) => {
      if (isOk) for (const token of tokens) this.#promise(node.nodeid, token, promised);
    });
  }

  /**
   * F4. Not of what was never answered and whose maker has crashed since: whether such a tail is history that the leader has gone through, or
   * was ours alone, no tree tells once all that contradicts it is overwritten (ARCHITECTURE.md, "What loses is kept").
   */
  #lostInSilence(nodeid: number, path: string): void {
    this.#note(`n${nodeid}`, `gives up ${path} and tells nobody`);
    const maker = this.#makers.get(path);
    if (maker !== undefined && !this.#answers.has(maker.token) && maker.node.life !== maker.life) {
      return;
    }
    this.#silent ??= `node ${nodeid} gave up ${path} and told nobody`;
  }

  /** F5 for every promise: it was carried out, in the primary component. */
  #answered(nodeid: number, token: number, { isExecuted, isPrimary }: Answered): void {
    this.#answers.add(token);
    if (!isExecuted || !isPrimary) {
      const what = isExecuted ? "outside the primary component" : "before it was carried out";
      this.#early ??= `node ${nodeid} answered w${token} ${what}`;
    }
    const promised = this.#promised.get(token) ?? "ordered";
    if (promised !== "ordered") this.#promise(nodeid, token, promised);
  }

  /**
   * F2 holds whatever happens; F1 while no node that had the change in memory alone has died. With an original the highest version
   * leads: then F1 is all there is, and an absent node that is ahead, of changes that nobody was told of, may undo it.
   */
  #promise(nodeid: number, token: number, promised: "held" | "durable"): void {
    if (this.#original === undefined) {
      if (promised === "durable") this.#durable.add(token);
      else if (!this.#isForgetful) this.#acknowledged.add(token);
      return;
    }
    const writer = this.#nodes[nodeid - 1];
    const members = writer?.quorum?.members ?? [];
    const version = writer?.treeVersion ?? 0;
    const isBehind = this.#nodes.some(
      (node) => !members.includes(node.nodeid) && node.treeVersion >= version,
    );
    if (!this.#isForgetful && !isBehind) this.#acknowledged.add(token);
  }

  /** What is on every disk holds all the same. */
  #forgot(): void {
    this.#isForgetful = true;
    for (const token of this.#acknowledged) {
      const path = this.#written.get(token);
      const isEverywhere = this.#nodes.every((node) => path !== undefined && node.hasStored(path));
      if (!isEverywhere) this.#acknowledged.delete(token);
    }
  }

  /** Q1 when nothing changes; F3 all along: a node whose tree differs joins again and takes another's, so the end tells nothing of it. */
  #look(): void {
    this.#checkQuorum();
    if (this.#early !== undefined) throw new InvariantBroken("F5", this.#early);
    for (const node of this.#nodes) {
      if (node.store?.status().verified?.equal !== false) continue;
      // The cause before its effect.
      this.#checker.checkAgreement();
      throw new InvariantBroken("F3", `node ${node.nodeid} has found its tree to differ`);
    }
    this.#agenda.after(lookEveryMs, () => this.#look());
  }

  /** Q1: everybody who is quorate, operational and synchronised is on one ring. */
  #checkQuorum(): void {
    const rings = new Map<string, number>();
    for (const node of this.#nodes) {
      if (node.member === undefined) continue;
      const { state, synchronising, quorum } = node.member;
      if (state !== "operational" || synchronising) continue;
      const name = `${quorum.ring.rep}.${quorum.ring.seq}`;
      const isWhole = isWholeRing(quorum, this.#nodes);
      const { now } = this.#agenda;
      if (this.#broken.mayStillServe(name, isWhole, now, this.#tokenMs)) continue;
      if (quorum.quorate) rings.set(name, node.nodeid);
    }
    if (rings.size > 1) {
      const parts = [...rings].map(([ring, nodeid]) => `node ${nodeid} on ring ${ring}`);
      throw new InvariantBroken("Q1", `two primary components: ${parts.join(", ")}`);
    }
  }

  /** Of each node, whether it is on one ring with all, quorate, its tree synchronised, its configuration the last one. */
  #states(): readonly { readonly text: string; readonly good: boolean }[] {
    return this.#nodes.map((node) => {
      const snapshot = node.member;
      const tree = node.store?.status();
      const ring = snapshot === undefined ? "none" : `${snapshot.ring.rep}.${snapshot.ring.seq}`;
      return {
        text: `node ${node.nodeid}: ${snapshot?.state ?? "down"} ring ${ring} quorate ${snapshot?.quorum.quorate} tree ${tree?.mode} configuration ${node.configVersion}`,
        good:
          snapshot?.state === "operational" &&
          !snapshot.synchronising &&
          snapshot.members.length === this.#nodes.length &&
          snapshot.quorum.quorate &&
          tree?.mode === "synced" &&
          node.configVersion === this.#conf.version,
      };
    });
  }

  /** L1: all of that for all. */
  #checkLive(): void {
    const states = this.#states();
    if (states.some((state) => !state.good)) {
      throw new InvariantBroken(
        "L1",
        `after ${peaceMs} ms of peace: ${states.map((s) => s.text).join("; ")}`,
      );
    }
  }

  /** K1: where nothing is lost, what a member has sealed is opened by all others, whatever key it has just taken. */
  #checkOpened(): void {
    for (const node of this.#nodes) {
      const dropped = node.packetsDropped["not authenticated"] ?? 0;
      if (dropped === 0) continue;
      throw new InvariantBroken("K1", `node ${node.nodeid} could not open ${dropped} datagrams`);
    }
  }

  /** F3: equal trees; F1 and F2: what was acknowledged is there. */
  #checkTrees(): void {
    const digests = new Set(
      this.#nodes.map((node) => Buffer.from(node.store?.tree.checksum() ?? []).toString("hex")),
    );
    if (digests.size !== 1)
      throw new InvariantBroken("F3", `trees differ: ${[...digests].join(" ")}`);
    const tree = this.#nodes[0]?.store?.tree;
    for (const [invariant, tokens] of [
      ["F2", this.#durable],
      ["F1", this.#acknowledged],
    ] as const) {
      for (const token of tokens) {
        const path = this.#written.get(token);
        if (path !== undefined && tree?.lookup(path) === undefined) {
          throw new InvariantBroken(invariant, `the acknowledged ${path} is gone`);
        }
      }
    }
  }
}
