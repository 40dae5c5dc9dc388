// Last man standing for two nodes (qnetd.md §2.4), a developers' algorithm: whoever asks first in a split may get the vote. Unlike
// the original it never gives a second vote while the other node, on its own, may count on the first, and decides again for a
// node that was refused.
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
import { type Heuristics } from "../session/message.ts";
import type { NodeSet } from "./node-set.ts";

interface Decision<Vote = "ack" | "nack" | "wait"> {
  readonly vote: Vote;
  readonly why: string;
}

/** Who asks, with the values that are to be decided for. */
interface View {
  readonly client: Client;
  readonly ring: RingId;
  readonly members: NodeSet;
  readonly heuristics: Heuristics | undefined;
}

const heuristicsRank = { fail: 0, none: 1, pass: 2 } as const;

export class TwoNodeLms implements Algorithm {
  readonly #results = new WeakMap<Client, "ack" | "nack">();

  answer(question: Question, call: AlgorithmCall): Answer {
    const { client } = question;
    switch (question.kind) {
      case "config":
        if (question.config.size !== 2) return { error: "unsupportedAlgorithm" };
        return { vote: "noChange" };
      case "membership": {
        const { vote, why } = this.#run(question, call);
        return { vote: vote === "wait" ? "waitForReply" : vote, why };
      }
      case "vote": {
        const vote = this.#results.get(client);
        return vote === undefined
          ? { vote: "askLater", why: "it has not sent its membership yet" }
          : { vote };
      }
      case "quorum":
      case "heuristics":
        return { vote: "noChange" };
    }
    return question satisfies never;
  }

  #run(view: View, call: AlgorithmCall): Decision {
    call.disarmRetry(view.client);
    const decision = this.#decide(view, call);
    if (decision.vote !== "ack") call.armRetry(view.client, true);
    return decision;
  }

  #decide(view: View, call: AlgorithmCall): Decision {
    const { client, ring, members } = view;
    const elsewhere = call.clients.find(
      (other) => !sameRing(other.ring, ring) && this.#results.get(other) === "ack",
    );
    if (!this.#results.has(client) && elsewhere !== undefined) {
      return { vote: "nack", why: `node ${elsewhere.nodeId} already has the vote` };
    }
    const decision = compare(view, call);
    if (decision.vote === "ack") {
      const partition = members.with(client.nodeId);
      const holder = holderApart(client, partition, call.clients);
      if (holder !== undefined) {
        return { vote: "nack", why: `node ${holder.nodeId} may still count on the vote` };
      }
      const outstanding = call.outstandingVote(
        partition,
        hasUnknownNodes(client.config, partition, call.clients),
      );
      if (outstanding !== undefined) return { vote: waitOrNack(client), why: outstanding.why };
    }
    this.#results.set(client, decision.vote);
    return decision;
  }

  confirmed(): void {
    // The cluster itself remembers which ACKs may be in use.
  }
  leaving(client: Client, call: AlgorithmCall): void {
    call.disarmRetry(client);
  }
  /** Who was refused the vote is thought of again; one that has it keeps it until its own membership changes. */
  retry(client: Client, call: AlgorithmCall): void {
    const { ring, members, heuristics } = client;
    const { vote, why } = this.#run({ client, ring, members, heuristics }, call);
    client.why = why;
    if (vote === "wait" || (vote === "nack" && isRefused(client))) return;
    call.tell(client, vote, ring, why);
  }
  released(): void {
    // The retries go on while a vote is outstanding.
  }
}

/** Steps 2 to 5: both there, last man, heuristics, tie-breaker. */
function compare(view: View, call: AlgorithmCall): Decision<"ack" | "nack"> {
  const { client, members, heuristics } = view;
  if (members.size === 2) return { vote: "ack", why: "both nodes are in its membership" };
  const other = call.clients.find((one) => one !== client);
  if (other === undefined) return { vote: "ack", why: "it is the only node that is connected" };
  const rank = (result: Heuristics | undefined): number => heuristicsRank[result ?? "none"];
  const difference = rank(heuristics) - rank(other.heuristics);
  if (difference !== 0) {
    const vote = difference > 0 ? "ack" : "nack";
    const word = difference > 0 ? "better" : "worse";
    return { vote, why: `its heuristics are ${word} than those of node ${other.nodeId}` };
  }
  const { tieBreaker } = client;
  const ids = call.clients.map(({ nodeId }) => nodeId);
  const preferred = {
    lowest: Math.min(...ids),
    highest: Math.max(...ids),
    nodeId: tieBreaker.mode === "nodeId" ? tieBreaker.nodeId : 0,
  }[tieBreaker.mode];
  const why = `the tie-breaker is ${tieBreakerText(tieBreaker)}`;
  return { vote: preferred === client.nodeId ? "ack" : "nack", why };
}
