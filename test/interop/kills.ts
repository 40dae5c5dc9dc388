// Kills of nodes under write load, and disks that stand still: three quorate nodes, writers whose acknowledgements are remembered. At the end
// the trees are equal, in memory and in config.db, and hold every write that was acknowledged; what only a loser's tree had is kept
// (issue 12; engineering.md §9, F1–F4). A disk that stands still is a flush that waits (stalled-disk.c, loaded before libc).
//   bun test/interop/kills.ts [--short] [--only kills|stalled] [--binary FILE] [--seed N]
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { present } from "../../src/assert.ts";
import { reasonOf } from "../../src/result.ts";
import { Lab, type LabNode, runLabs, showLogs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { oneRing, wholeRing } from "./scenarios.ts";
import { expectEqualAndWhole, TreeWriter } from "./tree-writer.ts";
import { askToolsAgainMs, pending, ready, until } from "./wait.ts";

interface Choice {
  readonly isShort: boolean;
  readonly only: string | undefined;
  readonly binary: string | undefined;
  readonly seed: number;
}

const usage = "usage: kills.ts [--short] [--only kills|stalled] [--binary FILE] [--seed N]";
const formMsMax = 60_000;
const writeMsMax = 60_000;
/** Seen by a node as below /run, which is its own. */
const stallName = "disk-stalled";
/** A kill comes after so many more acknowledged writes of all writers. */
const writesBetweenMax = 60;
const momentsShort = 6;
const momentsLong = 100;
/** Writes of node 1 that the others' disks may lack, and of the pair that comes back first. */
const stalls = [
  { first: 20, second: 3 },
  { first: 3, second: 20 },
] as const;
const stallRoundsLong = 10;

/** Numbers of one run: the same seed draws the same. */
class Draws {
  readonly #seed: number;
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** 0 … below - 1. */
  below(below: number): number {
    this.#count += 1;
    return Number(Bun.hash.wyhash(`${this.#seed} ${this.#count}`) % BigInt(below));
  }

  /** In another order. */
  shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((item) => ({ item, place: this.below(1_000_000) }))
      .toSorted((a, b) => a.place - b.place)
      .map(({ item }) => item);
  }
}

function stall(node: LabNode): void {
  writeFileSync(join(node.root, "run", stallName), "");
}

function resume(node: LabNode): void {
  rmSync(join(node.root, "run", stallName), { force: true });
}

async function written(writers: readonly TreeWriter[], more: number): Promise<void> {
  const count = (): number => writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  const wanted = count() + more;
  await until(
    () => (count() >= wanted ? ready(undefined) : pending(`${count()} of ${wanted}`)),
    writeMsMax,
    "writes are acknowledged",
  );
}

