// A laboratory for quorum devices: nodes that are quorate or Debian's corosync with its qdevice, in any mixture, and one machine
// more with a vote server, Debian's or ours. Certificates are made as an operator makes them (qnetd.md §4.5), with copies for scp.
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { nodePaths } from "../../src/shell/paths.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { Lab, type LabNode, type NodeKind } from "./lab.ts";
import type { ServerProgram } from "./qnetd/server-program.ts";
import { nodeClient, quorateProgram } from "./quorate.ts";
import { parseQuorumStatus } from "./tools.ts";
import { askToolsAgainMs, pending, type Progress, ready, until } from "./wait.ts";

export interface DevicePlan {
  readonly kinds: readonly NodeKind[];
  readonly server: ServerProgram;
  /** The file that quorate nodes run; undefined: the source. */
  readonly binary: string | undefined;
  /** Of both sides; "on": of the nodes only, which have no certificates, and the server has no TLS. */
  readonly tls: "off" | "on" | "required";
  readonly algorithm: "ffsplit" | "lms";
  readonly heuristics: "off" | "on" | "sync";
  /** What quorum.device.net.host says; default: the server's address. */
  readonly host?: string;
}

export const deviceTimeoutMs = 4000;
/** A client's heartbeats; a silent one is forgotten after one and a half. */
export const heartbeatMs = deviceTimeoutMs * 0.8;
export const settleMsMax = 40_000;
const port = 5403;
const healthyFile = "/etc/corosync/healthy";
const store = "etc/corosync/qdevice/net/nssdb";
const serverStore = "etc/corosync/qnetd/nssdb";

/** How a node sees the votes, whatever it runs. */
export interface Sight {
  readonly quorate: boolean;
  readonly members: readonly number[];
  readonly totalVotes: number;
  readonly expectedVotes: number;
  readonly quorum: number;
  readonly flags: readonly string[];
}

export class DeviceLab {
  readonly lab: Lab;
  readonly plan: DevicePlan;
  #server: Subprocess | undefined;
  readonly #qdevices = new Map<LabNode, Subprocess>();

  private constructor(lab: Lab, plan: DevicePlan) {
    this.lab = lab;
    this.plan = plan;
  }

