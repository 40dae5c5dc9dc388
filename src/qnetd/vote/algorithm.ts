// What the decision algorithms share (qnetd.md §2.1): a client as the server knows it, the questions a message asks, and what an
// algorithm may do while it answers. An algorithm sees the values before a message in the client, the new ones in the question.
import type { RingId } from "../../world.ts";
import type {
  AlgorithmName,
  ErrorName,
  Heuristics,
  NodeInfo,
  TieBreaker,
  Vote,
} from "../session/message.ts";
import { NodeSet } from "./node-set.ts";

/** A node's client after its init. The fields that change are written by its cluster and its session only. */
export class Client {
  readonly connection: number;
  readonly nodeId: number;
  /** It has shown a certificate of its cluster's name. */
  readonly isVerified: boolean;
  readonly algorithm: AlgorithmName;
  readonly tieBreaker: TieBreaker;
  heartbeatMs: number;
  keepActivePartition: boolean;
  /** When the last whole message came. */
  heardAt: number;

  configNodes: readonly NodeInfo[] = [];
  config = NodeSet.empty;
  configVersion: number | undefined;
  /** From init, then from each membership list. */
  ring: RingId;
  members = NodeSet.empty;
  quorumNodes: readonly NodeInfo[] = [];
  isQuorate: boolean | undefined;
  membershipHeuristics: Heuristics | undefined;
  regularHeuristics: Heuristics | undefined;
  /** Whichever of the two came last. */
  heuristics: Heuristics | undefined;

  /** The last vote in any message, and the last of them that was ACK or NACK: the one that counts. */
  lastVote: Vote | undefined;
  lastAckNack: "ack" | "nack" | undefined;
  /** Why its vote is what it is: a sentence. */
  why = "it has not asked for a vote yet";
  /** Of the last vote info of this connection. */
  voteInfoSeq = 0;
  /** The node may be counting on an ACK: one was sent for its membership and no later NACK is confirmed. */
  mayHoldAck = false;
  /** The vote info that took the vote back, until it is confirmed. */
  nackSeq: number | undefined;

  constructor(options: {
    readonly connection: number;
    readonly nodeId: number;
    readonly isVerified: boolean;
    readonly algorithm: AlgorithmName;
    readonly tieBreaker: TieBreaker;
    readonly heartbeatMs: number;
    readonly keepActivePartition: boolean;
    readonly ring: RingId;
    readonly now: number;
  }) {
    this.connection = options.connection;
    this.nodeId = options.nodeId;
    this.isVerified = options.isVerified;
    this.algorithm = options.algorithm;
    this.tieBreaker = options.tieBreaker;
    this.heartbeatMs = options.heartbeatMs;
    this.keepActivePartition = options.keepActivePartition;
    this.ring = options.ring;
    this.heardAt = options.now;
  }
}

/** A message that asks for a decision, with its new values. */
export type Question = { readonly client: Client } & (
  | { readonly kind: "config"; readonly isInitial: boolean; readonly config: NodeSet }
  | {
      readonly kind: "membership";
      readonly ring: RingId;
      readonly members: NodeSet;
      readonly heuristics: Heuristics | undefined;
    }
  | { readonly kind: "quorum" }
  | { readonly kind: "vote" }
  | { readonly kind: "heuristics"; readonly heuristics: Heuristics }
);

/** `why` undefined: the sentence that stands is still right. On an error nothing of the message is stored. */
export type Answer = { readonly vote: Vote; readonly why?: string } | { readonly error: ErrorName };

/** A vote that a client may still count on though the server has lost it. */
export interface OutstandingVote {
  readonly until: number;
  readonly why: string;
}

/** What an algorithm may do during one call. */
export interface AlgorithmCall {
  /** All connected clients of the cluster, ascending by node id; one that leaves is still among them. */
  readonly clients: readonly Client[];
  /** Sends a vote info and returns its sequence number. */
  tell(client: Client, vote: "ack" | "nack", ring: RingId, why: string): number;
  /** The algorithm decides again for the client: `soon` after a quarter of its heartbeat, else after a whole one. */
  armRetry(client: Client, isSoon: boolean): void;
  disarmRetry(client: Client): void;
  /**
   * A vote outside of `partition` that may still be in use by a node that is not connected any more; `hasUnknown`: configured
   * nodes are neither in the partition nor connected.
   */
  outstandingVote(partition: NodeSet, hasUnknown: boolean): OutstandingVote | undefined;
}

export interface Algorithm {
  answer(question: Question, call: AlgorithmCall): Answer;
  /** A vote info reply. */
  confirmed(client: Client, seq: number, call: AlgorithmCall): void;
  /** The client is about to be removed. */
  leaving(client: Client, call: AlgorithmCall): void;
  /** The timer of `armRetry` ran out. */
  retry(client: Client, call: AlgorithmCall): void;
  /** An outstanding vote was given up. */
  released(call: AlgorithmCall): void;
}

/** A client that may count on an ACK in a partition without any of `members`: a vote must not be given to both. */
export function holderApart(
  client: Client,
  members: NodeSet,
  clients: readonly Client[],
): Client | undefined {
  return clients.find(
    (other) =>
      other !== client &&
      other.mayHoldAck &&
      other.members.with(other.nodeId).isDisjointFrom(members),
  );
}

/** Configured nodes that are neither in the partition nor connected; true also when no configuration is known. */
export function hasUnknownNodes(
  config: NodeSet,
  partition: NodeSet,
  clients: readonly Client[],
): boolean {
  if (config.size === 0) return true;
  return config.ids.some(
    (nodeId) => !partition.has(nodeId) && !clients.some((client) => client.nodeId === nodeId),
  );
}

/** The last vote sent was a NACK. */
export function isRefused(client: Client): boolean {
  const { lastVote, lastAckNack } = client;
  return lastAckNack === "nack" && (lastVote === "nack" || lastVote === "noChange");
}

/** For a client whose ACK has to wait: a node that may count on an ACK, or has a NACK already, gets an answer at once. */
export function waitOrNack(client: Client): "wait" | "nack" {
  return client.mayHoldAck || isRefused(client) ? "nack" : "wait";
}

export function tieBreakerText(tieBreaker: TieBreaker): string {
  return tieBreaker.mode === "nodeId"
    ? `node ${tieBreaker.nodeId}`
    : `the ${tieBreaker.mode} node id`;
}
