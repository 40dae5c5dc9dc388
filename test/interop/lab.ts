// A laboratory: nodes n1…nN on one machine, each in a network, mount and host-name namespace of its own, joined by a bridge
// in a hub namespace. A node runs Debian's corosync or a quorate node; both find their files in the same private directory.
// The namespaces have no names: they live as long as an anchor process that reads a pipe held by us, and every program
// started inside is killed by the kernel when we die, so even a SIGKILL of the runner leaves nothing behind.
// Traffic never leaves the namespaces. Needs root, iproute2, nftables and util-linux.
import type { Subprocess } from "bun";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeCommand, quorateView } from "./quorate.ts";
import { type Crypto, ringConf } from "./ring-conf.ts";
import { parseQuorumStatus, type View } from "./tools.ts";
import { pending, ready, until } from "./wait.ts";

export type NodeKind = "corosync" | "quorate";

export interface LabOptions {
  /** What each node runs by default, n1 first. */
  readonly kinds: readonly NodeKind[];
  readonly crypto: Crypto;
  readonly tokenMs: number;
  readonly totemLines?: readonly string[];
  readonly quorumLines?: readonly string[];
  /** Machines on the same network that are no nodes of the cluster, as a vote server is; none by default. */
  readonly bystanders?: number;
  /** The words that start quorate (`quorateProgram`). */
  readonly quorate: readonly string[];
  /** Its nodes have their network API; by default they have none. */
  readonly hasApi?: boolean;
}

export interface Finished {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const network = "10.77.0";
const toolDeadlineMs = 10_000;

/** All laboratories of this process that are up, for signal handlers. */
const open = new Set<Lab>();

/** Ends every laboratory of this process. */
export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((lab) => lab.close()));
}

export class Lab {
  readonly nodes: readonly LabNode[];
  /** Their addresses follow those of the nodes. They have no daemon of their own: only `exec` and `spawn`. */
  readonly bystanders: readonly LabNode[];
  readonly options: LabOptions;
  readonly #dir: string;
  readonly #hub: Anchor;
  /** Directed pairs of nodeids that may not talk, as "source>target". */
  readonly #cuts = new Set<string>();

  private constructor(options: LabOptions, dir: string, hub: Anchor, machines: readonly LabNode[]) {
    const nodes = machines.slice(0, options.kinds.length);
    this.bystanders = machines.slice(options.kinds.length);
    this.options = options;
    this.#dir = dir;
    this.#hub = hub;
    this.nodes = nodes;
  }

