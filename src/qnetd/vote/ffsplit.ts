// Fifty-fifty split (qnetd.md §2.2): at most one partition has the vote. Votes change in two phases: no ACK leaves before every
// client outside has confirmed its NACK of this round or is gone. A reply to an older vote info never counts for a newer one.
import { type RingId, sameRing } from "../../world.ts";
import {
  hasUnknownNodes,
  tieBreakerText,
  type Algorithm,
  type AlgorithmCall,
  type Answer,
  type Client,
  type Question,
} from "./algorithm.ts";
import { ringsText, type Heuristics } from "../session/message.ts";
import { NodeSet, nodesText } from "./node-set.ts";

/** A client with the values to decide by: the new ones of the message for its sender, the stored ones for all others. */
interface View {
  readonly client: Client;
  readonly config: NodeSet;
  readonly members: NodeSet;
  readonly ring: RingId;
  readonly heuristics: Heuristics | undefined;
}

/** What is due to a client in this round. `seq` undefined: its vote info has not been sent yet. */
interface Pending {
  readonly vote: "ack" | "nack";
  readonly ring: RingId;
  readonly why: string;
  seq: number | undefined;
}

type Phase = "idle" | "waitingStable" | "sendingNacks" | "waitingOutstanding" | "sendingAcks";

export class FfSplit implements Algorithm {
  #phase: Phase = "idle";
  /** The partition chosen last: what the keep-active-partition tie-breaker remembers. */
  #chosen = NodeSet.empty;
  #config = NodeSet.empty;
  readonly #pending = new Map<Client, Pending>();

  answer(question: Question, call: AlgorithmCall): Answer {
    const { client } = question;
    switch (question.kind) {
      case "config":
        if (!question.config.has(client.nodeId)) return { error: "invalidConfigList" };
        if (question.isInitial || client.members.size === 0) {
          return { vote: "askLater", why: "it has not sent its membership yet" };
        }
        return this.#run({ ...viewOf(client), config: question.config }, undefined, call);
      case "membership": {
        if (!question.members.has(client.nodeId)) return { error: "invalidMembershipList" };
        if (client.config.size === 0) {
          return { vote: "askLater", why: "it has not sent its configured nodes yet" };
        }
        const { ring, members, heuristics } = question;
        return this.#run({ ...viewOf(client), ring, members, heuristics }, undefined, call);
      }
      case "quorum":
        return { vote: "noChange" };
      case "vote":
        return { error: "unsupportedAlgorithmMessage" };
      case "heuristics": {
        if (client.config.size === 0 || client.members.size === 0) {
          return { vote: "askLater", why: "it has not sent its lists yet" };
        }
        return this.#run({ ...viewOf(client), heuristics: question.heuristics }, undefined, call);
      }
    }
    return question satisfies never;
  }

