// The state of a node as one plain object (answers/status.ts): what `quorate status --json` prints and GET /v1/status answers.
import type * as v from "valibot";
import { ringText } from "../../world.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import type { Cluster } from "../../node/thread/cluster.ts";
import type { QuorumView } from "../../node/member/events.ts";
import { deviceSettings } from "../../node/device/device-settings.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import { absentBindings, absentSentence } from "../../node/link/own-addresses.ts";
import type { TreeStatus } from "../../fs/tree/files.ts";
import type { statusAnswer } from "../answers/status.ts";
import { downWarning } from "./link-faults.ts";
import type { AsRead } from "./route.ts";

export type NodeStatus = AsRead<v.InferOutput<typeof statusAnswer>>;
/** Of the quorum device's client. */
export type DeviceStatus = NonNullable<NodeStatus["device"]>;

export interface StatusSource {
  readonly version: string;
  readonly mode: NodeStatus["mode"];
  readonly cluster: Cluster;
  readonly tree: () => TreeStatus;
  /** What is to be done about the corosync.conf of the tree; "": nothing. */
  readonly confWarning: () => Promise<string>;
  /** What is to be done about the network API, sentences. */
  readonly networkFaults: () => readonly string[];
  /** Why this node is no member of its cluster any more, a sentence; "": it is, as far as it knows. */
  readonly membershipFault: () => string;
  readonly upgrade: () => NodeStatus["upgrade"];
  readonly mount: () => { readonly target: string; readonly reason: string };
  readonly operations: () => Pick<NodeStatus, "operation" | "leftover"> & {
    /** What is wrong with their records, sentences. */
    readonly faults: readonly string[];
  };
  readonly pid: number;
  readonly startedAt: number;
}

export async function nodeStatus(source: StatusSource): Promise<NodeStatus> {
  const { settings, lastReload } = source.cluster;
  const upgrade = source.upgrade();
  const snapshot = await source.cluster.snapshot();
  const { member, links, reachable, rotationUs, packetsDropped, peerFaults, device } = snapshot;
  const warnings = await nodeWarnings(source, snapshot);
  const { faults: _, ...operations } = source.operations();
  const versions = new Map(
    member.configVersions.map(({ nodeid, version }) => [nodeid, { configVersion: version }]),
  );
  const faults = new Map(peerFaults.map(({ nodeid, reason }) => [nodeid, { fault: reason }]));
  return {
    version: source.version,
    mode: source.mode,
    node: {
      name: settings.name,
      nodeid: settings.nodeid,
      pid: source.pid,
      startedAt: source.startedAt,
      rssBytes: process.memoryUsage.rss(),
    },
    cluster: {
      name: settings.clusterName,
      configVersion: settings.configVersion,
      encrypted: settings.crypto.cipher !== "none",
      ...(lastReload === undefined ? {} : { reload: lastReload }),
    },
    ...(warnings.length > 0 ? { warnings } : {}),
    quorum: { ...member.quorum, meaning: meaningOf(source.mode, member.quorum) },
    ring: {
      id: ringText(member.ring),
      state: member.state,
      synchronising: member.synchronising,
      members: member.members,
      counters: member.counters,
      rotationUs,
      queuedMessages: member.queuedMessages,
      packetsDropped,
    },
    nodes: settings.nodes.map((node) => ({
      name: node.name || (node.addresses[0] ?? `node${node.nodeid}`),
      nodeid: node.nodeid,
      votes: node.votes,
      local: node.nodeid === settings.nodeid,
      member: member.members.includes(node.nodeid),
      reachable: node.nodeid === settings.nodeid || reachable.includes(node.nodeid),
      addresses: node.addresses.filter((address) => address !== undefined),
      ...versions.get(node.nodeid),
      ...faults.get(node.nodeid),
    })),
    links,
    ...absentAddresses(settings),
    ...(device === undefined ? deviceFault(settings) : { device }),
    tree: source.tree(),
    ...(upgrade === undefined ? {} : { upgrade }),
    mount: source.mount(),
    ...operations,
  };
}

/** What works and ought not to stay so, and what is broken: sentences with what to do. */
export async function nodeWarnings(
  source: Pick<
    StatusSource,
    "cluster" | "confWarning" | "membershipFault" | "networkFaults" | "operations"
  >,
  { member, refusal, links }: Pick<RingSnapshot, "member" | "refusal" | "links">,
): Promise<readonly string[]> {
  const { settings } = source.cluster;
  const warnings = [...(settings.warnings ?? [])];
  const membership = source.membershipFault();
  if (membership !== "") warnings.push(membership);
  const confWarning = await source.confWarning();
  if (confWarning !== "") warnings.push(confWarning);
  const override = expectedOverride(settings, member.quorum);
  if (override !== "") warnings.push(override);
  warnings.push(...votesOverride(settings, member.quorum));
  warnings.push(...linkWarnings(settings, member.members, links));
  warnings.push(...source.networkFaults());
  warnings.push(...source.operations().faults);
  if (refusal !== "") warnings.push(`refused within the last minute: ${refusal}`);
  return warnings;
}

/** Of nodes that are in the ring: one that is not has no link, and is seen to be absent. */
function linkWarnings(
  { nodes }: NodeSettings,
  members: readonly number[],
  links: RingSnapshot["links"],
): readonly string[] {
  return links
    .filter(({ nodeid }) => members.includes(nodeid))
    .map((link) => downWarning(link, nodeText(nodes, link.nodeid)))
    .filter((text) => text !== "");
}

