// Reloads between a quorate node and Debian's corosync in namespaces of their own (services.md §5.4): either asks, both take the
// file, votes and timeouts follow, the key changes under a running ring. One line each, then "N passed, N failed".
// Which of the two is the ring's representative matters to the timing: try both orders.
//   bun test/interop/reload.ts [--only NAME] [--kinds quorate,corosync|corosync,quorate] [--binary FILE]
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { runLabs, Lab, type LabNode, type NodeKind } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { ringConf } from "./ring-conf.ts";
import { parseMap, parseQuorumStatus } from "./tools.ts";
import { holds, pending, ready, until } from "./wait.ts";

const settleMsMax = 30_000;
/** A busy machine lets a process wait for a second or three now and then, and no key is to blame for that. */
const tokenMs = 5000;
const otherTokenMs = 2000;
/** Longer than a ring lives in which not all can open each other's packets. */
const keyWatchMs = tokenMs + 1000;

interface Change {
  readonly totem?: readonly string[];
  readonly quorum?: readonly string[];
  readonly tokenMs?: number;
  readonly crypto?: "none" | "aes";
  /** nodeids of nodes that need not exist. */
  readonly more?: readonly number[];
}

/** One cluster, whose file has another version with each change. */
class Trial {
  readonly lab: Lab;
  #version = 1;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  of(kind: NodeKind): LabNode {
    const node = this.lab.nodes.find((each) => each.kind === kind);
    if (node === undefined) throw new Error(`the laboratory has no ${kind} node`);
    return node;
  }

  /** The same new file on all nodes; the answer is its version. */
  write(change: Change): number {
    this.#version += 1;
    const text = this.#text(change).replace(
      "config_version: 1",
      `config_version: ${this.#version}`,
    );
    this.writeText(text);
    return this.#version;
  }

  /** A file that no node may take. */
  writeText(text: string): void {
    for (const node of this.lab.nodes) writeFileSync(confPath(node), text);
  }

  #text({ totem, quorum, tokenMs: token, crypto, more = [] }: Change): string {
    const others = more.map((nodeid) => ({
      name: `n${nodeid}`,
      nodeid,
      address: `10.77.0.${nodeid}`,
    }));
    return ringConf({
      crypto: crypto ?? "aes",
      tokenMs: token ?? tokenMs,
      nodes: [...this.lab.nodes, ...others],
      ...(totem === undefined ? {} : { totemLines: totem }),
      ...(quorum === undefined ? {} : { quorumLines: quorum }),
    });
  }

  rekey(): void {
    const key = randomBytes(256);
    for (const node of this.lab.nodes) {
      // In one step: nobody reads half of it.
      const path = join(node.root, "etc/corosync/authkey");
      writeFileSync(`${path}.new`, key, { mode: 0o400 });
      renameSync(`${path}.new`, path);
    }
  }
}

const confPath = (node: LabNode): string => join(node.root, "etc/corosync/corosync.conf");

/** Asks `node` to ask everybody; a sentence when it refuses. */
async function ask(node: LabNode): Promise<string> {
  if (node.kind === "corosync") {
    const done = await node.exec(["corosync-cfgtool", "-R"], { deadlineMs: 20_000 });
    return done.code === 0 ? "" : done.stderr.trim();
  }
  try {
    await nodeClient(node.root).reload();
    return "";
  } catch (error) {
    return reasonOf(error);
  }
}

async function must(node: LabNode): Promise<void> {
  const refusal = await ask(node);
  if (refusal !== "") throw new Error(`${node.name} refuses: ${refusal}`);
}

interface Sight {
  readonly version: number;
  readonly tokenMs: number;
  readonly ring: string;
  readonly members: number;
  readonly votes: number;
  readonly expected: number;
  readonly quorum: number;
  readonly quorate: boolean;
  readonly twoNode: boolean;
}

async function sight(node: LabNode): Promise<Sight | string> {
  if (node.kind === "quorate") {
    const status = await nodeClient(node.root)
      .status()
      .catch((error: unknown) => String(error));
    return typeof status === "string" ? status : ofQuorate(status);
  }
  const [map, quorum] = await Promise.all([
    node.exec(["corosync-cmapctl"]),
    node.exec(["corosync-quorumtool", "-s"]),
  ]);
  const keys = parseMap(map.stdout);
  const view = parseQuorumStatus(quorum.stdout);
  if (view === undefined) return quorum.stderr || quorum.stdout;
  const number = (key: string): number => Number(keys.get(key)?.value ?? Number.NaN);
  return {
    version: number("totem.config_version"),
    tokenMs: number("runtime.config.totem.token"),
    ring: view.ring,
    members: view.members.length,
    votes: view.totalVotes,
    expected: view.expectedVotes,
    quorum: view.quorum,
    quorate: view.quorate,
    twoNode: view.flags.includes("2Node"),
  };
}

