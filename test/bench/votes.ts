// The vote server under load beside Debian's: `npm run bench -- votes [--quick]`. 500 clusters of two nodes at each, in TLS, with a
// heartbeat every 8 s; both servers at the same time, and votes asked of one and the other in turn, so that other work on the machine
// weighs on both alike. Ends with "N passed, N failed". Needs root and the Debian package corosync-qnetd.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileName, targets } from "../../build/targets.ts";
import { type Decision, VoteClient } from "./vote-client.ts";
import { VoteServerProcess } from "./vote-server.ts";

const root = join(import.meta.dir, "..", "..");
/** Ours may take so many times as long as the original. */
const ratioMax = 2;
/** Resident memory of ours with certificates and without clients (engineering.md §15). */
const idleRssBytesMax = 45_000_000;
const idleSettleMs = 2000;
/** Connecting at once per server: a server does one handshake after another anyhow. */
const connectingMax = 16;
/** The original answers at once; ours keeps back votes after its start for 1.5 heartbeats. */
const decisionMsMax = 30_000;

interface Size {
  readonly clusters: number;
  readonly idleMs: number;
  readonly decisions: number;
}
const full: Size = { clusters: 500, idleMs: 40_000, decisions: 2000 };
const quick: Size = { clusters: 50, idleMs: 5000, decisions: 200 };

/** One cluster at one server: two nodes that part and meet again. */
class Pair {
  readonly #nodes: readonly [VoteClient, VoteClient];
  #seq = 1;
  #isWhole = false;

  constructor(one: VoteClient, two: VoteClient) {
    this.#nodes = [one, two];
  }

