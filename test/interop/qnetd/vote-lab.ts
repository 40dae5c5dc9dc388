// A laboratory of two corosync nodes with Debian's corosync-qdevice, and a third machine with our vote server. The nodes' link can be
// cut while both reach the server. Certificates are made as an operator makes them: our certutil there, the original's tool here.
import type { Subprocess } from "bun";
import { readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Lab, type LabNode } from "../lab.ts";
import { ringConf } from "../ring-conf.ts";
import { askToolsAgainMs, pending, ready, until } from "../wait.ts";

export type TlsMode = "off" | "required";
/** Which program stands in for the server's side: quorate's, or Debian's. */
export type Whose = "ours" | "original";

const clusterName = "interop";
/** Seen from inside a machine of the laboratory. */
const nodeStore = "/etc/corosync/qdevice/net/nssdb";
const serverStore = "/etc/corosync/qnetd/nssdb";
/** A short device timeout keeps the runs short: heartbeats are 0.8 of it. */
const deviceTimeoutMs = 4000;
const settleMs = 40_000;

/** A node's votes as `corosync-quorumtool -s` shows them. */
export interface Votes {
  readonly isQuorate: boolean;
  readonly total: number;
  readonly device: number | undefined;
}

export class VoteLab {
  readonly lab: Lab;
  readonly nodes: readonly [LabNode, LabNode];
  readonly server: LabNode;
  readonly #tls: TlsMode;
  readonly #program: readonly string[];
  readonly #devices = new Map<LabNode, Subprocess>();
  #daemon: Subprocess | undefined;

  private constructor(lab: Lab, tls: TlsMode, program: readonly string[]) {
    this.lab = lab;
    this.nodes = [lab.node(1), lab.node(2)];
    this.server = lab.node(3);
    this.#tls = tls;
    this.#program = program;
  }

