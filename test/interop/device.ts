// quorate nodes with Debian's vote server in namespaces of their own: connect, split and heal, loss of the server, power loss; a
// node may also be Debian's corosync with its qdevice. One line each, then "N passed, N failed".
//   bun test/interop/device.ts [--tls] [--only NAME] [--kinds quorate,corosync]
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { NodeStatus } from "../../src/shell/status.ts";
import { runLabs, Lab, type LabNode, type NodeKind } from "./lab.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { parseQuorumStatus } from "./tools.ts";
import { holds, pending, type Progress, ready, until } from "./wait.ts";

const port = 5403;
const deviceTimeoutMs = 5000;
/** The server forgets a silent client after 1.5 heartbeats, and a heartbeat is 0.8 of the device's timeout. */
const forgetMs = deviceTimeoutMs * 0.8 * 1.5;
const settleMsMax = 30_000;

interface Trial {
  readonly lab: Lab;
  readonly server: Server;
}

interface Scenario {
  readonly name: string;
  run(trial: Trial): Promise<string>;
}

/** corosync-qnetd on a bystander. */
class Server {
  readonly #lab: Lab;
  readonly #tls: boolean;
  #process: Subprocess | undefined;

  constructor(lab: Lab, tls: boolean) {
    this.#lab = lab;
    this.#tls = tls;
  }

  get machine(): LabNode {
    const [machine] = this.#lab.bystanders;
    if (machine === undefined) throw new Error("the laboratory has no bystander");
    return machine;
  }

  async start(): Promise<void> {
    const mode = this.#tls ? "req" : "off";
    const command = ["corosync-qnetd", "-f", "-d", "-4", "-s", mode, "-p", String(port)];
    this.#process = this.machine.spawn(command, this.machine.logPath);
    await until(
      async () => {
        const { code, stderr } = await this.machine.exec(["corosync-qnetd-tool", "-s"]);
        return code === 0 ? ready(undefined) : pending(stderr);
      },
      settleMsMax,
      "corosync-qnetd answers",
    );
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    running?.kill("SIGTERM");
    await running?.exited;
  }

  async list(): Promise<string> {
    return (await this.machine.exec(["corosync-qnetd-tool", "-l", "-v"])).stdout;
  }
}

/** The original's set-up on both sides (qnetd.md §4.5), without ssh. */
async function enrol(lab: Lab, machine: LabNode): Promise<void> {
  const must = async (node: LabNode, ...command: string[]): Promise<void> => {
    const done = await node.exec(command, { deadlineMs: 60_000 });
    if (done.code !== 0) throw new Error(`${command.join(" ")}: ${done.stdout}${done.stderr}`);
  };
  const [first] = lab.nodes;
  if (first === undefined) throw new Error("no node");
  const path = (node: LabNode, name: string): string => join(node.root, "etc/corosync", name);
  const net = "/etc/corosync/qdevice/net/nssdb";
  await must(machine, "corosync-qnetd-certutil", "-i");
  for (const node of lab.nodes) {
    copyFileSync(path(machine, "qnetd/nssdb/qnetd-cacert.crt"), path(node, "ca.crt"));
  }
  const tool = "corosync-qdevice-net-certutil";
  mkdirSync(path(first, "qdevice/net"), { recursive: true });
  await must(first, tool, "-i", "-c", "/etc/corosync/ca.crt");
  await must(first, tool, "-r", "-n", "interop");
  copyFileSync(path(first, "qdevice/net/nssdb/qdevice-net-node.crq"), path(machine, "node.crq"));
  await must(
    machine,
    "corosync-qnetd-certutil",
    "-s",
    "-c",
    "/etc/corosync/node.crq",
    "-n",
    "interop",
  );
  copyFileSync(path(machine, "qnetd/nssdb/cluster-interop.crt"), path(first, "cluster.crt"));
  await must(first, tool, "-M", "-c", "/etc/corosync/cluster.crt");
  const exported = "qdevice/net/nssdb/qdevice-net-node.p12";
  for (const node of lab.nodes.slice(1)) {
    mkdirSync(path(node, "qdevice/net/nssdb"), { recursive: true });
    if (node.kind === "quorate") copyFileSync(path(first, exported), path(node, exported));
    else throw new Error(`${net}: only the first node may be a corosync with TLS here`);
  }
}

