// What is on this machine, for `quorate` without arguments: our node and vote server by their sockets, the original daemons by /proc,
// a configuration, a service manager. It only looks; what hangs costs two seconds at most.
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { entryAt, parseConf } from "../../conf.ts";
import { askTool } from "../../qnetd/tool/tool-socket.ts";
import { NodeClient } from "../api/client.ts";
import { CommandFailure, exitNotRunning } from "../exit.ts";
import { nodePaths } from "../paths.ts";

/** Of who does not tell more: nobody there; there for another user; there, and no answer in time or none that can be read. */
export type Unknown = { readonly kind: "absent" | "forbidden" | "silent" };

export interface RunningNode {
  readonly kind: "runs";
  readonly name: string;
  /** In no cluster. */
  readonly isStandalone: boolean;
  readonly cluster: string;
  readonly isQuorate: boolean;
  readonly quorumMeaning: string;
  readonly nodeCount: number;
  readonly hasDevice: boolean;
}

export interface RunningServer {
  readonly kind: "runs";
  readonly address: string;
  readonly port: number;
  readonly clusterCount: number;
  readonly nodeCount: number;
  readonly warningCount: number;
}

export interface MachineFacts {
  readonly host: string;
  readonly node: RunningNode | Unknown;
  /** "original": Debian's daemon answers. */
  readonly server: RunningServer | Unknown | { readonly kind: "original" };
  /** Daemons of the original that run. */
  readonly originals: readonly string[];
  readonly hasConf: boolean;
  /** The name in corosync.conf; "" without one. */
  readonly cluster: string;
  readonly isProxmox: boolean;
  readonly manager: "systemd" | "openrc" | "none";
  /** Services of quorate that are installed: quorate-node, quorate-qnetd. */
  readonly services: readonly string[];
}

export interface Machine {
  readonly root: string;
  /** Where the kernel shows processes. */
  readonly proc: string;
  /** How long each of our daemons may take to answer. */
  readonly patienceMs: number;
}

export const thisMachine: Machine = { root: "/", proc: "/proc", patienceMs: 2000 };

const daemonNames: readonly string[] = ["corosync", "pmxcfs", "corosync-qdevice", "corosync-qnetd"];
/** The kernel cuts the name of a process. */
const commLength = 15;
const confBytesMax = 1 << 20;

export async function machineFacts(machine: Machine): Promise<MachineFacts> {
  const { root } = nodePaths(machine.root);
  const [node, server] = await Promise.all([nodeFacts(machine), serverFacts(machine)]);
  return {
    host: hostname(),
    node,
    server,
    originals: originalsIn(machine.proc),
    ...confFacts(nodePaths(machine.root).conf),
    isProxmox: existsSync(join(root, "usr/share/perl5/PVE/CLI/pvecm.pm")),
    ...serviceFacts(root),
  };
}

async function nodeFacts({ root, patienceMs }: Machine): Promise<MachineFacts["node"]> {
  const { socket } = nodePaths(root);
  const errno = await connectErrno(socket, patienceMs);
  if (errno === "EACCES") return { kind: "forbidden" };
  if (errno !== "") return { kind: "absent" };
  try {
    const { mode, node, cluster, quorum, nodes, device } = await new NodeClient(
      socket,
      patienceMs,
    ).status();
    return {
      kind: "runs",
      name: node.name,
      isStandalone: mode === "standalone",
      cluster: cluster.name,
      isQuorate: quorum.quorate,
      quorumMeaning: quorum.meaning,
      nodeCount: nodes.length,
      hasDevice: device !== undefined,
    };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { kind: error.code === exitNotRunning ? "absent" : "silent" };
  }
}

/** "" when somebody accepts a connection there, or nobody does in time although it waits. */
function connectErrno(path: string, patienceMs: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ path, timeout: patienceMs });
  const end = (errno: string): void => {
    socket.destroy();
    resolve(errno);
  };
  socket.once("connect", () => end(""));
  socket.once("timeout", () => end(""));
  socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  return promise;
}

const snapshotSchema = v.object({
  clusters: v.array(v.unknown()),
  clustersLeftOut: v.number(),
  clients: v.number(),
  warnings: v.array(v.unknown()),
  server: v.object({ address: v.string(), port: v.number() }),
});

async function serverFacts({ root, patienceMs }: Machine): Promise<MachineFacts["server"]> {
  const { qnetdSettings } = await import("../tool/qnetd-links.ts");
  const base = nodePaths(root).root;
  const socket = qnetdSettings(base === "/" ? "" : base).localSocketFile;
  const question = { command: "snapshot", isVerbose: false, cluster: undefined } as const;
  const answer = await askTool(socket, question, patienceMs);
  switch (answer.kind) {
    case "error":
      return { kind: "original" };
    case "unreachable":
      return { kind: answer.errno === "EACCES" ? "forbidden" : "absent" };
    case "unknown":
      return { kind: "silent" };
    case "ok": {
      const text = new TextDecoder().decode(answer.text);
      const read = v.safeParse(v.pipe(v.string(), v.parseJson(), snapshotSchema), text);
      if (!read.success) return { kind: "silent" };
      const { clusters, clustersLeftOut, clients, warnings } = read.output;
      return {
        kind: "runs",
        address: read.output.server.address,
        port: read.output.server.port,
        clusterCount: clusters.length + clustersLeftOut,
        nodeCount: clients,
        warningCount: warnings.length,
      };
    }
  }
  return answer satisfies never;
}

/**
 * The original daemons among the processes of this machine: not those of its containers, which are in its process table
 * too, and not quorate itself under a link's name.
 */
export function originalsIn(proc: string): readonly string[] {
  const found = new Set<string>();
  const namespace = linkAt(join(proc, "self/ns/pid"));
  for (const pid of entriesOf(proc)) {
    if (!/^\d+$/.test(pid)) continue;
    const comm = textAt(join(proc, pid, "comm")).trimEnd();
    const name = daemonNames.find((each) => each.slice(0, commLength) === comm);
    if (name === undefined) continue;
    const other = linkAt(join(proc, pid, "ns/pid"));
    if (namespace !== "" && other !== "" && other !== namespace) continue;
    const program = linkAt(join(proc, pid, "exe")).replace(/ \(deleted\)$/, "");
    if (/\/quorate[^/]*$/.test(program)) continue;
    found.add(name);
  }
  return daemonNames.filter((name) => found.has(name));
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // Not mounted: nothing can be said.
  }
}

/** "" when it cannot be read: a process may be gone, or another user's. */
function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function textAt(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function confFacts(path: string): Pick<MachineFacts, "hasConf" | "cluster"> {
  if (!existsSync(path)) return { hasConf: false, cluster: "" };
  const conf = parseConf(textAt(path).slice(0, confBytesMax));
  return {
    hasConf: true,
    cluster: conf.ok ? (entryAt(conf.value, ["totem", "cluster_name"])?.value ?? "") : "",
  };
}

function serviceFacts(root: string): Pick<MachineFacts, "manager" | "services"> {
  const manager = existsSync(join(root, "run/systemd/system"))
    ? "systemd"
    : existsSync(join(root, "run/openrc/softlevel"))
      ? "openrc"
      : "none";
  const directory = manager === "systemd" ? "etc/systemd/system" : "etc/init.d";
  const ending = manager === "systemd" ? ".service" : "";
  const services = ["quorate-node", "quorate-qnetd"].filter(
    (name) => manager !== "none" && existsSync(join(root, directory, `${name}${ending}`)),
  );
  return { manager, services };
}
