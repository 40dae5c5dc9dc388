// What a quorum device must do for a cluster, told once for every mixture of nodes and servers: each scenario begins and ends with a
// whole cluster and answers a remark.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { qdeviceTool } from "../../src/shell/tool/qdevice-tool.ts";
import { type DeviceLab, heartbeatMs, settleMsMax } from "./device-lab.ts";
import type { LabNode } from "./lab.ts";
import { nodeClient } from "./quorate.ts";
import { askToolsAgainMs, holds, pending, type Progress, ready, until } from "./wait.ts";

export interface Scenario {
  readonly name: string;
  run(lab: DeviceLab): Promise<string>;
}

/** Long enough for both halves of a split to have settled. */
const watchMs = 5000;

export const connect: Scenario = {
  name: "connect",
  async run(lab) {
    await lab.whole();
    await eventually("everybody shows the device", async () => {
      await serverLists(lab);
      const [first, ...others] = await Promise.all(lab.nodes.map((node) => lab.sight(node)));
      for (const other of others) same("the nodes' votes", first, other);
      for (const node of lab.nodes) await deviceShown(lab, node);
    });
    return `the server lists ${lab.nodes.length} nodes, all see the same votes`;
  },
};

async function serverLists(lab: DeviceLab): Promise<void> {
  const list = await lab.list();
  const active = lab.plan.tls === "required" ? "Yes (client certificate verified)" : "No";
  for (const node of lab.nodes) {
    const block = list.split("    Node ID ").find((part) => part.startsWith(`${node.nodeid}:`));
    if (block?.includes(`TLS active:\t\t${active}\n`) !== true) throw new Error(list);
  }
}

/** What several programs say at different moments agrees once all have heard of the last change. */
async function eventually(what: string, check: () => Promise<void>): Promise<void> {
  await until(
    async () => {
      try {
        await check();
        return ready(undefined);
      } catch (error) {
        return pending(reasonOf(error));
      }
    },
    settleMsMax,
    what,
    askToolsAgainMs,
  );
}

/** The original's quorumtool shows the device's row and flags; our status says the same in its own words. */
async function deviceShown(lab: DeviceLab, node: LabNode): Promise<void> {
  if (node.kind === "corosync") {
    const { stdout } = await node.exec(["corosync-quorumtool", "-s"]);
    const row = new RegExp(`^\\s*0(?:x0+)?\\s+${lab.deviceVotes}\\s+Qdevice`, "m");
    const rows = stdout.match(/\sA,V,NMW\s/g) ?? [];
    if (!row.test(stdout) || rows.length !== lab.nodes.length) throw new Error(stdout);
    return;
  }
  const status = await lab.status(node);
  if (typeof status === "string") throw new Error(status);
  const { device, quorum } = status;
  const { state, vote, problem } = device ?? {};
  const isActive = device?.tls.active === (lab.plan.tls === "required");
  const isShown = state === "Connected" && vote === "ack" && problem === "" && isActive;
  if (!isShown || !quorum.flags.includes("Qdevice")) throw new Error(JSON.stringify(status));
}

export const tools: Scenario = {
  name: "tools",
  async run(lab) {
    await lab.whole();
    await eventually("the tools say the same", () => sameOfTools(lab));
    return "their tool and ours say the same of every node";
  },
};

async function sameOfTools(lab: DeviceLab): Promise<void> {
  for (const args of [["-s"], ["-s", "-v"]]) {
    const texts: string[] = [];
    for (const node of lab.nodes) {
      const theirs = await askTheirs(lab, node, args);
      same(`corosync-qdevice-tool ${args.join(" ")}`, theirs, await askOurs(lab, node, args));
      texts.push(comparable(theirs));
    }
    const [first, ...others] = texts;
    for (const other of others) same("what the nodes' tools say", first, other);
  }
}

async function askTheirs(lab: DeviceLab, node: LabNode, args: readonly string[]): Promise<string> {
  const path = lab.socket(node);
  const { code, stdout, stderr } = await node.exec(["corosync-qdevice-tool", ...args, "-p", path]);
  if (code !== 0) throw new Error(`corosync-qdevice-tool: ${code} ${stderr}`);
  return withoutTimes(stdout);
}

