// Joins with real daemons in namespaces: several machines at the same moment, and a SIGKILL of the joining node or of the member that it asked
// at each step; afterwards a node is a confirmed member, or both sides are as before. One line a case, then "N passed, N failed".
//   bun test/interop/join.ts [--short] [--only WORD] [--times N] [--binary FILE]
// --short leaves out most of the kills: each waits for the lock of the one that died.
// Without root or Debian's corosync it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as v from "valibot";
import { reasonOf } from "../../src/result.ts";
import { LocalApi } from "../../src/shell/command/cluster/local-api.ts";
import { readClusterConf } from "../../src/shell/conf/cluster-conf.ts";
import { freshConf } from "../../src/shell/conf/fresh.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { Lab, type LabNode, runLabs, showLogs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { pending, ready, until } from "./wait.ts";

const readyMs = 60_000;
const joinMs = 600_000;
/** For a machine that is busy with other things. */
const tokenLine = "  token: 10000\n  token_coefficient";
const steps = ["check", "reserve", "changeover", "wait", "finish"] as const;
type StepName = (typeof steps)[number];

interface Case {
  readonly name: string;
  readonly machines: number;
  /** n2 runs Debian's corosync. */
  readonly isMixed?: true;
  readonly run: (lab: Lab, program: readonly string[]) => Promise<void>;
}

/** `members`: n1 is a cluster, the next ones have joined it one after the other; the rest is standalone. */
async function prepared(lab: Lab, program: readonly string[], members: number): Promise<void> {
  const [first] = lab.nodes;
  if (first === undefined) throw new Error("a laboratory has a node");
  clustered(lab, first);
  lab.startAll();
  for (const node of lab.nodes) await answers(node);
  await until(
    async () => {
      const made = await quorate(first, program, ["join-token", "--json"]);
      return made.code === 0 ? ready(undefined) : pending(made.stderr);
    },
    readyMs,
    "n1 is a cluster with an authority",
  );
  for (const node of lab.nodes.slice(1, members)) {
    const joined = await joinBy(node, program, await tokenOf(first, program));
    if (joined.code !== 0) throw new Error(`${node.name}: ${joined.stdout}${joined.stderr}`);
  }
}

/** Files of a cluster of one; the other machines have none. */
function clustered(lab: Lab, first: LabNode): void {
  const links = [{ number: 0, address: first.address, priority: 0 }];
  const fresh = freshConf({ clusterName: "prod", node: { name: first.name }, links });
  if (!fresh.ok) throw new Error(fresh.reason);
  for (const node of lab.nodes) {
    rmSync(join(node.root, "etc/corosync/corosync.conf"));
    if (node !== first) rmSync(join(node.root, "etc/corosync/authkey"));
  }
  const conf = fresh.value.replace("  token_coefficient", tokenLine);
  writeFileSync(join(first.root, "etc/corosync/corosync.conf"), conf);
}

async function answers(node: LabNode): Promise<void> {
  await until(
    async () =>
      nodeClient(node.root)
        .status()
        .then(
          () => ready(undefined),
          (error: unknown) => pending(reasonOf(error)),
        ),
    readyMs,
    `${node.name} answers`,
  );
}

function quorate(
  node: LabNode,
  program: readonly string[],
  words: readonly string[],
  deadlineMs = readyMs,
) {
  return node.exec([...program, ...words, "--root", node.root], { deadlineMs });
}

async function tokenOf(member: LabNode, program: readonly string[]): Promise<string> {
  const made = await quorate(member, program, ["join-token"]);
  const token = /quorate join (\S+)/.exec(made.stdout)?.[1];
  if (token === undefined) throw new Error(`${member.name} makes no token: ${made.stderr}`);
  return token;
}

function joinBy(node: LabNode, program: readonly string[], token: string) {
  return quorate(node, program, ["join", token], joinMs);
}

/** The nodes of a node's corosync.conf in the tree, with their votes. */
async function listed(node: LabNode): Promise<ReadonlyMap<string, number>> {
  const text = Buffer.from(await nodeClient(node.root).read("corosync.conf")).toString("latin1");
  const conf = readClusterConf(text);
  if (!conf.ok) throw new Error(conf.reason);
  return new Map(conf.value.nodes.map(({ name, votes }) => [name, votes]));
}

/** All have one tree, all are in it with a vote, and nobody has lost quorum. */
async function oneCluster(members: readonly LabNode[]): Promise<void> {
  await until(
    async () => {
      const digests = new Set<string>();
      for (const node of members) {
        const status = await nodeClient(node.root)
          .status()
          .catch(() => undefined);
        if (status?.quorum.members.length !== members.length)
          return pending(`${node.name} sees others`);
        if (!status.quorum.quorate) return pending(`${node.name} is not quorate`);
        const nodes = await listed(node);
        const wrong = members.find(({ name }) => nodes.get(name) !== 1);
        if (wrong !== undefined) return pending(`${wrong.name} has no vote for ${node.name}`);
        digests.add(status.tree.digest);
      }
      return digests.size === 1 ? ready(undefined) : pending("their trees differ");
    },
    readyMs,
    "all are one cluster",
  );
}