interface Sight {
  readonly quorate: boolean;
  readonly totalVotes: number;
  readonly members: readonly number[];
}

async function sight(node: LabNode): Promise<Sight | string> {
  if (!node.running) return `${node.name} does not run`;
  if (node.kind === "corosync") {
    const answer = await node.exec(["corosync-quorumtool", "-s"]);
    const view = parseQuorumStatus(answer.stdout);
    if (view === undefined) return `${node.name}: ${answer.stderr || answer.stdout}`;
    const members = view.members.map((member) => member.nodeid);
    return { quorate: view.quorate, members, totalVotes: view.totalVotes };
  }
  const status = await statusOf(node);
  if (typeof status === "string") return status;
  const { quorate, members, totalVotes } = status.quorum;
  return { quorate, members, totalVotes };
}

async function statusOf(node: LabNode): Promise<NodeStatus | string> {
  try {
    return await nodeClient(node.root).status();
  } catch (error) {
    return `${node.name}: ${String(error)}`;
  }
}

async function sees(
  node: LabNode,
  wanted: { readonly quorate: boolean; readonly members: number; readonly votes?: number },
): Promise<Progress<void>> {
  const seen = await sight(node);
  if (typeof seen === "string") return pending(seen);
  const isSo =
    seen.quorate === wanted.quorate &&
    seen.members.length === wanted.members &&
    (wanted.votes === undefined || seen.totalVotes === wanted.votes);
  return isSo ? ready(undefined) : pending(`${node.name}: ${JSON.stringify(seen)}`);
}

async function whole({ lab }: Trial): Promise<void> {
  const votes = lab.nodes.length + 1;
  for (const node of lab.nodes) {
    const what = `${node.name} is in the whole cluster, with the device's vote`;
    await until(
      () => sees(node, { quorate: true, members: lab.nodes.length, votes }),
      settleMsMax,
      what,
      100,
    );
  }
}

/** Both halves asked at once: never may two nodes that do not see each other be quorate. */
async function neverBoth(lab: Lab): Promise<Progress<void>> {
  const seen = await Promise.all(lab.nodes.map(sight));
  const alone = seen.filter(
    (one) => typeof one !== "string" && one.quorate && one.members.length === 1,
  );
  return alone.length > 1
    ? pending(`two quorate halves: ${JSON.stringify(seen)}`)
    : ready(undefined);
}

const scenarios: readonly Scenario[] = [
  {
    name: "connect",
    async run(trial) {
      await whole(trial);
      const list = await trial.server.list();
      for (const node of trial.lab.nodes) {
        if (!list.includes(`Node ID ${node.nodeid}:`)) throw new Error(`qnetd lists: ${list}`);
      }
      return `the server lists ${trial.lab.nodes.length} nodes`;
    },
  },
  {
    name: "split and heal",
    async run(trial) {
      const { lab } = trial;
      await whole(trial);
      const [a, b] = lab.nodes;
      if (a === undefined || b === undefined) throw new Error("two nodes are needed");
      const begun = performance.now();
      await lab.cut([a], [b]);
      let broken: unknown;
      const watch = holds(() => neverBoth(lab), 15_000, "never two quorate halves").catch(
        (error: unknown) => (broken = error),
      );
      await until(
        () => sees(a, { quorate: true, members: 1, votes: 2 }),
        settleMsMax,
        "the lower half is quorate",
      );
      await until(
        () => sees(b, { quorate: false, members: 1, votes: 1 }),
        settleMsMax,
        "the other is not",
      );
      const splitMs = Math.round(performance.now() - begun);
      await watch;
      if (broken !== undefined) throw broken;
      await lab.heal();
      await whole(trial);
      return `exactly one half quorate after ${splitMs} ms`;
    },
  },
  {
    name: "the other is killed",
    async run(trial) {
      const { lab } = trial;
      await whole(trial);
      const [a, b] = lab.nodes;
      if (a === undefined || b === undefined) throw new Error("two nodes are needed");
      if (a.kind === "corosync") return "skipped: the survivor is to be ours";
      await b.kill();
      await until(
        () => sees(a, { quorate: true, members: 1, votes: 2 }),
        settleMsMax + forgetMs,
        "the survivor is quorate",
      );
      startNode(b);
      await whole(trial);
      return "the survivor stays quorate, the other comes back";
    },
  },
  {
    name: "the server restarts",
    async run(trial) {
      const { lab, server } = trial;
      await whole(trial);
      await server.stop();
      const without = { quorate: true, members: lab.nodes.length, votes: lab.nodes.length };
      for (const node of lab.nodes) {
        await until(
          () => sees(node, without),
          settleMsMax,
          `${node.name} goes on without the vote`,
        );
      }
      await server.start();
      await whole(trial);
      return "quorate without it, its vote comes back";
    },
  },
];

