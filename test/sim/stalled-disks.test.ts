// Disks that stall and lose what was not flushed: what a majority has on disk is never undone, and a quorate part's tree is never replaced
// by that of a member that was alone with its changes, however high its version. What such a member had is kept and told.
import { expect, test } from "bun:test";
import { Agenda } from "./agenda.ts";
import { RingChecker } from "./checkers.ts";
import { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { simulatedSettings } from "./settings.ts";
import { SimNode } from "./sim-node.ts";
import type { Promised } from "../../src/fs/tree/files.ts";

const formMs = 30_000;
const answerMs = 1000;
const stallMs = 1e9;
/** For the machine: simulated time is no stopwatch. */
const testMsMax = 120_000;

class Cluster {
  readonly agenda = new Agenda();
  readonly nodes: SimNode[] = [];
  readonly answered = new Set<number>();
  readonly kept: string[] = [];
  readonly silent: string[] = [];
  #tokens = 0;

  constructor(seed: number) {
    const { agenda, nodes } = this;
    const network = new Network({
      agenda,
      random: new SeededRandom(seed, "network"),
      deliver: (source, target, bytes) => nodes[target - 1]?.receive(source, bytes),
    });
    const checker = new RingChecker();
    for (const nodeid of [1, 2, 3]) {
      nodes.push(
        new SimNode({
          ...{ nodeid, seed, agenda, network, checker, clockRate: 1 },
          settings: () => simulatedSettings(nodeid, { nodes: 3 }),
          onQuorum: () => undefined,
          acknowledged: (token) => this.answered.add(token),
          forgot: () => undefined,
          lost: (paths) => this.kept.push(...paths.map((path) => `${nodeid} ${path}`)),
          lostInSilence: (path) => this.silent.push(`${nodeid} ${path}`),
          trace: () => undefined,
        }),
      );
    }
  }

  node(nodeid: number): SimNode {
    return this.nodes[nodeid - 1]!;
  }

  /** Starts them and waits until they are writable in one tree. */
  async start(...nodeids: number[]): Promise<void> {
    for (const nodeid of nodeids) this.node(nodeid).start();
    const running = this.nodes.filter((node) => node.running);
    const endMs = this.agenda.now + formMs;
    while (this.agenda.now < endMs && !running.every((node) => isWhole(node, running.length))) {
      await this.pass(50);
    }
    expect(running.map((node) => isWhole(node, running.length))).toEqual(running.map(() => true));
  }

  killAll(): void {
    for (const node of this.nodes) node.crash();
    for (const node of this.nodes) node.healDisk();
  }

  pass(durationMs: number): Promise<void> {
    return this.agenda.runUntil(this.agenda.now + durationMs);
  }

  /** New files, one after the other; returns the names of those that were answered in time. */
  async write(nodeid: number, count: number, promised: Promised): Promise<string[]> {
    const names: string[] = [];
    for (let i = 0; i < count; i += 1) {
      this.#tokens += 1;
      const token = this.#tokens;
      const path = `w${token}`;
      expect(this.node(nodeid).write(token, { kind: "create", path }, promised)).toBe(true);
      const endMs = this.agenda.now + answerMs;
      while (!this.answered.has(token) && this.agenda.now < endMs) await this.pass(5);
      if (this.answered.has(token)) names.push(path);
    }
    return names;
  }

  /** Of these names, what each running node's tree lacks. */
  missing(names: readonly string[]): string[] {
    return this.nodes.flatMap((node) =>
      names
        .filter((name) => node.running && node.store?.tree.lookup(name) === undefined)
        .map((name) => `${node.nodeid} ${name}`),
    );
  }

  expectEqual(): void {
    const digests = this.nodes.map(({ store }) =>
      Buffer.from(store?.tree.checksum() ?? []).toString("hex"),
    );
    expect(new Set(digests).size).toBe(1);
    expect(this.silent).toEqual([]);
  }
}

function isWhole({ store, member }: SimNode, members: number): boolean {
  const status = store?.status();
  const isThere = status?.mode === "synced" && status.members.length === members;
  return isThere && status.writable && member?.synchronising === false;
}

const counts = [
  { alone: 20, pair: 3 },
  { alone: 3, pair: 20 },
];
const cases = counts.flatMap((count) =>
  [1, 2, 3, 4, 5].map((seed) => Object.assign({ seed }, count)),
);

test.each(cases)(
  "$alone writes that one disk has, then $pair of a quorate pair: the pair's tree wins (seed $seed)",
  async ({ alone, pair, seed }) => {
    const cluster = new Cluster(seed);
    await cluster.start(1, 2, 3);
    const before = await cluster.write(2, 2, "durable");
    expect(before.length).toBe(2);
    for (const nodeid of [2, 3]) cluster.node(nodeid).stallDisk(stallMs);
    // Every member has received them, which is what `held` promises; and soon one disk has them.
    const held = await cluster.write(1, alone, "held");
    expect(held.length).toBe(alone);
    await cluster.pass(50);
    // A majority's disks is more than there is.
    expect(await cluster.write(1, 2, "durable")).toEqual([]);
    cluster.killAll();
    await cluster.start(2, 3);
    const ofPair = await cluster.write(2, pair, "durable");
    expect(ofPair.length).toBe(pair);
    await cluster.start(1);
    await cluster.pass(2000);
    expect(cluster.missing([...before, ...ofPair])).toEqual([]);
    cluster.expectEqual();
    // Those of node 1 alone are not in the tree, and were kept by it.
    expect(held.filter((name) => !cluster.kept.includes(`1 ${name}`))).toEqual([]);
    expect((await cluster.write(1, 1, "durable")).length).toBe(1);
  },
  testMsMax,
);

test.each([1, 2, 3])(
  "a flush that has begun is none: nothing is answered before it is through (seed %d)",
  async (seed) => {
    const cluster = new Cluster(seed);
    await cluster.start(1, 2, 3);
    expect((await cluster.write(1, 2, "durable")).length).toBe(2);
    for (const nodeid of [2, 3]) cluster.node(nodeid).stallDisk(stallMs);
    // The first that their disks are asked for: it does not wait behind another.
    expect(await cluster.write(1, 1, "durable")).toEqual([]);
  },
  testMsMax,
);

test.each([
  { first: [2, 3], seed: 1 },
  { first: [1, 3], seed: 2 },
  { first: [3, 2], seed: 3 },
  { first: [3, 1], seed: 4 },
])(
  "with one stalled disk writes are answered, and are there whoever starts first ($first)",
  async ({ first, seed }) => {
    const cluster = new Cluster(seed);
    await cluster.start(1, 2, 3);
    cluster.node(3).stallDisk(stallMs);
    const written = await cluster.write(1, 20, "durable");
    expect(written.length).toBe(20);
    cluster.killAll();
    await cluster.start(...first);
    expect(cluster.missing(written)).toEqual([]);
    await cluster.start(6 - first.reduce((sum, nodeid) => sum + nodeid, 0));
    await cluster.pass(2000);
    expect(cluster.missing(written)).toEqual([]);
    cluster.expectEqual();
  },
  testMsMax,
);