  /** `program`: the words that run one of the links, its name and arguments behind them. */
  static async create(tls: TlsMode, program: readonly string[]): Promise<VoteLab> {
    const lab = await Lab.create({
      kinds: ["corosync", "corosync", "corosync"],
      crypto: "none",
      tokenMs: 1000,
      quorate: [],
    });
    const votes = new VoteLab(lab, tls, program);
    for (const node of votes.nodes) {
      await writeFile(join(node.root, "etc/corosync/corosync.conf"), votes.#conf());
    }
    await mkdir(join(votes.server.root, "etc/corosync/qnetd"), { recursive: true });
    return votes;
  }

  /** Steps 3 to 14 of `pvecm qdevice setup` (qnetd.md §4.5), with copies in place of scp. `whose`: the server's certutil. */
  async makeCertificates(whose: Whose): Promise<void> {
    const [first] = this.nodes;
    const run = async (node: LabNode, command: readonly string[]): Promise<void> => {
      const done = await node.exec(command, { deadlineMs: 60_000 });
      if (done.code !== 0) throw new Error(`${command.join(" ")}: ${done.stdout}${done.stderr}`);
    };
    const certutil = (...args: string[]): string[] => [
      ...this.#words(whose),
      "corosync-qnetd-certutil",
      ...args,
    ];
    const node = (...args: string[]): string[] => ["corosync-qdevice-net-certutil", ...args];
    await run(this.server, certutil("-i"));
    for (const member of this.nodes) {
      await copy(
        [this.server, `${serverStore}/qnetd-cacert.crt`],
        [member, "/etc/corosync/qnetd-cacert.crt"],
      );
      await run(member, node("-i", "-c", "/etc/corosync/qnetd-cacert.crt"));
    }
    await run(first, node("-r", "-n", clusterName));
    await copy(
      [first, `${nodeStore}/qdevice-net-node.crq`],
      [this.server, "/etc/corosync/qdevice-net-node.crq"],
    );
    await run(
      this.server,
      certutil("-s", "-c", "/etc/corosync/qdevice-net-node.crq", "-n", clusterName),
    );
    const certificate = `cluster-${clusterName}.crt`;
    await copy(
      [this.server, `${serverStore}/${certificate}`],
      [first, `${nodeStore}/${certificate}`],
    );
    await run(first, node("-M", "-c", `${nodeStore}/${certificate}`));
    for (const member of this.nodes) {
      await copy([first, `${nodeStore}/qdevice-net-node.p12`], [member, "/etc/corosync/node.p12"]);
      await run(member, node("-m", "-c", "/etc/corosync/node.p12"));
    }
  }

  startServer(whose: Whose = "ours"): void {
    const tls = this.#tls === "required" ? "req" : "off";
    this.#daemon = this.server.spawn(
      [...this.#words(whose), "corosync-qnetd", "-f", "-d", "-s", tls],
      this.server.logPath,
    );
  }

  /** SIGKILL: as when the machine's power fails, but the kernel still says goodbye. */
  async killServer(): Promise<void> {
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.exited;
  }

  get serverPid(): number {
    if (this.#daemon === undefined) throw new Error("the vote server was never started");
    return this.#daemon.pid;
  }

  startNodes(): void {
    for (const node of this.nodes) node.start();
  }

  startDevices(): void {
    for (const node of this.nodes) {
      this.#devices.set(
        node,
        node.spawn(["corosync-qdevice", "-f", "-d"], join(node.root, "device.log")),
      );
    }
  }

  async killDevice(node: LabNode): Promise<void> {
    const device = this.#devices.get(node);
    device?.kill("SIGKILL");
    await device?.exited;
  }

  /** `corosync-qnetd-tool` there: the original's, or ours. */
  async tool(whose: Whose, ...args: string[]): Promise<string> {
    const done = await this.server.exec([...this.#words(whose), "corosync-qnetd-tool", ...args]);
    if (done.code !== 0) throw new Error(`corosync-qnetd-tool: ${done.code} ${done.stderr}`);
    return done.stdout;
  }

  async votes(node: LabNode): Promise<Votes | string> {
    const { stdout, stderr } = await node.exec(["corosync-quorumtool", "-s"]);
    const number = (pattern: RegExp): number | undefined => {
      const text = pattern.exec(stdout)?.[1];
      return text === undefined ? undefined : Number(text);
    };
    const total = number(/^Total votes:\s+(\d+)/m);
    if (total === undefined) return `${node.name}: ${stderr || stdout}`;
    return {
      isQuorate: /^Quorate:\s+Yes/m.test(stdout),
      total,
      device: number(/^0x00000000\s+(\d+)\s+Qdevice/m),
    };
  }

  /** Waits until both nodes see these totals of votes; a node is quorate with two of three. */
  async untilVotes(totals: readonly [number, number], what: string): Promise<void> {
    await until(
      async () => {
        const seen = await Promise.all(this.nodes.map((node) => this.votes(node)));
        const isWanted = seen.every(
          (votes, index) =>
            typeof votes !== "string" &&
            votes.total === totals[index] &&
            votes.isQuorate === votes.total > 1,
        );
        return isWanted ? ready(undefined) : pending(JSON.stringify(seen));
      },
      settleMs,
      what,
      askToolsAgainMs,
    );
  }

  /** Everything that was logged, for a failure. */
  logs(): string {
    const device = (node: LabNode): string => {
      try {
        return readFileSync(join(node.root, "device.log"), "utf8");
      } catch {
        return "";
      }
    };
    return [
      `server:\n${lastLines(this.server.log())}`,
      ...this.nodes.map(
        (node) =>
          `${node.name}:\n${lastLines(node.log())}\n${node.name} device:\n${lastLines(device(node))}`,
      ),
    ].join("\n");
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  #words(whose: Whose): readonly string[] {
    return whose === "ours" ? this.#program : [];
  }

  #conf(): string {
    const conf = ringConf({ crypto: "none", tokenMs: 1000, nodes: this.nodes });
    const device = `  provider: corosync_votequorum
  device {
    model: net
    votes: 1
    timeout: ${deviceTimeoutMs}
    sync_timeout: ${2 * deviceTimeoutMs}
    net {
      host: ${this.server.address}
      algorithm: ffsplit
      tls: ${this.#tls}
      tie_breaker: lowest
    }
  }`;
    return conf.replace("  provider: corosync_votequorum", device);
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
  return text
    .trimEnd()
    .split("\n")
    .slice(-25)
    .map((line) => `    ${line}`)
    .join("\n");
}