const together: Case = {
  name: "three machines join at the same moment, and the first never loses quorum",
  machines: 4,
  run: async (lab, program) => {
    await prepared(lab, program, 1);
    const [first, ...others] = lab.nodes;
    if (first === undefined) throw new Error("a laboratory has a node");
    const since = first.logFromHere();
    const tokens: string[] = [];
    for (const _ of others) tokens.push(await tokenOf(first, program));
    const ends = await Promise.all(
      others.map((node, at) => joinBy(node, program, tokens[at] ?? "")),
    );
    for (const [at, { code, stdout, stderr }] of ends.entries()) {
      if (code !== 0) throw new Error(`${others[at]?.name} did not join: ${stdout}${stderr}`);
    }
    await oneCluster(lab.nodes);
    if (since().includes("within the non-primary component")) {
      throw new Error("the first node lost quorum meanwhile");
    }
    const used = await joinBy(others[0] ?? first, program, tokens[0] ?? "");
    if (used.code !== 0 || !used.stdout.includes("is a member of the cluster 'prod' already")) {
      throw new Error(`the same command again: ${used.code} ${used.stdout}${used.stderr}`);
    }
  },
};

/** Resolves when the node's operation is at this step; false: it has ended before that was seen. */
async function reaches(node: LabNode, step: StepName, isOver: () => boolean): Promise<boolean> {
  const record = join(node.root, "var/lib/quorate/operation.json");
  while (!isOver()) {
    if (existsSync(record)) {
      const text = readFileSync(record, "utf8");
      if (text.includes(`"at": "${step}"`)) return true;
    }
    await pause(2);
  }
  return false;
}

/** The joining node is a confirmed member, or standalone with the tree of before while no member knows it. */
async function settled(lab: Lab, joiner: LabNode): Promise<"joined" | "as before"> {
  const members = lab.nodes.filter((node) => node !== joiner);
  return until(
    async () => {
      const status = await nodeClient(joiner.root)
        .status()
        .catch(() => undefined);
      if (status === undefined) return pending("it does not answer");
      if (existsSync(join(joiner.root, "var/lib/quorate/operation.json")))
        return pending("the operation goes on");
      if (existsSync(join(joiner.root, "var/lib/quorate/changeover.json")))
        return pending("it is on trial");
      for (const member of members) {
        const nodes = await listed(member).catch(() => undefined);
        if (nodes === undefined) return pending(`${member.name} does not answer`);
        const isMember = status.cluster.name === "prod";
        if (isMember !== (nodes.get(joiner.name) === 1)) {
          return pending(`${member.name} has ${joiner.name} with ${nodes.get(joiner.name)} votes`);
        }
        if (!isMember && nodes.has(joiner.name))
          return pending(`${member.name} still keeps its place`);
      }
      const isMember = status.cluster.name === "prod";
      const own = await nodeClient(joiner.root)
        .read("own.txt")
        .then(
          () => true,
          () => false,
        );
      if (isMember === own)
        return pending(isMember ? "a member with its old tree" : "its old tree is lost");
      return ready(isMember ? "joined" : "as before");
    },
    joinMs * 3,
    `${joiner.name} and the cluster agree`,
  );
}

function killed(whom: "joiner" | "member", step: StepName): Case {
  return {
    name: `SIGKILL of the ${whom} while the join is at "${step}"`,
    machines: 3,
    run: async (lab, program) => {
      await prepared(lab, program, 2);
      const [first, , joiner] = lab.nodes;
      if (first === undefined || joiner === undefined) throw new Error("three nodes");
      await nodeClient(joiner.root).put("own.txt", new TextEncoder().encode("mine\n"));
      const token = await tokenOf(first, program);
      let isOver = false;
      const joining = joinBy(joiner, program, token).finally(() => {
        isOver = true;
      });
      const victim = whom === "joiner" ? joiner : first;
      if (await reaches(joiner, step, () => isOver)) {
        await victim.kill();
        victim.start();
      }
      await joining;
      const end = await settled(lab, joiner);
      await oneCluster(lab.nodes.filter((node) => end === "joined" || node !== joiner));
      console.log(`     ${end}`);
    },
  };
}

const grantSchema = v.looseObject({ corosync_authkey: v.string(), corosync_conf: v.string() });

/**
 * What pmxcfs does on an original's node: the tree's corosync.conf becomes its own before the reload comes. False: it came first, as on a busy
 * machine, so that node has read the old file and is told to read again.
 */
async function copyConf(member: LabNode, original: LabNode, version: number): Promise<boolean> {
  const conf = await until(
    async () => {
      const bytes = await nodeClient(member.root).read("corosync.conf");
      const text = Buffer.from(bytes).toString("latin1");
      return text.includes(`config_version: ${version}`) ? ready(bytes) : pending(text);
    },
    readyMs * 3,
    `the tree has configuration ${version}`,
    20,
  );
  writeFileSync(join(original.root, "etc/corosync/corosync.conf"), conf);
  const isLate = member.log().includes(`configuration ${version} is in force`);
  if (isLate) await original.exec(["corosync-cfgtool", "-R"]);
  return !isLate;
}

