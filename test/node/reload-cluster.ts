// A small cluster of real nodes on this machine, each a process on a loopback address of its own, whose corosync.conf is changed
// while it runs; and a vote server for it. Everything ends with `close`.
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { NodeClient } from "../../src/shell/api/client.ts";
import { inviteCommand } from "../../src/shell/command/qnetd-invite.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { pending, ready, until } from "../interop/wait.ts";

const program = join(import.meta.dir, "../../src/main.ts");
/** Loaded machines start processes slowly; nothing below depends on how fast. */
const settleMsMax = 60_000;

export interface ConfOptions {
  readonly version: number;
  /** nodeids. */
  readonly nodes: readonly number[];
  readonly totem?: readonly string[];
  readonly quorum?: readonly string[];
  /** totem.token; the default: a machine under load lets a process wait for a second now and then. */
  readonly tokenMs?: number;
}

export class ReloadCluster {
  readonly folder = mkdtempSync(join(tmpdir(), "quorate-reload-"));
  /** Runs of this test at the same time must not meet. */
  readonly #network = `127.${30 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 250)}`;
  #key = crypto.getRandomValues(new Uint8Array(256));
  readonly #children = new Map<string, Subprocess>();
  readonly #apiPort: number;

  /** `apiPort`: where every node serves its network API, each on its own address; 0: nowhere. */
  constructor(apiPort = 0) {
    this.#apiPort = apiPort;
  }

