// What an operator may set on the vote server (qnetd.md §1.8, §5.1): TLS, limits, heartbeats, and the advanced settings of
// `corosync-qnetd -S`. Words come in here; the cores see numbers only.
import { success, failure, type Result } from "../../result.ts";
import { groupOf, onOff, umaskOf } from "../advanced-words.ts";

export interface VoteServerConfiguration {
  readonly tls: "off" | "on" | "required";
  /** With TLS: a client must show a certificate of its cluster's name. */
  readonly isClientCertificateRequired: boolean;
  /**
   * With TLS on: clusters that have a certificate may come without it, as the original lets them. Whoever reaches the port can then
   * take the place of a node that is not connected.
   */
  readonly isPlaintextAllowed: boolean;
  /** Connections at one time, in all and from one address; 0: no limit. Further ones are closed at once. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Longest message in either direction, header included. */
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
  /** Messages that may wait unsent for one client before it is disconnected. */
  readonly sendQueueMax: number;
  readonly heartbeatMsMin: number;
  readonly heartbeatMsMax: number;
  readonly hasDeadPeerDetection: boolean;
  /** A client is dead when nothing whole came for this many heartbeat intervals. */
  readonly deadPeerCoefficient: number;
  /** What a client has until it sets its option. */
  readonly keepActivePartition: boolean;
  /**
   * After a start, wait two heartbeats before a partition without all configured nodes gets the vote, unless the others are
   * connected: a node that cannot reach us may still count on a vote of before. The original does not wait (§9.3).
   */
  readonly isWaitingAfterStart: boolean;
}

export const defaultConfiguration: VoteServerConfiguration = {
  tls: "on",
  isClientCertificateRequired: true,
  isPlaintextAllowed: false,
  connectionsMax: 0,
  connectionsPerAddressMax: 0,
  receiveBytesMax: 32768,
  sendBytesMax: 32768,
  sendQueueMax: 32,
  heartbeatMsMin: 1000,
  heartbeatMsMax: 120_000,
  hasDeadPeerDetection: true,
  deadPeerCoefficient: 1.5,
  keepActivePartition: false,
  isWaitingAfterStart: true,
};

/** The advanced settings (`-S`), by the original's names. */
export interface AdvancedSettings {
  readonly listenBacklog: number;
  readonly maxClientSendBuffers: number;
  readonly maxClientSendSize: number;
  readonly maxClientReceiveSize: number;
  readonly nssDbDir: string;
  readonly certNickname: string;
  readonly heartbeatIntervalMin: number;
  readonly heartbeatIntervalMax: number;
  readonly dpdEnabled: boolean;
  readonly dpdIntervalCoefficient: number;
  readonly lockFile: string;
  readonly localSocketFile: string;
  /** Undefined: unchanged. */
  readonly localSocketUmask: number | undefined;
  /** A group's name or number; undefined: unchanged. Newer versions of the original only. */
  readonly localSocketGid: string | undefined;
  readonly localSocketBacklog: number;
  /** 0: no limit. */
  readonly ipcMaxClients: number;
  readonly ipcMaxReceiveSize: number;
  readonly ipcMaxSendSize: number;
  readonly keepActivePartitionTieBreaker: boolean;
  /** Ours alone; see VoteServerConfiguration.isPlaintextAllowed. */
  readonly allowPlaintext: boolean;
}

export const defaultAdvancedSettings: AdvancedSettings = {
  listenBacklog: 10,
  maxClientSendBuffers: defaultConfiguration.sendQueueMax,
  maxClientSendSize: defaultConfiguration.sendBytesMax,
  maxClientReceiveSize: defaultConfiguration.receiveBytesMax,
  nssDbDir: "/etc/corosync/qnetd/nssdb",
  certNickname: "QNetd Cert",
  heartbeatIntervalMin: defaultConfiguration.heartbeatMsMin,
  heartbeatIntervalMax: defaultConfiguration.heartbeatMsMax,
  dpdEnabled: true,
  dpdIntervalCoefficient: defaultConfiguration.deadPeerCoefficient,
  lockFile: "/var/run/corosync-qnetd/corosync-qnetd.pid",
  localSocketFile: "/var/run/corosync-qnetd/corosync-qnetd.sock",
  localSocketUmask: undefined,
  localSocketGid: undefined,
  localSocketBacklog: 10,
  ipcMaxClients: 10,
  ipcMaxReceiveSize: 4096,
  ipcMaxSendSize: 10_485_760,
  keepActivePartitionTieBreaker: false,
  allowPlaintext: false,
};

const numberMax = 0x7fff_ffff;
const coefficientMax = 1000;

type Numeric = {
  [K in keyof AdvancedSettings]: AdvancedSettings[K] extends number ? K : never;
}[keyof AdvancedSettings];

