// What `pvecm qdevice setup` and `pvecm qdevice remove` type, in order and with their words (qnetd.md §4.5, pvecm.md §1.11, 1.12).
// Every word goes to the real ssh and scp; each step is printed as pvecm prints it, with what came back.
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finished, LabNode } from "../lab.ts";
import { copyKey, must } from "./ssh-machine.ts";

const qnetdStore = "/etc/corosync/qnetd/nssdb";
const nodeStore = "/etc/corosync/qdevice/net/nssdb";
const stepMsMax = 60_000;

export interface PveCluster {
  readonly name: string;
  /** The first is where the operator types. */
  readonly nodes: readonly LabNode[];
  /** The directory that all nodes see as /etc/pve. */
  readonly shared: string;
  /** corosync.conf with these lines in its quorum section. */
  conf(quorumLines: readonly string[]): string;
  /** What systemd would do. */
  startDevice(node: LabNode): void;
  stopDevice(node: LabNode): Promise<void>;
}

export interface SetupResult {
  /** Of step 3, whose failure pvecm ignores. */
  readonly initialized: Finished;
  /** What the vote server's certutil said at the signature. */
  readonly signed: string;
}

type Print = (line: string) => void;

/** The seventeen steps. Throws at the first that pvecm would stop at. */
export async function qdeviceSetup(
  cluster: PveCluster,
  address: string,
  password: string,
  print: Print,
): Promise<SetupResult> {
  const { name, nodes, shared } = cluster;
  const [local] = nodes;
  if (local === undefined) throw new Error(`cluster "${name}" has no node`);
  const ssh = ["ssh", "-o", "BatchMode=yes", "-lroot"];
  const scp = ["scp", "-o", "BatchMode=yes"];
  const type = async (step: number, node: LabNode, words: readonly string[], isFree = false) => {
    print(`${String(step).padStart(2)}  ${node.name}# ${words.join(" ")}`);
    const done = await node.exec(words, { deadlineMs: stepMsMax });
    const said = `${done.stdout}${done.stderr}`.trimEnd();
    if (said !== "") print(said.replaceAll(/^/gm, "      "));
    if (done.code !== 0 && !isFree)
      throw new Error(`${words.join(" ")}: exit ${done.code} ${said}`);
    return done;
  };
  const onEach = async (step: number, words: readonly string[], isFree = false): Promise<void> => {
    for (const node of nodes) await type(step, local, [...nodeSsh(node), ...words], isFree);
  };
  print(` 1  ${local.name}# ssh-copy-id -i /root/.ssh/id_rsa root@${address}`);
  await copyKey(local, address, password);
  print(` 2  ${nodeStore} must not be there`);
  if ((await local.exec(["test", "-e", nodeStore])).code === 0) {
    throw new Error("QDevice certificate store already initialised, set force to delete!");
  }
  print("INFO: initializing qnetd server");
  const initialized = await type(
    3,
    local,
    [...ssh, address, "corosync-qnetd-certutil", "-i"],
    true,
  );
  print("INFO: copying CA cert and initializing on all nodes");
  const authority = "/etc/pve/qnetd-cacert.crt";
  await type(4, local, [...scp, `root@[${address}]:${qnetdStore}/qnetd-cacert.crt`, authority]);
  await onEach(5, ["corosync-qdevice-net-certutil", "-i", "-c", authority], true);
  print(` 6  unlink ${authority}`);
  await rm(join(shared, "qnetd-cacert.crt"));
  print("INFO: generating cert request");
  await type(7, local, ["corosync-qdevice-net-certutil", "-r", "-n", name]);
  print("INFO: copying exported cert request to qnetd server");
  await type(8, local, [...scp, `${nodeStore}/qdevice-net-node.crq`, `root@[${address}]:/tmp`]);
  print("INFO: sign and export cluster cert");
  const sign = ["corosync-qnetd-certutil", "-s", "-c", "/tmp/qdevice-net-node.crq", "-n", name];
  const signed = await type(9, local, [...ssh, address, ...sign]);
  print("INFO: copy exported CRT");
  await type(10, local, [...scp, `root@[${address}]:${qnetdStore}/cluster-${name}.crt`, nodeStore]);
  print("INFO: import certificate");
  await type(11, local, [
    "corosync-qdevice-net-certutil",
    "-M",
    "-c",
    `${nodeStore}/cluster-${name}.crt`,
  ]);
  print("INFO: copy and import pk12 cert to all nodes");
  await type(12, local, [...scp, `${nodeStore}/qdevice-net-node.p12`, "/etc/pve/"]);
  await onEach(13, ["corosync-qdevice-net-certutil", "-m", "-c", "/etc/pve/qdevice-net-node.p12"]);
  print(" 14  unlink /etc/pve/qdevice-net-node.p12");
  await rm(join(shared, "qdevice-net-node.p12"));
  print("INFO: add QDevice to cluster configuration");
  print("15  quorum.device into corosync.conf, which pmxcfs puts on every node and reloads");
  await configure(cluster, deviceLines(address, nodes.length));
  for (const node of nodes) {
    print(`INFO: start and enable corosync qdevice daemon on node '${node.name}'...`);
    for (const verb of ["start", "enable"]) {
      await type(16, local, [...nodeSsh(node), "systemctl", verb, "corosync-qdevice"]);
    }
    await obeySystemctl(cluster, node);
  }
  await type(17, local, ["corosync-cfgtool", "-R"]);
  return { initialized, signed: signed.stdout };
}