  /** Parts or meets. Answers the milliseconds from the first report to the vote of node 1, which has it both ways. */
  async change(): Promise<number> {
    this.#isWhole = !this.#isWhole;
    this.#seq += 4;
    const [one, two] = this.#nodes;
    const ring = (nodeId: number) => ({ rep: nodeId, seq: this.#seq });
    const begun = performance.now();
    const decisions = this.#isWhole
      ? [one.membership(ring(1), [1, 2]), two.membership(ring(1), [1, 2])]
      : [one.membership(ring(1), [1]), two.membership(ring(2), [2])];
    const [first, second] = await inTime(Promise.all(decisions));
    const expected = this.#isWhole ? "ack" : "nack";
    if (first?.vote !== "ack" || second?.vote !== expected) {
      throw new Error(`node 1 got ${first?.vote}, node 2 got ${second?.vote}, not ${expected}`);
    }
    return first.at - begun;
  }
}

async function inTime(decisions: Promise<Decision[]>): Promise<Decision[]> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("no vote came")), decisionMsMax);
  try {
    return await Promise.race([decisions, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A server with all its clusters connected. */
interface Loaded {
  readonly server: VoteServerProcess;
  readonly pairs: readonly Pair[];
  readonly connectMs: number;
}

async function load(
  server: VoteServerProcess,
  clusters: number,
  connected: (client: VoteClient) => void,
): Promise<Loaded> {
  const names = Array.from({ length: clusters }, (_, index) => `bench${index}`);
  const contexts = await server.contexts(names);
  const begun = performance.now();
  const pairs: Pair[] = [];
  let next = 0;
  const connectSome = async (): Promise<void> => {
    for (let index = next++; index < clusters; index = next++) {
      const [cluster, tls] = [names[index], contexts[index]];
      if (cluster === undefined || tls === undefined) return;
      const open = async (nodeId: number): Promise<VoteClient> => {
        const client = await VoteClient.open({ port: server.port, cluster, nodeId, tls });
        connected(client);
        return client;
      };
      pairs.push(new Pair(await open(1), await open(2)));
    }
  };
  await Promise.all(Array.from({ length: connectingMax }, connectSome));
  return { server, pairs, connectMs: performance.now() - begun };
}

interface Figures {
  readonly name: string;
  readonly connectMs: number;
  readonly rssBytes: number;
  readonly cpuPercent: number;
  /** Of votes for one cluster at a time, and of votes for all at once; milliseconds, ascending. */
  readonly alone: readonly number[];
  readonly together: readonly number[];
}

async function measure(loaded: readonly Loaded[], size: Size): Promise<readonly Figures[]> {
  // The first votes: everybody is there, and the server has just started.
  for (const { pairs } of loaded) await Promise.all(pairs.map((pair) => pair.change()));
  const before = loaded.map(({ server }) => server.cpuSeconds);
  await Bun.sleep(size.idleMs);
  const cpuPercent = loaded.map(
    ({ server }, index) => ((server.cpuSeconds - (before[index] ?? 0)) * 100_000) / size.idleMs,
  );
  const rssBytes = loaded.map(({ server }) => server.rssBytes);
  const alone: number[][] = loaded.map(() => []);
  for (let round = 0; round < size.decisions; round += 1) {
    // Neither is always the first.
    for (let turn = 0; turn < loaded.length; turn += 1) {
      const index = (round + turn) % loaded.length;
      const pair = loaded[index]?.pairs[round % size.clusters];
      if (pair !== undefined) alone[index]?.push(await pair.change());
    }
  }
  const together: number[][] = loaded.map(() => []);
  for (let round = 0; round < 4; round += 1) {
    for (const [index, { pairs }] of loaded.entries()) {
      together[index]?.push(...(await Promise.all(pairs.map((pair) => pair.change()))));
    }
  }
  return loaded.map(({ server, connectMs }, index) => ({
    name: server.name,
    connectMs,
    rssBytes: rssBytes[index] ?? Number.NaN,
    cpuPercent: cpuPercent[index] ?? Number.NaN,
    alone: (alone[index] ?? []).toSorted((a, b) => a - b),
    together: (together[index] ?? []).toSorted((a, b) => a - b),
  }));
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function line(figures: Figures, nodes: number): string {
  const { name, connectMs, rssBytes, cpuPercent, alone, together } = figures;
  const ms = (times: readonly number[]): string =>
    `p50 ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`;
  return [
    `${name}: ${nodes} nodes connected in ${(connectMs / 1000).toFixed(1)} s`,
    `  RSS ${(rssBytes / 1e6).toFixed(1)} MB, processor ${cpuPercent.toFixed(2)} % with heartbeats`,
    `  vote for one cluster at a time: ${ms(alone)}`,
    `  votes for all clusters at once: ${ms(together)}`,
  ].join("\n");
}

interface Limit {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
}

function limits(idleRssBytes: number, ours: Figures, original: Figures): readonly Limit[] {
  const ratio = (part: number): Limit => ({
    name: `p${part * 100} of a vote, ours to the original's`,
    value: quantile(ours.alone, part) / quantile(original.alone, part),
    limit: ratioMax,
  });
  const idle = { value: idleRssBytes / 1e6, limit: idleRssBytesMax / 1e6 };
  return [{ name: "RSS of ours without clients, MB", ...idle }, ratio(0.5), ratio(0.99)];
}

/** Prints each value beside its limit; answers how many failed. */
function printLimits(all: readonly Limit[]): number {
  let failed = 0;
  for (const { name, value, limit } of all) {
    const isWithin = value <= limit;
    if (!isWithin) failed += 1;
    const mark = isWithin ? "ok    " : "FAILED";
    console.log(`${mark} ${name.padEnd(44)} ${value.toFixed(2)}, limit ${limit}`);
  }
  console.log(`${all.length - failed} passed, ${failed} failed`);
  return failed;
}

function missing(binary: string | undefined): string | undefined {
  if (binary === undefined) return "the executable: npm run build:here";
  if (process.getuid?.() !== 0) return "root";
  const programs = ["corosync-qnetd", "corosync-qnetd-certutil", "pk12util", "unshare", "bash"];
  return programs.find((program) => Bun.which(program) === null);
}

/** Answers the exit code. */
export async function benchVotes(words: readonly string[]): Promise<number> {
  const size = words.includes("--quick") ? quick : full;
  const binary = targets
    .filter((target) => target.arch === process.arch && target.libc === "glibc")
    .map((target) => join(root, "dist", fileName(target)))
    .find(existsSync);
  const lack = missing(binary);
  if (lack !== undefined || binary === undefined) {
    console.log(`skipped: needs ${lack}`);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), "quorate-bench-"));
  const servers: VoteServerProcess[] = [];
  const clients: VoteClient[] = [];
  try {
    const own = await VoteServerProcess.ours(directory, binary);
    servers.push(own);
    await Bun.sleep(idleSettleMs);
    const idleRssBytes = own.rssBytes;
    servers.push(await VoteServerProcess.original(directory));
    const loaded: Loaded[] = [];
    for (const server of servers) {
      loaded.push(await load(server, size.clusters, (client) => clients.push(client)));
    }
    const [ours, original] = await measure(loaded, size);
    if (ours === undefined || original === undefined) throw new Error("a server is missing");
    for (const figures of [ours, original]) console.log(line(figures, 2 * size.clusters));
    const burst = quantile(ours.together, 0.99) / quantile(original.together, 0.99);
    console.log(`p99 with all at once, ours to the original's: ${burst.toFixed(2)}, no limit`);
    return printLimits(limits(idleRssBytes, ours, original)) === 0 ? 0 : 1;
  } catch (error) {
    for (const server of servers) console.error(`${server.name}:\n${server.log()}`);
    throw error;
  } finally {
    for (const client of clients) client.end();
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}
