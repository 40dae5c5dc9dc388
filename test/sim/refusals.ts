// A cluster of quorate nodes whose processes die while their machines live, among refusals that are none: forged for one node, whoever stands
// still meanwhile, or for all nodes at once; and ports that are closed for a moment. D1: a member whose process lives is never taken out of a
// ring. D2: the rest is quorate a second after a death. D3: what was wrong about a member starts no membership again and again. D4: nor does a
// port that is closed for a moment start one.
// `node build/ensure.mjs test/sim/refusals.ts SEED HOURS` runs it by hand; it takes some minutes for a day.
import type { RingId } from "../../src/world.ts";
import { Agenda } from "./agenda.ts";
import { findingOf, InvariantBroken, RingChecker } from "./checkers.ts";
import { Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { settingsOfText } from "./settings.ts";
import { SimNode } from "./sim-node.ts";

export interface RefusalOptions {
  readonly seed: number;
  /** Simulated. */
  readonly durationMs: number;
  readonly print?: (line: string) => void;
}

export interface RefusalResult {
  readonly ok: boolean;
  /** "" when all held. */
  readonly failure: string;
  readonly invariant: string;
  readonly deaths: number;
  /** From a death to the quorate rest, ms. */
  readonly slowestMs: number;
  readonly forged: number;
  /** Memberships that forged refusals have started. */
  readonly mistakes: number;
  /** Logs of the last life of each node, for tests. */
  readonly lines: readonly string[];
}

const restMsMax = 1000;
/** Longest time until all are in one ring after a start. */
const formMsMax = 30_000;
const lookEveryMs = 5;
const settleMs = 8000;
/** Shorter than the token's timeout, with what a ring needs to go on. */
const pauseMsMax = 2500;
const linesMax = 500;
const mistakeMsMin = 10_000;
const mistakeMsMax = 3_600_000;

const addressOf = (nodeid: number, link: number): string => `10.${link}.0.${nodeid}`;

function settingsOf(nodeid: number, nodes: number, links: number) {
  const ids = Array.from({ length: nodes }, (_, at) => at + 1);
  const numbers = Array.from({ length: links }, (_, at) => at);
  const text = [
    ...["totem {", "version: 2", "cluster_name: sim", "}"],
    ...["quorum {", "provider: corosync_votequorum", "}", "nodelist {"],
    ...ids.flatMap((id) => [
      ...["node {", `name: n${id}`, `nodeid: ${id}`],
      ...numbers.map((link) => `ring${link}_addr: ${addressOf(id, link)}`),
      "}",
    ]),
    "}",
  ].join("\n");
  const addresses = ids.flatMap((id) => numbers.map((link) => addressOf(id, link)));
  return settingsOfText(text, { nodeid, addresses, key: new Uint8Array(128) });
}

/** D1, at every membership of every node. */
class MemberChecker extends RingChecker {
  readonly #lifeOf: (nodeid: number) => number;
  /** By node: who was in its last ring, in which life. */
  readonly #rings = new Map<number, ReadonlyMap<number, number>>();

  constructor(lifeOf: (nodeid: number) => number) {
    super();
    this.#lifeOf = lifeOf;
  }

  override configured(
    nodeid: number,
    type: "transitional" | "regular",
    ring: RingId,
    members: readonly number[],
  ): void {
    super.configured(nodeid, type, ring, members);
    if (type !== "regular") return;
    const before = this.#rings.get(nodeid) ?? new Map<number, number>();
    for (const [member, life] of before) {
      if (members.includes(member) || this.#lifeOf(member) !== life) continue;
      throw new InvariantBroken("D1", `node ${nodeid} is in a ring without ${member}, which lives`);
    }
    this.#rings.set(nodeid, new Map(members.map((member) => [member, this.#lifeOf(member)])));
  }

  override begin(...life: Parameters<RingChecker["begin"]>): void {
    this.#rings.delete(life[0]);
    super.begin(...life);
  }
}

class RefusalWorld {
  readonly #options: RefusalOptions;
  readonly #agenda = new Agenda();
  readonly #random: SeededRandom;
  readonly #nodes: SimNode[] = [];
  readonly #links: number;
  /** A node whose port seems closed for a moment. */
  #glitch = 0;
  readonly #lines: string[] = [];
  #deaths = 0;
  #slowestMs = 0;
  #forged = 0;
  /** How often a node has said that another's process has ended. */
  #found = 0;
  #mistakes = 0;
  /** By "node peer": when the last one was, and how many there were since the peer died truly. */
  readonly #mistakesAt = new Map<string, { readonly at: number; readonly count: number }>();
  /** Members about whom somebody was wrong since they died last. */
  readonly #doubted = new Set<number>();

  constructor(options: RefusalOptions) {
    this.#options = options;
    const { seed } = options;
    this.#random = new SeededRandom(seed, "refusals");
    const count = 3 + this.#random.below(3);
    this.#links = 1 + this.#random.below(2);
    const nodeOf = (nodeid: number): SimNode | undefined => this.#nodes[nodeid - 1];
    const network = new Network({
      agenda: this.#agenda,
      random: new SeededRandom(seed, "network"),
      deliver: (source, target, bytes, link) => nodeOf(target)?.receive(source, bytes, link),
      isRefusing: (target) => this.#glitch === target || nodeOf(target)?.isRefusing === true,
    });
    const checker = new MemberChecker((nodeid) => {
      const node = nodeOf(nodeid);
      return node?.running === true ? node.life : 0;
    });
    for (let nodeid = 1; nodeid <= count; nodeid += 1) {
      this.#nodes.push(
        new SimNode({
          ...{ nodeid, seed, agenda: this.#agenda, network, checker },
          settings: () => settingsOf(nodeid, count, this.#links),
          interfaces: { addressOf, mtu: 1500 },
          clockRate: this.#random.between(0.99, 1.01),
          onQuorum: () => undefined,
          acknowledged: () => undefined,
          forgot: () => undefined,
          trace: (id, text) => this.#note(id, text),
        }),
      );
    }
  }

  async run(): Promise<void> {
    const { durationMs } = this.#options;
    for (const node of this.#nodes) node.start();
    while (this.#agenda.now < durationMs) {
      await this.#settled();
      await this.#scene();
    }
  }

  result(): Omit<RefusalResult, "ok" | "failure" | "invariant"> {
    return {
      ...{ deaths: this.#deaths, slowestMs: this.#slowestMs, lines: this.#lines },
      ...{ forged: this.#forged, mistakes: this.#mistakes },
    };
  }

  #note(nodeid: number, text: string): void {
    const line = `${(this.#agenda.now / 1000).toFixed(3)} n${nodeid} ${text}`;
    this.#options.print?.(line);
    this.#lines.push(line);
    if (this.#lines.length > linesMax) this.#lines.shift();
    if (/The process of node \d+ has ended/.test(text)) this.#found += 1;
    const peer = /Node (\d+) lives, though/.exec(text)?.[1];
    if (peer === undefined) return;
    this.#doubted.add(Number(peer));
    this.#mistaken(`${nodeid} ${peer}`);
  }

  /** D3. */
  #mistaken(pair: string): void {
    this.#mistakes += 1;
    const { now } = this.#agenda;
    const last = this.#mistakesAt.get(pair) ?? { at: Number.NEGATIVE_INFINITY, count: 0 };
    const quietMs = Math.min(mistakeMsMax, mistakeMsMin * 2 ** Math.max(0, last.count - 1));
    // A node's clock may be a hundredth faster than the world's.
    if (last.count > 0 && now - last.at < quietMs * 0.98) {
      throw new InvariantBroken("D3", `${pair}: a mistake ${Math.round(now - last.at)} ms later`);
    }
    this.#mistakesAt.set(pair, { at: now, count: last.count + 1 });
  }

  /** All are in one ring, quorate, with the abilities of all known. */
  async #settled(): Promise<void> {
    const endMs = this.#agenda.now + formMsMax;
    while (!this.#isWhole(this.#nodes)) {
      if (this.#agenda.now > endMs) throw new InvariantBroken("L1", "the nodes do not form a ring");
      await this.#pass(50);
    }
    await this.#pass(settleMs + this.#random.exponential(10_000));
  }

  #isWhole(nodes: readonly SimNode[]): boolean {
    return nodes.every(({ member }) => {
      const isMember = member?.state === "operational" && !member.synchronising;
      return isMember && member.quorum.quorate && member.members.length === nodes.length;
    });
  }

  #pass(durationMs: number): Promise<void> {
    return this.#agenda.runUntil(this.#agenda.now + durationMs);
  }

  #scene(): Promise<void> {
    const draw = this.#random.unit();
    if (draw < 0.3) return this.#death();
    if (draw < 0.45) return this.#closedForAMoment();
    if (draw < 0.6) return this.#forgedForAll();
    return this.#forgedForOne();
  }

  /** D2. */
  async #death(): Promise<void> {
    const node = this.#random.pick(this.#nodes);
    const rest = this.#nodes.filter((other) => other !== node);
    const beganAt = this.#agenda.now;
    node.kill();
    this.#deaths += 1;
    for (const pair of this.#mistakesAt.keys()) {
      if (pair.endsWith(` ${node.nodeid}`)) this.#mistakesAt.delete(pair);
    }
    while (!this.#isWhole(rest)) {
      if (this.#agenda.now - beganAt > restMsMax && !this.#isDoubted(node.nodeid)) {
        throw new InvariantBroken("D2", `the rest is not quorate ${restMsMax} ms after a death`);
      }
      await this.#pass(lookEveryMs);
    }
    if (!this.#isDoubted(node.nodeid)) {
      this.#slowestMs = Math.max(this.#slowestMs, this.#agenda.now - beganAt);
    }
    this.#doubted.delete(node.nodeid);
    await this.#pass(this.#random.exponential(5000));
    node.start();
  }

  /** Somebody was wrong about it, and may heed no evidence against it now: then the timeouts hold. */
  #isDoubted(nodeid: number): boolean {
    return this.#doubted.has(nodeid);
  }

  async #closedForAMoment(): Promise<void> {
    const before = this.#found;
    this.#glitch = this.#random.pick(this.#nodes).nodeid;
    await this.#pass(this.#random.between(1, 100));
    this.#glitch = 0;
    await this.#pass(1000);
    if (this.#found > before) {
      throw new InvariantBroken("D4", "a port that was closed for a moment counts as a death");
    }
  }

  /** Everybody is told of one node, which answers: what was closed is not, whoever says so. */
  async #forgedForAll(): Promise<void> {
    const node = this.#random.pick(this.#nodes);
    await this.#forge(this.#nodes, [node]);
  }

  /** One node is deceived about another, or all; one may stand still meanwhile. */
  async #forgedForOne(): Promise<void> {
    const victim = this.#random.pick(this.#nodes);
    const others = this.#nodes.filter((node) => node !== victim);
    const named = this.#random.chance(0.3) ? others : [this.#random.pick(others)];
    if (this.#random.chance(0.7)) {
      this.#random.pick(named).pause(Math.min(pauseMsMax, this.#random.exponential(800)));
    }
    await this.#forge([victim], named);
  }

  async #forge(victims: readonly SimNode[], named: readonly SimNode[]): Promise<void> {
    const untilMs = this.#agenda.now + this.#random.exponential(1500);
    const everyMs = this.#random.between(5, 60);
    while (this.#agenda.now < untilMs) {
      for (const victim of victims) {
        for (const node of named) {
          if (node === victim) continue;
          for (let link = 0; link < this.#links; link += 1) victim.forgeRefusal(node.nodeid, link);
          this.#forged += 1;
        }
      }
      await this.#pass(everyMs);
    }
    // Who stood still must be back before the next scene.
    await this.#pass(pauseMsMax);
  }
}

/** Ends at the first broken invariant. */
export async function runRefusals(options: RefusalOptions): Promise<RefusalResult> {
  const world = new RefusalWorld(options);
  const finding = await findingOf(() => world.run());
  return { ...world.result(), ...finding };
}

if (import.meta.main) {
  const [seed = "1", hours = "1"] = process.argv.slice(2);
  const result = await runRefusals({ seed: Number(seed), durationMs: Number(hours) * 3_600_000 });
  const { lines, ...figures } = result;
  if (!result.ok) for (const line of lines.slice(-60)) console.log(`    ${line}`);
  console.log(`seed ${seed}, ${hours} h: ${JSON.stringify(figures)}`);
  process.exitCode = result.ok ? 0 : 1;
}