/** All nodes forget the device; nothing is done on the vote server. */
export async function qdeviceRemove(cluster: PveCluster, print: Print): Promise<void> {
  const { nodes } = cluster;
  const [local] = nodes;
  if (local === undefined) throw new Error(`cluster "${cluster.name}" has no node`);
  await configure(cluster, []);
  const words = [
    ["rm", "-rf", "/etc/corosync/qdevice"],
    ["systemctl", "stop", "corosync-qdevice"],
    ["systemctl", "disable", "corosync-qdevice"],
  ];
  for (const command of words) {
    for (const node of nodes) {
      print(`    ${node.name}# ${command.join(" ")}`);
      await must(local, ...nodeSsh(node), ...command);
      await obeySystemctl(cluster, node);
    }
  }
  await must(local, "corosync-cfgtool", "-R");
  print("\nRemoved Qdevice.");
}

/** As PVE::SSHInfo makes it, for the local node too. */
function nodeSsh({ address, name }: LabNode): string[] {
  const options = ["-o", "BatchMode=yes", "-o", `HostKeyAlias=${name}`];
  return ["/usr/bin/ssh", "-e", "none", ...options, `root@${address}`, "--"];
}

/** For an even number of nodes. */
function deviceLines(address: string, nodes: number): string[] {
  if (nodes % 2 !== 0)
    throw new Error("Clusters with an odd node count are not officially supported!");
  return [
    "device {",
    "  model: net",
    "  net {",
    "    algorithm: ffsplit",
    `    host: ${address}`,
    "    tls: on",
    "  }",
    "  votes: 1",
    "}",
  ];
}

/** What pmxcfs does when corosync.conf in the tree changes. */
async function configure(cluster: PveCluster, quorumLines: readonly string[]): Promise<void> {
  const [local] = cluster.nodes;
  const source = join(cluster.shared, "corosync.conf");
  const old = await readFile(source, "utf8").catch(() => "config_version: 1");
  const version = Number(/config_version: (\d+)/.exec(old)?.[1]) + 1;
  const text = cluster
    .conf(quorumLines)
    .replace(/config_version: \d+/, `config_version: ${version}`);
  await writeFile(source, text);
  for (const { root } of cluster.nodes) await cp(source, join(root, "etc/corosync/corosync.conf"));
  if (local !== undefined) await must(local, "corosync-cfgtool", "-R");
}

async function obeySystemctl(cluster: PveCluster, node: LabNode): Promise<void> {
  const log = join(node.root, "run/systemctl.log");
  const asked = await readFile(log, "utf8").catch(() => ""); // Nothing was asked.
  await rm(log, { force: true });
  for (const line of asked.split("\n")) {
    if (line === "start corosync-qdevice") cluster.startDevice(node);
    else if (line === "stop corosync-qdevice") await cluster.stopDevice(node);
  }
}
