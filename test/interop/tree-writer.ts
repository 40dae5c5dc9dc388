// Writers whose acknowledgements are remembered, and what must hold of the trees of a laboratory afterwards: all equal, in memory and on
// disk, with every write that was acknowledged (engineering.md §9, F1 and F3).
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { NodeClient } from "../../src/shell/api/client.ts";
import type { Lab, LabNode } from "./lab.ts";
import { nodeClient } from "./quorate.ts";
import { askToolsAgainMs, pending, type Progress, ready, until } from "./wait.ts";

/** Names each writer uses in turn: later writes replace earlier ones, so the tree stays small however long it runs. */
const pathsMax = 300;
const settleMsMax = 60_000;

/** Waits until all nodes have the same tree, in memory and in config.db, and throws where it lacks a write that was acknowledged. */
export async function expectEqualAndWhole(lab: Lab, writers: readonly TreeWriter[]): Promise<void> {
  await until(() => equalTrees(lab), settleMsMax, "equal trees", askToolsAgainMs);
  await until(() => equalJournals(lab), settleMsMax, "equal config.db", askToolsAgainMs);
  for (const node of lab.nodes) await expectWrites(node, writers);
}

/** Writes through one node until stopped: one write after the other, each content once. */
export class TreeWriter {
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
async function expectWrites(node: LabNode, writers: readonly TreeWriter[]): Promise<void> {
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

/**
 * The rows of the three databases, read by plain SQLite from outside. Of the type what pmxcfs reads: above it stands a tag of the lineage, and
 * of an epoch that ended before all had marked it some know, and others need not.
 */
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
        "SELECT inode, parent, version, writer, mtime, type & 255, name, hex(data) FROM tree ORDER BY inode",
      )
      .values();
    return rows.map((row) => row.join(" "));
  } finally {
    database.close();
  }
}
