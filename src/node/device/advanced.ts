// The advanced settings of corosync-qdevice, `-S name=value,…` (qnetd.md §3.8), and the file in which a service unit of the
// original has them. Pure: words in, values out. What has no counterpart in quorate is accepted and said, never silently dropped.
import { success, failure, type Result } from "../../result.ts";
import { groupOf, onOff, umaskOf } from "../../qnetd/advanced-words.ts";
import { splitCommand } from "./command-line.ts";

export interface AdvancedSettings {
  /** Undefined: the usual place below the node's root. */
  readonly localSocketFile: string | undefined;
  /** Undefined: unchanged. Newer versions of the original only, as the group. */
  readonly localSocketUmask: number | undefined;
  readonly localSocketGid: string | undefined;
  readonly localSocketBacklog: number;
  /** 0: no limit. */
  readonly ipcMaxClients: number;
  readonly ipcMaxReceiveSize: number;
  readonly ipcMaxSendSize: number;
  /** All nodes of a cluster must use the same. */
  readonly votequorumDeviceName: string;
  readonly masterWins: boolean;
  readonly heuristicsMinTimeout: number;
  readonly heuristicsMaxTimeout: number;
  readonly heuristicsMinInterval: number;
  readonly heuristicsMaxInterval: number;
  readonly heuristicsMaxExecs: number;
  /** Commands without a slash are looked for in PATH. */
  readonly heuristicsUseExecvp: boolean;
  readonly heuristicsMaxProcesses: number;
  /** From SIGTERM to SIGKILL for a command that did not end in time. */
  readonly heuristicsKillListInterval: number;
  /** The name that the vote server's certificate must carry. */
  readonly netNssQnetdCn: string;
  readonly netInitialMsgReceiveSize: number;
  readonly netInitialMsgSendSize: number;
  /** The vote server must take requests at least this long. */
  readonly netMinMsgSendSize: number;
  /** The vote server must not announce longer replies. */
  readonly netMaxMsgReceiveSize: number;
  readonly netMaxSendBuffers: number;
  readonly netHeartbeatIntervalMin: number;
  readonly netHeartbeatIntervalMax: number;
  readonly netMinConnectTimeout: number;
  readonly netMaxConnectTimeout: number;
  readonly netTestAlgorithmEnabled: boolean;
  /** Ours only: plain text with a server that offers no TLS, also on a node with a certificate. */
  readonly netAllowPlaintext: boolean;
}

export const defaultAdvanced: AdvancedSettings = {
  localSocketFile: undefined,
  localSocketUmask: undefined,
  localSocketGid: undefined,
  localSocketBacklog: 10,
  ipcMaxClients: 10,
  ipcMaxReceiveSize: 4096,
  ipcMaxSendSize: 65_536,
  votequorumDeviceName: "Qdevice",
  masterWins: false,
  heuristicsMinTimeout: 1000,
  heuristicsMaxTimeout: 120_000,
  heuristicsMinInterval: 1000,
  heuristicsMaxInterval: 3_600_000,
  heuristicsMaxExecs: 32,
  heuristicsUseExecvp: false,
  heuristicsMaxProcesses: 160,
  heuristicsKillListInterval: 5000,
  netNssQnetdCn: "Qnetd Server",
  netInitialMsgReceiveSize: 32_768,
  netInitialMsgSendSize: 32_768,
  netMinMsgSendSize: 32_768,
  netMaxMsgReceiveSize: 16_777_216,
  netMaxSendBuffers: 10,
  netHeartbeatIntervalMin: 1000,
  netHeartbeatIntervalMax: 120_000,
  netMinConnectTimeout: 1000,
  netMaxConnectTimeout: 120_000,
  netTestAlgorithmEnabled: false,
  netAllowPlaintext: false,
};

type KeyOf<T> = {
  [K in keyof AdvancedSettings]-?: AdvancedSettings[K] extends T ? K : never;
}[keyof AdvancedSettings];

/** The largest value; timers take no more, and nobody has use for more bytes. */
const wholeMax = 0x7fff_ffff;
/** votequorum's, with its end. */
const deviceNameBytesMax = 255;

/** Whole numbers: the original's name, ours, and the least value that the original takes. */
const wholes: Readonly<Record<string, { readonly key: KeyOf<number>; readonly min: number }>> = {
  local_socket_backlog: { key: "localSocketBacklog", min: 1 },
  ipc_max_clients: { key: "ipcMaxClients", min: 0 },
  ipc_max_receive_size: { key: "ipcMaxReceiveSize", min: 1024 },
  ipc_max_send_size: { key: "ipcMaxSendSize", min: 1024 },
  heuristics_min_timeout: { key: "heuristicsMinTimeout", min: 250 },
  heuristics_max_timeout: { key: "heuristicsMaxTimeout", min: 250 },
  heuristics_min_interval: { key: "heuristicsMinInterval", min: 250 },
  heuristics_max_interval: { key: "heuristicsMaxInterval", min: 250 },
  heuristics_max_execs: { key: "heuristicsMaxExecs", min: 1 },
  heuristics_max_processes: { key: "heuristicsMaxProcesses", min: 1 },
  heuristics_kill_list_interval: { key: "heuristicsKillListInterval", min: 250 },
  net_initial_msg_receive_size: { key: "netInitialMsgReceiveSize", min: 16 },
  net_initial_msg_send_size: { key: "netInitialMsgSendSize", min: 16 },
  net_min_msg_send_size: { key: "netMinMsgSendSize", min: 16 },
  net_max_msg_receive_size: { key: "netMaxMsgReceiveSize", min: 16 },
  net_max_send_buffers: { key: "netMaxSendBuffers", min: 2 },
  net_heartbeat_interval_min: { key: "netHeartbeatIntervalMin", min: 1 },
  net_heartbeat_interval_max: { key: "netHeartbeatIntervalMax", min: 1 },
  net_min_connect_timeout: { key: "netMinConnectTimeout", min: 1 },
  net_max_connect_timeout: { key: "netMaxConnectTimeout", min: 1 },
};