function ofQuorate({ cluster, ring, quorum }: NodeStatus): Sight {
  return {
    version: cluster.configVersion,
    tokenMs: Number.NaN,
    ring: ring.id,
    members: quorum.members.length,
    votes: quorum.totalVotes,
    expected: quorum.expectedVotes,
    quorum: quorum.quorum,
    quorate: quorum.quorate,
    twoNode: quorum.flags.includes("2Node"),
  };
}

/** Every node sees this; the answer is what each said. */
async function all(trial: Trial, wanted: Partial<Sight>): Promise<Sight[]> {
  return until(
    async () => {
      const seen = await Promise.all(trial.lab.nodes.map(sight));
      const found = seen.filter((each) => typeof each !== "string");
      const isSo =
        found.length === seen.length &&
        found.every((each) =>
          Object.entries(wanted).every(([key, value]) => Object(each)[key] === value),
        );
      return isSo ? ready(found) : pending(JSON.stringify(seen));
    },
    settleMsMax,
    `all see ${JSON.stringify(wanted)}`,
    100,
  );
}

async function ringOf(trial: Trial): Promise<string> {
  const [first] = await all(trial, { members: trial.lab.nodes.length, quorate: true });
  return first?.ring ?? "";
}

interface Scenario {
  readonly name: string;
  run(trial: Trial): Promise<string>;
}

/** The file changes and both take it, whoever asks; the ring stays. */
async function takes(trial: Trial, asker: NodeKind, change: Change, wanted: Partial<Sight>) {
  const ring = await ringOf(trial);
  const version = trial.write(change);
  await must(trial.of(asker));
  await all(trial, { ...wanted, version, ring });
}

async function rekeyed(
  trial: Trial,
  asker: NodeKind,
  change: Change,
  watchMs = keyWatchMs,
): Promise<string> {
  const ring = await ringOf(trial);
  const since = trial.lab.nodes.map((node) => ({ node, log: node.logFromHere() }));
  trial.rekey();
  const version = trial.write(change);
  await must(trial.of(asker));
  await all(trial, { version, ring });
  await until(
    () => {
      const missing = since.find(
        ({ node, log }) => node.kind === "quorate" && !log().includes("the old ones are forgotten"),
      );
      return missing === undefined ? ready(undefined) : pending(missing.log());
    },
    settleMsMax,
    "the old key is forgotten",
  );
  await holds(
    async () => {
      const seen = await Promise.all(trial.lab.nodes.map(sight));
      const isSo = seen.every((each) => typeof each !== "string" && each.ring === ring);
      return isSo ? ready(undefined) : pending(JSON.stringify(seen));
    },
    watchMs,
    "the ring stays after the key has changed",
  );
  return `ring ${ring} stays`;
}

/**
 * Six new keys, both asking in turn, none waiting until the one before is in use. But each node has read a key before the next is
 * written: the original sends with it at once, and no peer can open what it never saw.
 */
async function rekeyedInARow(trial: Trial, pauseMs: number): Promise<string> {
  const ring = await ringOf(trial);
  // What a node prints once it has read the key: the file of the next one may not take its place before.
  const logs = trial.lab.nodes.map((node) => ({
    log: node.logFromHere(),
    taken: node.kind === "corosync" ? "kronosnet crypto reconfigured" : " is in force (was ",
  }));
  let version = 0;
  for (let change = 1; change <= 6; change += 1) {
    trial.rekey();
    version = trial.write({});
    await must(trial.of(change % 2 === 0 ? "quorate" : "corosync"));
    await until(
      () => {
        const counts = logs.map(({ log, taken }) => log().split(taken).length - 1);
        return counts.every((count) => count === change)
          ? ready(undefined)
          : pending(counts.join(" "));
      },
      settleMsMax,
      `all have read ${change} keys`,
      1,
    );
    if (pauseMs > 0) await Bun.sleep(pauseMs);
  }
  await all(trial, { version, ring });
  return rekeyed(trial, "corosync", {});
}