/** "pve2 (node 2)" */
export function nodeText(nodes: NodeSettings["nodes"], nodeid: number): string {
  const name = nodes.find((node) => node.nodeid === nodeid)?.name ?? "";
  return name === "" ? `node ${nodeid}` : `${name} (node ${nodeid})`;
}

function absentAddresses(settings: NodeSettings): Pick<NodeStatus, "absentAddresses"> {
  const absent = absentBindings(settings);
  if (absent.length === 0) return {};
  return {
    absentAddresses: absent.map((binding) => ({
      address: binding.address,
      links: binding.links,
      text: absentSentence(binding),
    })),
  };
}

function deviceFault(settings: NodeSettings): { readonly deviceFault?: string } {
  const read = deviceSettings(settings);
  if (read === undefined) return {};
  if (!read.ok) return { deviceFault: read.reason };
  return {
    deviceFault: "its client was stopped here: reload corosync.conf, or restart this node",
  };
}

function meaningOf(mode: NodeStatus["mode"], quorum: QuorumView): string {
  return mode === "standalone"
    ? "standalone: this node is in no cluster and needs no other"
    : quorumMeaning(quorum);
}

/** What the votes mean, in words an operator can act on. */
export function quorumMeaning(
  quorum: Pick<QuorumView, "totalVotes" | "expectedVotes" | "quorum" | "quorate" | "flags">,
): string {
  const { totalVotes, expectedVotes, quorum: needed } = quorum;
  const have = `${totalVotes} of ${expectedVotes} votes`;
  if (quorum.quorate) {
    const spare = totalVotes - needed;
    const rest =
      spare > 0 ? `${spare} more may be lost` : "no further vote may be lost without losing quorum";
    return `quorate: ${have} present, ${needed} needed; ${rest}`;
  }
  if (totalVotes >= needed && quorum.flags.includes("WaitForAll")) {
    return `not quorate: waiting for all nodes (${have} present); changes are refused until all were seen once`;
  }
  const missing = needed - totalVotes;
  return `not quorate: ${have} present, ${needed} needed; ${missing} more ${missing === 1 ? "is" : "are"} needed. Reading works, changes are refused`;
}

/** With these the expected votes go down by themselves. */
const loweredByItself: readonly string[] = ["LastManStanding", "AllowDownscale"];

/**
 * Whether the expected votes are others than those of corosync.conf (pvecm.md §1.7): the risk and the way back as a sentence; "": they are as
 * they should be. The value lives in memory only, so it is told from what corosync.conf makes of the nodes' votes.
 */
export function expectedOverride(
  { nodes, quorum: rules }: Pick<NodeSettings, "nodes" | "quorum">,
  quorum: Pick<QuorumView, "expectedVotes" | "totalVotes" | "quorum" | "flags" | "members">,
): string {
  const listed = nodes.reduce((sum, { votes }) => sum + votes, 0);
  const configured = rules.expectedVotes ?? listed;
  // A device's come to them once it was seen.
  const device = rules.device === undefined ? 0 : (rules.device.votes ?? listed - 1);
  const { expectedVotes, flags, members } = quorum;
  if (!rules.provider || expectedVotes === 0) return "";
  if (expectedVotes > configured + device) return raisedText(rules, quorum, configured + device);
  if (expectedVotes >= configured) return "";
  if (flags.some((flag) => loweredByItself.includes(flag))) return "";
  const away = nodes
    .filter(({ nodeid }) => !members.includes(nodeid))
    .map(({ name, nodeid }) => name || `node${nodeid}`);
  const risk =
    away.length === 0
      ? ""
      : `if ${away.join(" or ")} runs apart from here, both sides change the tree and start guests: be sure that they are off. `;
  return `the expected votes are overridden: ${expectedVotes} instead of the ${configured} of corosync.conf (pvecm expected); ${risk}It ends when their votes return, at the next change of corosync.conf, or when the nodes restart`;
}

/**
 * Members that count for more than corosync.conf says, a sentence each: a part can be quorate by that which ought not to be. A node without votes
 * there is one that joins.
 */
export function votesOverride(
  { nodes }: Pick<NodeSettings, "nodes">,
  { voters }: Pick<QuorumView, "voters">,
): readonly string[] {
  return nodes.flatMap(({ nodeid, votes }) => {
    const voter = voters.find((each) => each.nodeid === nodeid && each.state === "member");
    if (voter === undefined || votes === 0 || voter.votes <= votes) return [];
    const name = nodeText(nodes, nodeid);
    return [
      `${name} has ${voter.votes} votes instead of the ${votes} of corosync.conf (corosync-quorumtool -v, or it runs with another corosync.conf): if nodes run apart from here, both sides may change the tree and start guests. It ends with the next change of corosync.conf, when ${name} restarts, or with \`corosync-quorumtool -v ${votes}\` there once all are back`,
    ];
  });
}

/** Nothing lowers them by itself, and fewer nodes may be lost meanwhile. */
function raisedText(
  rules: NodeSettings["quorum"],
  {
    expectedVotes,
    totalVotes,
    quorum,
  }: Pick<QuorumView, "expectedVotes" | "totalVotes" | "quorum">,
  configured: number,
): string {
  // Then the highest number that was ever seen is meant to stay.
  if (rules.expectedVotesTracking || rules.allowDownscale) return "";
  const back = Math.max(configured, totalVotes);
  return `the expected votes are raised: ${expectedVotes} instead of the ${configured} of corosync.conf (pvecm expected, or votes that were changed while the nodes run), so that ${quorum} are needed. \`quorate expected ${back}\` sets them back; so does the next change of corosync.conf, or a restart of all nodes`;
}
