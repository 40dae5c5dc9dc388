// What counts as healthy after a restart (U5), and what a restart would cost others (U10). Facts against facts; no clock, nothing asked.
import type { Facts, NodeFacts, Observation, ServerFacts } from "./events.ts";

/** Of ten nodes that a vote server had, one may have gone for reasons of its own; of fewer, none. */
const nodesPerAbsent = 10;

/** Undefined: as good as before, and the version it should be. Else what is missing, as part of a sentence. */
export function probationFailure(
  before: Facts,
  observation: Observation | undefined,
  version: string,
): string | undefined {
  const facts = observation?.facts;
  if (facts === undefined) return `the ${titles[before.role]} does not answer`;
  if (facts.version !== version)
    return `the ${titles[before.role]} still runs version ${facts.version}`;
  if (before.role === "node")
    return facts.role === "node" ? nodeProbationFailure(before, facts) : undefined;
  return facts.role === "qnetd" ? serverProbationFailure(before, facts) : undefined;
}

const titles = { node: "node", qnetd: "vote server" } as const;

function nodeProbationFailure(before: NodeFacts, now: NodeFacts): string | undefined {
  // A standalone node has no ring, before and after.
  const hasNoRing = before.ringState === "stopped" && now.ringState === "stopped";
  if (now.ringState !== "operational" && !hasNoRing) return `its ring is in state ${now.ringState}`;
  if (now.isSynchronising) return "its services are synchronising";
  const lost = without(before.members, now.members);
  if (lost.length > 0) return `it does not see ${nodesText(lost)}, which it saw before`;
  if (before.isQuorate && !now.isQuorate) return "it is not quorate and was before";
  // Members whose trees are equal are "synced": the state exchange compares them entry by entry (pmxcfs.md §4.6). What this version
  // makes of the changes after it is compared soon after (§4.11).
  if (now.treeMode !== "synced" && now.treeMode !== before.treeMode)
    return `its tree is ${now.treeMode}`;
  if (now.isTreeDifferent) return "its tree differed from that of the lowest node id";
  const strangers = without(before.treeMembers, now.treeMembers);
  if (strangers.length > 0) return `its tree is not shared with ${nodesText(strangers)}`;
  if (now.treeVersion < before.treeVersion) {
    return `its tree has version ${now.treeVersion} and had ${before.treeVersion} before`;
  }
  return undefined;
}

function serverProbationFailure(before: ServerFacts, now: ServerFacts): string | undefined {
  const back = new Map(now.clusters.map(({ name, nodes }) => [name, nodes]));
  let had = 0;
  const absent: string[] = [];
  for (const { name, nodes } of before.clusters) {
    had += nodes.length;
    for (const node of without(nodes, back.get(name) ?? [])) {
      absent.push(`node ${node} of cluster "${name}"`);
    }
  }
  if (absent.length <= Math.floor(had / nodesPerAbsent)) return undefined;
  const [first] = absent;
  return absent.length === 1
    ? `${first} has not come back`
    : `${first} and ${absent.length - 1} more have not come back`;
}

/** A node's votes, as much of them as a restart touches. */
export interface VotesAtStake {
  readonly isQuorate: boolean;
  readonly totalVotes: number;
  readonly ownVotes: number;
  readonly quorum: number;
  readonly members: readonly number[];
}

/** Why a node should not restart now; undefined: the others stay quorate, or there is nothing to lose. */
export function nodeRefusal(votes: VotesAtStake): string | undefined {
  const rest = votes.totalVotes - votes.ownVotes;
  if (!votes.isQuorate || votes.members.length <= 1 || rest >= votes.quorum) return undefined;
  return (
    `while this node restarts the others would have ${rest} of ${votes.quorum} votes they need: ` +
    "wait until all nodes are present, give a cluster of two nodes a vote server or two_node, or use --force"
  );
}

/** A cluster as the vote server knows it. */
export interface ServedCluster {
  readonly name: string;
  readonly configured: readonly number[];
  readonly connected: readonly number[];
}

/** Why the vote server should not restart now: a cluster that lacks a node may need its vote this very moment. */
export function serverRefusal(clusters: readonly ServedCluster[]): string | undefined {
  const short = clusters
    .map(({ name, configured, connected }) => ({ name, absent: without(configured, connected) }))
    .filter(({ absent }) => absent.length > 0);
  const [first] = short;
  if (first === undefined) return undefined;
  const more = short.length > 1 ? `, and ${short.length - 1} more clusters lack nodes` : "";
  return (
    `cluster "${first.name}" lacks ${nodesText(first.absent)}${more}: it may need this server's vote now. ` +
    "Wait until all nodes are connected, or use --force"
  );
}

function without(all: readonly number[], those: readonly number[]): readonly number[] {
  return all.filter((one) => !those.includes(one));
}

function nodesText(ids: readonly number[]): string {
  return `${ids.length === 1 ? "node" : "nodes"} ${ids.join(", ")}`;
}
