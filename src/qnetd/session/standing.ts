// What a node has of the device's vote, in words: for the status, the page and the log of the vote server.
import type { Client } from "../vote/algorithm.ts";
import { nodesText } from "../vote/node-set.ts";

export type Standing = "yes" | "no" | "waiting";

/** One sentence that ends with the reason. Reasons that begin with "waits" say what is missing. */
export function sentence(client: Client): string {
  const phrase = votePhrase(client);
  const node = `Node ${client.nodeId} ${phrase}`;
  const until = /^waits (until .*)$/s.exec(client.why)?.[1];
  if (until !== undefined) {
    return phrase === waiting ? `${node} ${until}.` : `${node}: it waits ${until}.`;
  }
  return `${node}: ${client.why.replace(/^waits: /, "")}.`;
}

const having = "has the vote";
const waiting = "is waiting for its vote";

/** A vote that is being waited for is worth nothing, whatever was said before. */
function votePhrase(client: Client): string {
  if (client.lastVote === "waitForReply") return waiting;
  if (client.lastVote === "askLater") return "has to report more";
  // An ACK for an earlier membership counts no more.
  if (client.lastAckNack === "ack") return client.mayHoldAck ? having : waiting;
  return client.lastAckNack === "nack" ? "does not have the vote" : "has no answer yet";
}

export function standingOf(client: Client): Standing {
  if (votePhrase(client) === having) return "yes";
  const { lastVote, lastAckNack } = client;
  const isTold = lastVote !== "waitForReply" && lastVote !== "askLater" && lastAckNack === "nack";
  return isTold ? "no" : "waiting";
}

export function summaryOf(clients: readonly Client[]): string {
  const ids = (phrase: string): number[] =>
    clients.filter((client) => votePhrase(client) === phrase).map(({ nodeId }) => nodeId);
  const holders = ids(having);
  const expectant = ids(waiting);
  const parts = [
    holders.length === 0
      ? "No connected node has the vote"
      : `The vote is with ${nodesText(holders)}`,
    ...(expectant.length === 0 ? [] : [`${nodesText(expectant)} waiting`]),
  ];
  return `${parts.join("; ")}.`;
}
