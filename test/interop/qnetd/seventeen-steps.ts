// `pvecm qdevice setup` against a host that has only our file under its links and busybox, over a real sshd: each of the seventeen
// steps as pvecm types it, on Debian's corosync nodes, until a real two-node cluster votes with TLS required (qnetd.md §4.5).
//   bun test/interop/qnetd/seventeen-steps.ts --binary FILE [--quiet]
// Two hosts: on one the operator starts the vote server, as an ordinary user, before there are certificates; on the other it has made
// its own. Then a second cluster, a setup after a remove, and what goes wrong. The last line is "N passed, N failed".
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Subprocess } from "bun";
import { reasonOf } from "../../../src/result.ts";
import { type Finished, Lab, type LabNode, runLabs } from "../lab.ts";
import { obstacleTo, skipped } from "../needs.ts";
import { ringConf } from "../ring-conf.ts";
import { parseQuorumStatus } from "../tools.ts";
import { pending, ready, until } from "../wait.ts";
import { type PveCluster, qdeviceRemove, qdeviceSetup, type SetupResult } from "./pvecm-qdevice.ts";
import { jail, makeNode, makeVoteHost, must } from "./ssh-machine.ts";

const needed = [
  "corosync",
  "corosync-qdevice",
  "corosync-qdevice-net-certutil",
  "busybox",
  "openssl",
  "ssh",
  "scp",
  "ssh-copy-id",
  "ssh-keygen",
  "ss",
];
/** Who the vote server runs as; the operator who signs is root. */
const serviceUser = 10_053;
const settleMsMax = 40_000;
const askAgainMs = 100;
const store = "/etc/corosync/qnetd/nssdb";

type Print = (line: string) => void;

/** A host with a vote server and clusters that want its vote. */
class World {
  readonly lab: Lab;
  readonly host: LabNode;
  readonly clusters: readonly LabCluster[];
  readonly password = crypto.randomUUID();
  readonly #binary: string;

  private constructor(lab: Lab, binary: string, clusters: readonly LabCluster[]) {
    const [host] = lab.bystanders;
    if (host === undefined) throw new Error("the laboratory has no bystander");
    this.lab = lab;
    this.host = host;
    this.clusters = clusters;
    this.#binary = binary;
  }

