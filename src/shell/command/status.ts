// `quorate status`: the node, its votes, its ring and its tree on one screen; --json for scripts, --watch to follow.
import type { DeviceSnapshot } from "../../node/device/events.ts";
import { isHeld, NodeClient } from "../api/client.ts";
import { CommandFailure, exitFailed, exitNotRunning, exitOk } from "../exit.ts";
import { nodePaths, treeLockOf } from "../paths.ts";
import { serviceHint } from "../install/service-hint.ts";
import type { NodeStatus } from "../api/status.ts";
import { table } from "../cli/text-table.ts";
import { upgradeEventText } from "../upgrade/last-event.ts";
import { watched, type WatchOptions } from "../cli/watch.ts";

export interface StatusOptions extends WatchOptions {
  readonly root: string;
}

/** Exit code 0 when the node is quorate and its tree writable, 1 when it runs but is not. */
export function statusCommand(options: StatusOptions): Promise<number> {
  const { root, socket } = nodePaths(options.root);
  const client = new NodeClient(socket);
  return watched(async () => {
    const status = await client.status().catch(async (error: unknown) => {
      const isAbsent = error instanceof CommandFailure && error.code === exitNotRunning;
      const hint = isAbsent
        ? await serviceHint("node", root, isHeld(treeLockOf(socket)))
        : undefined;
      if (hint === undefined) throw error;
      throw new CommandFailure(`no node answers at ${socket}: ${hint}`, exitNotRunning);
    });
    return {
      text: options.json
        ? `${JSON.stringify(status, undefined, options.watch ? 0 : 2)}\n`
        : statusText(status),
      code: status.quorum.quorate && status.tree.writable ? exitOk : exitFailed,
    };
  }, options);
}

export function statusText(status: NodeStatus): string {
  const lines = status.mode === "standalone" ? standaloneLines(status) : memberLines(status);
  return `${lines.join("\n")}\n`;
}

function standaloneLines(status: NodeStatus): string[] {
  return [
    `${status.node.name}, standalone (in no cluster)`,
    "",
    ...(status.warnings ?? []).map((warning) => `Warning ${warning}`),
    ...operationLines(status),
    ...treeLines(status),
    ...placeLines(status),
  ];
}

function memberLines(status: NodeStatus): string[] {
  const { node, cluster, quorum, ring } = status;
  const encrypted = cluster.encrypted ? "encrypted" : "NOT encrypted";
  return [
    `${node.name} (node ${node.nodeid}) in cluster ${cluster.name || "(no name)"}, configuration ${cluster.configVersion}, ${encrypted}`,
    "",
    `Quorum  ${quorum.meaning}`,
    `        flags: ${quorum.flags.join(" ") || "none"}`,
    ...(status.warnings ?? []).map((warning) => `Warning ${warning}`),
    ...operationLines(status),
    ...deviceLines(status),
    ...reloadLines(status),
    `Ring    ${ring.id}, ${ring.state}${ring.synchronising ? ", services synchronising" : ""}`,
    `        token rotation p50 ${milliseconds(ring.rotationUs.p50)}, p99 ${milliseconds(ring.rotationUs.p99)}; messages sent ${ring.counters.messagesSent}, repeated ${ring.counters.retransmitsSent}`,
    ...(status.absentAddresses ?? []).map(({ text }) => `Address ${text}`),
    ...treeLines(status),
    ...placeLines(status),
    "",
    ...nodeTable(status),
    ...faultLines(status),
  ];
}

function treeLines({ tree, node }: NodeStatus): string[] {
  return [
    `Tree    version ${tree.version}, ${tree.entries} objects, ${tree.bytes} bytes, ${tree.mode}${tree.writable ? "" : ": read only"}`,
    ...(tree.writable ? [] : [`        ${tree.reason}`]),
    `        digest ${tree.digest.slice(0, 16)}${comparedText(tree, node.nodeid)}`,
    ...promiseLines(tree),
  ];
}

/** What an answered change may count on here. */
export function promiseLines({
  promise,
  writable,
}: Pick<NodeStatus["tree"], "promise" | "writable">): string[] {
  if (promise === undefined || !writable) return [];
  const { epoch, isAgreed, silent } = promise;
  if (!isAgreed) {
    return ["        its epoch is not on the disks of a majority yet: writes wait for that"];
  }
  if (silent.length === 0) {
    return [`        epoch ${epoch}: renamed, removed and synced files are on a majority's disks`];
  }
  const who = silent.length === 1 ? `node ${silent[0]} does` : `nodes ${silent.join(", ")} do`;
  return [
    `        epoch ${epoch}: ${who} not say what its disk has (an original, or --durability normal):`,
    "        a change is answered when every node has received it and this disk has it",
  ];
}

