// Datagrams that were recorded are sent again, 3,000 a second, as anybody on the path can who has no key: what
// authenticates is not therefore new. Every node gets copies of what it got before.
import { expect, test } from "bun:test";
import { decodePacket, encodePacket } from "../../src/node/link/packet.ts";
import { Agenda } from "./agenda.ts";
import { RingChecker } from "./checkers.ts";
import { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { simulatedSettings } from "./settings.ts";
import { SimNode } from "./sim-node.ts";

interface Recorded {
  readonly source: number;
  readonly target: number;
  readonly bytes: Uint8Array;
}

const recordMs = 10_000;
const burstMs = 8000;
const packetsPerMs = 3;
/** Longest time from the start of all nodes to one ring, and so for a ring after a burst. */
const formMs = 10_000;
/** For the machine, not for the ring: simulated time is no stopwatch. */
const testMsMax = 120_000;

class Cluster {
  readonly agenda = new Agenda();
  readonly nodes: SimNode[] = [];
  readonly recorded: Recorded[] = [];
  readonly #checker = new RingChecker();
  readonly #load: SeededRandom;
  #isRecording = false;

  constructor(count: number, seed: number) {
    const { agenda, nodes } = this;
    this.#load = new SeededRandom(seed, "load");
    const network = new Network({
      agenda,
      random: new SeededRandom(seed, "network"),
      deliver: (source, target, bytes) => {
        if (this.#isRecording) this.recorded.push({ source, target, bytes: bytes.slice() });
        nodes[target - 1]?.receive(source, bytes);
      },
    });
    for (let nodeid = 1; nodeid <= count; nodeid += 1) {
      const node = new SimNode({
        ...{ nodeid, seed, agenda, network, clockRate: 1 },
        settings: () => simulatedSettings(nodeid, { nodes: count }),
        checker: this.#checker,
        onQuorum: () => undefined,
        acknowledged: () => undefined,
        forgot: () => undefined,
        trace: () => undefined,
      });
      nodes.push(node);
      this.#repeat(200, () => node.send(this.#load.below(300)));
      this.#repeat(1000, () => node.send(20_000 + this.#load.below(100_000)));
    }
  }

  #repeat(meanMs: number, act: () => void): void {
    this.agenda.after(this.#load.exponential(meanMs), () => {
      act();
      this.#repeat(meanMs, act);
    });
  }

  get isWhole(): boolean {
    return this.nodes.every(({ member }) => {
      if (member?.state !== "operational" || member.synchronising) return false;
      return member.members.length === this.nodes.length;
    });
  }

  get ring(): number | undefined {
    return this.nodes[0]?.member?.ring.seq;
  }

  pass(durationMs: number): Promise<void> {
    return this.agenda.runUntil(this.agenda.now + durationMs);
  }

  async record(durationMs = recordMs): Promise<void> {
    this.#isRecording = true;
    await this.pass(durationMs);
    this.#isRecording = false;
  }

  async replay(): Promise<void> {
    for (let i = 0; i < burstMs * packetsPerMs; i += 1) {
      const { source, target, bytes } = this.recorded[i % this.recorded.length]!;
      this.agenda.after(i / packetsPerMs, () => {
        this.nodes[target - 1]?.receive(source, bytes.slice());
      });
    }
    await this.pass(burstMs);
  }

  async waitForRing(): Promise<void> {
    const endMs = this.agenda.now + formMs;
    while (!this.isWhole && this.agenda.now < endMs) await this.pass(100);
    expect(this.isWhole).toBe(true);
  }
}

/** As of a time when the counter stood elsewhere. */
function movedPing(bytes: Uint8Array): Uint8Array | undefined {
  const packet = decodePacket(bytes);
  if (!packet.ok) return undefined;
  const { value } = packet;
  if (value.kind === "ping") return encodePacket({ ...value, seq: (value.seq + 30_000) % 65_536 });
  return value.kind === "pong" ? bytes : undefined;
}

test(
  "recorded pings and pongs do not keep out a node that is started again among them",
  async () => {
    const cluster = new Cluster(2, 3);
    const [first, second] = cluster.nodes;
    for (const node of cluster.nodes) node.start();
    await cluster.record(60_000);
    await cluster.waitForRing();
    second!.kill();
    const replayed = cluster.recorded.flatMap(({ source, bytes }) => {
      const moved = source === 2 ? movedPing(bytes) : undefined;
      return moved === undefined ? [] : [moved];
    });
    const everyMs = 250;
    expect(replayed.length * everyMs).toBeGreaterThan(30_000);
    replayed.forEach((bytes, i) => {
      cluster.agenda.after(i * everyMs, () => first!.receive(2, bytes));
    });
    await cluster.pass(12_000);
    expect(first!.member?.members).toEqual([1]);
    second!.start();
    await cluster.waitForRing();
    await cluster.pass(5000);
    expect(cluster.isWhole).toBe(true);
  },
  testMsMax,
);

const cases = [
  { count: 2, seed: 1 },
  { count: 3, seed: 2 },
];

test.each(cases)(
  "$count nodes, seed $seed: a ring is not even disturbed by its own past",
  async (each) => {
    const cluster = new Cluster(each.count, each.seed);
    for (const node of cluster.nodes) node.start();
    // From the first packet on, with the pings that announce a start.
    await cluster.record();
    await cluster.waitForRing();
    const { ring } = cluster;
    await cluster.replay();
    expect(cluster.isWhole).toBe(true);
    expect(cluster.ring).toBe(ring);
  },
  testMsMax,
);