  /** Builds the namespaces, configuration and key. Nothing runs in them yet. */
  static async create(options: LabOptions): Promise<Lab> {
    const dir = await mkdtemp(join(tmpdir(), "quorate-lab-"));
    const anchors: Anchor[] = [];
    try {
      const hub = await Anchor.start(["-n"], hubScript, []);
      anchors.push(hub);
      const machines: LabNode[] = [];
      const others = Array.from({ length: options.bystanders ?? 0 }, () => "corosync" as const);
      for (const [index, kind] of [...options.kinds, ...others].entries()) {
        const nodeid = index + 1;
        const root = join(dir, `n${nodeid}`);
        for (const part of ["etc/corosync", "var/lib/corosync", "var/lib/pve-cluster", "run"]) {
          await mkdir(join(root, part), { recursive: true });
        }
        const anchor = await Anchor.start(["-m", "-n", "-u"], nodeScript, [root, `n${nodeid}`]);
        anchors.push(anchor);
        machines.push(new LabNode(nodeid, kind, root, anchor, options));
        await connect(hub.pid, anchor.pid, nodeid);
      }
      const nodes = machines.slice(0, options.kinds.length);
      const conf = ringConf({ ...options, nodes });
      const key = crypto.getRandomValues(new Uint8Array(256));
      for (const node of nodes) {
        await writeFile(join(node.root, "etc/corosync/corosync.conf"), conf);
        await writeFile(join(node.root, "etc/corosync/authkey"), key, { mode: 0o400 });
      }
      const lab = new Lab(options, dir, hub, machines);
      open.add(lab);
      return lab;
    } catch (error) {
      for (const anchor of anchors) await anchor.stop();
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  /** The node with this id; 1 … N. */
  node(nodeid: number): LabNode {
    const node = this.nodes[nodeid - 1];
    if (node === undefined) throw new Error(`this laboratory has no node ${nodeid}`);
    return node;
  }

  /** Where programs of a scenario may leave files. */
  file(name: string): string {
    return join(this.#dir, name);
  }

  /** Starts every node that does not run. */
  startAll(): void {
    for (const node of this.nodes) if (!node.running) node.start();
  }

  /** Drops everything between the two sides, in both directions. Adds to earlier cuts. */
  async cut(sideA: readonly LabNode[], sideB: readonly LabNode[]): Promise<void> {
    this.#forbid(sideA, sideB);
    this.#forbid(sideB, sideA);
    await this.#applyCuts();
  }

  /** Drops what `sources` send to `targets`; the other direction stays. Adds to earlier cuts. */
  async cutOneWay(sources: readonly LabNode[], targets: readonly LabNode[]): Promise<void> {
    this.#forbid(sources, targets);
    await this.#applyCuts();
  }

  /** Undoes all cuts. */
  async heal(): Promise<void> {
    this.#cuts.clear();
    await this.#applyCuts();
  }

  /** Kills what runs, ends the namespaces, removes the files. May be called twice. */
  async close(): Promise<void> {
    if (!open.delete(this)) return;
    await Promise.all([...this.nodes, ...this.bystanders].map((node) => node.close()));
    await this.#hub.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #forbid(sources: readonly LabNode[], targets: readonly LabNode[]): void {
    for (const source of sources) {
      for (const target of targets) {
        if (source !== target) this.#cuts.add(`${source.nodeid}>${target.nodeid}`);
      }
    }
  }

  /** One atomic rule set a node. Dropped at the receiver only: a drop at the sender would fail its send calls. */
  async #applyCuts(): Promise<void> {
    await Promise.all(
      this.nodes.map(async (node) => {
        const dropped = this.nodes.filter((other) =>
          this.#cuts.has(`${other.nodeid}>${node.nodeid}`),
        );
        const done = await node.exec(["nft", "-f", "-"], { input: dropRules(dropped) });
        if (done.code !== 0) throw new Error(`nft on ${node.name}: ${done.stderr}`);
      }),
    );
  }
}

export class LabNode {
  readonly nodeid: number;
  readonly name: string;
  readonly address: string;
  readonly kind: NodeKind;
  /** Its private directory: what it sees as /etc/corosync is `<root>/etc/corosync`, and so on. */
  readonly root: string;
  readonly #anchor: Anchor;
  readonly #options: Pick<LabOptions, "quorate" | "hasApi">;
  #daemon: Subprocess | undefined;
  readonly #others = new Set<Subprocess>();

  constructor(
    nodeid: number,
    kind: NodeKind,
    root: string,
    anchor: Anchor,
    options: Pick<LabOptions, "quorate" | "hasApi">,
  ) {
    this.nodeid = nodeid;
    this.name = `n${nodeid}`;
    this.address = `${network}.${nodeid}`;
    this.kind = kind;
    this.root = root;
    this.#anchor = anchor;
    this.#options = options;
  }

  /** Of its daemon, while that runs. */
  get pid(): number | undefined {
    return this.running ? this.#daemon?.pid : undefined;
  }

  get running(): boolean {
    return this.#daemon !== undefined && isAlive(this.#daemon);
  }

  /** Starts the node's daemon; both its outputs are appended to its log. */
  start(): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const command =
      this.kind === "corosync"
        ? ["corosync", "-f"]
        : nodeCommand(this.#options.quorate, this, this.#options.hasApi);
    this.#daemon = this.spawn(command, this.logPath);
  }

  /** SIGTERM, then waits for the end. Answers the exit code, undefined after a signal. */
  async stop(deadlineMs = 20_000): Promise<number | undefined> {
    return this.#end("SIGTERM", deadlineMs);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL", 5000);
  }

  /** Everything the daemon has printed since the laboratory was built, over all its starts. */
  log(): string {
    try {
      return readFileSync(this.logPath, "utf8");
    } catch {
      return "";
    }
  }

  /** Marks a place in the log; the answer gives what was printed after it. */
  logFromHere(): () => string {
    const begin = this.log().length;
    return () => this.log().slice(begin);
  }

  /** Runs a command inside the node's namespaces to its end. */
  async exec(
    command: readonly string[],
    options: { readonly input?: string; readonly deadlineMs?: number } = {},
  ): Promise<Finished> {
    const child = Bun.spawn(this.#inside(command), {
      stdin: options.input === undefined ? "ignore" : new Blob([options.input]),
      stdout: "pipe",
      stderr: "pipe",
      timeout: options.deadlineMs ?? toolDeadlineMs,
      killSignal: "SIGKILL",
    });
    this.#others.add(child);
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await child.exited;
    this.#others.delete(child);
    return { code: child.exitCode ?? undefined, stdout, stderr };
  }

  /** Starts a command inside the node's namespaces, output appended to `logPath`; it ends with the laboratory at the latest. */
  spawn(command: readonly string[], logPath: string): Subprocess {
    const log = openSync(logPath, "a");
    const child = Bun.spawn(this.#inside(command), { stdin: "ignore", stdout: log, stderr: log });
    closeSync(log);
    this.#others.add(child);
    void child.exited.then(() => this.#others.delete(child));
    return child;
  }

  /** Starts a command inside the node's namespaces with which the caller talks by lines; what it complains of goes to `logPath`. */
  converse(command: readonly string[], logPath: string): Subprocess<"pipe", "pipe", number> {
    const log = openSync(logPath, "a");
    const child = Bun.spawn(this.#inside(command), { stdin: "pipe", stdout: "pipe", stderr: log });
    closeSync(log);
    this.#others.add(child);
    void child.exited.then(() => this.#others.delete(child));
    return child;
  }

  /** How this node sees the cluster now, or a sentence why that is unknown. */
  async view(): Promise<View | string> {
    if (!this.running) return `${this.name} does not run`;
    if (this.kind === "corosync") {
      const answer = await this.exec(["corosync-quorumtool", "-s"]);
      return parseQuorumStatus(answer.stdout) ?? `${this.name}: ${answer.stderr || answer.stdout}`;
    }
    const view = await quorateView(this.root);
    return typeof view === "string" ? `${this.name}: ${view}` : view;
  }

  /** Kills all that runs here and lets the namespaces go. */
  async close(): Promise<void> {
    for (const child of this.#others) child.kill("SIGKILL");
    await Promise.all([...this.#others].map((child) => child.exited));
    await this.#anchor.stop();
  }

  async #end(signal: NodeJS.Signals, deadlineMs: number): Promise<number | undefined> {
    const daemon = this.#daemon;
    if (daemon === undefined) throw new Error(`${this.name} was never started`);
    daemon.kill(signal);
    await until(
      () => (isAlive(daemon) ? pending("it still runs") : ready(undefined)),
      deadlineMs,
      `${this.name} ends after ${signal}`,
    );
    this.#daemon = undefined;
    return daemon.exitCode ?? undefined;
  }

  /** Where the daemon's output goes. */
  get logPath(): string {
    return join(this.root, "log");
  }

  /** nsenter and setpriv replace themselves, so the child's pid is the program's own. */
  #inside(command: readonly string[]): string[] {
    const enter = ["nsenter", "-t", String(this.#anchor.pid), "-m", "-n", "-u", "--"];
    return enter.concat("setpriv", "--pdeathsig", "KILL", "--", command);
  }
}

/** A process that keeps namespaces alive until its standard input ends. */
class Anchor {
  readonly #process: Subprocess<"pipe", "pipe", "pipe">;

  private constructor(process: Subprocess<"pipe", "pipe", "pipe">) {
    this.#process = process;
  }

  static async start(
    kinds: readonly string[],
    script: string,
    words: readonly string[],
  ): Promise<Anchor> {
    const command = ["unshare", ...kinds, "--", "sh", "-c", `${script}\necho ready\nexec cat`];
    const child = Bun.spawn([...command, "anchor", ...words], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const first = await child.stdout.getReader().read();
    if (first.value === undefined || !new TextDecoder().decode(first.value).includes("ready")) {
      throw new Error(`the namespaces could not be made: ${await child.stderr.text()}`);
    }
    return new Anchor(child);
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

const hubScript = `set -eu
ip link add br0 type bridge
ip link set br0 up`;

const nodeScript = `set -eu
mount --make-rprivate /
mkdir -p /etc/corosync /var/lib/corosync
mount --bind "$1/etc/corosync" /etc/corosync
mount --bind "$1/var/lib/corosync" /var/lib/corosync
mount --bind "$1/run" /run
mount -t tmpfs -o size=256m lab /dev/shm
hostname "$2"
ip link set lo up`;

async function connect(hubPid: number, nodePid: number, nodeid: number): Promise<void> {
  const port = `p${nodeid}`;
  const script = `set -eu
nsenter -t ${hubPid} -n ip link add ${port} type veth peer name eth0 netns ${nodePid}
nsenter -t ${hubPid} -n ip link set ${port} master br0 up
nsenter -t ${nodePid} -n ip addr add ${network}.${nodeid}/24 dev eth0
nsenter -t ${nodePid} -n ip link set eth0 up`;
  const child = Bun.spawn(["sh", "-c", script], { stdin: "ignore", stderr: "pipe" });
  const stderr = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(`n${nodeid} could not be connected: ${stderr}`);
}

/** For `nft -f -`: what comes from these addresses is dropped, and nothing else any more. */
export function dropRules(from: readonly Pick<LabNode, "address">[]): string {
  const drops = from.map(({ address }) => `ip saddr ${address} drop`).join("\n");
  return `table inet lab
delete table inet lab
table inet lab {
chain input {
type filter hook input priority 0
policy accept
${drops}
}
}
`;
}

function isAlive(child: Subprocess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** The end of each node's log, for whoever reads of a failure. */
export function showLogs(lab: Lab): void {
  for (const node of lab.nodes) {
    console.log(`--- ${node.name}\n${node.log().split("\n").slice(-25).join("\n")}`);
  }
}

/** Runs a program that makes labs: its result is the exit code, and nothing of a lab outlives it, signals included. */
export async function runLabs(main: () => Promise<number>): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      void closeAll().then(() => process.exit(130));
    });
  }

  try {
    process.exitCode = await main();
  } finally {
    await closeAll();
  }
}
