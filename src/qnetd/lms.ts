// Last man standing (qnetd.md §2.3): the best partition has the vote, down to a single node. Unlike the original it never gives a
// second vote while a partition without any of these nodes may count on the first, and who was refused the vote is thought of
// again: in the original nobody is when the partition with the vote dies.
import {
  hasUnknownNodes,
  holderApart,
  isRefused,
  tieBreakerText,
  waitOrNack,
  type Algorithm,
  type AlgorithmCall,
  type Answer,
  type Client,
  type Question,
} from "./algorithm.ts";
import { ringsText, sameRing, type RingId } from "./message.ts";
import { NodeSet, nodesText } from "./node-set.ts";

type Result = "ack" | "nack" | "wait";
interface Decision {
  readonly vote: Result;
  readonly why: string;
}

interface Partition {
  readonly ring: RingId;
  readonly clients: Client[];
  score: number;
}

export class Lms implements Algorithm {
  readonly #results = new WeakMap<Client, Result>();

  answer(question: Question, call: AlgorithmCall): Answer {
    const { client } = question;
    switch (question.kind) {
      case "config":
      case "heuristics":
        // Stored only: the next membership, quorum list or question decides with it.
        return { vote: "noChange" };
      case "membership":
        return reply(this.#run({ client, ring: question.ring, members: question.members }, call));
      case "quorum":
      case "vote":
        return reply(this.#run(storedOf(client), call));
    }
    return question satisfies never;
  }

  confirmed(): void {
    // The cluster itself remembers which ACKs may be in use.
  }

  leaving(client: Client, call: AlgorithmCall): void {
    call.disarmRetry(client);
  }

  retry(client: Client, call: AlgorithmCall): void {
    const { vote, why } = this.#run(storedOf(client), call);
    client.why = why;
    // A NACK that stands has been said once: the retries go on in silence.
    if (vote === "wait" || (vote === "nack" && isRefused(client))) return;
    call.tell(client, vote, client.ring, why);
  }

  released(): void {
    // The retries go on while a vote is held.
  }

  #run(seat: Seat, call: AlgorithmCall): Decision {
    const { client } = seat;
    call.disarmRetry(client);
    const decision = this.#decide(client, seat.ring, call);
    if (decision.vote !== "ack") {
      call.armRetry(client, decision.vote === "wait");
      return decision;
    }
    const guarded = this.#guard(seat, call);
    if (guarded !== undefined) {
      call.armRetry(client, true);
      return guarded;
    }
    this.#results.set(client, "ack");
    return decision;
  }

  /** What is said instead of an ACK while another partition may still count on the vote; undefined: none does. */
  #guard({ client, members }: Seat, call: AlgorithmCall): Decision | undefined {
    const partition = members.with(client.nodeId);
    const holder = holderApart(client, partition, call.clients);
    if (holder !== undefined) {
      const why = `waits until node ${holder.nodeId}, on its own side, has lost the vote`;
      return this.#note(client, "nack", why);
    }
    const unknown = hasUnknownNodes(client.config, partition, call.clients);
    const held = call.held(partition, unknown);
    if (held === undefined) return undefined;
    // That is over at a known time. A NACK would end the node's patience, and with wait_for_all its quorum for good.
    return this.#note(client, waitOrNack(client), held.why);
  }