/** What an operator must know of changes in several steps, and do. */
export function operationLines({
  operation,
  leftover,
}: Pick<NodeStatus, "operation" | "leftover">): string[] {
  const lines: string[] = [];
  if (operation !== undefined) {
    const { kind, beganAtMs, step, isGoingBack, id } = operation;
    const where = step === "" ? "" : `, ${isGoingBack ? "undoing" : "at"} "${step}"`;
    const follow = id === "" ? "" : ` (quorate task log ${id})`;
    lines.push(`Change  ${kind} since ${timeOf(beganAtMs)}${where}${follow}`);
  }
  if (leftover !== undefined) {
    const { kind, endedAtMs, reason, obstacle, left, file } = leftover;
    const why = [reason, obstacle].filter((text) => text !== "").join("; ");
    lines.push(
      `By hand ${kind} of ${timeOf(endedAtMs)} could be neither completed nor undone: ${why}`,
      ...left.map((text) => `        to be done: ${text}`),
      `        then: rm ${file}`,
    );
  }
  return lines;
}

function timeOf(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

function placeLines({ upgrade, mount }: NodeStatus): string[] {
  return [
    ...(upgrade === undefined ? [] : [`Upgrade ${upgradeEventText(upgrade)}`]),
    `Mount   ${mount.target === "" ? `not mounted: ${mount.reason}` : mount.target}`,
  ];
}

/**
 * Says of the digest that is shown only what was compared, and by whom: a change has made it another, and the lowest node id
 * is what the others compare theirs with. `nodeid`: our own.
 */
export function comparedText(
  { verified, members, digest }: Pick<NodeStatus["tree"], "verified" | "members" | "digest">,
  nodeid: number,
): string {
  if (verified === undefined || members.length < 2) return "";
  const when = new Date(verified.at * 1000).toISOString();
  if (!verified.equal) return `, DIFFERED from that of the lowest node id at ${when}: fetched anew`;
  if (verified.digest !== digest) return `, not compared yet (changed since ${when})`;
  const lowest = Math.min(...members);
  return nodeid === lowest
    ? `, which the others compared theirs with at ${when}`
    : `, the same as that of node ${lowest} at ${when}`;
}

/** Only what an operator must do something about. */
function reloadLines({ cluster }: NodeStatus): string[] {
  const { reload } = cluster;
  if (reload === undefined) return [];
  if (!reload.ok)
    return [`Reload  refused, configuration ${cluster.configVersion} stays: ${reload.reason}`];
  if (reload.needsRestart.length === 0) return [];
  return [`Reload  restart this node for the new ${reload.needsRestart.join(", ")}`];
}

function deviceLines({ device, deviceFault }: NodeStatus): string[] {
  if (deviceFault !== undefined) return [`Device  not used: ${deviceFault}`];
  if (device === undefined) return [];
  const { host, port, algorithm, votes, state, vote, problem } = device;
  const word = vote === undefined ? "waiting for its answer" : vote.toUpperCase();
  return [
    `Device  ${host}:${port}, ${algorithm}, votes ${votes}: ${state.toLowerCase()}, ${word}, ${deviceTlsText(device)}`,
    ...(problem === "" ? [] : [`        ${problem}`]),
    ...(device.warning === undefined ? [] : [`        ${device.warning}`]),
  ];
}

/** While there is no connection: what is configured for it. */
export function deviceTlsText({ state, tls }: Pick<DeviceSnapshot, "state" | "tls">): string {
  if (tls.active) return "TLS";
  return state === "Connected" || tls.mode === "off" ? "without TLS" : `TLS ${tls.mode}`;
}

function nodeTable(status: NodeStatus): string[] {
  return table(
    [
      { title: "NODEID", right: true },
      { title: "NAME" },
      { title: "VOTES", right: true },
      { title: "STATE" },
      { title: "LINK" },
      { title: "ADDRESS" },
    ],
    status.nodes.map((node) => [
      String(node.nodeid),
      node.local ? `${node.name} (local)` : node.name,
      String(node.votes),
      node.member ? "member" : "absent",
      node.local ? "-" : linkText(status, node.nodeid),
      node.addresses.join(", "),
    ]),
  );
}

function faultLines({ nodes, cluster }: NodeStatus): string[] {
  const other = nodes.flatMap(({ name, local, configVersion = cluster.configVersion }) =>
    local || configVersion === cluster.configVersion
      ? []
      : [
          `${name} runs with configuration ${configVersion}, this node with ${cluster.configVersion}: the one with the older configuration has not taken the new one; see its log`,
        ],
  );
  const faults = [...nodes.flatMap(({ fault }) => (fault === undefined ? [] : [fault])), ...other];
  return faults.length === 0 ? [] : ["", ...faults];
}

function linkText(status: NodeStatus, nodeid: number): string {
  const links = status.links.filter((link) => link.nodeid === nodeid);
  const up = links.filter((link) => link.connected);
  if (up.length === 0) return "down";
  const latencyMs = Math.min(...up.map((link) => link.latencyUs)) / 1000;
  return `${up.length}/${links.length} up, ${latencyMs.toFixed(1)} ms, mtu ${Math.min(...up.map((link) => link.mtu))}`;
}

function milliseconds(us: number): string {
  return us === 0 ? "unknown" : `${(us / 1000).toFixed(2)} ms`;
}
