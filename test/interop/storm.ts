// What a node that loses datagrams costs its ring: two of Debian's nodes send, the third loses a part of what comes to it and
// writes now and then; once the third is Debian's, once quorate. Counted is what the others send it for each message. One line for
// each case, then "N passed, N failed".
//   bun test/interop/storm.ts [--short] [--binary FILE]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { Lab, type LabNode, type NodeKind, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { wholeRing } from "./scenarios.ts";
import { pending, type Progress, ready, until } from "./wait.ts";

interface Case {
  /** Percent of the datagrams to the third node that are dropped there. */
  readonly loss: number;
  /** knet_mtu; 576 is what knet falls back to when a link was down: a message of 50 kB is a hundred fragments then. */
  readonly mtu: number;
  readonly messages: number;
  /** A quorate node may cost at most this many times what Debian's costs. */
  readonly factor: number;
}

/** With small fragments the original's ring storms; with large ones chance decides between equals. */
const shortCases: readonly Case[] = [{ loss: 5, mtu: 576, messages: 120, factor: 0.7 }];
const longCases: readonly Case[] = [
  ...shortCases,
  { loss: 5, mtu: 1500, messages: 600, factor: 2 },
  { loss: 20, mtu: 1500, messages: 40, factor: 3 },
];
const senders = { perSecond: 20, bytesMin: 1000, bytesMax: 50_000 };
const writesMsMin = 200;
const writeBytes = 1000;
const measureMsMax = 300_000;
/** A ring of originals alone may storm until nothing comes round any more: what it has cost by then is what counts. */
const originalsMsMax = 60_000;

interface Cost {
  readonly messages: number;
  readonly datagrams: number;
  readonly writes: number;
}

async function measure(third: NodeKind, each: Case, binary: string | undefined): Promise<Cost> {
  const lab = await Lab.create({
    kinds: ["corosync", "corosync", third],
    crypto: "none",
    tokenMs: 3000,
    totemLines: [`knet_mtu: ${each.mtu}`],
    quorate: quorateProgram(binary),
  });
  try {
    lab.startAll();
    await wholeRing(lab);
    const lossy = lab.node(3);
    await lose(lossy, each.loss);
    const before = await datagramsTo(lossy);
    const logs = [lab.node(1), lab.node(2)].map((node) => send(node, senders));
    const writer = new Writer(lossy);
    const begun = performance.now();
    const rounds = (): number => logs.reduce((sum, log) => sum + countRounds(log), 0);
    const areThere = (): Progress<undefined> => {
      const isTimeUp = third === "corosync" && performance.now() - begun > originalsMsMax;
      return isTimeUp || rounds() >= each.messages
        ? ready(undefined)
        : pending(`${rounds()} messages`);
    };
    await until(areThere, measureMsMax, `${each.messages} messages come round`);
    const messages = Math.min(rounds(), each.messages);
    const datagrams = (await datagramsTo(lossy)) - before;
    return { messages, datagrams, writes: await writer.stop() };
  } finally {
    await lab.close();
  }
}

/** The third node's own words: files of its tree, or small messages of Debian's. */
class Writer {
  #writes = 0;
  #isStopping = false;
  readonly #log: string | undefined;
  readonly #finished: Promise<void>;

  constructor(node: LabNode) {
    const rate = { perSecond: 1000 / writesMsMin, bytesMin: writeBytes, bytesMax: writeBytes };
    this.#log = node.kind === "corosync" ? send(node, rate) : undefined;
    this.#finished = node.kind === "corosync" ? Promise.resolve() : this.#write(node);
  }

  async #write(node: LabNode): Promise<void> {
    const content = new Uint8Array(writeBytes);
    while (!this.#isStopping) {
      await nodeClient(node.root).put(`lossy-${this.#writes % 5}`, content);
      this.#writes += 1;
      await Bun.sleep(writesMsMin);
    }
  }

  /** Writes that were acknowledged; the one under way as well. */
  async stop(): Promise<number> {
    this.#isStopping = true;
    await this.#finished;
    return this.#log === undefined ? this.#writes : countRounds(this.#log);
  }
}

/** Starts a sender on a node; the answer is its log. */
function send(
  node: LabNode,
  { perSecond, bytesMin, bytesMax }: { perSecond: number; bytesMin: number; bytesMax: number },
): string {
  const log = join(node.root, "storm.log");
  const words = ["storm", perSecond, bytesMin, bytesMax, node.nodeid].map(String);
  node.spawn([process.execPath, join(import.meta.dir, "storm-client.ts"), ...words], log);
  return log;
}

function countRounds(log: string): number {
  return readFileSync(log, "utf8").split("\n").length - 1;
}

async function lose(node: LabNode, percent: number): Promise<void> {
  const input = `table inet loss {
chain input {
type filter hook input priority 0
policy accept
meta l4proto udp numgen random mod 100 < ${percent} drop
}
}
`;
  const done = await node.exec(["nft", "-f", "-"], { input });
  if (done.code !== 0) throw new Error(`nft on ${node.name}: ${done.stderr}`);
}

/** What has reached the node's network card, lost or not. */
async function datagramsTo(node: LabNode): Promise<number> {
  const { stdout } = await node.exec(["cat", "/proc/net/dev"]);
  const packets = /eth0:\s*\d+\s+(\d+)/.exec(stdout)?.[1];
  if (packets === undefined) throw new Error(`no eth0 on ${node.name}: ${stdout}`);
  return Number(packets);
}

function perMessage({ messages, datagrams }: Cost): number {
  return datagrams / Math.max(1, messages);
}

function told(cost: Cost): string {
  const { messages, writes } = cost;
  return `${perMessage(cost).toFixed(0)} datagrams a message (${messages}), ${writes} writes`;
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const at = process.argv.indexOf("--binary");
  const binary = at < 0 ? undefined : process.argv[at + 1];
  let passed = 0;
  let failed = 0;
  for (const each of process.argv.includes("--short") ? shortCases : longCases) {
    const label = `${each.loss} % lost, knet_mtu ${each.mtu}, ${each.messages} messages`;
    try {
      const theirs = await measure("corosync", each, binary);
      const ours = await measure("quorate", each, binary);
      const text = `corosync ${told(theirs)}; quorate ${told(ours)}`;
      if (perMessage(ours) > each.factor * perMessage(theirs)) {
        throw new Error(`${text}: more than ${each.factor} times as many`);
      }
      passed += 1;
      console.log(`ok    ${label}: ${text}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${label}: ${reasonOf(error)}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