  /** Steps 2 to 9. The asking client stands in its stored ring, as in the original. */
  #decide(client: Client, ring: RingId, call: AlgorithmCall): Decision {
    const behind = call.clients.find(
      (other) =>
        other !== client &&
        (client.members.has(other.nodeId) || other.members.has(client.nodeId)) &&
        !sameRing(other.ring, ring),
    );
    if (behind !== undefined) {
      const why = `waits: ${ringsText({ nodeId: client.nodeId, ring }, behind)}`;
      return this.#note(client, "wait", why);
    }
    const partitions = partitionsOf(call.clients);
    if (partitions.length === 0) return this.#note(client, "wait", "waits: no ring is known");
    if (partitions.length === 1) {
      return this.#note(client, "ack", "all connected nodes are on one ring");
    }
    const elsewhere = call.clients.find(
      (other) => !sameRing(other.ring, ring) && this.#results.get(other) === "ack",
    );
    if (!this.#results.has(client) && elsewhere !== undefined) {
      // A newcomer does not take the vote; it stays one until it is decided on.
      return { vote: "nack", why: `it is new, and node ${elsewhere.nodeId} has the vote` };
    }
    const { vote, why } = compare(partitions, { client, ring, clients: call.clients });
    return this.#note(client, vote, why);
  }

  #note(client: Client, vote: Result, why: string): Decision {
    // An ACK is noted when it has passed the last test, that nobody else may hold one.
    if (vote !== "ack") this.#results.set(client, vote);
    return { vote, why };
  }
}

/** Who asks, in the ring and with the members that are to be decided for. */
interface Seat {
  readonly client: Client;
  readonly ring: RingId;
  readonly members: NodeSet;
}

function storedOf(client: Client): Seat {
  return { client, ring: client.ring, members: client.members };
}

function reply({ vote, why }: Decision): Answer {
  return { vote: vote === "wait" ? "waitForReply" : vote, why };
}

/** Clients by stored ring, in order of first appearance; without those that have no ring yet (§2.3, step 3). */
function partitionsOf(clients: readonly Client[]): Partition[] {
  const partitions: Partition[] = [];
  for (const client of clients) {
    if (client.ring.seq === 0) continue;
    const points = client.heuristics === undefined ? 1 : client.heuristics === "pass" ? 2 : 0;
    const partition = partitions.find(({ ring }) => sameRing(ring, client.ring));
    if (partition === undefined) {
      partitions.push({ ring: client.ring, clients: [client], score: points });
    } else {
      partition.clients.push(client);
      partition.score += points;
    }
  }
  return partitions;
}

/** Steps 7 to 9: the highest score, the largest partition, the tie-breaker. */
function compare(
  partitions: readonly Partition[],
  asking: {
    readonly client: Client;
    readonly ring: RingId;
    readonly clients: readonly Client[];
  },
): Decision {
  const { client, ring, clients } = asking;
  const grounds = [
    {
      text: "the most connected nodes, heuristics counted",
      of: (partition: Partition): number => partition.score,
    },
    {
      text: "the most connected nodes",
      of: (partition: Partition): number => partition.clients.length,
    },
  ];
  for (const { text, of } of grounds) {
    const most = Math.max(...partitions.map(of));
    const [first, ...others] = partitions.filter((partition) => of(partition) === most);
    if (first === undefined || others.length > 0) continue;
    const nodes = nodesText(first.clients.map(({ nodeId }) => nodeId));
    const vote = sameRing(first.ring, ring) ? "ack" : "nack";
    return { vote, why: `of the partitions that of ${nodes} has ${text}` };
  }
  const preferred = preferredClient(client, clients);
  const text = `the tie-breaker, ${tieBreakerText(client.tieBreaker)},`;
  if (preferred === undefined) {
    return { vote: "nack", why: `${text} is not connected and the partitions are equal` };
  }
  // The original gives the mates of a tie-breaker given by id a NACK; what it documents is that its partition wins (§2.3).
  const isWon = preferred === client || sameRing(preferred.ring, ring);
  const why = `of equal partitions ${text} chooses that of node ${preferred.nodeId}`;
  return { vote: isWon ? "ack" : "nack", why };
}

function preferredClient(client: Client, clients: readonly Client[]): Client | undefined {
  const { tieBreaker } = client;
  switch (tieBreaker.mode) {
    case "lowest":
      return clients[0];
    case "highest":
      return clients.at(-1);
    case "nodeId":
      return clients.find(({ nodeId }) => nodeId === tieBreaker.nodeId);
  }
  return tieBreaker satisfies never;
}