function startNode(node: LabNode): void {
  node.start();
  if (node.kind === "corosync") startQdevice(node);
}

/** corosync-qdevice ends when there is no corosync yet: it is started again until it stays. */
function startQdevice(node: LabNode): void {
  const script =
    "until corosync-quorumtool -s >/dev/null 2>&1 || [ $? -eq 2 ]; do sleep 0.1; done; exec corosync-qdevice -f";
  node.spawn(["sh", "-c", script], `${node.logPath}-qdevice`);
}

interface Choice {
  readonly tls: boolean;
  readonly only: string | undefined;
  readonly kinds: readonly NodeKind[];
}

function choose(words: readonly string[]): Choice {
  const after = (name: string): string | undefined => {
    const at = words.indexOf(name);
    return at < 0 ? undefined : words[at + 1];
  };
  const kinds = (after("--kinds") ?? "quorate,quorate").split(",");
  return {
    tls: words.includes("--tls"),
    only: after("--only"),
    kinds: kinds.map((kind) => (kind === "corosync" ? kind : "quorate")),
  };
}

async function build(choice: Choice): Promise<Trial> {
  const lab = await Lab.create({
    kinds: choice.kinds,
    crypto: "aes",
    tokenMs: 1000,
    bystanders: 1,
    quorumLines: [
      `device {\n    model: net\n    votes: 1\n    timeout: ${deviceTimeoutMs}`,
      `  net {\n      host: 10.77.0.${choice.kinds.length + 1}\n      algorithm: ffsplit`,
      `    tls: ${choice.tls ? "required" : "off"}\n    }\n  }`,
    ],
    quorate: quorateProgram(undefined),
  });
  const server = new Server(lab, choice.tls);
  if (choice.tls) await enrol(lab, server.machine);
  await server.start();
  for (const node of lab.nodes) startNode(node);
  return { lab, server };
}

/** Why nothing can be run here; undefined when all is there. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const tools = ["corosync", "corosync-qnetd", "nft", "ip", "unshare", "nsenter", "setpriv"];
  const missing = tools.find((tool) => Bun.which(tool) === null);
  return missing === undefined ? undefined : `${missing} not installed`;
}

function lastLines({ lab, server }: Trial): string {
  return [...lab.nodes, server.machine]
    .flatMap((node) => {
      const lines = node.log().trimEnd().split("\n").slice(-25);
      return lines.map((line) => `      ${node.name} | ${line}`);
    })
    .join("\n");
}

async function main(): Promise<number> {
  const missing = obstacle();
  if (missing !== undefined) {
    console.log(`skipped: ${missing}`);
    return process.env["QUORATE_CI"] === "1" ? 1 : 0;
  }
  const choice = choose(process.argv.slice(2));
  let passed = 0;
  let failed = 0;
  let trial: Trial | undefined;
  for (const scenario of scenarios) {
    if (choice.only !== undefined && choice.only !== scenario.name) continue;
    const begun = performance.now();
    const label = `${choice.kinds.join("+")} ${choice.tls ? "tls  " : "plain"} ${scenario.name.padEnd(20)}`;
    const spent = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
    try {
      trial ??= await build(choice);
      const remark = await scenario.run(trial);
      passed += 1;
      console.log(`ok    ${label} ${spent()}  ${remark}`);
    } catch (error) {
      failed += 1;
      console.log(
        `FAIL  ${label} ${spent()}  ${error instanceof Error ? error.message : String(error)}`,
      );
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