async function askOurs(lab: DeviceLab, node: LabNode, args: readonly string[]): Promise<string> {
  let text = "";
  const write = (bytes: string | Uint8Array): void => {
    text += typeof bytes === "string" ? bytes : new TextDecoder().decode(bytes);
  };
  const code = await qdeviceTool({ args, socket: lab.socket(node), write, writeError: write });
  if (code !== 0) throw new Error(`our corosync-qdevice-tool: ${code} ${text}`);
  return withoutTimes(text);
}

function withoutTimes(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, "TIME")
    .replace(/^Echo reply received:.*\n/m, "");
}

/**
 * What every node of a cluster must say alike: without its own id, lists as sets. The original's expected votes are those of some
 * earlier moment (without the device, or before a change of the configuration).
 */
function comparable(text: string): string {
  const states = [...text.matchAll(/^ {4}\d+\t(Node ID = \d+, State = \w+)$/gm)]
    .map((line) => line[1] ?? "")
    .toSorted();
  return text
    .replace(/^Node ID:.*$/m, "")
    .replace(/^Expected votes:.*$/m, "")
    .replaceAll(/^ {4}\d+\tNode ID = \d+, State = \w+\n/gm, "")
    .concat(states.join("\n"));
}

function same(what: string, one: unknown, other: unknown): void {
  if (Bun.deepEquals(one, other)) return;
  const text = (value: unknown): string =>
    typeof value === "string" ? value : JSON.stringify(value, undefined, 1);
  throw new Error(`${what} differ:\n${text(one)}\n---\n${text(other)}`);
}

/** All nodes asked at once: never may two that do not see each other be quorate. */
async function neverBoth(lab: DeviceLab): Promise<Progress<void>> {
  const seen = await Promise.all(lab.nodes.map((node) => lab.sight(node)));
  const apart = seen.filter((one) => typeof one !== "string" && one.quorate);
  const sides = new Set(apart.map((one) => (typeof one === "string" ? "" : one.members.join())));
  // While one side still stands in the old ring its members overlap: only what is disjoint counts.
  const lists = [...sides].map((side) => side.split(","));
  const isBroken = lists.some((one, at) =>
    lists.slice(at + 1).some((other) => one.every((nodeid) => !other.includes(nodeid))),
  );
  return isBroken ? pending(`two quorate sides: ${JSON.stringify(seen)}`) : ready(undefined);
}

async function watched(lab: DeviceLab, during: () => Promise<string>): Promise<string> {
  const watch = holds(() => neverBoth(lab), watchMs, "never two quorate sides").then(
    () => undefined,
    (error: unknown) => error,
  );
  const remark = await during();
  const broken = await watch;
  if (broken !== undefined) throw broken;
  return remark;
}

export const splitAndHeal: Scenario = {
  name: "split and heal",
  async run(lab) {
    await lab.whole();
    const [first, ...rest] = lab.nodes;
    if (first === undefined) throw new Error("no node");
    // ffsplit: a tie goes to the lowest; lms: to the larger side.
    const isTie = rest.length === 1;
    const [winners, losers] = isTie ? [[first], rest] : [rest, [first]];
    await lab.lab.cut([first], rest);
    const remark = await watched(lab, async () => {
      let spentMs = 0;
      for (const node of winners) {
        const votes = winners.length + lab.deviceVotes;
        const wanted = { quorate: true, members: winners.length, votes };
        spentMs = Math.max(spentMs, await lab.untilSees(node, wanted, "on the side with the vote"));
      }
      for (const node of losers) {
        const wanted = { quorate: false, members: losers.length, votes: losers.length };
        spentMs += await lab.untilSees(node, wanted, "on the side without");
      }
      return `one side quorate after ${spentMs} ms`;
    });
    await lab.lab.heal();
    await lab.whole();
    return remark;
  },
};

export const killed: Scenario = {
  name: "the other is killed",
  run: (lab) => loseLast(lab, (node) => lab.killNode(node)),
};

