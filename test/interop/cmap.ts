// The configuration maps of a mixed ring: Debian's corosync and a quorate node say the same of configuration, members and votes, after a start, a
// death, a return, a reload and a cancelled wait; what differs is named here. And their tools list the same process groups.
//   bun test/interop/cmap.ts [--binary FILE]
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { MapClient } from "../../src/shell/api/cmap-client.ts";
import { cmapctl } from "../../src/shell/tool/cmapctl.ts";
import { cpgtool } from "../../src/shell/tool/cpgtool.ts";
import { Lab, type LabNode, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { wholeRing } from "./scenarios.ts";
import { askToolsAgainMs, pending, ready, until } from "./wait.ts";

/** What the two are compared by. */
const prefixes = [
  "nodelist.",
  "quorum.",
  "runtime.config.totem.",
  "runtime.members.",
  "runtime.votequorum.",
  "totem.",
];

/** Keys that are about the node itself. */
const local =
  /^(nodelist\.local_node_pos|runtime\.votequorum\.this_node_id|totem\.interface\.\d+\.bindnetaddr) /;

/** corosync keeps the heartbeat that it computed from the token's timeout at its start; ours follows a new timeout. */
const heartbeat = /^runtime\.config\.totem\.interface\.\d+\.knet_ping_(interval|timeout) /;

/** Keys of the node whose tool was asked to cancel the wait. */
const asked = /^quorum\.cancel_wait_for_all /;

const newVersion = "totem.config_version (u64) = 7";

/** Laboratories in which the token's timeout has changed while they ran. */
const tunings = new WeakSet<Lab>();

const settledMs = 30_000;

/** Ours runs in this process: a node's socket is reached from outside its namespaces too. */
async function ours(
  node: LabNode,
  tool: "cmapctl" | "cpgtool",
  args: readonly string[],
): Promise<string> {
  const map = new MapClient(nodeClient(node.root));
  let output = "";
  const write = (text: string | Uint8Array): void => {
    output += typeof text === "string" ? text : Buffer.from(text).toString("latin1");
  };
  const streams = { args, write, writeError: write };
  const code =
    tool === "cpgtool"
      ? await cpgtool({ ...streams, groups: () => map.groups() })
      : await cmapctl({
          ...streams,
          map,
          readFile: () => Promise.reject(new Error("no file is read here")),
          untilQuit: () => Promise.resolve(),
        });
  if (code !== 0) throw new Error(`our ${tool} ${args.join(" ")} ended with ${code}: ${output}`);
  return output;
}

async function theirs(node: LabNode, tool: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.exec([`corosync-${tool}`, ...args]);
  if (code !== 0) throw new Error(`${tool} on ${node.name} ended with ${code}: ${stderr}`);
  return stdout;
}

async function maps(lab: Lab, isTuned: boolean): Promise<readonly (readonly string[])[]> {
  const differing = isTuned ? [local, asked, heartbeat] : [local, asked];
  const lists: string[][] = [];
  for (const node of lab.nodes) {
    if (!node.running) continue;
    const isOurs = node.kind === "quorate";
    const text = await (isOurs ? ours : theirs)(node, "cmapctl", prefixes);
    lists.push(
      text
        .split("\n")
        .filter((line) => line !== "" && !differing.some((pattern) => pattern.test(line))),
    );
  }
  return lists;
}

/** Waits until the maps of all running nodes are equal and hold what is expected; answers how many keys that are. */
async function agree(lab: Lab, situation: string, ...expected: readonly string[]): Promise<number> {
  return until(
    async () => {
      const lists = await maps(lab, tunings.has(lab));
      const [first = []] = lists;
      const missing = expected.filter((line) => !first.includes(line));
      if (missing.length > 0) return pending(`missing: ${missing.join("; ")}`);
      for (const list of lists) {
        const only = [
          ...first.filter((line) => !list.includes(line)).map((line) => `- ${line}`),
          ...list.filter((line) => !first.includes(line)).map((line) => `+ ${line}`),
        ];
        if (only.length > 0) return pending(only.join("; "));
      }
      return ready(first.length);
    },
    settledMs,
    situation,
    askToolsAgainMs,
  );
}

async function sameGroups(lab: Lab): Promise<void> {
  await until(
    async () => {
      const own = await ours(lab.node(2), "cpgtool", []);
      const other = await theirs(lab.node(1), "cpgtool", []);
      return own === other && own.includes("pve_dcdb_v1\\x00")
        ? ready(undefined)
        : pending(`ours:\n${own}\ntheirs:\n${other}`);
    },
    settledMs,
    "the same groups everywhere",
    askToolsAgainMs,
  );
}

/** What corosync takes over from its map while it runs, by each node's own tool. */
async function changedByTool(lab: Lab): Promise<void> {
  const onAll = async (...args: readonly string[]): Promise<void> => {
    for (const node of lab.nodes) {
      if (node.running) await (node.kind === "quorate" ? ours : theirs)(node, "cmapctl", args);
    }
  };
  const timeout = "runtime.config.totem.token (u32)";
  const barrier = "runtime.votequorum.ev_barrier (u32)";
  const tuned = "runtime.config.totem.token_retransmit (u32)";
  // Votes first: ours counts them anew at every change, and so has atb_type from then on, corosync at one of quorum{} only.
  await onAll("-s", "quorum.expected_votes", "u32", "4");
  await agree(lab, "expected votes by cmapctl", `${barrier} = 4`);
  await onAll("-s", "quorum.expected_votes", "u32", "3");
  await agree(lab, "expected votes as they were", `${barrier} = 3`);
  await onAll("-s", "totem.token", "u32", "5000");
  await agree(lab, "a token timeout by cmapctl", `${timeout} = 5650`, `${tuned} = 1345`);
  await onAll("-d", "totem.token");
  await agree(lab, "the token's default timeout", `${timeout} = 3650`);
}

async function reloaded(lab: Lab): Promise<void> {
  for (const node of lab.nodes) {
    const conf = join(node.root, "etc/corosync/corosync.conf");
    const text = await readFile(conf, "utf8");
    const next = text
      .replace(/config_version: \d+/, "config_version: 7")
      .replace(/token: \d+/, "token: 1500");
    if (next === text)
      throw new Error("the corosync.conf of the laboratory has no token to change");
    await writeFile(conf, next);
  }
  await theirs(lab.node(1), "cfgtool", ["-R"]);
}

async function mixedRing(binary: string | undefined): Promise<string> {
  const lab = await Lab.create({
    kinds: ["corosync", "quorate", "corosync"],
    crypto: "aes",
    tokenMs: 1000,
    quorate: quorateProgram(binary),
  });
  try {
    // One after the other, so that each has seen the others join as often.
    for (const node of lab.nodes) node.start();
    await wholeRing(lab);
    const joined = (id: number, count: number): string[] => [
      `runtime.members.${id}.status (str) = joined`,
      `runtime.members.${id}.join_count (u32) = ${count}`,
    ];
    const keys = await agree(lab, "the same map on all nodes", ...joined(1, 1), ...joined(3, 1));
    await sameGroups(lab);
    await lab.node(3).kill();
    await agree(lab, "the same map after a death", "runtime.members.3.status (str) = left");
    lab.node(3).start();
    await wholeRing(lab);
    const [first, , third] = lab.nodes;
    if (first === undefined || third === undefined) throw new Error("three nodes");
    // The new life of the third has not seen what was before: only the two that lived are compared.
    await until(
      async () => {
        const own = await ours(lab.node(2), "cmapctl", ["runtime.members."]);
        const other = await theirs(first, "cmapctl", ["runtime.members."]);
        const isCounted = own.includes("runtime.members.3.join_count (u32) = 2\n");
        return own === other && isCounted ? ready(undefined) : pending(`${own}\n${other}`);
      },
      settledMs,
      "the two that lived count the return",
      askToolsAgainMs,
    );
    await third.kill();
    tunings.add(lab);
    await changedByTool(lab);
    await reloaded(lab);
    await agree(lab, "the same map after a reload", newVersion, "totem.token (u32) = 1500");
    await ours(lab.node(2), "cmapctl", ["-s", "quorum.cancel_wait_for_all", "u8", "1"]);
    const status = "runtime.votequorum.wait_for_all_status (u8) = 0";
    await agree(lab, "the same map after a cancelled wait", newVersion, status);
    return `${keys} keys, and the groups, are the same`;
  } finally {
    await lab.close();
  }
}

async function main(): Promise<number> {
  const [word, binary, ...more] = process.argv.slice(2);
  if (more.length > 0 || (word !== undefined && (word !== "--binary" || binary === undefined))) {
    console.error("usage: cmap.ts [--binary FILE]");
    return 2;
  }
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  try {
    console.log(`ok    maps ${await mixedRing(binary)}`);
    console.log("1 passed, 0 failed");
    return 0;
  } catch (error) {
    console.log(`FAIL  maps ${reasonOf(error)}`);
    console.log("0 passed, 1 failed");
    return 1;
  }
}

await runLabs(main);