/** Whole numbers: the original's name, ours, and the least value. */
const wholeNumbers: Readonly<Record<string, { readonly key: Numeric; readonly min: number }>> = {
  listen_backlog: { key: "listenBacklog", min: 1 },
  max_client_send_buffers: { key: "maxClientSendBuffers", min: 2 },
  max_client_send_size: { key: "maxClientSendSize", min: 16 },
  max_client_receive_size: { key: "maxClientReceiveSize", min: 16 },
  heartbeat_interval_min: { key: "heartbeatIntervalMin", min: 1 },
  heartbeat_interval_max: { key: "heartbeatIntervalMax", min: 1 },
  local_socket_backlog: { key: "localSocketBacklog", min: 1 },
  ipc_max_clients: { key: "ipcMaxClients", min: 0 },
  ipc_max_receive_size: { key: "ipcMaxReceiveSize", min: 1024 },
  ipc_max_send_size: { key: "ipcMaxSendSize", min: 1024 },
};

const texts: Readonly<
  Record<string, "nssDbDir" | "certNickname" | "lockFile" | "localSocketFile">
> = {
  nss_db_dir: "nssDbDir",
  cert_nickname: "certNickname",
  lock_file: "lockFile",
  local_socket_file: "localSocketFile",
};

const booleans: Readonly<
  Record<string, "dpdEnabled" | "keepActivePartitionTieBreaker" | "allowPlaintext">
> = {
  dpd_enabled: "dpdEnabled",
  keep_active_partition_tie_breaker: "keepActivePartitionTieBreaker",
  allow_plaintext: "allowPlaintext",
};

/** The names of `-S`, but for the one that does nothing any more. */
export const advancedNames: readonly string[] = [
  ...[wholeNumbers, texts, booleans].flatMap((each) => Object.keys(each)),
  ...["dpd_interval_coefficient", "local_socket_umask", "local_socket_gid"],
].toSorted();

/**
 * Sets one `name=value` of `-S`. The reasons are the original's texts, to be printed behind "corosync-qnetd: "; `warnings` gets
 * what is said about a setting that is accepted and does nothing.
 */
export function withAdvancedSetting(
  settings: AdvancedSettings,
  name: string,
  value: string,
  warnings: string[],
): Result<AdvancedSettings> {
  const word = name.toLowerCase();
  const invalid: Result<AdvancedSettings> = failure(
    `Invalid value '${value}' for option '${name}'`,
  );
  const whole = Object.hasOwn(wholeNumbers, word) ? wholeNumbers[word] : undefined;
  if (whole !== undefined) {
    const number = wholeNumber(value, whole.min, numberMax);
    return number === undefined ? invalid : success({ ...settings, [whole.key]: number });
  }
  const text = Object.hasOwn(texts, word) ? texts[word] : undefined;
  if (text !== undefined) return success({ ...settings, [text]: value });
  const boolean = Object.hasOwn(booleans, word) ? booleans[word] : undefined;
  if (boolean !== undefined) {
    const isOn = onOff(value);
    return isOn === undefined ? invalid : success({ ...settings, [boolean]: isOn });
  }
  switch (word) {
    case "dpd_interval":
      warnings.push(`Option '${name}' is deprecated and has no effect anymore`);
      return success(settings);
    case "dpd_interval_coefficient": {
      const number = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : 0;
      if (number < 1 || number > coefficientMax) return invalid;
      return success({ ...settings, dpdIntervalCoefficient: number });
    }
    case "local_socket_umask": {
      const umask = umaskOf(value);
      return umask === "invalid" ? invalid : success({ ...settings, localSocketUmask: umask });
    }
    case "local_socket_gid":
      return success({ ...settings, localSocketGid: groupOf(value) });
    default:
      return failure(`Unknown option '${name}'`);
  }
}

/** The word of `-s`; the manual says "required", the original wants "req": both are taken. */
export function tlsMode(word: string): VoteServerConfiguration["tls"] | undefined {
  const lower = word.toLowerCase();
  if (lower === "on" || lower === "off") return lower;
  return lower === "req" || lower === "required" ? "required" : undefined;
}

/** The server's configuration as the command line gives it; `options` are those of the original's own letters. */
export function configurationOf(
  settings: AdvancedSettings,
  options: Pick<
    VoteServerConfiguration,
    | "tls"
    | "isClientCertificateRequired"
    | "connectionsMax"
    | "connectionsPerAddressMax"
    | "isWaitingAfterStart"
  >,
): VoteServerConfiguration {
  return {
    ...options,
    isPlaintextAllowed: settings.allowPlaintext,
    receiveBytesMax: settings.maxClientReceiveSize,
    sendBytesMax: settings.maxClientSendSize,
    sendQueueMax: settings.maxClientSendBuffers,
    heartbeatMsMin: settings.heartbeatIntervalMin,
    heartbeatMsMax: settings.heartbeatIntervalMax,
    hasDeadPeerDetection: settings.dpdEnabled,
    deadPeerCoefficient: settings.dpdIntervalCoefficient,
    keepActivePartition: settings.keepActivePartitionTieBreaker,
  };
}

function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const number = Number(text);
  return number < min || number > max ? undefined : number;
}