export const powerLoss: Scenario = {
  name: "power loss",
  run: (lab) =>
    loseLast(lab, async (node) => {
      await lab.silence(node);
      await lab.killNode(node);
    }),
};

async function loseLast(lab: DeviceLab, lose: (node: LabNode) => Promise<void>): Promise<string> {
  await lab.whole();
  const last = lab.nodes.at(-1);
  if (last === undefined) throw new Error("no node");
  const others = lab.nodes.slice(0, -1);
  await lose(last);
  let spentMs = 0;
  for (const node of others) {
    const votes = others.length + lab.deviceVotes;
    const wanted = { quorate: true, members: others.length, votes };
    spentMs = Math.max(spentMs, await lab.untilSees(node, wanted, "a survivor with the vote"));
  }
  await lab.speak();
  lab.startNode(last);
  await lab.whole();
  return `the survivors have the vote after ${spentMs} ms; the lost one comes back`;
}

export const lastMan: Scenario = {
  name: "down to the last man",
  async run(lab) {
    await lab.whole();
    const [first, ...rest] = lab.nodes;
    if (first === undefined) throw new Error("no node");
    for (const [gone, node] of rest.toReversed().entries()) {
      await lab.killNode(node);
      const members = rest.length - gone;
      const wanted = { quorate: true, members, votes: members + lab.deviceVotes };
      await lab.untilSees(first, wanted, `${members} left, with the vote`);
    }
    for (const node of rest) lab.startNode(node);
    await lab.whole();
    return "the last one is quorate by the device's votes";
  },
};

export const serverRestarts: Scenario = {
  name: "the server restarts",
  async run(lab) {
    await lab.whole();
    await lab.stopServer();
    const spentMs = await withoutDevice(lab);
    await problemSays(lab, /refuses connections|closed the connection/);
    await lab.startServer();
    await lab.whole();
    return `without its vote after ${spentMs} ms, and it comes back`;
  },
};

/** For clusters with "tls: on" and a server without TLS. */
export const certificateComes: Scenario = {
  name: "a certificate comes",
  async run(lab) {
    await lab.whole();
    await lab.stopServer();
    const ours = lab.nodes.filter(({ kind }) => kind === "quorate");
    for (const node of ours) lab.setCertificate(node, true);
    await lab.startServer();
    await problemSays(lab, /offers no TLS, though this node has a certificate/);
    for (const node of ours) {
      lab.setCertificate(node, false);
      // It would try again after a minute by itself.
      await lab.killNode(node);
      lab.startNode(node);
    }
    await lab.whole();
    return "the server without TLS is refused, and taken by nodes without a certificate";
  },
};

export const silentServer: Scenario = {
  name: "the server is silent",
  async run(lab) {
    await lab.whole();
    await lab.silence(lab.machine);
    const spentMs = await withoutDevice(lab);
    // A heartbeat goes out, the next one finds it unanswered.
    if (spentMs > 2 * heartbeatMs + settleMsMax / 4) throw new Error(`after ${spentMs} ms only`);
    await problemSays(lab, /heartbeat|does not answer|no answer|cannot be reached/);
    await lab.speak();
    await lab.whole();
    return `given up after ${spentMs} ms, and found again`;
  },
};

/** ffsplit: the cluster goes on with its own votes. */
async function withoutDevice(lab: DeviceLab): Promise<number> {
  const count = lab.nodes.length;
  let spentMs = 0;
  for (const node of lab.nodes) {
    const wanted = { quorate: true, members: count, votes: count };
    spentMs += await lab.untilSees(node, wanted, "goes on without the vote");
  }
  return spentMs;
}

/** `quorate status` of our nodes has a sentence about it. */
async function problemSays(lab: DeviceLab, pattern: RegExp): Promise<void> {
  for (const node of lab.nodes.filter(({ kind }) => kind === "quorate")) {
    await until(
      async () => {
        const status = await lab.status(node);
        const problem = typeof status === "string" ? status : (status.device?.problem ?? "");
        return pattern.test(problem) ? ready(undefined) : pending(problem);
      },
      settleMsMax,
      `${node.name} says what is wrong with the vote server`,
      askToolsAgainMs,
    );
  }
}