const scenarios: readonly Scenario[] = [
  {
    name: "corosync asks",
    async run(trial) {
      await takes(trial, "corosync", { tokenMs: otherTokenMs }, { quorate: true });
      return `token ${otherTokenMs} ms taken`;
    },
  },
  {
    name: "quorate asks",
    async run(trial) {
      await takes(trial, "quorate", { tokenMs }, { quorate: true });
      const seen = await sight(trial.of("corosync"));
      if (typeof seen === "string" || seen.tokenMs !== tokenMs) {
        throw new Error(`corosync has not taken the token timeout: ${JSON.stringify(seen)}`);
      }
      return "corosync has it as well";
    },
  },
  ...(["corosync", "quorate"] as const).map((asker) => ({
    name: `a node more and less, ${asker} asks`,
    async run(trial: Trial) {
      const more = { expected: 3, quorum: 2, votes: 2, quorate: true };
      await takes(trial, asker, { more: [3] }, more);
      await takes(trial, asker, { more: [3, 4, 5] }, { expected: 5, quorum: 3, quorate: false });
      const version = trial.write({});
      await must(trial.of(asker));
      await all(trial, { version, expected: 2, quorum: 2, votes: 2, quorate: true });
      return "2, 3, 5 and 2 expected votes";
    },
  })),
  {
    name: "two_node on and off",
    async run(trial) {
      const quorum = ["two_node: 1"];
      await takes(trial, "corosync", { quorum }, { twoNode: true, quorum: 1, quorate: true });
      await takes(trial, "quorate", {}, { twoNode: false, quorum: 2, quorate: true });
      return "1 and 2 votes needed";
    },
  },
  {
    name: "a device's votes",
    async run(trial) {
      // No client runs: its vote is only expected.
      const quorum = ["device {\n model: none\n votes: 1\n }"];
      await takes(trial, "quorate", { quorum }, { expected: 3, quorum: 2, votes: 2 });
      await takes(trial, "corosync", {}, { expected: 2, quorum: 2, votes: 2 });
      return "expected while it is configured";
    },
  },
  {
    name: "a moved address",
    async run(trial) {
      const ring = await ringOf(trial);
      const before = await sight(trial.of("corosync"));
      const version = typeof before === "string" ? 0 : before.version;
      const { address } = trial.of("corosync");
      trial.writeText(
        readFileSync(confPath(trial.of("quorate")), "utf8").replace(address, "10.77.0.99"),
      );
      const refusals = [await ask(trial.of("corosync")), await ask(trial.of("quorate"))];
      if (refusals.includes("")) throw new Error("somebody took it");
      await all(trial, { version, ring, expected: 2 });
      return "refused by both";
    },
  },
  {
    name: "a faulty file",
    async run(trial) {
      const ring = await ringOf(trial);
      const before = await sight(trial.of("corosync"));
      const version = typeof before === "string" ? 0 : before.version;
      trial.writeText("totem {\n");
      const theirs = await ask(trial.of("corosync"));
      const ours = await ask(trial.of("quorate"));
      if (theirs === "" || ours === "") throw new Error("somebody took it");
      await all(trial, { version, ring });
      return ours;
    },
  },
  ...(["corosync", "quorate"] as const).map((asker) => ({
    name: `another key, ${asker} asks`,
    run: (trial: Trial) => rekeyed(trial, asker, {}),
  })),
  {
    name: "crypto off",
    run: (trial) => rekeyed(trial, "corosync", { crypto: "none" }),
  },
  {
    name: "crypto on",
    run: (trial) => rekeyed(trial, "quorate", { crypto: "aes" }),
  },
  ...[0, 20].map((pauseMs) => ({
    name: `six keys, ${pauseMs} ms between them`,
    run: (trial: Trial) => rekeyedInARow(trial, pauseMs),
  })),
  {
    name: "a key after the other",
    async run(trial) {
      for (let round = 0; round < 10; round += 1) {
        await rekeyed(trial, "corosync", {}, 0);
        await rekeyed(trial, "quorate", {}, 0);
      }
      return rekeyed(trial, "quorate", {});
    },
  },
];

function after(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function build(kinds: readonly NodeKind[], binary: string | undefined): Promise<Trial> {
  const lab = await Lab.create({ kinds, crypto: "aes", tokenMs, quorate: quorateProgram(binary) });
  lab.startAll();
  const trial = new Trial(lab);
  await all(trial, { members: kinds.length, quorate: true });
  return trial;
}

/** Why nothing can be run here; undefined when all is there. */
function lastLines({ lab }: Trial): string {
  return lab.nodes
    .flatMap((node) => {
      const lines = node.log().trimEnd().split("\n").slice(-25);
      return lines.map((line) => `      ${node.name} | ${line}`);
    })
    .join("\n");
}

async function main(): Promise<number> {
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const kinds = (after("--kinds") ?? "quorate,corosync")
    .split(",")
    .map((kind) => (kind === "corosync" ? kind : "quorate"));
  if (kinds.length !== 2 || kinds[0] === kinds[1]) {
    console.log("usage: reload.ts [--only NAME] [--kinds quorate,corosync|corosync,quorate]");
    return 2;
  }
  const only = after("--only");
  let passed = 0;
  let failed = 0;
  let trial: Trial | undefined;
  for (const scenario of scenarios) {
    if (only !== undefined && only !== scenario.name) continue;
    const begun = performance.now();
    const label = `${kinds.join("+")} ${scenario.name.padEnd(34)}`;
    const spent = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
    try {
      trial ??= await build(kinds, after("--binary"));
      const remark = await scenario.run(trial);
      passed += 1;
      console.log(`ok    ${label} ${spent()}  ${remark}`);
    } catch (error) {
      failed += 1;
      const reason = reasonOf(error);
      console.log(`FAIL  ${label} ${spent()}  ${reason}`);
      if (trial !== undefined) console.log(lastLines(trial));
      await trial?.lab.close();
      trial = undefined;
    }
  }
  await trial?.lab.close();
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
