// Last man standing for two nodes (qnetd.md §2.4), a developers' algorithm: whoever asks first in a split may get the vote. Unlike
// the original it never gives a second vote while the other node, on its own, may count on the first.
import {
  holderApart,
  hasUnknownNodes,
  tieBreakerText,
  type Algorithm,
  type AlgorithmCall,
  type Answer,
  type Client,
  type Question,
} from "./algorithm.ts";
import { sameRing, type Heuristics } from "./message.ts";

type Result = "ack" | "nack";
interface Decision {
  readonly vote: Result;
  readonly why: string;
}

const heuristicsRank = { fail: 0, none: 1, pass: 2 } as const;

export class TwoNodeLms implements Algorithm {
  readonly #results = new WeakMap<Client, Result>();

  answer(question: Question, call: AlgorithmCall): Answer {
    switch (question.kind) {
      case "config":
        if (question.config.size !== 2) return { error: "unsupportedAlgorithm" };
        return { vote: "noChange" };
      case "membership":
        return this.#decide(question, call);
      case "vote": {
        const vote = this.#results.get(question.client);
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

  #decide(question: Question & { readonly kind: "membership" }, call: AlgorithmCall): Decision {
    const { client, ring, members } = question;
    const elsewhere = call.clients.find(
      (other) => !sameRing(other.ring, ring) && this.#results.get(other) === "ack",
    );
    if (!this.#results.has(client) && elsewhere !== undefined) {
      return { vote: "nack", why: `node ${elsewhere.nodeId} already has the vote` };
    }
    const decision = compare(question, call);
    if (decision.vote === "ack") {
      const partition = members.with(client.nodeId);
      const holder = holderApart(client, partition, call.clients);
      if (holder !== undefined) {
        return { vote: "nack", why: `node ${holder.nodeId} may still count on the vote` };
      }
      const held = call.held(partition, hasUnknownNodes(client.config, partition, call.clients));
      if (held !== undefined) return { vote: "nack", why: held.why };
    }
    this.#results.set(client, decision.vote);
    return decision;
  }

  confirmed(): void {
    // Its votes are replies: nothing is confirmed.
  }
  leaving(): void {
    // The other node keeps its vote until its own membership changes.
  }
  retry(): void {
    // It never arms the timer.
  }
  released(): void {
    // The next membership decides.
  }
}

/** Steps 2 to 5: both there, last man, heuristics, tie-breaker. */
function compare(
  question: Question & { readonly kind: "membership" },
  call: AlgorithmCall,
): Decision {
  const { client, members, heuristics } = question;
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