  /** Builds everything, starts the server and all nodes. */
  static async create(plan: DevicePlan): Promise<DeviceLab> {
    const lab = await Lab.create({
      kinds: plan.kinds,
      crypto: "aes",
      tokenMs: 1000,
      bystanders: 1,
      quorumLines: deviceLines(plan),
      quorate: quorateProgram(plan.binary),
    });
    const device = new DeviceLab(lab, plan);
    try {
      mkdirSync(join(device.machine.root, "etc/corosync/qnetd"), { recursive: true });
      for (const node of lab.nodes) device.setHealthy(node, true);
      if (plan.tls === "required") await device.#enrol();
      await device.startServer();
      return device;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get nodes(): readonly LabNode[] {
    return this.lab.nodes;
  }

  /** Of the vote server. */
  get machine(): LabNode {
    const [machine] = this.lab.bystanders;
    if (machine === undefined) throw new Error("the laboratory has no bystander");
    return machine;
  }

  /** All votes, the device's with them (qnetd.md §3.1). */
  get votes(): number {
    return this.nodes.length + this.deviceVotes;
  }
  get deviceVotes(): number {
    return this.plan.algorithm === "lms" ? this.nodes.length - 1 : 1;
  }

  async startServer(): Promise<void> {
    const mode = this.plan.tls === "required" ? "req" : "off";
    const words = [...this.plan.server.words("corosync-qnetd"), "-f", "-d", "-s", mode];
    this.#server = this.machine.spawn([...words, "-p", String(port)], this.machine.logPath);
    await until(
      async () => {
        const { code, stderr } = await this.machine.exec(["corosync-qnetd-tool", "-s"]);
        return code === 0 ? ready(undefined) : pending(stderr);
      },
      settleMsMax,
      "the vote server answers",
      askToolsAgainMs,
    );
  }

  async stopServer(): Promise<void> {
    const running = this.#server;
    this.#server = undefined;
    running?.kill("SIGTERM");
    await running?.exited;
  }

  /** What the server says of its clients. */
  async list(): Promise<string> {
    return (await this.machine.exec(["corosync-qnetd-tool", "-l", "-v"])).stdout;
  }

  startNode(node: LabNode): void {
    node.start();
    if (node.kind === "quorate") return;
    // corosync-qdevice ends when there is no corosync yet.
    const script =
      "until corosync-quorumtool -s >/dev/null 2>&1 || [ $? -eq 2 ]; do sleep 0.1; done; exec corosync-qdevice -f -d";
    this.#qdevices.set(node, node.spawn(["sh", "-c", script], join(node.root, "device.log")));
  }

  async killNode(node: LabNode): Promise<void> {
    const qdevice = this.#qdevices.get(node);
    this.#qdevices.delete(node);
    qdevice?.kill("SIGKILL");
    await qdevice?.exited;
    await node.kill();
  }

  /** An empty file: that there is one is what counts. Debian's client does not start with "tls: on" and no database. */
  setCertificate(node: LabNode, isThere: boolean): void {
    const file = join(node.root, store, "qdevice-net-node.p12");
    rmSync(file, { force: true });
    if (!isThere) return;
    mkdirSync(join(node.root, store), { recursive: true });
    writeFileSync(file, "");
  }

  /** What its heuristics find from now on. */
  setHealthy(node: LabNode, isHealthy: boolean): void {
    const file = join(node.root, healthyFile);
    if (isHealthy) writeFileSync(file, "");
    else rmSync(file, { force: true });
  }

  /** Nothing reaches the machine or leaves it any more: no FIN of its kernel either. */
  async silence(machine: LabNode): Promise<void> {
    for (const other of [...this.nodes, this.machine]) {
      const what =
        other === machine ? "ip protocol { tcp, udp, icmp }" : `ip saddr ${machine.address}`;
      await this.#rules(other, `add rule inet silence input ${what} drop`);
    }
  }

  async speak(): Promise<void> {
    for (const machine of [...this.nodes, this.machine]) await this.#rules(machine, "");
  }

  async #rules(machine: LabNode, rule: string): Promise<void> {
    const input = `add table inet silence
delete table inet silence
add table inet silence
add chain inet silence input { type filter hook input priority 10; policy accept; }
${rule}
`;
    const done = await machine.exec(["nft", "-f", "-"], { input });
    if (done.code !== 0) throw new Error(`nft on ${machine.name}: ${done.stderr}`);
  }

  async sight(node: LabNode): Promise<Sight | string> {
    if (!node.running) return `${node.name} does not run`;
    const view = await this.#view(node);
    if (typeof view === "string") return view;
    const { quorate, members, totalVotes, expectedVotes, quorum, flags } = view;
    return { quorate, members, totalVotes, expectedVotes, quorum, flags };
  }

  async #view(node: LabNode): Promise<Sight | string> {
    if (node.kind === "quorate") {
      const status = await this.status(node);
      return typeof status === "string" ? status : status.quorum;
    }
    const { stdout, stderr } = await node.exec(["corosync-quorumtool", "-s"]);
    const view = parseQuorumStatus(stdout);
    if (view === undefined) return `${node.name}: ${stderr || stdout}`;
    return { ...view, members: view.members.map((member) => member.nodeid) };
  }

  async status(node: LabNode): Promise<NodeStatus | string> {
    try {
      return await nodeClient(node.root).status();
    } catch (error) {
      return `${node.name}: ${String(error)}`;
    }
  }

  async sees(
    node: LabNode,
    wanted: { readonly quorate: boolean; readonly members: number; readonly votes: number },
  ): Promise<Progress<void>> {
    const seen = await this.sight(node);
    if (typeof seen === "string") return pending(seen);
    const isSo =
      seen.quorate === wanted.quorate &&
      seen.members.length === wanted.members &&
      seen.totalVotes === wanted.votes;
    return isSo ? ready(undefined) : pending(`${node.name}: ${JSON.stringify(seen)}`);
  }