/** Without a tree: what an original's joiner gets, by hand. */
const debian: Case = {
  name: "Debian's corosync, let in by Proxmox's call, gets its vote once it stays in the ring",
  machines: 2,
  isMixed: true,
  run: async (lab) => {
    const [first, other] = lab.nodes;
    if (first === undefined || other === undefined) throw new Error("two nodes");
    clustered(lab, first);
    first.start();
    await answers(first);
    const api = new LocalApi(nodePaths(first.root).socket);
    const words = { link0: other.address, apiversion: 1 };
    const granted = await until(
      async () =>
        api
          .original(grantSchema, "POST", "/cluster/config/nodes/n2", words)
          .then(ready, (error: unknown) => pending(reasonOf(error))),
      readyMs,
      "n1 lets n2 in",
    );
    const key = Buffer.from(granted.corosync_authkey, "latin1");
    writeFileSync(join(other.root, "etc/corosync/authkey"), key, { mode: 0o400 });
    writeFileSync(join(other.root, "etc/corosync/corosync.conf"), granted.corosync_conf);
    other.start();
    const version = Number(/config_version: (\d+)/.exec(granted.corosync_conf)?.[1]);
    const isInTime = await copyConf(first, other, version + 1);
    await until(
      () =>
        first.log().includes(`configuration ${version + 1} is in force`)
          ? ready(undefined)
          : pending("n1 has not reloaded yet"),
      readyMs,
      "the vote is in the configuration that is in force",
    );
    await until(
      async () => {
        const seen = await other.exec(["corosync-quorumtool", "-s"]);
        const isRight =
          /Expected votes: +2\n/.test(seen.stdout) && /Total votes: +2\n/.test(seen.stdout);
        return isRight && seen.code === 0 ? ready(undefined) : pending(seen.stdout + seen.stderr);
      },
      readyMs * 3,
      "corosync-quorumtool on n2 shows two votes",
    );
    if (isInTime && first.log().includes("within the non-primary component"))
      throw new Error("n1 lost quorum");
  },
};

/** Longer than a token is waited for. */
const cutMs = 20_000;

/** Shorter than the time of the place: the join completes by itself. */
const cut: Case = {
  name: "the joining node is cut off while it waits, and comes in when the network is back",
  machines: 3,
  run: async (lab, program) => {
    await prepared(lab, program, 2);
    const [first, second, joiner] = lab.nodes;
    if (first === undefined || second === undefined || joiner === undefined)
      throw new Error("three nodes");
    await nodeClient(joiner.root).put("own.txt", new TextEncoder().encode("mine\n"));
    let isOver = false;
    const joining = joinBy(joiner, program, await tokenOf(first, program)).finally(() => {
      isOver = true;
    });
    await reaches(joiner, "changeover", () => isOver);
    await lab.cut([joiner], [first, second]);
    await reaches(joiner, "wait", () => isOver);
    await pause(cutMs);
    await lab.heal();
    const { code, stdout, stderr } = await joining;
    if (code !== 0) throw new Error(`${stdout}${stderr}`);
    await settled(lab, joiner);
    await oneCluster(lab.nodes);
  },
};
const short: readonly Case[] = [
  together,
  debian,
  killed("joiner", "changeover"),
  killed("member", "reserve"),
];
const cases: readonly Case[] = [
  together,
  cut,
  debian,
  ...steps.map((step) => killed("joiner", step)),
  ...steps.map((step) => killed("member", step)),
];

function wordAfter(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

async function main(words: readonly string[]): Promise<number> {
  const obstacle = obstacleTo(["corosync", "corosync-quorumtool"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const program = quorateProgram(wordAfter(words, "--binary"));
  const only = wordAfter(words, "--only") ?? "";
  const times = Number(wordAfter(words, "--times") ?? 1);
  const count = { passed: 0, failed: 0 };
  const wanted = words.includes("--short") ? short : cases;
  const chosen = wanted.filter(({ name }) => name.includes(only));
  for (const each of Array.from({ length: times }, () => chosen).flat()) {
    const kinds = Array.from({ length: each.machines }, (_, at) =>
      each.isMixed === true && at === 1 ? ("corosync" as const) : ("quorate" as const),
    );
    const lab = await Lab.create({
      kinds,
      crypto: "aes",
      tokenMs: 1000,
      quorate: program,
      hasApi: true,
    });
    try {
      await each.run(lab, program);
      count.passed += 1;
      console.log(`ok   ${each.name}`);
    } catch (error) {
      count.failed += 1;
      console.log(`FAIL ${each.name}: ${reasonOf(error)}`);
      showLogs(lab);
    } finally {
      await lab.close();
    }
  }
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
}

await runLabs(() => main(process.argv.slice(2)));