const flags: Readonly<Record<string, KeyOf<boolean>>> = {
  heuristics_use_execvp: "heuristicsUseExecvp",
  net_test_algorithm_enabled: "netTestAlgorithmEnabled",
  net_allow_plaintext: "netAllowPlaintext",
};

/** Of the original's inner workings, which are others here: why the value changes nothing. */
const withoutEffect: Readonly<Record<string, string>> = {
  lock_file: "the node itself is locked",
  max_cs_try_again: "the ring is in the same process",
  heuristics_ipc_max_send_buffers: "there is no worker process",
  heuristics_ipc_max_send_receive_size: "there is no worker process",
  net_nss_db_dir: "no NSS database is read, name the files in quorum.device.net.tls_p12_file",
  net_nss_client_cert_nickname: "no NSS database is read",
};

export interface AdvancedResult {
  readonly settings: AdvancedSettings;
  /** Sentences about what was accepted and does nothing. */
  readonly remarks: readonly string[];
}

/** Reads `name=value,…`, later ones win; empty parts are skipped. The reason begins with the original's words. */
export function readAdvanced(text: string): Result<AdvancedResult> {
  let settings = defaultAdvanced;
  const remarks: string[] = [];
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    const name = (at < 0 ? part : part.slice(0, at)).trim().toLowerCase();
    if (name === "") continue;
    const next = withAdvanced(settings, name, at < 0 ? "" : part.slice(at + 1), remarks);
    if (!next.ok) return next;
    settings = next.value;
  }
  return success({ settings, remarks });
}

function withAdvanced(
  settings: AdvancedSettings,
  name: string,
  value: string,
  remarks: string[],
): Result<AdvancedSettings> {
  const invalid: Result<AdvancedSettings> = failure(
    `Invalid value '${value}' for option '${name}'`,
  );
  const whole = own(wholes, name);
  if (whole !== undefined) {
    const number = /^ *\d{1,15}$/.test(value) ? Number(value) : -1;
    if (number < whole.min || number > wholeMax) return invalid;
    return success({ ...settings, [whole.key]: number });
  }
  const flag = own(flags, name);
  if (flag !== undefined) {
    const isOn = onOff(value);
    return isOn === undefined ? invalid : success({ ...settings, [flag]: isOn });
  }
  const reason = own(withoutEffect, name);
  if (reason !== undefined) {
    remarks.push(`${name} changes nothing in quorate: ${reason}`);
    return success(settings);
  }
  switch (name) {
    case "master_wins": {
      // Model net has it off.
      const isOn = value.toLowerCase() === "model" ? false : onOff(value);
      return isOn === undefined ? invalid : success({ ...settings, masterWins: isOn });
    }
    case "local_socket_file":
      return success({ ...settings, localSocketFile: value === "" ? undefined : value });
    case "local_socket_umask": {
      const umask = umaskOf(value);
      return umask === "invalid" ? invalid : success({ ...settings, localSocketUmask: umask });
    }
    case "local_socket_gid":
      return success({ ...settings, localSocketGid: groupOf(value) });
    case "votequorum_device_name":
      if (value === "" || value.length >= deviceNameBytesMax) return invalid;
      return success({ ...settings, votequorumDeviceName: value });
    case "net_nss_qnetd_cn":
      return value === "" ? invalid : success({ ...settings, netNssQnetdCn: value });
    default:
      return failure(`Unknown option '${name}'`);
  }
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/**
 * The `-S` words of COROSYNC_QDEVICE_OPTIONS in a defaults file (`NAME="words"` lines, the last one counts), joined by commas;
 * undefined when there are none. Other options of the original, such as -d, have no meaning here.
 */
export function advancedOfDefaults(text: string): string | undefined {
  let line: string | undefined;
  for (const each of text.split("\n")) {
    line = /^\s*(?:export\s+)?COROSYNC_QDEVICE_OPTIONS=(.*)$/.exec(each)?.[1] ?? line;
  }
  const assigned = splitCommand(line?.replaceAll("'", '"') ?? "")?.join(" ");
  const words = splitCommand(assigned ?? "") ?? [];
  const found: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (!/^-[dfh]*S/.test(word)) continue;
    const joined = word.slice(word.indexOf("S") + 1);
    if (joined !== "") found.push(joined);
    else found.push(words[(at += 1)] ?? "");
  }
  return found.length === 0 ? undefined : found.join(",");
}
