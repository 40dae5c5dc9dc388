// One cluster as the vote server knows it (qnetd.md §2.1): its clients in node id order, what they reported, which votes they got.
// It lives from the first init to the last disconnect; the algorithm decides, this file stores the reports and the votes sent.
import { present } from "../../assert.ts";
import { type TimerAction, type RingId, sameRing } from "../../world.ts";
import type {
  Algorithm,
  AlgorithmCall,
  Answer,
  Client,
  OutstandingVote,
  Question,
} from "./algorithm.ts";
import type { VoteServerTimer } from "../session/events.ts";
import { FfSplit } from "./ffsplit.ts";
import { outstandingUntil, OutstandingVotes } from "./outstanding-votes.ts";
import { Lms } from "./lms.ts";
import {
  type AlgorithmName,
  type ErrorName,
  type Heuristics,
  type Message,
  type NodeInfo,
  type Vote,
} from "../session/message.ts";
import { NodeSet } from "./node-set.ts";
import { TestAlgorithm } from "./test-algorithm.ts";
import { TwoNodeLms } from "./two-node-lms.ts";

/** Clients of one cluster and lost ones whose votes may be in use; a further one gets an internal error. corosync stops at 384 nodes. */
export const clientsMax = 1024;
/** lms decides again after this part of a heartbeat while it waits. */
const retriesPerHeartbeat = 4;
/** A client sends once a heartbeat; one that is silent for so many of them is dead to a new connection of its own node. */
const overdueHeartbeats = 1.2;

/** What a cluster may do during one step. */
export interface ClusterCall {
  readonly now: number;
  send(connection: number, message: Message): void;
  timer(action: TimerAction<VoteServerTimer>): void;
}

/** What a client reports; the message's own values. */
export type Report =
  | {
      readonly kind: "config";
      readonly isInitial: boolean;
      readonly nodes: readonly NodeInfo[];
      readonly version: number | undefined;
    }
  | {
      readonly kind: "membership";
      readonly ring: RingId;
      readonly nodes: readonly NodeInfo[];
      readonly heuristics: Heuristics | undefined;
    }
  | { readonly kind: "quorum"; readonly isQuorate: boolean; readonly nodes: readonly NodeInfo[] }
  | { readonly kind: "vote" }
  | { readonly kind: "heuristics"; readonly heuristics: Heuristics };

export class Cluster {
  /** Names the cluster in timers. */
  readonly id: number;
  /** A byte string. */
  readonly name: string;
  readonly #coldUntil: (heartbeatMs: number) => number;
  readonly #outstandingVotes = new OutstandingVotes();
  /** Grows with everything that may change who is connected or what a vote is. */
  #revision = 0;
  #clients: readonly Client[] = [];
  #isVerified = false;
  #algorithm: Algorithm | undefined;
  /** When a decision that waits for votes of before our start can be made. */
  #coldAt: number | undefined;

  /**
   * `coldUntil`: until when votes given before the server started may be in use, for clients with this heartbeat; negative
   * infinity when that is not to be waited for.
   */
  constructor(options: {
    readonly id: number;
    readonly name: string;
    readonly coldUntil: (heartbeatMs: number) => number;
  }) {
    this.id = options.id;
    this.name = options.name;
    this.#coldUntil = options.coldUntil;
  }

  /** Ascending by node id. */
  get clients(): readonly Client[] {
    return this.#clients;
  }
  get revision(): number {
    return this.#revision;
  }
  /** A client with a certificate has joined. */
  get isVerified(): boolean {
    return this.#isVerified;
  }
  /** True when nothing is left to remember. */
  get isOver(): boolean {
    return this.#clients.length === 0 && this.#outstandingVotes.isEmpty;
  }