  /** Answers after how many milliseconds. */
  async untilSees(
    node: LabNode,
    wanted: Parameters<DeviceLab["sees"]>[1],
    what: string,
  ): Promise<number> {
    const begun = performance.now();
    await until(
      () => this.sees(node, wanted),
      settleMsMax,
      `${node.name}: ${what}`,
      askToolsAgainMs,
    );
    return Math.round(performance.now() - begun);
  }

  /** Everybody in one ring, the device's votes counted. */
  async whole(): Promise<void> {
    const wanted = { quorate: true, members: this.nodes.length, votes: this.votes };
    for (const node of this.nodes) await this.untilSees(node, wanted, "whole, with the device");
  }

  /** Where the tools find the node's device client. */
  socket(node: LabNode): string {
    return node.kind === "quorate"
      ? nodePaths(node.root).deviceSocket
      : join(node.root, "run/corosync-qdevice/corosync-qdevice.sock");
  }

  logs(): string {
    const machines = [...this.nodes, this.machine];
    return machines
      .flatMap((machine) => {
        const lines = machine.log().trimEnd().split("\n").slice(-25);
        return lines.map((line) => `      ${machine.name} | ${line}`);
      })
      .join("\n");
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  async #enrol(): Promise<void> {
    const run = async (machine: LabNode, ...command: readonly string[]): Promise<void> => {
      const done = await machine.exec(command, { deadlineMs: 60_000 });
      if (done.code !== 0) throw new Error(`${command.join(" ")}: ${done.stdout}${done.stderr}`);
    };
    const [first, ...others] = this.nodes;
    if (first === undefined) throw new Error("no node");
    const tool = "corosync-qdevice-net-certutil";
    const certutil = this.plan.server.words("corosync-qnetd-certutil");
    const server = this.machine.root;
    await run(this.machine, ...certutil, "-i");
    for (const { root } of this.nodes) {
      cpSync(join(server, serverStore, "qnetd-cacert.crt"), join(root, "etc/corosync/ca.crt"));
      mkdirSync(join(root, "etc/corosync/qdevice/net"), { recursive: true });
    }
    await run(first, tool, "-i", "-c", "/etc/corosync/ca.crt");
    await run(first, tool, "-r", "-n", "interop");
    cpSync(join(first.root, store, "qdevice-net-node.crq"), join(server, "etc/corosync/node.crq"));
    await run(this.machine, ...certutil, "-s", "-c", "/etc/corosync/node.crq", "-n", "interop");
    const certificate = "etc/corosync/cluster.crt";
    cpSync(join(server, serverStore, "cluster-interop.crt"), join(first.root, certificate));
    await run(first, tool, "-M", "-c", `/${certificate}`);
    const exported = join(first.root, store, "qdevice-net-node.p12");
    for (const node of others) {
      if (node.kind === "quorate") cpSync(exported, join(node.root, store, "qdevice-net-node.p12"));
      else {
        cpSync(exported, join(node.root, "etc/corosync/node.p12"));
        await run(node, tool, "-i", "-c", "/etc/corosync/ca.crt");
        await run(node, tool, "-m", "-c", "/etc/corosync/node.p12");
      }
    }
  }
}

function deviceLines({ kinds, tls, algorithm, heuristics, host }: DevicePlan): string[] {
  const health = [
    `mode: ${heuristics}`,
    "interval: 1000",
    "timeout: 1000",
    "sync_timeout: 2000",
    `exec_healthy: /usr/bin/test -e ${healthyFile}`,
  ];
  return [
    "device {",
    "  model: net",
    ...(algorithm === "lms" ? [] : ["  votes: 1"]),
    `  timeout: ${deviceTimeoutMs}`,
    `  sync_timeout: ${2 * deviceTimeoutMs}`,
    "  net {",
    `    host: ${host ?? `10.77.0.${kinds.length + 1}`}`,
    `    algorithm: ${algorithm}`,
    `    tls: ${tls}`,
    "  }",
    "  heuristics {",
    ...health.map((line) => `    ${line}`),
    "  }",
    "}",
  ];
}