/** One node or all are killed at a moment under load, and come back in any order; sometimes a disk stands still before. */
async function killsUnderLoad(lab: Lab, moments: number, seed: number): Promise<string> {
  const draws = new Draws(seed);
  const counts = { one: 0, all: 0, stalled: 0 };
  await wholeRing(lab);
  await nodeClient(lab.node(1).root).mkdir("load");
  const writers = lab.nodes.map((node) => new TreeWriter(node));
  for (const writer of writers) writer.start();
  try {
    for (let moment = 0; moment < moments; moment += 1) {
      await wholeRing(lab);
      await written(writers, 1 + draws.below(writesBetweenMax));
      const stalled = draws.below(3) === 0 ? draws.shuffled(lab.nodes).slice(0, 1) : [];
      for (const node of stalled) {
        stall(node);
        counts.stalled += 1;
      }
      // The other two disks are a majority, so writes go on.
      if (stalled.length > 0) await written(writers, 1 + draws.below(10));
      const isAll = draws.below(3) === 0;
      counts[isAll ? "all" : "one"] += 1;
      const killed = draws.shuffled(lab.nodes).slice(0, isAll ? lab.nodes.length : 1);
      await Promise.all(killed.map((node) => node.kill()));
      for (const node of stalled) resume(node);
      for (const node of draws.shuffled(killed)) node.start();
    }
    await wholeRing(lab);
    await written(writers, 1);
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
  await expectEqualAndWhole(lab, writers);
  const sums = writers.map(
    ({ name, acknowledged, refused }) => `${name} ${acknowledged}+${refused}`,
  );
  return `${counts.one} of one, ${counts.all} of all, ${counts.stalled} after a stall; acknowledged+refused writes: ${sums.join(" ")}`;
}

/**
 * The disks of nodes 2 and 3 stand still while node 1 writes; all are killed; the pair comes back first and goes on; then node 1, whose tree
 * is the longer one or not. No write that was answered may be missing, and what was not answered and lost is kept.
 */
async function stalledDisks(
  lab: Lab,
  { first, second }: (typeof stalls)[number],
  round: number,
): Promise<string> {
  const [one, ...pair] = lab.nodes;
  const writer = present(one, "a laboratory has nodes");
  await wholeRing(lab);
  await nodeClient(writer.root).mkdir(`round${round}`);
  for (const node of pair) stall(node);
  const acknowledged = new Set<string>();
  const put = async (node: LabNode, path: string): Promise<void> => {
    await nodeClient(node.root).put(path, new TextEncoder().encode(path));
    acknowledged.add(path);
  };
  const wanted = Array.from({ length: first }, (_, at) => `round${round}/first${at}`);
  const outcomes = Promise.allSettled(wanted.map((path) => put(writer, path)));
  await until(
    async () => {
      const paths = new Set((await nodeClient(writer.root).dump()).map(({ path }) => path));
      const missing = wanted.filter((path) => !paths.has(path));
      return missing.length === 0 ? ready(undefined) : pending(`without ${missing.join(" ")}`);
    },
    writeMsMax,
    "node 1 has the writes in its tree",
    askToolsAgainMs,
  );
  await Promise.all(lab.nodes.map((node) => node.kill()));
  await outcomes;
  // Two of three disks have nothing: an answer is a lie, or the flushes did not wait.
  if (acknowledged.size > 0)
    throw new Error(`${acknowledged.size} writes were answered that a majority's disks lack`);
  for (const node of pair) {
    resume(node);
    node.start();
  }
  await oneRing(pair, true, formMsMax, "the pair is quorate");
  const [next] = pair;
  for (let at = 0; at < second; at += 1) {
    await until(
      async () => {
        try {
          await put(present(next, "there is a pair"), `round${round}/second${at}`);
          return ready(undefined);
        } catch (error) {
          return pending(reasonOf(error));
        }
      },
      writeMsMax,
      "the pair takes a write",
      askToolsAgainMs,
    );
  }
  const keptBefore = keptTrees(writer);
  writer.start();
  await wholeRing(lab);
  // A row of config.db tells whether the last change came with a state exchange: this one does not, on all nodes.
  await put(writer, `round${round}/last`);
  await expectEqualAndWhole(lab, []);
  const inTree = new Set((await nodeClient(writer.root).dump()).map(({ path }) => path));
  const missing = [...acknowledged].filter((path) => !inTree.has(path));
  if (missing.length > 0) throw new Error(`acknowledged and gone: ${missing.join(" ")}`);
  const gone = wanted.filter((path) => !inTree.has(path)).length;
  // The oldest go when there are many.
  const kept = keptTrees(writer).filter((name) => !keptBefore.includes(name)).length;
  if (gone > 0 && kept === 0) throw new Error(`${gone} unanswered writes of node 1 left no trace`);
  return `${first}/${second}: none answered before the kill, ${gone} of them gone, ${kept} trees kept`;
}

/** What node keeps of trees that lost. */
function keptTrees(node: LabNode): readonly string[] {
  try {
    return readdirSync(join(node.root, "var/lib/pve-cluster/lost"));
  } catch {
    return []; // Nothing was kept yet, so there is no directory.
  }
}

function choose(words: readonly string[]): Choice | string {
  const values = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--short") {
      values.set(word, "yes");
      continue;
    }
    const value = words[at + 1];
    if (!["--only", "--binary", "--seed"].includes(word) || value === undefined) return usage;
    values.set(word, value);
    at += 1;
  }
  const only = values.get("--only");
  const seed = Number(values.get("--seed") ?? "1");
  const isKnown = only === undefined || ["kills", "stalled"].includes(only);
  if (!isKnown || !Number.isSafeInteger(seed)) return usage;
  return { isShort: values.has("--short"), only, binary: values.get("--binary"), seed };
}

interface Story {
  readonly name: string;
  readonly run: (lab: Lab) => Promise<string>;
}

function stories({ isShort, seed }: Choice): readonly Story[] {
  const moments = isShort ? momentsShort : momentsLong;
  const rounds = Array.from({ length: isShort ? 1 : stallRoundsLong }, () => stalls).flat();
  return [
    ...rounds.map((each, round) => ({
      name: `stalled ${round}`,
      run: (lab: Lab) => stalledDisks(lab, each, round),
    })),
    { name: "kills", run: (lab: Lab) => killsUnderLoad(lab, moments, seed) },
  ];
}

/** A flush can be made to wait in all of its nodes. */
async function startLab(library: string, binary: string | undefined): Promise<Lab> {
  const preload = [`LD_PRELOAD=${library}`, `QUORATE_STALLED_WHILE=/run/${stallName}`];
  const lab = await Lab.create({
    kinds: ["quorate", "quorate", "quorate"],
    ...{ crypto: "aes", tokenMs: 1000 },
    quorate: ["env", ...preload, ...quorateProgram(binary)],
  });
  lab.startAll();
  return lab;
}

function compiled(folder: string): string {
  const library = join(folder, "stalled-disk.so");
  const source = join(import.meta.dir, "stalled-disk.c");
  const made = Bun.spawnSync(["cc", "-shared", "-fPIC", "-O1", "-o", library, source]);
  if (made.exitCode !== 0) throw new Error(`cc: ${made.stderr.toString()}`);
  return library;
}

async function main(): Promise<number> {
  const choice = choose(process.argv.slice(2));
  if (typeof choice === "string") {
    console.error(choice);
    return 2;
  }
  const obstacle = obstacleTo(["cc"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const folder = mkdtempSync(join(tmpdir(), "quorate-kills-"));
  let [passed, failed] = [0, 0];
  let lab: Lab | undefined;
  try {
    const library = compiled(folder);
    for (const { name, run } of stories(choice)) {
      if (choice.only !== undefined && !name.startsWith(choice.only)) continue;
      lab ??= await startLab(library, choice.binary);
      try {
        console.log(`ok    ${name.padEnd(10)} ${await run(lab)}`);
        passed += 1;
      } catch (error) {
        console.log(`FAIL  ${name.padEnd(10)} ${reasonOf(error)}`);
        failed += 1;
        showLogs(lab);
        await lab.close();
        lab = undefined;
      }
    }
  } finally {
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
