// Cuts under write load: three quorate nodes, a writer on each, one random cut after another; at the end the trees must be
// equal and hold every write that was acknowledged (engineering.md §9, F1 and F3).
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { NodeClient } from "../../src/shell/api/client.ts";
import type { Lab, LabNode } from "./lab.ts";
import { nodeClient } from "./quorate.ts";
import { askToolsAgainMs, holds, pending, type Progress, ready, until } from "./wait.ts";

export interface CutPlan {
  readonly cuts: number;
  readonly cutMs: number;
  readonly seed: number;
}

/** Names each writer uses in turn: later writes replace earlier ones, so the tree stays small however long it runs. */
const pathsMax = 300;
const settleMsMax = 60_000;

/** Plays the plan; `merged` waits until all nodes are one quorate ring again. Answers what was measured. */
export async function cutsUnderLoad(
  lab: Lab,
  plan: CutPlan,
  merged: () => Promise<unknown>,
): Promise<string> {
  await nodeClient(lab.node(1).root).mkdir("load");
  const writers = lab.nodes.map((node) => new Writer(node));
  for (const writer of writers) writer.start();
  const names: string[] = [];
  try {
    for (const cut of drawCuts(lab, plan)) {
      await lab.cut(cut.sideA, cut.sideB);
      await holds(() => allRun(lab), plan.cutMs, "every node survives the cut");
      await lab.heal();
      await merged();
      names.push(cut.name);
    }
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
  for (const writer of writers) {
    if (writer.acknowledged === 0) throw new Error(`${writer.name} had no write acknowledged`);
  }
  await until(() => equalTrees(lab), settleMsMax, "three equal trees", askToolsAgainMs);
  await until(() => equalJournals(lab), settleMsMax, "three equal config.db", askToolsAgainMs);
  for (const node of lab.nodes) await expectWrites(node, writers);
  const done = writers.map((writer) => `${writer.name} ${writer.acknowledged}+${writer.refused}`);
  return `${names.join(" ")}; acknowledged+refused writes: ${done.join(" ")}`;
}

/** Writes through one node until stopped: one write after the other, each content once. */
class Writer {
  readonly name: string;
  acknowledged = 0;
  refused = 0;
  /** Per path the number of the last write that was acknowledged, and how many were tried. */
  readonly last = new Map<string, { acknowledged: number; tried: number }>();
  readonly #client: NodeClient;
  readonly #stopping = new AbortController();
  #finished: Promise<void> = Promise.resolve();

  constructor(node: LabNode) {
    this.name = node.name;
    this.#client = nodeClient(node.root);
  }

  start(): void {
    this.#finished = this.#write();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#finished;
  }

  async #write(): Promise<void> {
    for (let counter = 1; !this.#stopping.signal.aborted; counter += 1) {
      const path = `load/${this.name}-${counter % pathsMax}`;
      const state = this.last.get(path) ?? { acknowledged: 0, tried: 0 };
      this.last.set(path, state);
      state.tried = counter;
      try {
        await this.#client.put(path, content(path, counter));
        state.acknowledged = counter;
        this.acknowledged += 1;
      } catch {
        // Refused without quorum, or its fate unknown: both are allowed, only an acknowledgement binds.
        this.refused += 1;
        await Bun.sleep(50);
      }
    }
  }
}

function content(path: string, counter: number): Uint8Array {
  const line = `${path} ${counter}\n`;
  return new TextEncoder().encode(line.repeat(1 + (counter % 40)));
}

/** Every acknowledged write, or one tried after it on the same path, must be the file's content. */
async function expectWrites(node: LabNode, writers: readonly Writer[]): Promise<void> {
  const entries = await nodeClient(node.root).dump();
  const hashes = new Map(entries.map(({ path, sha256 }) => [path, sha256]));
  for (const { last } of writers) {
    for (const [path, { acknowledged, tried }] of last) {
      if (acknowledged === 0) continue;
      const allowed: string[] = [];
      for (let counter = acknowledged; counter <= tried; counter += pathsMax) {
        allowed.push(createHash("sha256").update(content(path, counter)).digest("hex"));
      }
      const found = hashes.get(path);
      if (found === undefined || !allowed.includes(found)) {
        throw new Error(
          `${node.name} lost the acknowledged write ${acknowledged} of ${path}: ` +
            (found === undefined ? "there is no such file" : "another content is there"),
        );
      }
    }
  }
}

async function equalTrees(lab: Lab): Promise<Progress<void>> {
  const digests = new Map<string, string[]>();
  for (const node of lab.nodes) {
    const { tree } = await nodeClient(node.root).status();
    if (!tree.writable) return pending(`${node.name} is read only: ${tree.reason}`);
    digests.set(tree.digest, [...(digests.get(tree.digest) ?? []), node.name]);
  }
  if (digests.size === 1) return ready(undefined);
  const sides = [...digests].map(([digest, names]) => `${names.join(" ")} ${digest.slice(0, 12)}`);
  return pending(sides.join(", "));
}

/** The rows of the three databases, read by plain SQLite from outside. */
function equalJournals(lab: Lab): Progress<void> {
  const [one, ...others] = lab.nodes.map((node) => ({ name: node.name, rows: journalRows(node) }));
  for (const other of others) {
    const at = other.rows.findIndex((row, index) => row !== one?.rows[index]);
    if (at < 0 && other.rows.length === one?.rows.length) continue;
    return pending(
      `${other.name} differs: ${other.rows[at]?.slice(0, 200) ?? "another number of rows"}`,
    );
  }
  return ready(undefined);
}

function journalRows(node: LabNode): readonly string[] {
  const file = join(node.root, "var/lib/pve-cluster/config.db");
  const database = new Database(file, { readonly: true });
  try {
    const rows = database
      .query(
        "SELECT inode, parent, version, writer, mtime, type, name, hex(data) FROM tree ORDER BY inode",
      )
      .values();
    return rows.map((row) => row.join(" "));
  } finally {
    database.close();
  }
}

interface Cut {
  readonly name: string;
  readonly sideA: readonly LabNode[];
  readonly sideB: readonly LabNode[];
}

/** One node against all others, or one pair that no longer hears each other while both hear the third. */
function drawCuts(lab: Lab, plan: CutPlan): readonly Cut[] {
  const choices: Cut[] = [];
  for (const node of lab.nodes) {
    const others = lab.nodes.filter((other) => other !== node);
    const names = others.map((other) => other.nodeid).join(",");
    choices.push({ name: `${node.nodeid}|${names}`, sideA: [node], sideB: others });
    for (const other of others) {
      if (other.nodeid < node.nodeid) continue;
      choices.push({ name: `${node.nodeid}x${other.nodeid}`, sideA: [node], sideB: [other] });
    }
  }
  return Array.from({ length: plan.cuts }, (_, index) => {
    const draw = Bun.hash.wyhash(`${plan.seed} ${index}`) % BigInt(choices.length);
    return choices[Number(draw)] ?? { name: "none", sideA: [], sideB: [] };
  });
}

function allRun(lab: Lab): Progress<void> {
  const dead = lab.nodes.find((node) => !node.running);
  return dead === undefined ? ready(undefined) : pending(`${dead.name} does not run`);
}
