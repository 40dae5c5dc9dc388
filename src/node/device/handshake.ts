// What the client demands of the server before it trusts it with votes (qnetd.md §1.6, §3.3, §3.4): whether to use TLS, the
// checks on the init reply in the original's order, and after which faults a new attempt may help. Pure functions.
import {
  algorithms,
  errorCodes,
  type ErrorName,
  type Message,
  type TlsSupport,
} from "../../qnetd/session/message.ts";
import type { DeviceSettings } from "./device-settings.ts";

/** Why a connection is given up. */
export interface Fault {
  readonly reason: string;
  /** False: the next attempt would meet the same refusal; it is made much later. */
  readonly mayRetrySoon: boolean;
}

const optionNumbers = { heuristics: 22, keepActivePartition: 23 } as const;

const lasting = (reason: string): Fault => ({ reason, mayRetrySoon: false });

export interface PlaintextTerms {
  /** This node has a certificate for its vote server. */
  readonly hasCertificate: boolean;
  /** As the original: net_allow_plaintext. */
  readonly isPlaintextAllowed: boolean;
}

/**
 * Plain or TLS, by what both sides support (§1.6). Unlike the original, a node that has a certificate for its vote server speaks
 * plain text only when it is told to: that a server has no TLS is said in plain text, and anybody may say it.
 */
export function tlsDecision(
  server: TlsSupport,
  client: DeviceSettings["tls"],
  { hasCertificate, isPlaintextAllowed }: PlaintextTerms,
): "plain" | "tls" | Fault {
  if (server === "unsupported" && client === "required") {
    return lasting("the vote server does not offer TLS, but quorum.device.net.tls is required");
  }
  if (server === "required" && client === "off") {
    return lasting("the vote server demands TLS, but quorum.device.net.tls is off");
  }
  if (server === "unsupported" && client === "on" && hasCertificate && !isPlaintextAllowed) {
    return lasting(
      "it offers no TLS, though this node has a certificate for it, and without TLS it may be anybody: start it with TLS, or, " +
        'if plain text is wanted, set "tls: off" in quorum.device.net of corosync.conf',
    );
  }
  return server === "unsupported" || client === "off" ? "plain" : "tls";
}

export interface ServerTerms {
  readonly requestBytesMax: number;
  readonly replyBytesMax: number;
  readonly takesKeepActivePartition: boolean;
}

/** The server's terms, or why we cannot work with it. `seq`: that of our init. */
export function checkInitReply(
  reply: Message,
  seq: number,
  settings: DeviceSettings,
): ServerTerms | Fault {
  if (reply.seq !== seq) return lasting("the vote server's init reply has another sequence number");
  if (reply.errorCode === undefined) return incomplete("init reply");
  if (reply.errorCode !== errorCodes.none) return refusal(reply.errorCode, settings);
  const { requestBytesMax, supportedMessages, supportedOptions: options } = reply;
  if (requestBytesMax === undefined || reply.replyBytesMax === undefined) {
    return incomplete("init reply");
  }
  if (supportedMessages === undefined || options === undefined) return incomplete("init reply");
  if (reply.supportedAlgorithms === undefined) return incomplete("init reply");
  const { netMinMsgSendSize: requestBytesMin, netMaxMsgReceiveSize: replyBytesMax } =
    settings.advanced;
  if (requestBytesMax < requestBytesMin) {
    return lasting(
      `the vote server takes requests of ${requestBytesMax} bytes at most, ${requestBytesMin} are needed`,
    );
  }
  if (reply.replyBytesMax > replyBytesMax) {
    return lasting(
      `the vote server may send replies of ${reply.replyBytesMax} bytes, ${replyBytesMax} are allowed`,
    );
  }
  if (!reply.supportedAlgorithms.includes(algorithms.indexOf(settings.algorithm))) {
    return lasting(`the vote server does not know the algorithm ${settings.algorithm}`);
  }
  if (settings.heuristics.mode !== "off" && !options.includes(optionNumbers.heuristics)) {
    return lasting("the vote server does not know heuristics, but quorum.device.heuristics is on");
  }
  return {
    requestBytesMax,
    replyBytesMax: reply.replyBytesMax,
    takesKeepActivePartition: options.includes(optionNumbers.keepActivePartition),
  };
}

export function isFault(value: object): value is Fault {
  return "mayRetrySoon" in value;
}

export function incomplete(what: string): Fault {
  return lasting(`the vote server's ${what} lacks a required option`);
}

/** An error code of an init reply in words. The server may not have dropped our old connection yet: then we try again soon. */
function refusal(code: number, settings: DeviceSettings): Fault {
  const { nodeid, clusterName } = settings;
  switch (code) {
    case errorCodes.duplicateNodeId:
      return {
        reason: `the vote server already has a connection of node ${nodeid} of cluster "${clusterName}"; if this lasts, two clusters use the same name there: give one of them another totem.cluster_name`,
        mayRetrySoon: true,
      };
    case errorCodes.tieBreakerDiffers:
    case errorCodes.algorithmDiffers:
      return { reason: `the vote server refused us: ${errorText(code)}`, mayRetrySoon: true };
    default:
      return lasting(`the vote server refused us: ${errorText(code)}`);
  }
}

/** What each error code of a server (§1.5) means and what an operator can do. */
const errorTexts: Readonly<Record<ErrorName, string>> = {
  none: "an error message without an error",
  unsupportedNeededMessage:
    "it does not know a message that is needed: it is too old, or no corosync-qnetd",
  unsupportedNeededOption:
    "it does not know an option that is needed: it is too old, or no corosync-qnetd",
  tlsRequired: "it demands TLS: set quorum.device.net.tls to on or required",
  unsupportedMessage: "it does not know one of our messages: it may be too old",
  messageTooLong:
    "a message of ours is too long for it: raise max_client_receive_size of corosync-qnetd",
  preinitRequired: "it missed our first message: report this",
  requiredOptionMissing: "it missed a part of our message: report this",
  unexpectedMessage: "it did not expect our message: report this",
  undecodable: "it could not read our message: is it a corosync-qnetd of version 3?",
  internal: "it failed by itself: see its log",
  initRequired: "it does not know us any more: report this if it lasts",
  unsupportedAlgorithm:
    "it does not take our algorithm for this cluster: check quorum.device.net.algorithm (2nodelms needs exactly two nodes)",
  invalidHeartbeat:
    "our heartbeat interval is outside of its limits: correct quorum.device.timeout, or heartbeat_interval_min and heartbeat_interval_max of corosync-qnetd",
  unsupportedAlgorithmMessage: "our algorithm does not have this message: report this",
  tieBreakerDiffers:
    "the other nodes told it another tie_breaker: make corosync.conf the same on all nodes; if those are of another cluster, give one of the two another totem.cluster_name",
  algorithmDiffers:
    "the other nodes told it another algorithm: make corosync.conf the same on all nodes; if those are of another cluster, give one of the two another totem.cluster_name",
  duplicateNodeId:
    "it already has a connection of a node with our id: if two clusters use the same name, give one of them another totem.cluster_name",
  invalidConfigList:
    "the node list of corosync.conf is empty or lacks this node: correct the nodelist",
  invalidMembershipList: "our membership lacks this node: report this",
};

/** An error code of the server as the end of a sentence about the server. */
export function errorText(code: number): string {
  const texts: Readonly<Record<string, string>> = errorTexts;
  const name = Object.entries(errorCodes).find(([, value]) => value === code)?.[0];
  return `${texts[name ?? ""] ?? "an error that is not known here"} (error ${code})`;
}
