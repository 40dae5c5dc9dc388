// A laboratory of Debian's corosync clusters with corosync-qdevice, and one machine more with a vote server: ours or the original.
// The nodes' links can be cut while all reach the server. Certificates are made as an operator makes them: the server's certutil there,
// the original's tool on the nodes.
import type { Subprocess } from "bun";
import { readFileSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Lab, type LabNode } from "../lab.ts";
import { ringConf } from "../ring-conf.ts";
import { parseQuorumStatus, type QuorumStatus } from "../tools.ts";
import { askToolsAgainMs, pending, ready, until } from "../wait.ts";
import type { Link, ServerProgram } from "./server-program.ts";

export type TlsMode = "off" | "on" | "required";

export interface ClusterPlan {
  readonly name: string;
  /** They have the node ids 1…N in every cluster. */
  readonly nodes: number;
  readonly algorithm: "ffsplit" | "lms" | "2nodelms" | "test";
  readonly tieBreaker?: "lowest" | "highest" | number;
  /** keep_active_partition_tie_breaker; on unless told. */
  readonly isKeepingActive?: boolean;
  /** The node is healthy as long as its file /etc/corosync/healthy is there (`VoteNode.setHealthy`). */
  readonly heuristics?: "on" | "sync";
}

export interface VoteLabOptions {
  readonly tls: TlsMode;
  readonly clusters: readonly ClusterPlan[];
  readonly server: ServerProgram;
}

/** Seen from inside a machine of the laboratory. */
const nodeStore = "/etc/corosync/qdevice/net/nssdb";
const serverStore = "/etc/corosync/qnetd/nssdb";
const healthyFile = "/etc/corosync/healthy";
/** A short device timeout keeps the runs short: heartbeats are 0.8 of it, a silent node is given up after 1.2 of it. */
const deviceTimeoutMs = 4000;
/** Between two regular runs of the heuristics. */
export const heuristicsIntervalMs = 1000;
const startMsMax = 40_000;

export class VoteLab {
  readonly lab: Lab;
  /** In the order of the plans. */
  readonly clusters: readonly VoteCluster[];
  readonly server: LabNode;
  readonly program: ServerProgram;
  readonly #tls: TlsMode;
  #daemon: Subprocess | undefined;

  private constructor(lab: Lab, { tls, clusters, server }: VoteLabOptions) {
    this.lab = lab;
    this.#tls = tls;
    this.program = server;
    this.server = lab.node(lab.nodes.length);
    let begin = 0;
    this.clusters = clusters.map((plan) => {
      const machines = lab.nodes.slice(begin, (begin += plan.nodes));
      return new VoteCluster(plan, machines, this.server.address, tls);
    });
  }

  /** Machines and configurations; nothing runs yet. */
  static async create(options: VoteLabOptions): Promise<VoteLab> {
    const count = options.clusters.reduce((sum, { nodes }) => sum + nodes, 0);
    const lab = await Lab.create({
      kinds: Array.from({ length: count + 1 }, () => "corosync" as const),
      crypto: "none",
      tokenMs: 1000,
      quorate: [],
    });
    const votes = new VoteLab(lab, options);
    for (const cluster of votes.clusters) await cluster.configure();
    await mkdir(join(votes.server.root, "etc/corosync/qnetd"), { recursive: true });
    return votes;
  }

  /** The only cluster, or the first. */
  get cluster(): VoteCluster {
    const [cluster] = this.clusters;
    if (cluster === undefined) throw new Error("this laboratory has no cluster");
    return cluster;
  }

  /** A node of the first cluster; 1 … N. */
  node(nodeid: number): VoteNode {
    return this.cluster.node(nodeid);
  }

  get nodes(): readonly VoteNode[] {
    return this.clusters.flatMap(({ nodes }) => nodes);
  }

  /** Steps 3 to 14 of `pvecm qdevice setup` (qnetd.md §4.5) for every cluster, with copies in place of scp. */
  async makeCertificates(): Promise<void> {
    const run = async (node: LabNode, ...command: readonly string[]): Promise<void> => {
      const done = await node.exec(command, { deadlineMs: 60_000 });
      if (done.code !== 0) throw new Error(`${command.join(" ")}: ${done.stdout}${done.stderr}`);
    };
    const certutil = this.program.words("corosync-qnetd-certutil");
    const onNode = "corosync-qdevice-net-certutil";
    await run(this.server, ...certutil, "-i");
    for (const { name, nodes } of this.clusters) {
      const machines = nodes.map(({ machine }) => machine);
      const [first] = machines;
      if (first === undefined) throw new Error(`cluster "${name}" has no node`);
      for (const machine of machines) {
        await copy(
          [this.server, `${serverStore}/qnetd-cacert.crt`],
          [machine, "/etc/corosync/qnetd-cacert.crt"],
        );
        await run(machine, onNode, "-i", "-c", "/etc/corosync/qnetd-cacert.crt");
      }
      await run(first, onNode, "-r", "-n", name);
      const request = `/etc/corosync/${name}.crq`;
      await copy([first, `${nodeStore}/qdevice-net-node.crq`], [this.server, request]);
      await run(this.server, ...certutil, "-s", "-c", request, "-n", name);
      const certificate = `cluster-${name}.crt`;
      await copy(
        [this.server, `${serverStore}/${certificate}`],
        [first, `${nodeStore}/${certificate}`],
      );
      await run(first, onNode, "-M", "-c", `${nodeStore}/${certificate}`);
      for (const machine of machines) {
        await copy(
          [first, `${nodeStore}/qdevice-net-node.p12`],
          [machine, "/etc/corosync/node.p12"],
        );
        await run(machine, onNode, "-m", "-c", "/etc/corosync/node.p12");
      }
    }
  }

