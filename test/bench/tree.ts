// The tree through the mount, as operators' tools use it, three nodes: `npm run bench -- tree [--quick] [--json] [--rounds N] [--pmxcfs FILE]
// [--binary FILE] [--durability normal|full|strict]`. Replaces, reads and stats a second, processor time a replace of all nodes by thread, bytes that go to a follower's disk,
// memory. Beside the original with a pmxcfs given by path, of both sides in turn; else beside figures.tsv. Needs root and FUSE.
import { existsSync } from "node:fs";
import { present } from "../../src/assert.ts";
import { obstacleTo, skipped } from "../interop/needs.ts";
import { quorateProgram } from "../interop/quorate.ts";
import type { Choices } from "./choices.ts";
import { perOperation } from "./processor.ts";
import { finish, type Measurement, short } from "./report.ts";
import { Talk } from "./talk.ts";
import { TreeSide } from "./tree-side.ts";
import type { Worked, WriterQuestion } from "./writer.ts";

const writerProgram = `${import.meta.dir}/writer.ts`;
const writersMany = 16;
const answerMsMax = 300_000;
const quietMs = 1500;
const quietMsMax = 60_000;
const idleMs = 30_000;
const quickReplaces = 100;
const warmReplaces = 1000;

const sizes = [
  ["100 B", 100],
  ["4 kB", 4096],
  ["64 kB", 65_536],
] as const;

type Figures = Map<string, Omit<Measurement, "name" | "ours" | "theirs"> & { value: number }>;

/** One side, with its clients at the first node. */
class Bench {
  readonly side: TreeSide;
  readonly #writers: readonly Talk[];
  #names = 0;

