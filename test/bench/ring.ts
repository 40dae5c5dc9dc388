// Ordered messages, one sender of three nodes, ours beside corosync's own through libcpg in the same run: `npm run bench -- ring
// [--quick] [--json] [--rounds N]`. Each node is in namespaces of its own, aes256/sha256. Prints messages a second, processor time a message
// of all three nodes with their clients, and rotations of the token; of both sides, as medians. Without the Debian packages: ours alone.
import { present } from "../../src/assert.ts";
import { Lab, type LabNode, type NodeKind } from "../interop/lab.ts";
import { obstacleTo, skipped } from "../interop/needs.ts";
import type { Choices } from "./choices.ts";
import { perOperation, type ThreadTimes, threadTimes, together } from "./processor.ts";
import { finish, type Measurement, short } from "./report.ts";
import type { PeerQuestion, Sent } from "./ring-peer.ts";
import { Talk } from "./talk.ts";

const peerProgram = `${import.meta.dir}/ring-peer.ts`;
const sizes = [64, 1600, 8000, 200_000] as const;
const fullMs = 2000;
const quickMs = 600;
const openMsMax = 60_000;
const answerMsMax = 120_000;
/** As many at a time as the ring takes. */
const unlimited = 1_000_000_000;

/** One run of one side. */
interface Run {
  readonly perSecond: number;
  readonly processorUs: number;
  readonly threads: readonly (readonly [string, number])[];
  readonly rotations: number;
}

/** Three nodes of one kind and a member of the group on each; the first sends. */
class Side {
  readonly kind: NodeKind;
  readonly #lab: Lab;
  readonly #peers: readonly Talk[];
  #delivered = 0;

  private constructor(lab: Lab, kind: NodeKind, peers: readonly Talk[]) {
    this.#lab = lab;
    this.kind = kind;
    this.#peers = peers;
  }

  static async open(kind: NodeKind): Promise<Side> {
    const lab = await Lab.create({
      ...{ kinds: [kind, kind, kind], crypto: "aes", tokenMs: 3000, quorate: [] },
    });
    if (kind === "corosync") lab.startAll();
    const peers = lab.nodes.map((node) => {
      const words = [process.execPath, peerProgram, kind, node.root, node.name];
      return new Talk(node.converse(words, node.logPath));
    });
    const side = new Side(lab, kind, peers);
    await side.#askAll({ ask: "members", count: peers.length }, openMsMax);
    return side;
  }

  async #askAll(question: PeerQuestion, deadlineMs: number): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.ask(question, deadlineMs)));
  }

  /** Sends for a while; it is over when all three nodes have delivered all of it. */
  async run({ bytes, together: atATime, untilStable }: Case, ms: number): Promise<Run> {
    const sender = present(this.#peers[0], "there is a sender");
    const [before, tokensBefore] = [this.#times(), await this.#debianTokens()];
    const question: PeerQuestion = {
      ...{ ask: "send", bytes, ms, together: atATime },
      ...(untilStable === undefined ? {} : { untilStable }),
    };
    const { count, tookMs, tokens } = await sender.ask<Sent>(question, answerMsMax);
    this.#delivered += count;
    await this.#askAll({ ask: "delivered", count: this.#delivered }, answerMsMax);
    const { allUs, threads } = perOperation(before, this.#times(), count);
    const rotations = (tokens + (await this.#debianTokens()) - tokensBefore) / count;
    return { perSecond: (count * 1000) / tookMs, processorUs: allUs, threads, rotations };
  }

  /** Of all that has to do with it: daemons, and the clients that send and count. */
  #times(): ThreadTimes {
    return together(
      this.#lab.nodes.flatMap((node, index) => {
        const role = index === 0 ? "sender" : "receivers";
        const peer = present(this.#peers[index], "each node has its member");
        if (this.kind === "quorate") return [threadTimes(role, peer.pid)];
        const daemon = present(node.pid, `${node.name} runs`);
        return [threadTimes(`${role} corosync`, daemon), threadTimes(`${role} client`, peer.pid)];
      }),
    );
  }

  async #debianTokens(): Promise<number> {
    if (this.kind === "quorate") return 0;
    return await debianTokens(present(this.#lab.nodes[0], "there is a first node"));
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.end()));
    await this.#lab.close();
  }
}

async function debianTokens(node: LabNode): Promise<number> {
  const key = "stats.srp.orf_token_rx";
  const { stdout, stderr } = await node.exec(["corosync-cmapctl", "-m", "stats", "-g", key]);
  const match = /= (\d+)/.exec(stdout);
  if (match === null) throw new Error(`${node.name} does not tell ${key}: ${stderr || stdout}`);
  return Number(match[1]);
}

interface Case {
  readonly name: string;
  readonly bytes: number;
  readonly together: number;
  /** The original cannot say. */
  readonly untilStable?: true;
}

const cases: readonly Case[] = [
  { name: "64 B, one at a time", bytes: 64, together: 1 },
  { name: "64 B, one at a time until all have it", bytes: 64, together: 1, untilStable: true },
  ...sizes.map((bytes) => ({ name: sizeName(bytes), bytes, together: unlimited })),
];

function sizeName(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${bytes / 1000} kB`;
}

function threadsOf(who: string, run: Run | undefined): string[] {
  if (run === undefined) return [];
  return [`${who}: ${run.threads.map(([name, us]) => `${name} ${short(us)}`).join(", ")}`];
}

/** The three measurements of a case. */
function measurements(name: string, ours: readonly Run[], theirs: readonly Run[]): Measurement[] {
  const of = (read: (run: Run) => number) => ({
    ours: ours.map((run) => read(run)),
    theirs: theirs.map((run) => read(run)),
  });
  return [
    { name: `messages of ${name}`, unit: "/s", better: "more", ...of((run) => run.perSecond) },
    {
      name: `processor per message of ${name}`,
      unit: "µs",
      better: "less",
      ...of((run) => run.processorUs),
      notes: [...threadsOf("ours", ours.at(-1)), ...threadsOf("original", theirs.at(-1))],
    },
    {
      name: `rotations per message of ${name}`,
      unit: "",
      better: "less",
      ...of((run) => run.rotations),
    },
  ];
}

/** Its exit code. */
export async function benchRing(choices: Choices): Promise<number> {
  const obstacle = obstacleTo([]);
  if (obstacle !== undefined) return skipped(obstacle);
  const ms = choices.quick ? quickMs : fullMs;
  const isDebianHere = obstacleTo(["corosync", "corosync-cmapctl"]) === undefined;
  if (!isDebianHere && choices.quick) return skipped("corosync not installed");
  const kinds: NodeKind[] = isDebianHere ? ["quorate", "corosync"] : ["quorate"];
  const sides = await Promise.all(kinds.map((kind) => Side.open(kind)));
  const runs = new Map(
    cases.map(({ name }) => [name, { quorate: [] as Run[], corosync: [] as Run[] }]),
  );
  // Once without counting: code is compiled, memory is taken.
  for (const side of sides) await side.run({ name: "", bytes: 1600, together: unlimited }, ms);
  for (let round = 0; round < choices.rounds; round += 1) {
    for (const each of cases) {
      // Who begins changes, so that neither always has the quieter moment.
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        if (each.untilStable === true && side.kind === "corosync") continue;
        runs.get(each.name)?.[side.kind].push(await side.run(each, ms));
      }
    }
  }
  await Promise.all(sides.map((side) => side.close()));
  const all = cases.flatMap(({ name }) => {
    const { quorate, corosync } = present(runs.get(name), "each case was run");
    return measurements(name, quorate, corosync);
  });
  return finish("ring", all, choices);
}
