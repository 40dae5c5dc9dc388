// Last man standing (qnetd.md §2.3): the best partition has the vote, down to a single node. Unlike the original it never gives a
// second vote while a partition without any of these nodes may count on the first, and a client that was refused the vote is decided
// on again: in the original none is when the partition with the vote dies. The asking node counts with its new values everywhere,
// where the original still counts it in its old ring and may refuse it the vote for a moment: with wait_for_all that is for good.
import { type RingId, sameRing } from "../../world.ts";
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
import { ringsText, type Heuristics, type TieBreaker } from "../session/message.ts";
import { NodeSet, nodesText } from "./node-set.ts";

type Result = "ack" | "nack" | "wait";
interface Decision {
  readonly vote: Result;
  readonly why: string;
}

interface Partition {
  readonly ring: RingId;
  readonly views: View[];
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
        return reply(this.#run(question, call));
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
    // The retries go on while a vote is outstanding.
  }

  #run(view: View, call: AlgorithmCall): Decision {
    const { client } = view;
    call.disarmRetry(client);
    const decision = this.#decide(view, call);
    if (decision.vote !== "ack") {
      call.armRetry(client, decision.vote === "wait");
      return decision;
    }
    const guarded = this.#guard(view, call);
    if (guarded !== undefined) {
      call.armRetry(client, true);
      return guarded;
    }
    this.#results.set(client, "ack");
    return decision;
  }

  /** What is said instead of an ACK while another partition may still count on the vote; undefined: none does. */
  #guard({ client, members }: View, call: AlgorithmCall): Decision | undefined {
    const partition = members.with(client.nodeId);
    const holder = holderApart(client, partition, call.clients);
    if (holder !== undefined) {
      const why = `waits until node ${holder.nodeId}, on its own side, has lost the vote`;
      return this.#note(client, "nack", why);
    }
    const unknown = hasUnknownNodes(client.config, partition, call.clients);
    const outstanding = call.outstandingVote(partition, unknown);
    if (outstanding === undefined) return undefined;
    // That is over at a known time. A NACK would end the node's wait, and with wait_for_all its quorum for good.
    return this.#note(client, waitOrNack(client), outstanding.why);
  }

  /** Steps 2 to 9. */
  #decide(view: View, call: AlgorithmCall): Decision {
    const { client, ring } = view;
    const behind = call.clients.find(
      (other) => isPartitionMember(view, other) && !sameRing(other.ring, ring),
    );
    if (behind !== undefined) {
      const why = `waits: ${ringsText({ nodeId: client.nodeId, ring }, behind)}`;
      return this.#note(client, "wait", why);
    }
    const views = call.clients.map((other) => (other === client ? view : storedOf(other)));
    const partitions = partitionsOf(views);
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
    const { vote, why } = compare(partitions, view, views);
    return this.#note(client, vote, why);
  }

  #note(client: Client, vote: Result, why: string): Decision {
    // An ACK is noted when it has passed the last test, that nobody else may hold one.
    if (vote !== "ack") this.#results.set(client, vote);
    return { vote, why };
  }
}

/** A client and what is to be decided for: what is stored, or for the one that asks what its message says. */
interface View {
  readonly client: Client;
  readonly ring: RingId;
  readonly members: NodeSet;
  readonly heuristics: Heuristics | undefined;
}

function storedOf(client: Client): View {
  const { ring, members, heuristics } = client;
  return { client, ring, members, heuristics };
}

/** Both are, or just were, in one partition. */
function isPartitionMember({ client, members }: View, other: Client): boolean {
  if (other === client) return false;
  const { nodeId } = other;
  return members.has(nodeId) || client.members.has(nodeId) || other.members.has(client.nodeId);
}

function reply({ vote, why }: Decision): Answer {
  return { vote: vote === "wait" ? "waitForReply" : vote, why };
}

/** By ring, in order of first appearance; without those that have no ring yet (§2.3, step 3). */
function partitionsOf(views: readonly View[]): Partition[] {
  const partitions: Partition[] = [];
  for (const view of views) {
    if (view.ring.seq === 0) continue;
    const points = view.heuristics === undefined ? 1 : view.heuristics === "pass" ? 2 : 0;
    const partition = partitions.find(({ ring }) => sameRing(ring, view.ring));
    if (partition === undefined) {
      partitions.push({ ring: view.ring, views: [view], score: points });
    } else {
      partition.views.push(view);
      partition.score += points;
    }
  }
  return partitions;
}

/** Steps 7 to 9: the highest score, the largest partition, the tie-breaker. */
function compare(partitions: readonly Partition[], asking: View, views: readonly View[]): Decision {
  const grounds = [
    {
      text: "the most connected nodes, heuristics counted",
      of: (partition: Partition): number => partition.score,
    },
    {
      text: "the most connected nodes",
      of: (partition: Partition): number => partition.views.length,
    },
  ];
  for (const { text, of } of grounds) {
    const most = Math.max(...partitions.map(of));
    const [first, ...others] = partitions.filter((partition) => of(partition) === most);
    if (first === undefined || others.length > 0) continue;
    const nodes = nodesText(first.views.map(({ client }) => client.nodeId));
    const vote = sameRing(first.ring, asking.ring) ? "ack" : "nack";
    return { vote, why: `of the partitions that of ${nodes} has ${text}` };
  }
  const { tieBreaker } = asking.client;
  const preferred = preferredView(tieBreaker, views);
  const text = `the tie-breaker, ${tieBreakerText(tieBreaker)},`;
  if (preferred === undefined) {
    return { vote: "nack", why: `${text} is in none of the partitions, which are equal` };
  }
  // The original gives the partition members of a tie-breaker given by id a NACK; it documents that its partition wins (§2.3).
  const why = `of equal partitions ${text} chooses that of node ${preferred.client.nodeId}`;
  return { vote: sameRing(preferred.ring, asking.ring) ? "ack" : "nack", why };
}

function preferredView(tieBreaker: TieBreaker, views: readonly View[]): View | undefined {
  switch (tieBreaker.mode) {
    case "lowest":
      return views[0];
    case "highest":
      return views.at(-1);
    case "nodeId": {
      const { nodeId } = tieBreaker;
      const own = views.find(({ client }) => client.nodeId === nodeId);
      // Its partition wins also when it is not connected itself. Of several rings that name it, it has left all but the newest.
      const partitionMembers = views.filter(({ members }) => members.has(nodeId));
      return own ?? partitionMembers.toSorted((a, b) => b.ring.seq - a.ring.seq)[0];
    }
  }
  return tieBreaker satisfies never;
}