  #apiWords(nodeid: number): readonly string[] {
    return this.#apiPort === 0
      ? ["--no-api"]
      : ["--api", `${this.address(nodeid)}:${this.#apiPort}`];
  }

  conf({ version, nodes, totem = [], quorum = [], tokenMs = 3000 }: ConfOptions): string {
    const list = nodes.map(
      (nodeid) =>
        `  node {\n    name: n${nodeid}\n    nodeid: ${nodeid}\n    quorum_votes: 1\n    ring0_addr: ${this.address(nodeid)}\n  }`,
    );
    return [
      "totem {",
      ...["version: 2", "cluster_name: reload", `config_version: ${version}`, "secauth: on"],
      ...[
        `token: ${tokenMs}`,
        ...totem,
        "}",
        "quorum {",
        "provider: corosync_votequorum",
        ...quorum,
        "}",
      ],
      ...["nodelist {", ...list, "}"],
      // Many clusters share the machine in a test run: none of them before the others.
      ...["system {", "sched_rr: no", "}", ""],
    ].join("\n");
  }

  /** `quorum.device` for the vote server of `startServer`. */
  device(port: number, algorithm = "ffsplit"): string[] {
    const votes = algorithm === "ffsplit" ? ["votes: 1"] : [];
    return [
      ...["device {", "model: net", ...votes, "net {", `host: ${this.address(200)}`],
      ...[`port: ${port}`, `algorithm: ${algorithm}`, "tls: off", "}", "}"],
    ];
  }

  address(nodeid: number): string {
    return `${this.#network}.${nodeid}`;
  }

  root(nodeid: number): string {
    return join(this.folder, `n${nodeid}`);
  }

  client(nodeid: number): NodeClient {
    return new NodeClient(nodePaths(this.root(nodeid)).socket);
  }

  confPath(nodeid: number): string {
    return nodePaths(this.root(nodeid)).conf;
  }

  log(nodeid: number): string {
    return readFileSync(join(this.folder, `n${nodeid}.log`), "utf8");
  }

  /** `mount`: where to mount the tree. */
  start(nodeid: number, conf: string, mount?: string): void {
    const root = this.root(nodeid);
    for (const part of ["etc/corosync", "run", "var/lib/corosync", "var/lib/pve-cluster"]) {
      mkdirSync(join(root, part), { recursive: true });
    }
    writeFileSync(this.confPath(nodeid), conf);
    writeFileSync(nodePaths(root).authkey, this.#key);
    const where = mount === undefined ? ["--no-mount"] : ["--mount", mount];
    this.#spawn(`n${nodeid}`, [
      "node",
      "--root",
      root,
      "--name",
      `n${nodeid}`,
      ...this.#apiWords(nodeid),
      ...where,
    ]);
  }

  /** Another key for every node that was started, and for those that will be. */
  rekey(): void {
    this.#key = crypto.getRandomValues(new Uint8Array(256));
    for (const name of this.#children.keys()) {
      if (name !== "server") writeFileSync(nodePaths(join(this.folder, name)).authkey, this.#key);
    }
  }

  get serverRoot(): string {
    return join(this.folder, "server");
  }

  /** A token of the vote server on that port, for the cluster of that name. */
  async invitation(port: number, name = "reload"): Promise<string> {
    let text = "";
    await inviteCommand({
      directory: join(this.serverRoot, "etc/corosync/qnetd/nssdb"),
      server: { address: this.address(200), port, tls: "on", uid: undefined },
      verb: { kind: "invite", cluster: name },
      ...{ addresses: [], port: undefined, lifetimeMs: undefined },
      ...{ json: true, letServerSign: false },
      write: (piece) => void (text += piece),
      note: () => undefined,
      now: () => Date.now(),
    });
    return (JSON.parse(text) as { token: string }).token;
  }

  /** `port` 0: any that is free. */
  async startServer(tls: "off" | "on" = "off", wanted = 0): Promise<number> {
    const probe = Bun.listen({
      hostname: this.address(200),
      port: wanted,
      socket: { data: () => undefined },
    });
    const { port } = probe;
    probe.stop(true);
    const root = this.serverRoot;
    mkdirSync(join(root, "etc/corosync/qnetd"), { recursive: true });
    const where = ["--listen", this.address(200), "--port", String(port), "--tls", tls];
    this.#spawn("server", ["qnetd", "--root", root, ...where]);
    await until(
      async () => {
        try {
          const socket = await Bun.connect({
            hostname: this.address(200),
            port,
            socket: { data: () => undefined },
          });
          socket.end();
          return ready(undefined);
        } catch (error) {
          return pending(String(error));
        }
      },
      settleMsMax,
      "the vote server listens",
    );
    return port;
  }

  /** At once, as by a power cut. */
  endServer(): void {
    this.#children.get("server")?.kill("SIGKILL");
  }

  /** SIGTERM; the exit code. */
  async stop(nodeid: number): Promise<number> {
    const child = this.#child(nodeid);
    child.kill("SIGTERM");
    return child.exited;
  }

  /** The exit code of a node that ends by itself. */
  async ended(nodeid: number): Promise<number> {
    return this.#child(nodeid).exited;
  }

  /** SIGKILL, as by the kernel. */
  async kill(nodeid: number): Promise<void> {
    const child = this.#child(nodeid);
    child.kill("SIGKILL");
    await child.exited;
  }

  /** A node that ended, with the files that it has; `name`: when it is another one now. */
  startAgain(nodeid: number, name = `n${nodeid}`): void {
    const words = ["node", "--root", this.root(nodeid), "--name", name, "--no-mount"];
    this.#spawn(`n${nodeid}`, [...words, ...this.#apiWords(nodeid)]);
  }

  /** The node's corosync.conf of the tree has `text`. */
  async untilConf(nodeid: number, text: string): Promise<void> {
    await until(
      async () => {
        const bytes = await this.client(nodeid).read("corosync.conf");
        const conf = Buffer.from(bytes).toString();
        return conf.includes(text) ? ready(undefined) : pending(conf);
      },
      settleMsMax,
      `corosync.conf of node ${nodeid} has ${text}`,
      20,
    );
  }

  /** The node stands still; for the others it is gone. */
  freeze(nodeid: number): void {
    this.#child(nodeid).kill("SIGSTOP");
  }

  thaw(nodeid: number): void {
    this.#child(nodeid).kill("SIGCONT");
  }

  #child(nodeid: number): Subprocess {
    const child = this.#children.get(`n${nodeid}`);
    if (child === undefined) throw new Error(`node ${nodeid} was never started`);
    return child;
  }

  /** The status of a node once it is as wanted. */
  async status(nodeid: number, isWanted: (status: NodeStatus) => boolean): Promise<NodeStatus> {
    return until(
      async () => {
        const status = await this.client(nodeid)
          .status()
          .catch((error: unknown) => String(error));
        if (typeof status === "string") return pending(status);
        const { quorum, ring, cluster, device } = status;
        const seen = JSON.stringify({ quorum, ring: ring.members, cluster, device });
        return isWanted(status) ? ready(status) : pending(seen);
      },
      settleMsMax,
      `node ${nodeid} comes to the wanted state`,
      100,
    );
  }

  async all(
    nodes: readonly number[],
    isWanted: (status: NodeStatus) => boolean,
  ): Promise<NodeStatus[]> {
    return Promise.all(nodes.map((nodeid) => this.status(nodeid, isWanted)));
  }

  /** As Proxmox's tools do: a new file beside it, then one rename. */
  /** Into the tree whatever it is: what the nodes make of a faulty file is what the tests are about. */
  async write(nodeid: number, conf: string): Promise<void> {
    await this.client(nodeid).put("corosync.conf", new TextEncoder().encode(conf), true);
  }

  async close(): Promise<void> {
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await Promise.all([...this.#children.values()].map((child) => child.exited));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(name: string, words: readonly string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), "a");
    const child = Bun.spawn([process.execPath, program, ...words], {
      ...{ stdin: "ignore", stdout: log, stderr: log },
      ...{ timeout: 240_000, killSignal: "SIGKILL" },
    });
    closeSync(log);
    this.#children.set(name, child);
  }
}
