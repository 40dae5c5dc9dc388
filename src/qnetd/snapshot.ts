// What the vote server knows, as plain data for its tools, status page and metrics (qnetd.md §5.2): clusters, nodes, votes, who
// was last heard when, and why each vote is what it is.
import { textOfByteString } from "../bytes.ts";
import type { Client } from "./algorithm.ts";
import type { Cluster } from "./cluster.ts";
import type { AlgorithmName, Heuristics, NodeInfo, RingId, TieBreaker, Vote } from "./message.ts";
import { nodesText } from "./node-set.ts";
import type { Session } from "./session.ts";

export interface ServerSnapshot {
  /** Connections, also those that have not introduced themselves. */
  readonly connections: number;
  /** Clients whose init was accepted. */
  readonly clients: number;
  /** In order of creation. */
  readonly clusters: readonly ClusterSnapshot[];
}

export interface ClusterSnapshot {
  readonly name: string;
  readonly algorithm: AlgorithmName;
  /** All clients use ffsplit with the keep-active-partition tie-breaker. */
  readonly isKeepingActivePartition: boolean;
  /** Of the lowest node. */
  readonly tieBreaker: TieBreaker;
  /** Who has the vote, in one sentence. */
  readonly summary: string;
  /** Ascending by node id. */
  readonly nodes: readonly NodeSnapshot[];
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
  readonly ring: RingId;
  readonly members: readonly number[];
  readonly isQuorate: boolean | undefined;
  readonly heuristics: Heuristics | undefined;
  readonly membershipHeuristics: Heuristics | undefined;
  readonly regularHeuristics: Heuristics | undefined;
  readonly isTlsActive: boolean;
  readonly isCertificateVerified: boolean;
  /** The last vote in any message. */
  readonly vote: Vote | undefined;
  /** The vote that counts. */
  readonly ackOrNack: "ack" | "nack" | undefined;
  /** Why, as a sentence for the operator. */
  readonly why: string;
}

export function serverSnapshot(
  state: { readonly sessions: Iterable<Session>; readonly clusters: Iterable<Cluster> },
  now: number,
): ServerSnapshot {
  const sessions = new Map<number, Session>();
  for (const session of state.sessions) sessions.set(session.connection, session);
  const clusters = [...state.clusters].flatMap((cluster) => {
    const [lowest] = cluster.clients;
    return lowest === undefined ? [] : [clusterSnapshot(cluster, lowest, sessions, now)];
  });
  const clients = clusters.reduce((sum, { nodes }) => sum + nodes.length, 0);
  return { connections: sessions.size, clients, clusters };
}

function clusterSnapshot(
  cluster: Cluster,
  lowest: Client,
  sessions: ReadonlyMap<number, Session>,
  now: number,
): ClusterSnapshot {
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
    ring: client.ring,
    members: client.members.ids,
    isQuorate: client.isQuorate,
    heuristics: client.heuristics,
    membershipHeuristics: client.membershipHeuristics,
    regularHeuristics: client.regularHeuristics,
    isTlsActive: session.isSecure,
    isCertificateVerified: session.isCertificateVerified,
    vote: client.lastVote,
    ackOrNack: client.lastAckNack,
    why: sentence(client),
  };
}

function sentence(client: Client): string {
  return `Node ${client.nodeId} ${votePhrase(client)}: ${client.why}.`;
}

/** A vote that is being waited for is worth nothing, whatever was said before. */
function votePhrase(client: Client): string {
  if (client.lastVote === "waitForReply") return "is waiting for its vote";
  if (client.lastVote === "askLater") return "has to report more";
  // An ACK for an earlier membership counts no more.
  if (client.lastAckNack === "ack") {
    return client.mayHoldAck ? "has the vote" : "is waiting for its vote";
  }
  return client.lastAckNack === "nack" ? "does not have the vote" : "has no answer yet";
}

function summaryOf(clients: readonly Client[]): string {
  const ids = (which: (client: Client) => boolean): number[] =>
    clients.filter(which).map(({ nodeId }) => nodeId);
  const having = ids((client) => votePhrase(client) === "has the vote");
  const waiting = ids((client) => votePhrase(client) === "is waiting for its vote");
  const parts = [
    having.length === 0
      ? "No connected node has the vote"
      : `The vote is with ${nodesText(having)}`,
    ...(waiting.length === 0 ? [] : [`${nodesText(waiting)} waiting`]),
  ];
  return `${parts.join("; ")}.`;
}