  confirmed(client: Client, seq: number, call: AlgorithmCall): void {
    // The original clears whatever is pending here, so that a late reply to an old NACK can cancel an ACK that was never
    // sent and leave both halves without the vote. Only the reply to this round's own message counts.
    if (this.#pending.get(client)?.seq !== seq) return;
    this.#pending.delete(client);
    this.#advance(call);
  }

  leaving(client: Client, call: AlgorithmCall): void {
    this.#pending.delete(client);
    this.#run(viewOf(client), client, call);
  }

  retry(): void {
    // It never arms the timer.
  }

  released(call: AlgorithmCall): void {
    if (this.#phase === "waitingOutstanding") this.#advance(call);
  }

  #run(sender: View, leaving: Client | undefined, call: AlgorithmCall): Answer {
    this.#phase = "waitingStable";
    const views = call.clients
      .filter((client) => client !== leaving)
      .map((client) => (client === sender.client ? sender : viewOf(client)));
    const unstable = instability(views);
    if (unstable !== undefined) {
      if (leaving !== undefined) return { vote: "waitForReply" };
      return { vote: "waitForReply", why: `waits: ${unstable}` };
    }
    const choice = select(views, call.clients, this.#chosen);
    this.#chosen = choice.partition;
    this.#config = choice.config;
    this.#pending.clear();
    for (const { client, ring } of views) {
      const vote = choice.partition.has(client.nodeId) ? "ack" : "nack";
      this.#pending.set(client, { vote, ring, why: choice.why, seq: undefined });
    }
    this.#phase = "sendingNacks";
    this.#send("nack", call);
    this.#advance(call);
    return { vote: "noChange" };
  }

  /** Ascending by node id, as the views are. */
  #send(vote: "ack" | "nack", call: AlgorithmCall): void {
    for (const [client, pending] of this.#pending) {
      if (pending.vote !== vote || pending.seq !== undefined) continue;
      pending.seq = call.tell(client, vote, pending.ring, pending.why);
    }
  }

  /** From the NACKs to the ACKs to the end of the round, as far as confirmations allow. */
  #advance(call: AlgorithmCall): void {
    if (this.#phase === "sendingNacks" || this.#phase === "waitingOutstanding") {
      const unconfirmed = this.#clientsWith("nack");
      if (unconfirmed.length > 0) {
        const nodes = nodesText(unconfirmed.map(({ nodeId }) => nodeId));
        return this.#explain(`waits until the loss of the vote is confirmed by ${nodes}`);
      }
      if (this.#clientsWith("ack").length > 0) {
        const unknown = hasUnknownNodes(this.#config, this.#chosen, call.clients);
        const outstanding = call.outstandingVote(this.#chosen, unknown);
        if (outstanding !== undefined) {
          this.#phase = "waitingOutstanding";
          return this.#explain(outstanding.why);
        }
      }
      this.#phase = "sendingAcks";
      this.#send("ack", call);
    }
    if (this.#phase === "sendingAcks" && this.#pending.size === 0) this.#phase = "idle";
  }

  #clientsWith(vote: "ack" | "nack"): Client[] {
    return [...this.#pending].flatMap(([client, pending]) =>
      pending.vote === vote ? [client] : [],
    );
  }

  /** Says of those whose ACK has not left yet what it waits for; one that has the vote of its ring already only gets it again. */
  #explain(why: string): void {
    for (const [client, pending] of this.#pending) {
      if (pending.vote === "ack") client.why = client.mayHoldAck ? pending.why : why;
    }
  }
}

function viewOf(client: Client): View {
  const { config, members, ring, heuristics } = client;
  return { client, config, members, ring, heuristics };
}

/** The stability test: why no decision is possible yet, or undefined. Configured nodes must agree, then rings and members. */
function instability(views: readonly View[]): string | undefined {
  const first = views[0];
  // Alone it would get a NACK from the original, before it can take any vote.
  const silent = views.find(({ config }) => config.size === 0);
  if (silent !== undefined) {
    return `node ${silent.client.nodeId} has not sent its configured nodes yet`;
  }
  for (const view of views) {
    if (first === undefined || view.config.equals(first.config)) continue;
    return `nodes ${first.client.nodeId} and ${view.client.nodeId} have different configured nodes`;
  }
  // Equal member lists become one object, so that comparing each pair of a large cluster costs nothing.
  const distinct = new Map(views.map(({ members }) => [members.key, members]));
  const reports = views.map(({ client: { nodeId }, ring, members }) => ({
    nodeId,
    ring,
    members: distinct.get(members.key) ?? members,
  }));
  const byNode = new Map(reports.map((report) => [report.nodeId, report]));
  for (const report of reports) {
    for (const nodeId of report.members.ids) {
      const member = byNode.get(nodeId);
      if (member === undefined) continue;
      if (!sameRing(report.ring, member.ring)) return ringsText(report, member);
      if (!report.members.isWithin(member.members)) {
        return `nodes ${report.nodeId} and ${nodeId} report different members of one ring`;
      }
    }
  }
  return undefined;
}

interface Choice {
  readonly partition: NodeSet;
  readonly config: NodeSet;
  readonly why: string;
}

/** What decides between two partitions. */
type Ground = "majority" | "minority" | "heuristics" | "active" | "keepActive" | "tieBreaker";

interface Strength {
  readonly active: number;
  readonly score: number;
}

/**
 * The partition that gets the vote. `clients`: all that are connected, a leaving one included, which is still counted here as in
 * the original (§2.2); `chosen`: the partition of the last decision.
 */
function select(views: readonly View[], clients: readonly Client[], chosen: NodeSet): Choice {
  const byNode = new Map(clients.map((client) => [client.nodeId, client]));
  const isKeeping = clients.every((client) => client.keepActivePartition);
  let best: View | undefined;
  let ground: Ground | undefined;
  for (const view of views) {
    const comparison = compare(view, best, { byNode, isKeeping, chosen });
    // A ground between two clients of one partition says nothing about why that partition won.
    const isOtherPartition = best === undefined || !best.members.equals(view.members);
    if (comparison.isBetter) best = view;
    if (isOtherPartition && comparison.ground !== "minority") ground = comparison.ground;
  }
  const config = views[0]?.config ?? NodeSet.empty;
  if (best === undefined) {
    const why = `no partition has half of the ${config.size} configured nodes`;
    return { partition: NodeSet.empty, config, why };
  }
  const why = reason(best, ground);
  return { partition: best.members, config, why };
}

function reason(best: View, ground: Ground | undefined): string {
  const { members, config, client } = best;
  const partition = `partition ${members.text}`;
  if (members.size > config.size / 2) {
    return `${partition} is the majority of ${config.size} configured nodes`;
  }
  const half = `of the halves of ${config.size} configured nodes ${partition}`;
  switch (ground) {
    case "heuristics":
      return `${half} has more connected nodes whose heuristics pass`;
    case "active":
      return `${half} has more connected nodes`;
    case "keepActive":
      return `${half} had the vote before`;
    case "tieBreaker":
      return `${half} is chosen by the tie-breaker, ${tieBreakerText(client.tieBreaker)}`;
    case "majority":
    case "minority":
    case undefined:
      return `${partition} is the only half of ${config.size} configured nodes that reports`;
  }
  return ground satisfies never;
}

interface Comparison {
  readonly isBetter: boolean;
  readonly ground: Ground | undefined;
}

/** The table of §2.2: is `view` a better candidate than `best`? */
function compare(
  view: View,
  best: View | undefined,
  context: {
    readonly byNode: ReadonlyMap<number, Client>;
    readonly isKeeping: boolean;
    readonly chosen: NodeSet;
  },
): Comparison {
  const half = Math.floor(view.config.size / 2);
  if (view.members.size > half) return { isBetter: true, ground: "majority" };
  if (view.config.size % 2 === 1 || view.members.size < half) {
    return { isBetter: false, ground: best === undefined ? undefined : "minority" };
  }
  const mine = strength(view, context.byNode);
  if (best === undefined) return { isBetter: true, ground: undefined };
  const theirs = strength(best, context.byNode);
  if (mine.score !== theirs.score) {
    const ground = mine.active === theirs.active ? "heuristics" : "active";
    return { isBetter: mine.score > theirs.score, ground };
  }
  if (mine.active !== theirs.active) {
    return { isBetter: mine.active > theirs.active, ground: "active" };
  }
  if (context.isKeeping) {
    const wasChosen = context.chosen.has(view.client.nodeId);
    if (wasChosen !== context.chosen.has(best.client.nodeId)) {
      return { isBetter: wasChosen, ground: "keepActive" };
    }
  }
  return { isBetter: view.members.has(preferredNode(view)), ground: "tieBreaker" };
}

/** Connected members, and what their heuristics add or take. Only the sender's own entry has the new result (§2.2). */
function strength(view: View, byNode: ReadonlyMap<number, Client>): Strength {
  let active = 0;
  let score = 0;
  for (const nodeId of view.members.ids) {
    const client = byNode.get(nodeId);
    if (client === undefined) continue;
    active += 1;
    score += 1;
    const heuristics = client === view.client ? view.heuristics : client.heuristics;
    if (heuristics === "pass") score += 1;
    if (heuristics === "fail") score -= 1;
  }
  return { active, score };
}

function preferredNode({ client, config }: View): number {
  switch (client.tieBreaker.mode) {
    case "lowest":
      return config.lowest;
    case "highest":
      return config.highest;
    case "nodeId":
      return client.tieBreaker.nodeId;
  }
  return client.tieBreaker satisfies never;
}