  /** Answers when the server's local socket does. Another program than the laboratory's own takes over its files. */
  async startServer(program: ServerProgram = this.program): Promise<void> {
    const tls = this.#tls === "required" ? "req" : this.#tls;
    const words = [...program.words("corosync-qnetd"), "-f", "-d", "-s", tls];
    const daemon = this.server.spawn(words, this.server.logPath);
    this.#daemon = daemon;
    await until(
      async () => {
        if (daemon.exitCode !== null) throw new Error(`the vote server ended: ${daemon.exitCode}`);
        const { code, stderr } = await this.server.exec(["corosync-qnetd-tool", "-s"]);
        return code === 0 ? ready(undefined) : pending(stderr);
      },
      startMsMax,
      "the vote server answers",
      askToolsAgainMs,
    );
  }

  get isServing(): boolean {
    return this.#daemon?.exitCode === null && this.#daemon.signalCode === null;
  }

  /** SIGTERM: it sends nothing more and exits with 0. SIGKILL: as when it crashes; the kernel still closes its connections. */
  async stopServer(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) throw new Error("the vote server was never started");
    daemon.kill(signal);
    const code = await daemon.exited;
    if (signal === "SIGTERM" && code !== 0) throw new Error(`the vote server ended with ${code}`);
  }

  /** The resident memory of the server's process, in bytes. */
  serverBytes(): number {
    if (this.#daemon === undefined) throw new Error("the vote server was never started");
    const status = readFileSync(`/proc/${this.#daemon.pid}/status`, "latin1");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
  }

  /** `corosync-qnetd-tool` there, with its exit code in front. */
  async tool(program: ServerProgram, ...args: readonly string[]): Promise<string> {
    const link: Link = "corosync-qnetd-tool";
    const done = await this.server.exec([...program.words(link), ...args], { deadlineMs: 20_000 });
    return `exit ${done.code}\n${done.stdout}${done.stderr}`;
  }

  /** Every machine of the first cluster on its own, or the named groups of node ids. All reach the server. */
  async split(...groups: readonly (readonly number[])[]): Promise<void> {
    const sides = groups.map((ids) => ids.map((id) => this.node(id).machine));
    await this.lab.heal();
    for (const [index, side] of sides.entries()) {
      for (const other of sides.slice(index + 1)) await this.lab.cut(side, other);
    }
  }

  heal(): Promise<void> {
    return this.lab.heal();
  }

  /** The node vanishes: nothing of it is heard any more, not even a FIN of its kernel; then its programs are gone. */
  async powerLoss(node: VoteNode): Promise<void> {
    await this.lab.cut([node.machine], this.lab.nodes);
    await node.kill();
  }

  /** Everything that was logged, for a failure. */
  logs(): string {
    const parts = this.nodes.map(
      (node) =>
        `${node.machine.name}:\n${lastLines(node.machine.log())}\n${node.machine.name} device:\n${lastLines(node.deviceLog())}`,
    );
    return [`server:\n${lastLines(this.server.log())}`, ...parts].join("\n");
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}

export class VoteCluster {
  readonly name: string;
  readonly nodes: readonly VoteNode[];
  readonly #plan: ClusterPlan;
  readonly #server: string;
  readonly #tls: TlsMode;

  constructor(plan: ClusterPlan, machines: readonly LabNode[], server: string, tls: TlsMode) {
    this.name = plan.name;
    this.#plan = plan;
    this.#server = server;
    this.#tls = tls;
    this.nodes = machines.map((machine, index) => new VoteNode(machine, index + 1, plan));
  }

  node(nodeid: number): VoteNode {
    const node = this.nodes[nodeid - 1];
    if (node === undefined) throw new Error(`cluster "${this.name}" has no node ${nodeid}`);
    return node;
  }

  get algorithm(): ClusterPlan["algorithm"] {
    return this.#plan.algorithm;
  }

  /** All votes together, those of the device too (qnetd.md §3.1). */
  get configuredVotes(): number {
    const { nodes, algorithm } = this.#plan;
    return nodes + (algorithm === "lms" ? nodes - 1 : 1);
  }

  async configure(): Promise<void> {
    for (const node of this.nodes) {
      await writeFile(join(node.machine.root, "etc/corosync/corosync.conf"), this.#conf());
      await node.setHealthy(true);
    }
  }

  #conf(): string {
    const {
      name,
      algorithm,
      tieBreaker = "lowest",
      isKeepingActive = true,
      heuristics,
    } = this.#plan;
    const nodes = this.nodes.map(({ machine, nodeid }) => ({
      name: machine.name,
      address: machine.address,
      nodeid,
    }));
    const net = [
      `host: ${this.#server}`,
      `algorithm: ${algorithm}`,
      `tls: ${this.#tls}`,
      `tie_breaker: ${tieBreaker}`,
      ...(isKeepingActive ? [] : ["keep_active_partition_tie_breaker: off"]),
    ];
    const health = [
      `mode: ${heuristics}`,
      `interval: ${heuristicsIntervalMs}`,
      "timeout: 1000",
      "sync_timeout: 2000",
      `exec_healthy: /usr/bin/test -e ${healthyFile}`,
    ];
    const quorumLines = [
      "device {",
      "  model: net",
      ...(algorithm === "lms" ? [] : ["  votes: 1"]),
      `  timeout: ${deviceTimeoutMs}`,
      `  sync_timeout: ${2 * deviceTimeoutMs}`,
      "  net {",
      ...net.map((line) => `    ${line}`),
      "  }",
      ...(heuristics === undefined
        ? []
        : ["  heuristics {", ...health.map((line) => `    ${line}`), "  }"]),
      "}",
    ];
    const conf = ringConf({ crypto: "none", tokenMs: 1000, nodes, quorumLines });
    return conf.replace("cluster_name: interop", `cluster_name: ${name}`);
  }
}

/** A corosync node and its device client. */
export class VoteNode {
  readonly machine: LabNode;
  readonly nodeid: number;
  readonly #plan: ClusterPlan;
  #device: Subprocess | undefined;

  constructor(machine: LabNode, nodeid: number, plan: ClusterPlan) {
    this.machine = machine;
    this.nodeid = nodeid;
    this.#plan = plan;
  }

  /** corosync and, when that answers, the device client. */
  async start(): Promise<void> {
    this.machine.start();
    await until(
      async () => {
        const seen = await this.quorum();
        return typeof seen === "string" ? pending(seen) : ready(undefined);
      },
      startMsMax,
      `${this.machine.name} answers`,
      askToolsAgainMs,
    );
    this.startDevice();
  }

  get hasDevice(): boolean {
    return this.#device !== undefined;
  }

  startDevice(): void {
    const allowed = this.#plan.algorithm === "test" ? ["-S", "net_test_algorithm_enabled=on"] : [];
    const log = join(this.machine.root, "device.log");
    this.#device = this.machine.spawn(["corosync-qdevice", "-f", "-d", ...allowed], log);
  }

  /** SIGTERM, as `systemctl stop corosync-qdevice`. */
  async stopDevice(): Promise<void> {
    await this.#endDevice("SIGTERM");
  }

  /** SIGKILL for both; the device client first, which would notice. */
  async kill(): Promise<void> {
    await this.#endDevice("SIGKILL");
    await this.machine.kill();
  }

  async #endDevice(signal: NodeJS.Signals): Promise<void> {
    const device = this.#device;
    this.#device = undefined;
    device?.kill(signal);
    await device?.exited;
  }

  /** What its heuristics will find from now on. */
  async setHealthy(isHealthy: boolean): Promise<void> {
    const file = join(this.machine.root, healthyFile);
    if (isHealthy) await writeFile(file, "");
    else await rm(file, { force: true });
  }

  async quorum(): Promise<QuorumStatus | string> {
    const { stdout, stderr } = await this.machine.exec(["corosync-quorumtool", "-s"]);
    return parseQuorumStatus(stdout) ?? `${this.machine.name}: ${stderr || stdout}`;
  }

  deviceLog(): string {
    try {
      return readFileSync(join(this.machine.root, "device.log"), "utf8");
    } catch {
      return "";
    }
  }
}

/** A path inside a machine lies below its root. */
async function copy(
  [from, source]: readonly [LabNode, string],
  [to, target]: readonly [LabNode, string],
): Promise<void> {
  await cp(join(from.root, source), join(to.root, target));
}

function lastLines(text: string): string {
  const lines = text.trimEnd().split("\n").slice(-25);
  return lines.map((line) => `    ${line}`).join("\n");
}