  static async create(binary: string, names: readonly string[]): Promise<World> {
    const kinds = names.flatMap(() => ["corosync", "corosync"] as const);
    const lab = await Lab.create({
      kinds,
      crypto: "none",
      tokenMs: 1000,
      bystanders: 1,
      quorate: [],
    });
    const clusters = names.map(
      (name, at) => new LabCluster(name, lab.nodes.slice(2 * at, 2 * at + 2), lab.file(name)),
    );
    const world = new World(lab, binary, clusters);
    try {
      await makeVoteHost(world.host, world.#binary, world.password);
      for (const cluster of clusters) await cluster.start();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  cluster(at: number): LabCluster {
    const cluster = this.clusters[at];
    if (cluster === undefined) throw new Error(`there is no cluster ${at}`);
    return cluster;
  }

  /** /etc/corosync/qnetd as the package makes it (group of the service), or as a directory of the service's own. */
  async ownDirectories(owner: "root" | "service"): Promise<void> {
    const root = join(this.host.root, "jail");
    const settings = join(root, "etc/corosync/qnetd");
    await chown(settings, owner === "root" ? 0 : serviceUser, serviceUser);
    await chmod(settings, owner === "root" ? 0o750 : 0o770);
    const run = join(root, "run/corosync-qnetd");
    await mkdir(run, { recursive: true });
    await chown(run, serviceUser, serviceUser);
  }

  /** As an ordinary user inside the host's root; it ends with us, and answers before this does. */
  async startServer(): Promise<void> {
    const user = [`--reuid=${serviceUser}`, `--regid=${serviceUser}`, "--clear-groups"];
    const mayChroot = ["--inh-caps=+sys_chroot", "--ambient-caps=+sys_chroot"];
    const enter = ["setpriv", ...user, ...mayChroot, "--pdeathsig", "KILL", "--", "chroot", jail];
    const words = [...enter, "/usr/bin/corosync-qnetd", "-f", "-d", "-s", "req"];
    const daemon = this.host.spawn(words, this.host.logPath);
    await until(
      async () => {
        if (daemon.exitCode !== null) throw new Error(`the vote server ended:\n${this.host.log()}`);
        const { code, stderr } = await this.inside("corosync-qnetd-tool", "-s");
        return code === 0 ? ready(undefined) : pending(stderr);
      },
      settleMsMax,
      "the vote server answers",
      askAgainMs,
    );
  }

  inside(...words: readonly string[]): Promise<Finished> {
    return this.host.exec(["chroot", jail, ...words]);
  }

  /** A command on the host as the operator of a cluster gives it. */
  remote(at: number, command: readonly string[]): Promise<Finished> {
    const [local] = this.cluster(at).nodes;
    if (local === undefined) throw new Error("a cluster without nodes");
    return local.exec(["ssh", "-o", "BatchMode=yes", "-lroot", this.host.address, ...command]);
  }

  async close(): Promise<void> {
    for (const cluster of this.clusters) cluster.restartNothing();
    await this.lab.close();
  }

  setup(at: number, print: Print): Promise<SetupResult> {
    return qdeviceSetup(this.cluster(at), this.host.address, this.password, print);
  }
}

/** Two corosync nodes with a tree that both see. */
class LabCluster implements PveCluster {
  readonly name: string;
  readonly nodes: readonly LabNode[];
  readonly shared: string;
  readonly #devices = new Map<LabNode, Subprocess>();

  constructor(name: string, nodes: readonly LabNode[], shared: string) {
    this.name = name;
    this.nodes = nodes;
    this.shared = shared;
  }

  async start(): Promise<void> {
    await mkdir(this.shared);
    for (const node of this.nodes) {
      await makeNode(node, this.shared);
      await writeFile(join(node.root, "etc/corosync/corosync.conf"), this.conf([]));
      node.start();
    }
    await this.untilVotes(2, "a ring of two without a device");
  }

  conf(quorumLines: readonly string[]): string {
    const nodes = this.nodes.map(({ name, address }, at) => ({ name, address, nodeid: at + 1 }));
    const conf = ringConf({ crypto: "none", tokenMs: 1000, nodes, quorumLines });
    return conf.replace("cluster_name: interop", `cluster_name: ${this.name}`);
  }

  /** Its unit says Restart=on-failure, and needs it: the reload of step 17 can meet a client that just registers. */
  startDevice(node: LabNode): void {
    const log = join(node.root, "device.log");
    const device = node.spawn(["corosync-qdevice", "-f", "-d"], log);
    this.#devices.set(node, device);
    void device.exited.then((code) => {
      const isOurs = this.#devices.get(node) === device && device.signalCode === null;
      if (isOurs && code !== 0) this.startDevice(node);
    });
  }

  restartNothing(): void {
    this.#devices.clear();
  }

  async stopDevice(node: LabNode): Promise<void> {
    const device = this.#devices.get(node);
    this.#devices.delete(node);
    device?.kill("SIGTERM");
    await device?.exited;
  }

  /** Until both nodes count this many votes. */
  async untilVotes(total: number, what: string): Promise<void> {
    await until(
      async () => {
        const seen = await Promise.all(
          this.nodes.map(async (node) => {
            const { stdout, stderr } = await node.exec(["corosync-quorumtool", "-s"]);
            return parseQuorumStatus(stdout)?.totalVotes ?? stderr;
          }),
        );
        return seen.every((votes) => votes === total) ? ready(undefined) : pending(seen.join());
      },
      settleMsMax,
      `${this.name}: ${what}`,
      askAgainMs,
    );
  }

  async untilVoting(): Promise<void> {
    await this.untilVotes(3, "both nodes count the device");
    for (const node of this.nodes) {
      const text = await must(node, "corosync-qdevice-tool", "-s", "-v");
      const line = "TLS active:\t\tYes (client certificate sent)";
      if (!text.includes(line)) throw new Error(`${node.name} does not say "${line}":\n${text}`);
    }
  }
}

/** What a check prints, and what it is wrong without. */
function same(what: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${what}: got\n${got}\nnot\n${wanted}`);
}

const sayings = ({ code, stdout, stderr }: Finished): string => `exit ${code}\n${stdout}${stderr}`;
const exists = `exit 1\nCertificate database (${store}) already exists. Delete it to initialize new db\n`;

/** The service waits for certificates that the operator makes; it reads what root wrote, and is never restarted. */
async function operatorFirst(world: World, print: Print): Promise<void> {
  await world.ownDirectories("root");
  await world.startServer();
  same(
    "a signature before there is an authority",
    sayings(await signBefore(world)),
    signBeforeText,
  );
  const first = await world.setup(0, print);
  const made = `Creating ${store}\nCreating new key and cert db\nCreating new CA\nQNetd CA certificate is exported as ${store}/qnetd-cacert.crt\n`;
  same("step 3", sayings(first.initialized), `exit 0\n${made}`);
  await world.cluster(0).untilVoting();
  print("two nodes vote with TLS required");
  await expectRefusals(world);
  print("--- the second cluster");
  const second = await world.setup(1, print);
  same("step 3 again", sayings(second.initialized), exists);
  await world.cluster(1).untilVoting();
  await world.cluster(0).untilVotes(3, "the first cluster is not disturbed");
  const list = (await world.inside("corosync-qnetd-tool", "-l")).stdout;
  const names = Array.from(list.matchAll(/^Cluster "(.*)":$/gm), ([, name]) => name).toSorted();
  same("the clusters", names.join(), "alpha,beta-2");
  print("--- a setup without a remove");
  const refusal = await world.setup(0, print).then(
    () => "it went through",
    (error: unknown) => reasonOf(error),
  );
  same("again", refusal, "QDevice certificate store already initialised, set force to delete!");
  print("--- remove, and set up again");
  await qdeviceRemove(world.cluster(0), print);
  await world.cluster(0).untilVotes(2, "no device any more");
  await world.cluster(1).untilVotes(3, "the second cluster is not disturbed");
  const third = await world.setup(0, print);
  same("step 3 for the third time", sayings(third.initialized), exists);
  await world.cluster(0).untilVoting();
}

/** The service has made its own certificates at its first start: step 3 fails, which pvecm ignores. */
async function serviceFirst(world: World, print: Print): Promise<void> {
  await world.ownDirectories("service");
  await world.startServer();
  const { initialized } = await world.setup(0, print);
  same("step 3", sayings(initialized), exists);
  await world.cluster(0).untilVoting();
}

const signBeforeText = `exit 1\nCertificate database doesn't exists. Use corosync-qnetd-certutil -i to create it\n`;

/** As somebody who forgot step 3 types it; the request is only looked at for being there. */
function signBefore(world: World): Promise<Finished> {
  const words = ["corosync-qnetd-certutil", "-s", "-c", "/etc/passwd", "-n", "alpha"];
  return world.inside(...words);
}

/** What pvecm shows when a signature cannot be made; a wrong one leaves nothing behind. */
async function expectRefusals(world: World): Promise<void> {
  const sign = ["corosync-qnetd-certutil", "-s", "-c"];
  const missing = await world.remote(0, [...sign, "/tmp/none.crq", "-n", "alpha"]);
  same("no request", sayings(missing), "exit 2\nCan't open certificate file /tmp/none.crq\n");
  const nameless = await world.remote(0, [...sign, "/tmp/qdevice-net-node.crq"]);
  same("no name", sayings(nameless), "exit 2\nYou have to specify cluster name\n");
  const rubbish = await world.remote(0, [...sign, "/etc/passwd", "-n", "rubbish"]);
  if (rubbish.code !== 1) throw new Error(`rubbish was signed: ${sayings(rubbish)}`);
  const left = await world.remote(0, ["test", "-e", `${store}/cluster-rubbish.crt`]);
  same("nothing is left of rubbish", sayings(left), "exit 1\n");
}

interface Story {
  readonly name: string;
  readonly clusters: readonly string[];
  run(world: World, print: Print): Promise<void>;
}

const stories: readonly Story[] = [
  { name: "operator first", clusters: ["alpha", "beta-2"], run: operatorFirst },
  { name: "service first", clusters: ["alpha"], run: serviceFirst },
];

async function logsOf(world: World): Promise<string> {
  const files = [world.host.logPath, join(world.host.root, "sshd.log")];
  for (const { root } of world.lab.nodes) files.push(join(root, "device.log"));
  const texts = files.map(async (file) => {
    const text = await readFile(file, "utf8").catch(() => "(none)");
    return `${file}\n${text.trimEnd().split("\n").slice(-20).join("\n")}`;
  });
  return (await Promise.all(texts)).join("\n");
}

async function tell(
  { name, clusters, run }: Story,
  binary: string,
  print: Print,
): Promise<boolean> {
  const begun = performance.now();
  const world = await World.create(binary, clusters);
  try {
    print(`=== ${name}`);
    await run(world, print);
    console.log(`ok    ${name}  ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    const reason = reasonOf(error);
    console.log(`FAIL  ${name}: ${reason}\n${await logsOf(world)}`);
    return false;
  } finally {
    await world.close();
  }
}

/** Why nothing can be run here; undefined when all is there. */
function obstacleHere(): string | undefined {
  if (!existsSync("/usr/sbin/sshd")) return "sshd not installed (package openssh-server)";
  return obstacleTo(needed);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { binary: { type: "string" }, quiet: { type: "boolean", default: false } },
  });
  const { binary, quiet } = values;
  if (binary === undefined || !existsSync(binary)) {
    console.error("usage: seventeen-steps.ts --binary FILE [--quiet]; npm run build makes one");
    return 2;
  }
  const obstacle = obstacleHere();
  if (obstacle !== undefined) return skipped(obstacle);
  const print: Print = quiet ? () => undefined : (line) => console.log(line);
  let passed = 0;
  for (const story of stories) if (await tell(story, resolve(binary), print)) passed += 1;
  console.log(`${passed} passed, ${stories.length - passed} failed`);
  return passed === stories.length ? 0 : 1;
}

await runLabs(main);
