// What a session makes of single messages: their names for people, what they report to the cluster, and what answers them.
import { byteStringOfText } from "../../bytes.ts";
import type { Client } from "../vote/algorithm.ts";
import { certificateHasName, type CertificateNames } from "../pki/certificate-name.ts";
import type { Report } from "../vote/cluster.ts";
import { messageKinds, messageNames, type Message, type Vote } from "./message.ts";

export function nameOf(message: Message): string {
  return messageNames[messageKinds.indexOf(message.kind)] ?? message.kind;
}

/** Names in a certificate are text, a cluster's name is bytes. */
export function hasName(certificate: CertificateNames, name: string): boolean {
  const { commonName, alternativeNames } = certificate;
  return certificateHasName(
    {
      commonName: commonName === undefined ? undefined : byteStringOfText(commonName),
      alternativeNames: alternativeNames.map(byteStringOfText),
    },
    name,
  );
}

/** A copy of the request with the type of the reply, unknown options and all. */
export function echoReply(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply[1] = messageKinds.indexOf("echoReply");
  return reply;
}

/** What a message reports to the cluster; undefined: an option is missing (error 7). */
export function reportOf(message: Message): Report | undefined {
  const { kind, nodeListType, ring, isQuorate, heuristics, nodes = [] } = message;
  if (kind === "askForVote") return { kind: "vote" };
  if (kind === "heuristicsChange") {
    return heuristics === undefined ? undefined : { kind: "heuristics", heuristics };
  }
  switch (nodeListType) {
    case "initialConfig":
    case "changedConfig": {
      const isInitial = nodeListType === "initialConfig";
      return { kind: "config", isInitial, nodes, version: message.configVersion };
    }
    case "membership":
      return ring === undefined ? undefined : { kind: "membership", ring, nodes, heuristics };
    case "quorum":
      return isQuorate === undefined ? undefined : { kind: "quorum", isQuorate, nodes };
    case undefined:
      return undefined;
  }
  return nodeListType satisfies never;
}

/** The reply with the vote, in the ring that the server has now stored for the client. */
export function replyTo(message: Message, client: Client, vote: Vote): Message {
  const { seq, nodeListType, heuristics } = message;
  const common = { ...(seq === undefined ? {} : { seq }), vote, ring: client.ring };
  if (message.kind === "askForVote") return { kind: "askForVoteReply", ...common };
  if (message.kind === "heuristicsChange") {
    return {
      kind: "heuristicsChangeReply",
      ...common,
      ...(heuristics === undefined ? {} : { heuristics }),
    };
  }
  return {
    kind: "nodeListReply",
    ...common,
    ...(nodeListType === undefined ? {} : { nodeListType }),
  };
}
