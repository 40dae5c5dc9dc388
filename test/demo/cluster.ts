// Three quorate nodes on 127.0.0.11-13 out of one executable, each in a directory of its own below ./demo: started alone, then made a cluster
// by the commands that a person would give.
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { NodeClient } from "../../src/shell/api/client.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { nodePaths, type NodePaths } from "../../src/shell/paths.ts";
import { expectFree, Obstacle, remove, unmount } from "./place.ts";

const sample = `${import.meta.dir}/../golden/config.db`;
const pollMs = 100;
const startMsMax = 30_000;
/** Of one command: a join waits for the ring and for its turn. */
const commandMsMax = 180_000;

export interface ClusterOptions {
  /** The executable, or bun and src/main.ts. */
  readonly command: readonly string[];
  readonly directory: string;
  readonly mount: boolean;
}

/** Waits until `check` gives a value; fails with what it waited for. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  check: () => Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last = "";
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined) return value;
    } catch (error) {
      last = error instanceof Error ? `; last: ${error.message}` : "";
    }
    if (performance.now() > end)
      throw new Error(`${what}: not within ${deadlineMs / 1000} s${last}`);
    await wait(pollMs);
  }
}

export class DemoNode {
  readonly name: string;
  readonly nodeid: number;
  readonly paths: NodePaths;
  readonly client: NodeClient;
  readonly #options: ClusterOptions;
  #process: ReturnType<typeof Bun.spawn> | undefined;

  constructor(options: ClusterOptions, nodeid: number) {
    this.#options = options;
    this.nodeid = nodeid;
    this.name = `pve${nodeid}`;
    this.paths = nodePaths(`${options.directory}/${this.name}`);
    this.client = new NodeClient(this.paths.socket);
  }

  get running(): boolean {
    return (
      this.#process !== undefined &&
      this.#process.exitCode === null &&
      this.#process.signalCode === null
    );
  }

  /** "" while it runs, or how the process that was started here ended. */
  get fate(): string {
    const child = this.#process;
    if (child === undefined || this.running) return "";
    if (child.signalCode !== null) return `was ended by ${child.signalCode}`;
    return `ended with code ${child.exitCode ?? "unknown"}: ${this.#lastLines()}`;
  }

  get address(): string {
    return `127.0.0.${10 + this.nodeid}`;
  }

  /** The words after the program's own: also what a person starts it again with. */
  get words(): string[] {
    const own = ["node", "--root", this.paths.root, "--name", this.name];
    // One machine, so an address each.
    const where = [...own, "--api", `${this.address}:8006`];
    return this.#options.mount ? where : [...where, "--no-mount"];
  }

  get log(): string {
    return `${this.paths.root}/log`;
  }

  start(): void {
    const log = openSync(this.log, "a");
    this.#process = Bun.spawn([...this.#options.command, ...this.words], {
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    closeSync(log);
  }

  /** Runs a command of quorate for this node; its output. Throws with what it said when it fails. */
  async run(...words: readonly string[]): Promise<string> {
    const child = Bun.spawn([...this.#options.command, ...words, "--root", this.paths.root], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: commandMsMax,
      killSignal: "SIGKILL",
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if ((await child.exited) === 0) return out;
    throw new Error(`quorate ${words.join(" ")} on ${this.name} failed: ${(error || out).trim()}`);
  }

  /** Sends the signal and resolves with the exit code once the process is gone. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    const child = this.#process;
    if (child === undefined) return 0;
    child.kill(signal);
    await child.exited;
    return child.exitCode ?? 128;
  }

  /** Of the node of this directory, whoever started it. */
  async status(): Promise<NodeStatus | undefined> {
    try {
      return await this.client.status();
    } catch {
      // Starting or stopping: no answer is an answer here; `until` gives up in the end.
      return undefined;
    }
  }

  #lastLines(): string {
    const line = this.logTail(2).trim();
    return line === "" ? "it said nothing" : line;
  }

  logTail(lines = 15): string {
    return existsSync(this.log)
      ? readFileSync(this.log, "utf8").split("\n").slice(-lines).join("\n")
      : "";
  }
}

export function demoNodes(options: ClusterOptions): DemoNode[] {
  return [1, 2, 3].map((nodeid) => new DemoNode(options, nodeid));
}

/** Throws an Obstacle when a node of these directories runs, or something else listens at their addresses. */
export async function expectNoneRuns(nodes: readonly DemoNode[]): Promise<void> {
  for (const node of nodes) {
    const pid = (await node.status())?.node.pid;
    if (pid !== undefined) {
      throw new Obstacle(`${node.name} of an earlier demo still runs: end it with kill ${pid}`);
    }
  }
  for (const node of nodes) expectFree(node.address);
}

/**
 * Lays out the three directories, with a sample database on the first node only. What an earlier demo left there is removed; none of
 * its nodes may run (`expectNoneRuns`).
 */
export function prepare(nodes: readonly DemoNode[]): void {
  for (const node of nodes) {
    unmount(node.paths.mount);
    remove(node.paths.root);
    for (const folder of ["etc/pve", "run", "var/lib/pve-cluster"]) {
      mkdirSync(`${node.paths.root}/${folder}`, { recursive: true });
    }
  }
  const first = nodes[0];
  if (first === undefined) return;
  const path = `${first.paths.treeDir}/config.db`;
  copyFileSync(sample, path);
  // The tree of a node that is in no cluster yet.
  const database = new Database(path, { strict: true });
  database.run("DELETE FROM tree WHERE parent = 0 AND name = 'corosync.conf'");
  database.close();
}

/** The nodes run, each alone: the first creates the cluster, the others join, all by `quorate`'s own commands. `tell`: what is done. */
export async function form(
  nodes: readonly DemoNode[],
  tell: (text: string) => void,
): Promise<void> {
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error("a cluster needs a node");
  await until("the nodes run, each alone", startMsMax, async () => {
    const fate = nodes.find((node) => node.fate !== "");
    if (fate !== undefined) throw new Error(`${fate.name} ${fate.fate}`);
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    return statuses.every((status) => status?.mode === "standalone") ? true : undefined;
  });
  tell(`${first.name}: quorate create demo --link0 ${first.address}`);
  await first.run("create", "demo", "--link0", first.address);
  await Promise.all(
    others.map(async (node) => {
      const made: unknown = JSON.parse(await first.run("join-token", "--json"));
      if (typeof made !== "object" || made === null || !("text" in made)) {
        throw new Error("there is no join token");
      }
      tell(`${node.name}: quorate join ${String(made.text).slice(0, 24)}… --link0 ${node.address}`);
      const own = ["--link0", node.address, "--nodeid", String(node.nodeid)];
      await node.run("join", String(made.text), ...own);
    }),
  );
}

/**
 * A hash over the objects of a config.db as plain SQLite sees them. Not over the version record and the cluster's locks: a node that has just come
 * back takes one to look at its certificates, and who stops first may have it still.
 */
export function databaseDigest(path: string): string {
  const database = new Database(path, { readonly: true, strict: true });
  try {
    const rows = database
      .query(
        `SELECT inode, parent, version, writer, mtime, type, hex(name), hex(data) FROM tree
          WHERE inode <> 0 AND name <> 'lock' AND parent NOT IN (SELECT inode FROM tree WHERE name = 'lock') ORDER BY inode`,
      )
      .values();
    return createHash("sha256").update(JSON.stringify(rows)).digest("hex");
  } finally {
    database.close();
  }
}