  /** Takes in a client that `checkJoin` accepted, after those it names have left. */
  join(client: Client, call: ClusterCall): void {
    this.#revision += 1;
    this.#isVerified ||= client.isVerified;
    if (this.#clients.length === 0) this.#algorithm = algorithmOf(client.algorithm);
    this.#clients = [...this.#clients, client].toSorted((a, b) => a.nodeId - b.nodeId);
    if (this.#outstandingVotes.remove(client)) this.released(call);
  }

  /**
   * Which clients must leave for a new one, or why it does not match those that are connected (§1.5, checked in node id order). A
   * verified client takes its node's place from one without a certificate and from a former connection that is overdue; in a
   * cluster whose clients must show their certificate, all without one leave.
   */
  checkJoin(
    client: Client,
    { now, isCertificateDue }: { readonly now: number; readonly isCertificateDue: boolean },
  ): readonly Client[] | ErrorName {
    const yielding: Client[] = [];
    for (const other of this.#clients) {
      const isSameNode = other.nodeId === client.nodeId;
      const isYielding = other.isVerified
        ? isSameNode && now - other.heardAt > overdueHeartbeats * other.heartbeatMs
        : isSameNode || isCertificateDue;
      if (client.isVerified && isYielding) {
        yielding.push(other);
        continue;
      }
      const [a, b] = [client.tieBreaker, other.tieBreaker];
      const isSame =
        a.mode === b.mode && (a.mode !== "nodeId" || b.mode !== "nodeId" || a.nodeId === b.nodeId);
      if (!isSame) return "tieBreakerDiffers";
      if (other.algorithm !== client.algorithm) return "algorithmDiffers";
      if (isSameNode) return "duplicateNodeId";
    }
    const others = this.#clients.length - yielding.length;
    const lost = this.#outstandingVotes.besides(client);
    return others + lost >= clientsMax ? "internal" : yielding;
  }

  /** Decides with the new values, then stores them (§2.1). On an error nothing is stored. */
  report(client: Client, report: Report, call: ClusterCall): Answer {
    this.#revision += 1;
    // With a new membership the node itself stops counting on an earlier vote (§3.6). The same ring again may cross an ACK.
    if (report.kind === "membership" && !sameRing(report.ring, client.ring)) {
      client.mayHoldAck = false;
      client.nackSeq = undefined;
    }
    const algorithmCall = this.#algorithmCall(call);
    const answer = this.#decider().answer(question(client, report), algorithmCall);
    if ("error" in answer) return answer;
    if (answer.vote === "nack" && client.mayHoldAck && client.nackSeq === undefined) {
      // The node may vote with its ACK until this NACK reaches it. A reply is not confirmed, a vote info is.
      algorithmCall.tell(client, "nack", client.ring, answer.why ?? client.why);
    }
    store(client, report);
    if (answer.why !== undefined) client.why = answer.why;
    note(client, answer.vote);
    return answer;
  }

  confirmed(client: Client, seq: number, call: ClusterCall): void {
    this.#revision += 1;
    if (client.nackSeq === seq) {
      client.nackSeq = undefined;
      client.mayHoldAck = false;
    }
    this.#decider().confirmed(client, seq, this.#algorithmCall(call));
  }

  /** `isPeerAware`: the client itself ended the connection and no longer counts on its vote. */
  leave(client: Client, isPeerAware: boolean, call: ClusterCall): void {
    this.#revision += 1;
    if (!isPeerAware && client.mayHoldAck) {
      const until = outstandingUntil(client.heardAt, client.heartbeatMs);
      const { nodeId, isVerified } = client;
      const members = client.members.with(nodeId);
      this.#outstandingVotes.add({ nodeId, isVerified, until, members });
      this.#armOutstanding(call);
    }
    this.#decider().leaving(client, this.#algorithmCall(call));
    this.#clients = this.#clients.filter((other) => other !== client);
    call.timer({ kind: "disarm", timer: `retry:${client.connection}` });
    if (this.#clients.length === 0) this.#algorithm = undefined;
  }

  retry(client: Client, call: ClusterCall): void {
    this.#revision += 1;
    this.#decider().retry(client, this.#algorithmCall(call));
  }

  /** The timer of the outstanding votes ran out, or a lost client is back. */
  released(call: ClusterCall): void {
    this.#revision += 1;
    this.#outstandingVotes.expire(call.now);
    if (this.#coldAt !== undefined && this.#coldAt <= call.now) this.#coldAt = undefined;
    this.#armOutstanding(call);
    if (this.#algorithm !== undefined) this.#algorithm.released(this.#algorithmCall(call));
  }

  #armOutstanding(call: ClusterCall): void {
    const at = [this.#outstandingVotes.nextAt, this.#coldAt].reduce((a, b) =>
      a === undefined || b === undefined ? (a ?? b) : Math.min(a, b),
    );
    const timer = `outstanding:${this.id}` as const;
    call.timer(at === undefined ? { kind: "disarm", timer } : { kind: "arm", timer, at });
  }

  #decider(): Algorithm {
    return present(this.#algorithm, "a cluster with clients has an algorithm");
  }

  #algorithmCall(call: ClusterCall): AlgorithmCall {
    return {
      clients: this.#clients,
      tell(client, vote, ring, why) {
        client.voteInfoSeq += 1;
        const seq = client.voteInfoSeq;
        note(client, vote);
        if (vote === "nack") client.nackSeq = seq;
        client.why = why;
        call.send(client.connection, { kind: "voteInfo", seq, vote, ring });
        return seq;
      },
      armRetry(client, isSoon) {
        const at = call.now + client.heartbeatMs / (isSoon ? retriesPerHeartbeat : 1);
        call.timer({ kind: "arm", timer: `retry:${client.connection}`, at });
      },
      disarmRetry: (client) => call.timer({ kind: "disarm", timer: `retry:${client.connection}` }),
      outstandingVote: (partition, hasUnknown) =>
        this.#outstandingVote(partition, hasUnknown, call),
    };
  }

  #outstandingVote(
    partition: NodeSet,
    hasUnknown: boolean,
    call: ClusterCall,
  ): OutstandingVote | undefined {
    const outstanding = this.#outstandingVotes.against(partition, call.now);
    if (outstanding !== undefined || !hasUnknown) return outstanding;
    const heartbeatMs = Math.max(0, ...this.#clients.map((client) => client.heartbeatMs));
    const until = this.#coldUntil(heartbeatMs);
    if (until <= call.now) return undefined;
    this.#coldAt = until;
    this.#armOutstanding(call);
    const why = "waits until votes from before the start of this server must be given up";
    return { until, why };
  }
}

function algorithmOf(name: AlgorithmName): Algorithm {
  switch (name) {
    case "test":
      return new TestAlgorithm();
    case "ffsplit":
      return new FfSplit();
    case "2nodelms":
      return new TwoNodeLms();
    case "lms":
      return new Lms();
  }
  return name satisfies never;
}

function idsOf(nodes: readonly NodeInfo[]): NodeSet {
  return new NodeSet(nodes.map(({ nodeId }) => nodeId));
}

function question(client: Client, report: Report): Question {
  switch (report.kind) {
    case "config":
      return { kind: "config", client, isInitial: report.isInitial, config: idsOf(report.nodes) };
    case "membership": {
      const { ring, heuristics } = report;
      return { kind: "membership", client, ring, heuristics, members: idsOf(report.nodes) };
    }
    case "heuristics":
      return { kind: "heuristics", client, heuristics: report.heuristics };
    case "quorum":
    case "vote":
      return { kind: report.kind, client };
  }
  return report satisfies never;
}

function store(client: Client, report: Report): void {
  switch (report.kind) {
    case "config":
      client.configNodes = report.nodes;
      client.config = idsOf(report.nodes);
      client.configVersion = report.version;
      return;
    case "membership":
      client.ring = report.ring;
      client.members = idsOf(report.nodes);
      client.membershipHeuristics = report.heuristics;
      client.heuristics = report.heuristics;
      return;
    case "quorum":
      client.quorumNodes = report.nodes;
      client.isQuorate = report.isQuorate;
      return;
    case "heuristics":
      client.regularHeuristics = report.heuristics;
      client.heuristics = report.heuristics;
      return;
    case "vote":
      return;
  }
  report satisfies never;
}

/** Writes down a vote that is being sent, in a reply or a vote info. */
function note(client: Client, vote: Vote): void {
  client.lastVote = vote;
  if (vote === "ack" || vote === "nack") client.lastAckNack = vote;
  if (vote === "ack") {
    client.mayHoldAck = true;
    client.nackSeq = undefined;
  }
}
