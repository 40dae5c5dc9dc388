// pvecm's commands about the cluster as it is (pvecm.md §1.3 to §1.8): status, nodes and expected hand over to corosync-quorumtool, the others ask the node.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { certificatesAnswer } from "../../answers/change.ts";
import { originalGrantAnswer } from "../../answers/join.ts";
import { NodeClient, NodeRefusal } from "../../api/client.ts";
import { notClusteredText } from "../../change/ports.ts";
import { LocalApi, type Words } from "../../command/cluster/local-api.ts";
import { type ClusterConf, readClusterConf } from "../../conf/cluster-conf.ts";
import { CommandFailure, exitNotRunning, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { keygen } from "../keygen.ts";
import { hostNameOf } from "../node-tool.ts";
import { quorumTool } from "../quorumtool.ts";

const labelWidth = 17;
const againMs = 1000;

export interface PvecmSurroundings {
  readonly root: string;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** For `status`; tests have their own. */
  readonly now?: () => Date;
  /** Whether the caller is root. */
  readonly isRoot?: boolean;
}

/** Four lines of the configuration, then `corosync-quorumtool -siH` and its exit code. */
export async function status(surroundings: PvecmSurroundings): Promise<number> {
  const conf = await configured(surroundings);
  surroundings.write(clusterInformation(conf));
  return quorumtool(surroundings, ["-siH"]);
}

export async function nodes(surroundings: PvecmSurroundings): Promise<number> {
  await configured(surroundings);
  return quorumtool(surroundings, ["-l"]);
}

/** `votes`: from 1. */
export async function expected(surroundings: PvecmSurroundings, votes: string): Promise<number> {
  await configured(surroundings);
  return quorumtool(surroundings, ["-e", votes]);
}

function clusterInformation(conf: ClusterConf): string {
  const line = (label: string, value: string): string =>
    `${`${label}:`.padEnd(labelWidth)} ${value}\n`;
  return [
    "Cluster information\n-------------------\n",
    // The original's spelling.
    line("Name", conf.clusterName || "UNKOWN?"),
    line("Config Version", String(conf.version)),
    line("Transport", conf.transport || "knet"),
    line("Secure auth", conf.secauth || "off"),
    "\n",
  ].join("");
}

/** The corosync.conf of the tree; of this machine while no node runs. Throws where there is none. */
async function configured({ root }: PvecmSurroundings): Promise<ClusterConf> {
  const { socket, conf: path } = nodePaths(root);
  let text: string;
  try {
    text = Buffer.from(await new NodeClient(socket).read("corosync.conf")).toString("latin1");
  } catch (error) {
    if (error instanceof NodeRefusal && error.errno === "ENOENT") {
      throw new CommandFailure(notClusteredText);
    }
    const isAbsent = error instanceof CommandFailure && error.code === exitNotRunning;
    if (!isAbsent) throw error;
    if (!existsSync(path)) throw new CommandFailure(notClusteredText);
    text = readFileSync(path, "latin1");
  }
  const conf = readClusterConf(text);
  if (!conf.ok) throw new CommandFailure(conf.reason);
  return conf.value;
}

function quorumtool(
  { root, write, writeError, now = () => new Date() }: PvecmSurroundings,
  args: readonly string[],
): Promise<number> {
  return quorumTool({
    args,
    node: new NodeClient(nodePaths(root).socket),
    ...{ write, writeError, now },
    hostName: hostNameOf,
    again: () => wait(againMs, true),
  });
}

/** `corosync-keygen -l` for a file that is not there yet; directories above it are made. */
export function keygenCommand(surroundings: PvecmSurroundings, path: string): number {
  const { write, writeError, isRoot = process.getuid?.() === 0 } = surroundings;
  if (!isRoot) throw new CommandFailure("Error: Authorization key must be generated as root user.");
  if (existsSync(path)) throw new CommandFailure(`key file '${path}' already exists`);
  mkdirSync(dirname(path), { recursive: true });
  const args = ["-l", "-k", path];
  const code = keygen({ args, keyFile: path, write, writeError });
  if (code !== exitOk)
    throw new CommandFailure(`command 'corosync-keygen -lk ${path}' failed: exit code ${code}`);
  return exitOk;
}

/** By name, or an address. */
export async function delnode(surroundings: PvecmSurroundings, node: string): Promise<void> {
  const { root, write, writeError } = surroundings;
  const { socket } = nodePaths(root);
  const { nodes: all } = await new NodeClient(socket).status();
  const found = all.find(({ name, addresses }) => name === node || addresses.includes(node));
  await new LocalApi(socket, { hasHints: false }).original(
    v.null(),
    "DELETE",
    `/cluster/config/nodes/${encodeURIComponent(node)}`,
  );
  write(`Killing node ${found?.nodeid ?? 0}\n`);
  if (found?.member === false) writeError("Could not kill node (error = CS_ERR_NOT_EXIST)\n");
}

/** What a joining node asks a member for; here by hand. */
export async function addnode(surroundings: PvecmSurroundings, words: Words): Promise<void> {
  const { root, write } = surroundings;
  const { node = "", ...parameters } = words;
  const api = new LocalApi(nodePaths(root).socket, { hasHints: false });
  const { warnings = [] } = await api.original(
    originalGrantAnswer,
    "POST",
    `/cluster/config/nodes/${encodeURIComponent(String(node))}`,
    parameters,
  );
  for (const warning of warnings) write(`${warning}\n`);
}

/** Sees to the certificates of this node in the tree. */
export async function updatecerts(
  { root, write, writeError }: PvecmSurroundings,
  { force, silent }: { readonly force: boolean; readonly silent: boolean },
): Promise<void> {
  try {
    const { lines } = await new LocalApi(nodePaths(root).socket).call(
      certificatesAnswer,
      "POST",
      "/node/certificates",
      { force },
    );
    if (!silent) for (const line of lines) write(`${line}\n`);
  } catch (error) {
    if (!silent || !(error instanceof CommandFailure)) throw error;
    writeError(`${error.message}\n`);
  }
}