  constructor(side: TreeSide) {
    this.side = side;
    this.#writers = Array.from({ length: writersMany }, (_, index) => {
      const words = [process.execPath, writerProgram, side.mount, `bench${index}`];
      return new Talk(Bun.spawn(words, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }));
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.end()));
    await this.side.close();
  }

  async #ask(question: WriterQuestion, writers = 1): Promise<readonly Worked[]> {
    const asked = this.#writers.slice(0, writers);
    return Promise.all(asked.map((writer) => writer.ask<Worked>(question, answerMsMax)));
  }

  /** Until all nodes have executed what was written before. */
  async #settled(): Promise<void> {
    this.#names += 1;
    const name = `settled${this.#names}`;
    await this.#ask({ ask: "fill", name, bytes: 1, step: 1 });
    await this.side.arrived(name, true);
    await this.#ask({ ask: "remove", name });
    await this.side.arrived(name, false);
  }

  /** Until nothing went to the follower's disk for a while. */
  async #quiet(): Promise<number> {
    const endAt = performance.now() + quietMsMax;
    let [bytes, since] = [this.side.followerDiskBytes(), performance.now()];
    while (performance.now() - since < quietMs && performance.now() < endAt) {
      await Bun.sleep(50);
      const now = this.side.followerDiskBytes();
      if (now !== bytes) [bytes, since] = [now, performance.now()];
    }
    return bytes;
  }

  /** Code is compiled, memory is taken. */
  async warm(): Promise<void> {
    await this.#ask({ ask: "replaceTimes", bytes: 4096, count: warmReplaces });
    await this.#settled();
  }

  async replaces(figures: Figures, label: string, writers: number, question: WriterQuestion) {
    const { side } = this;
    await this.#settled();
    const [before, tokens] = [side.times(), await side.tokens()];
    const begun = performance.now();
    const worked = await this.#ask(question, writers);
    const tookS = (performance.now() - begun) / 1000;
    const rotations = (await side.tokens()) - tokens;
    await this.#settled();
    const count = worked.reduce((sum, each) => sum + each.count, 0);
    const { allUs, threads } = perOperation(before, side.times(), count);
    const times = worked.map(({ p50, p99 }) => `p50 ${short(p50)} ms, p99 ${short(p99)} ms`);
    const who = writers === 1 ? "1 writer" : `${writers} writers`;
    figures.set(`replaces, ${who}, ${label}`, {
      ...{ unit: "/s", better: "more", value: count / tookS, notes: times.slice(0, 1) },
    });
    figures.set(`processor per replace, ${who}, ${label}`, {
      ...{ unit: "ms", better: "less", value: allUs / 1000 },
      notes: [threads.map(([name, us]) => `${name} ${short(us / 1000)}`).join(", ")],
    });
    figures.set(`rotations per replace, ${who}, ${label}`, {
      ...{ unit: "", better: "less", value: rotations / count },
    });
  }

  async looks(figures: Figures, ms: number): Promise<void> {
    for (const ask of ["read", "stat"] as const) {
      const [worked] = await this.#ask({ ask, bytes: 4096, ms });
      const { count, tookMs } = present(worked, "one was asked");
      const value = (count * 1000) / tookMs;
      figures.set(`${ask}s`, { unit: "/s", better: "more", value });
    }
  }

  /** What one workload sends to a follower's disk. */
  async disk(figures: Figures, label: string, questions: readonly WriterQuestion[]): Promise<void> {
    await this.#settled();
    const before = await this.#quiet();
    for (const question of questions) await this.#ask(question);
    await this.#settled();
    const value = ((await this.#quiet()) - before) / 1e6;
    figures.set(`to a follower's disk, ${label}`, { unit: "MB", better: "less", value });
  }

  async workloads(figures: Figures): Promise<void> {
    const fill = (name: string, bytes: number, step: number): WriterQuestion => ({
      ...{ ask: "fill", name, bytes, step },
    });
    await this.disk(figures, "1 MB by 4 kB writes", [fill("large", 1_048_576, 4096)]);
    await this.disk(figures, "200 replaces of 1 kB", [
      { ask: "replaceTimes", bytes: 1024, count: 200 },
    ]);
    const copies = Array.from({ length: 20 }, (_, index) => `copy${index}`);
    const filled = copies.map((name) => fill(name, 65_536, 65_536));
    await this.disk(figures, "20 copies of 64 kB", filled);
    // What one leaves in the log goes to its place during the next: only together they are the same each time.
    const small = ["200 replaces of 1 kB", "20 copies of 64 kB"].map(
      (label) => figures.get(`to a follower's disk, ${label}`)?.value ?? Number.NaN,
    );
    const value = small.reduce((sum, each) => sum + each, 0);
    figures.set("to a follower's disk, the last two", { unit: "MB", better: "less", value });
    for (const name of ["large", ...copies]) await this.#ask({ ask: "remove", name });
  }

  /** Memory with much in the tree, at the moment when the last of it has come. */
  async large(figures: Figures): Promise<void> {
    const names = Array.from({ length: 52 }, (_, index) => `part${index}`);
    for (const name of names) {
      await this.#ask({ ask: "fill", name, bytes: 1_000_000, step: 65_536 });
    }
    await this.#settled();
    this.memory(figures, "52 MB tree");
    for (const name of names) await this.#ask({ ask: "remove", name });
  }

  async idle(figures: Figures): Promise<void> {
    const before = await this.#quiet();
    await Bun.sleep(idleMs);
    const value = (this.side.followerDiskBytes() - before) / 1e6;
    figures.set("to a follower's disk, 30 idle seconds", { unit: "MB", better: "less", value });
  }

  memory(figures: Figures, label: string): void {
    const value = this.side.followerResidentBytes() / 1e6;
    figures.set(`resident memory, ${label}`, { unit: "MB", better: "less", value });
  }
}

/** The whole of it, once on one side. */
async function fullRound(bench: Bench): Promise<Figures> {
  const figures: Figures = new Map();
  for (const writers of [1, writersMany]) {
    for (const [label, bytes] of sizes) {
      await bench.replaces(figures, label, writers, { ask: "replace", bytes, ms: 4000 });
    }
  }
  // The kernel lets one rename of a directory wait at a time: what the cluster can do shows where each has a directory of its own.
  const apart = { ask: "replace", bytes: 100, ms: 4000, isApart: true } as const;
  await bench.replaces(figures, "100 B, a directory each", writersMany, apart);
  await bench.looks(figures, 2000);
  await bench.workloads(figures);
  return figures;
}

/** What hardly depends on how busy the machine is. */
async function quickRound(bench: Bench): Promise<Figures> {
  const figures: Figures = new Map();
  const question = { ask: "replaceTimes", bytes: 100, count: quickReplaces } as const;
  await bench.replaces(figures, "100 B", 1, question);
  await bench.workloads(figures);
  return figures;
}

async function openAll({ binary, pmxcfs, durability }: Choices): Promise<Bench[]> {
  const promise = durability === undefined ? [] : ["--durability", durability];
  const sides = [await TreeSide.quorate(quorateProgram(binary), promise)];
  if (pmxcfs !== undefined) sides.push(await TreeSide.original(pmxcfs));
  return sides.map((side) => new Bench(side));
}

/** Its exit code. */
export async function benchTree(choices: Choices): Promise<number> {
  const obstacle = obstacleTo(choices.pmxcfs === undefined ? [] : ["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  if (!existsSync("/dev/fuse")) return skipped("needs /dev/fuse");
  const benches = await openAll(choices);
  const rounds = new Map<TreeSide["name"], Figures[]>();
  for (const { side } of benches) rounds.set(side.name, []);
  for (const bench of benches) {
    const figures: Figures = new Map();
    bench.memory(figures, "small tree");
    rounds.get(bench.side.name)?.push(figures);
    await bench.warm();
  }
  for (let round = 0; round < choices.rounds; round += 1) {
    for (const bench of round % 2 === 0 ? benches : benches.toReversed()) {
      const figures = await (choices.quick ? quickRound(bench) : fullRound(bench));
      rounds.get(bench.side.name)?.push(figures);
    }
  }
  for (const bench of choices.quick ? [] : benches) {
    const figures: Figures = new Map();
    await bench.idle(figures);
    await bench.large(figures);
    rounds.get(bench.side.name)?.push(figures);
  }
  await Promise.all(benches.map((bench) => bench.end()));
  return finish("tree", measurementsOf(rounds), choices);
}

function measurementsOf(rounds: ReadonlyMap<TreeSide["name"], readonly Figures[]>): Measurement[] {
  const valuesOf = (side: TreeSide["name"], name: string): number[] =>
    (rounds.get(side) ?? []).flatMap((figures) => figures.get(name)?.value ?? []);
  const ours = rounds.get("quorate") ?? [];
  const names = new Set(ours.flatMap((figures) => [...figures.keys()]));
  return [...names].map((name) => {
    const last = (side: TreeSide["name"]) =>
      rounds
        .get(side)
        ?.findLast((figures) => figures.has(name))
        ?.get(name);
    const { unit, better, notes = [] } = present(last("quorate"), "it was measured");
    const theirNotes = (last("original")?.notes ?? []).map((note) => `original: ${note}`);
    return {
      ...{ name, unit, better, notes: [...notes, ...theirNotes] },
      ...{ ours: valuesOf("quorate", name), theirs: valuesOf("original", name) },
    };
  });
}
