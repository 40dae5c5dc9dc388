// What the vote server knows, as plain data for its tools, status page and metrics (qnetd.md §5.2): clusters, nodes, votes, who
// was last heard when, and why each vote is what it is.
import { byteStringOfText, textOfByteString } from "../../bytes.ts";
import type { Client } from "../vote/algorithm.ts";
import type { Cluster } from "../vote/cluster.ts";
import type { AlgorithmName, Heuristics, NodeInfo, TieBreaker, Vote } from "./message.ts";
import type { CertifiedNames } from "./certified-names.ts";
import type { AbsentCluster, AbsentNode, Concern, KnownClusters } from "./known-clusters.ts";
import type { Session } from "./session.ts";
import { sentence, type Standing, standingOf, summaryOf } from "./standing.ts";

export interface ServerSnapshot {
  /** Connections, also those that have not introduced themselves. */
  readonly connections: number;
  /** Clients whose init was accepted. */
  readonly clients: number;
  /** With connected nodes, in order of creation. */
  readonly clusters: readonly ClusterSnapshot[];
  /** Of which no node is connected any more, the last first. */
  readonly absent: readonly (AbsentCluster & { readonly isCertified: boolean })[];
}

/** What has happened since the start, for metrics. They only grow. */

export interface ClusterSnapshot {
  readonly name: string;
  /** A certificate was issued for its name, or shown. Without one, anybody may have made it up. */
  readonly isCertified: boolean;
  readonly algorithm: AlgorithmName;
  /** All clients use ffsplit with the keep-active-partition tie-breaker. */
  readonly isKeepingActivePartition: boolean;
  /** Of the lowest node. */
  readonly tieBreaker: TieBreaker;
  /** Who has the vote, in one sentence. */
  readonly summary: string;
  /** Ascending by node id. */
  readonly nodes: readonly NodeSnapshot[];
  /** Configured or once connected, and not connected now; ascending. */
  readonly absent: readonly AbsentNode[];
  /** None: all is well. */
  readonly concerns: readonly Concern[];
}

export interface NodeSnapshot {
  readonly nodeId: number;
  readonly address: string;
  readonly port: number;
  readonly connectedForMs: number;
  /** Since the last whole message. */
  readonly heardMsAgo: number;
  readonly heartbeatMs: number;
  readonly configVersion: number | undefined;
  /** In the order in which the client sent them, as all lists here. */
  readonly configured: readonly NodeInfo[];
  /** `--json` has always had it so. */
  readonly ring: { readonly nodeId: number; readonly seq: number };
  readonly members: readonly number[];
  readonly isQuorate: boolean | undefined;
  readonly heuristics: Heuristics | undefined;
  readonly membershipHeuristics: Heuristics | undefined;
  readonly regularHeuristics: Heuristics | undefined;
  readonly isTlsActive: boolean;
  readonly isCertificateVerified: boolean;
  /** The last vote in any message. */
  readonly vote: Vote | undefined;
  /** What it has of the device's vote now. */
  readonly standing: Standing;
  /** The vote that counts in the original's tools. */
  readonly ackOrNack: "ack" | "nack" | undefined;
  /** Why, as a sentence for the operator. */
  readonly why: string;
}

/** A snapshot that leaves out so many clusters. */
export interface LimitedSnapshot extends ServerSnapshot {
  readonly clustersLeftOut: number;
}

/** What a snapshot has of a large server: so many nodes, entries of their lists, and characters of a name. */
export const toldMax = { nodes: 4000, listed: 100_000, nameCharacters: 256 } as const;

/**
 * A snapshot of a bounded size: the first clusters that fit, with short names. The counts stay those of all. Strangers may make as
 * many clusters as they have connections; those that were there before come first.
 */
export function limitedSnapshot(snapshot: ServerSnapshot): LimitedSnapshot {
  let nodes = 0;
  let listed = 0;
  const clusters: ClusterSnapshot[] = [];
  for (const cluster of snapshot.clusters) {
    const nodesWith = nodes + cluster.nodes.length + cluster.absent.length;
    const listedWith = cluster.nodes.reduce(
      (sum, { configured, members }) => sum + configured.length + members.length,
      listed,
    );
    if (nodesWith > toldMax.nodes || listedWith > toldMax.listed) continue;
    [nodes, listed] = [nodesWith, listedWith];
    clusters.push({ ...cluster, name: shortName(cluster.name) });
  }
  const clustersLeftOut = snapshot.clusters.length - clusters.length;
  const absent = snapshot.absent.map((cluster) => ({ ...cluster, name: shortName(cluster.name) }));
  return { ...snapshot, clusters, absent, clustersLeftOut };
}

function shortName(name: string): string {
  const { nameCharacters } = toldMax;
  return name.length > nameCharacters ? `${name.slice(0, nameCharacters).toWellFormed()}…` : name;
}

export function serverSnapshot(
  state: {
    readonly sessions: Iterable<Session>;
    readonly clusters: Iterable<Cluster>;
    readonly known: KnownClusters;
    readonly certified: CertifiedNames;
  },
  now: number,
): ServerSnapshot {
  const sessions = new Map<number, Session>();
  for (const session of state.sessions) sessions.set(session.connection, session);
  const clusters = [...state.clusters].flatMap((cluster) => {
    const [lowest] = cluster.clients;
    if (lowest === undefined) return [];
    const connected = clusterSnapshot(cluster, lowest, sessions, now);
    const isCertified = state.certified.has(cluster.name);
    return [{ ...connected, isCertified, ...state.known.missing(cluster, now) }];
  });
  const clients = clusters.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const absent = state.known.absent(now).map((cluster) => ({
    ...cluster,
    isCertified: state.certified.has(byteStringOfText(cluster.name)),
  }));
  return { connections: sessions.size, clients, clusters, absent };
}

function clusterSnapshot(
  cluster: Cluster,
  lowest: Client,
  sessions: ReadonlyMap<number, Session>,
  now: number,
): Omit<ClusterSnapshot, "isCertified" | "absent" | "concerns"> {
  const { clients } = cluster;
  return {
    name: textOfByteString(cluster.name),
    algorithm: lowest.algorithm,
    isKeepingActivePartition:
      lowest.algorithm === "ffsplit" && clients.every((client) => client.keepActivePartition),
    tieBreaker: lowest.tieBreaker,
    summary: summaryOf(clients),
    nodes: clients.flatMap((client) => {
      const session = sessions.get(client.connection);
      return session === undefined ? [] : [nodeSnapshot(client, session, now)];
    }),
  };
}

function nodeSnapshot(client: Client, session: Session, now: number): NodeSnapshot {
  return {
    nodeId: client.nodeId,
    address: session.address,
    port: session.port,
    connectedForMs: now - session.connectedAt,
    heardMsAgo: now - session.heardAt,
    heartbeatMs: client.heartbeatMs,
    configVersion: client.configVersion,
    configured: client.configNodes,
    ring: { nodeId: client.ring.rep, seq: client.ring.seq },
    members: client.members.ids,
    isQuorate: client.isQuorate,
    heuristics: client.heuristics,
    membershipHeuristics: client.membershipHeuristics,
    regularHeuristics: client.regularHeuristics,
    isTlsActive: session.isSecure,
    isCertificateVerified: session.isCertificateVerified,
    vote: client.lastVote,
    ackOrNack: client.lastAckNack,
    standing: standingOf(client),
    why: sentence(client),
  };
}
