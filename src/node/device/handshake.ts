// What the client demands of the server before it trusts it with votes (qnetd.md §1.6, §3.3, §3.4): whether to use TLS, the
// checks on the init reply in the original's order, and after which faults a new attempt may help. Pure functions.
import { algorithms, errorCodes, type Message, type TlsSupport } from "../../qnetd/message.ts";
import type { DeviceSettings } from "./device-settings.ts";

/** Why a connection is given up. */
export interface Fault {
  readonly reason: string;
  /** False: the next attempt would meet the same refusal; it is made much later. */
  readonly mayRetrySoon: boolean;
}

/** The server must take requests at least this long, and must not threaten with longer replies. */
export const requestBytesMin = 32_768;
export const replyBytesMax = 16_777_216;

const optionNumbers = { heuristics: 22, keepActivePartition: 23 } as const;

const lasting = (reason: string): Fault => ({ reason, mayRetrySoon: false });

/** Plain or TLS, by both sides' words (§1.6). */
export function tlsDecision(
  server: TlsSupport,
  client: DeviceSettings["tls"],
): "plain" | "tls" | Fault {
  if (server === "unsupported" && client === "required") {
    return lasting("the vote server does not offer TLS, but quorum.device.net.tls is required");
  }
  if (server === "required" && client === "off") {
    return lasting("the vote server demands TLS, but quorum.device.net.tls is off");
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
        reason: `the vote server already has a connection of node ${nodeid} of cluster "${clusterName}"; if this lasts, two clusters use the same name`,
        mayRetrySoon: true,
      };
    case errorCodes.tieBreakerDiffers:
      return {
        reason:
          "the other nodes told the vote server another tie_breaker: make corosync.conf the same on all nodes",
        mayRetrySoon: true,
      };
    case errorCodes.algorithmDiffers:
      return {
        reason:
          "the other nodes told the vote server another algorithm: make corosync.conf the same on all nodes",
        mayRetrySoon: true,
      };
    default:
      return lasting(`the vote server refused us: ${errorText(code)}`);
  }
}

/** An error code of the server in words (§1.5). */
export function errorText(code: number): string {
  const name = Object.entries(errorCodes).find(([, value]) => value === code)?.[0];
  const words = (name ?? "unknown error").replaceAll(
    /([A-Z])/g,
    (letter) => ` ${letter.toLowerCase()}`,
  );
  return `${words} (error ${code})`;
}