export const shutdown: Scenario = {
  name: "the client is shut down",
  async run(lab) {
    await lab.whole();
    const node = lab.nodes.findLast(({ kind }) => kind === "quorate");
    if (node === undefined) return "no node of ours";
    const path = lab.socket(node);
    const done = await node.exec(["corosync-qdevice-tool", "-H", "-p", path]);
    if (done.code !== 0) throw new Error(`corosync-qdevice-tool -H: ${done.stderr}`);
    const count = lab.nodes.length;
    await lab.untilSees(node, { quorate: true, members: count, votes: count }, "has no device");
    await until(
      async () => {
        const again = await node.exec(["corosync-qdevice-tool", "-s", "-p", path]);
        return again.code === 3 ? ready(undefined) : pending(`exit code ${again.code}`);
      },
      settleMsMax,
      "nobody answers at the device's socket",
      askToolsAgainMs,
    );
    const status = await lab.status(node);
    if (typeof status === "string" || status.deviceFault?.includes("was stopped") !== true) {
      throw new Error(JSON.stringify(status));
    }
    await nodeClient(node.root).reload();
    await lab.whole();
    await askTheirs(lab, node, ["-s"]);
    return "their tool stops our client; a reload of corosync.conf brings it back";
  },
};

/** Mode on: the vote goes where the commands pass, and moves when that changes. Mode sync: it is found at the split. */
export const heuristics: Scenario = {
  name: "heuristics",
  async run(lab) {
    await lab.whole();
    const [first, second] = lab.nodes;
    if (first === undefined || second === undefined) throw new Error("two nodes are needed");
    const isRegular = lab.plan.heuristics === "on";
    lab.setHealthy(first, false);
    if (isRegular) await serverSays(lab, first, "Fail");
    await lab.lab.cut([first], [second]);
    const [alone, without] = [
      { quorate: true, members: 1, votes: 2 },
      { quorate: false, members: 1, votes: 1 },
    ];
    const remark = await watched(lab, async () => {
      await lab.untilSees(second, alone, "passes and has the vote");
      await lab.untilSees(first, without, "fails and has not");
      return "the side that passes has the vote";
    });
    lab.setHealthy(first, true);
    if (isRegular) {
      await serverSays(lab, first, "Pass");
      lab.setHealthy(second, false);
      await watched(lab, async () => {
        await lab.untilSees(first, alone, "passes now and has the vote");
        await lab.untilSees(second, without, "fails now and has not");
        return "";
      });
      lab.setHealthy(second, true);
      await serverSays(lab, second, "Pass");
    }
    await lab.lab.heal();
    await lab.whole();
    return isRegular ? `${remark}, and it moves with them` : remark;
  },
};

async function serverSays(lab: DeviceLab, node: LabNode, result: string): Promise<void> {
  await until(
    async () => {
      const list = await lab.list();
      const block = list.split("    Node ID ").find((part) => part.startsWith(`${node.nodeid}:`));
      const isSo = block?.includes(`Heuristics:\t\t${result} `) === true;
      return isSo ? ready(undefined) : pending(list);
    },
    settleMsMax,
    `the server knows that ${node.name}'s heuristics: ${result}`,
    askToolsAgainMs,
  );
}

/** The name's first address is nobody's: the second is found within the connect timeout, at every start and return. */
export const name: Scenario = {
  name: "a name with two addresses",
  async run(lab) {
    for (const node of lab.nodes) {
      const file = join(node.root, "etc/corosync/hosts");
      writeFileSync(
        file,
        `127.0.0.1 localhost\n10.77.0.99 votes.test\n${lab.machine.address} votes.test\n`,
      );
      const done = await node.exec(["mount", "--bind", "/etc/corosync/hosts", "/etc/hosts"]);
      if (done.code !== 0) throw new Error(done.stderr);
      lab.startNode(node);
    }
    await lab.whole();
    return "the second address is found";
  },
};
