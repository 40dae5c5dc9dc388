// What `corosync-qnetd-tool` prints (qnetd.md §5.2), byte for byte: scripts read it. Built from the server's snapshot.
import { ringText } from "../../world.ts";
import { type Heuristics, type NodeInfo, type TieBreaker, type Vote } from "../session/message.ts";
import type { ClusterSnapshot, NodeSnapshot, ServerSnapshot } from "../session/snapshot.ts";

/** What the text says of the server itself. */
export interface ServerFacts {
  /** "*" or what was asked to be listened on. */
  readonly address: string;
  readonly port: number;
  readonly tls: "off" | "on" | "required";
  readonly isClientCertificateRequired: boolean;
  /** 0: no limit. */
  readonly clientsMax: number;
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
}

export function statusText(
  facts: ServerFacts,
  snapshot: ServerSnapshot,
  isVerbose: boolean,
): string {
  const lines = [
    `QNetd address:\t\t\t${facts.address}:${facts.port}`,
    `TLS:\t\t\t\t${tlsText(facts)}`,
    // The original counts connections here, whatever they have said so far.
    `Connected clients:\t\t${snapshot.connections}`,
    `Connected clusters:\t\t${snapshot.clusters.length}`,
  ];
  if (isVerbose) {
    if (facts.clientsMax > 0) lines.push(`Maximum allowed clients:\t${facts.clientsMax}`);
    const { sendBytesMax, receiveBytesMax } = facts;
    lines.push(`Maximum send/receive size:\t${sendBytesMax}/${receiveBytesMax} bytes`);
  }
  return linesText(lines);
}

/** `cluster`: the name of the only one that is wanted; undefined: all. */
export function listText(
  snapshot: ServerSnapshot,
  options: { readonly isVerbose: boolean; readonly cluster: string | undefined },
): string {
  const wanted = snapshot.clusters.filter(
    ({ name }) => options.cluster === undefined || name === options.cluster,
  );
  return linesText(
    wanted.flatMap((cluster) => [
      ...clusterLines(cluster),
      ...cluster.nodes.flatMap((node) => nodeLines(node, options.isVerbose)),
    ]),
  );
}

function tlsText({ tls, isClientCertificateRequired }: ServerFacts): string {
  if (tls === "off") return "Unsupported";
  const mode = tls === "on" ? "Supported" : "Required";
  return isClientCertificateRequired ? `${mode} (client certificate required)` : mode;
}

const algorithmTexts = {
  test: "Test",
  ffsplit: "Fifty-Fifty split",
  "2nodelms": "2 Node LMS",
  lms: "LMS",
} as const;

function clusterLines(cluster: ClusterSnapshot): string[] {
  const suffix = cluster.isKeepingActivePartition ? " (KAP Tie-breaker)" : "";
  return [
    `Cluster "${printable(cluster.name)}":`,
    `    Algorithm:\t\t${algorithmTexts[cluster.algorithm]}${suffix}`,
    `    Tie-breaker:\t${tieBreakerText(cluster.tieBreaker)}`,
  ];
}

function nodeLines(node: NodeSnapshot, isVerbose: boolean): string[] {
  const lines: string[] = [];
  const add = (label: string, value: string): void => void lines.push(`        ${label}${value}`);
  add("Client address:\t\t", `${node.address}:${node.port}`);
  if (isVerbose) add("HB interval:\t\t", `${node.heartbeatMs}ms`);
  if (node.configVersion !== undefined) add("Configuration version:\t", String(node.configVersion));
  if (node.configured.length > 0) {
    add("Configured node list:\t", node.configured.map(nodeText).join(", "));
  }
  if (isVerbose) add("Ring ID:\t\t", ringText({ rep: node.ring.nodeId, seq: node.ring.seq }));
  if (node.members.length > 0) add("Membership node list:\t", node.members.join(", "));
  if (node.heuristics !== undefined || isVerbose) {
    add("Heuristics:\t\t", heuristicsText(node, isVerbose));
  }
  if (isVerbose) add("TLS active:\t\t", tlsActiveText(node));
  if (node.vote !== undefined) add("Vote:\t\t\t", voteText(node.vote, node.ackOrNack));
  return [`    Node ID ${node.nodeId}:`, ...lines];
}

/** A name comes from the network and goes to a terminal. */
function printable(name: string): string {
  // eslint-disable-next-line no-control-regex -- that is the point
  return name.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

function tieBreakerText(tieBreaker: TieBreaker): string {
  return tieBreaker.mode === "nodeId"
    ? `Node with node ID ${tieBreaker.nodeId}`
    : `Node with ${tieBreaker.mode} node ID`;
}

function nodeText({ nodeId, dataCenterId }: NodeInfo): string {
  return dataCenterId ? `${nodeId} (${dataCenterId})` : String(nodeId);
}

function heuristicsText(node: NodeSnapshot, isVerbose: boolean): string {
  const result = resultText(node.heuristics);
  if (!isVerbose) return result;
  const membership = resultText(node.membershipHeuristics);
  return `${result} (membership: ${membership}, regular: ${resultText(node.regularHeuristics)})`;
}

function resultText(result: Heuristics | undefined): string {
  if (result === undefined) return "Undefined";
  return result === "pass" ? "Pass" : "Fail";
}

function tlsActiveText(node: NodeSnapshot): string {
  if (!node.isTlsActive) return "No";
  return node.isCertificateVerified ? "Yes (client certificate verified)" : "Yes";
}

const voteTexts: Readonly<Record<Vote, string>> = {
  ack: "ACK",
  nack: "NACK",
  askLater: "Ask later",
  waitForReply: "Wait for reply",
  noChange: "No change",
};

function voteText(vote: Vote, ackOrNack: "ack" | "nack" | undefined): string {
  return ackOrNack === undefined ? voteTexts[vote] : `${voteTexts[vote]} (${voteTexts[ackOrNack]})`;
}

function linesText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
