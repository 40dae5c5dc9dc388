// What the device client takes from corosync.conf (qnetd.md §3.1): every key with its default and range, the derived timers, and
// the start-up checks of the original. Pure: reads settings that were read before.
import { evaluate } from "../quorum/rules.ts";
import type { NodeSettings } from "../settings/settings.ts";
import type { AlgorithmName, TieBreaker } from "../../qnetd/session/message.ts";
import { defaultAdvanced, readAdvanced, type AdvancedSettings } from "./advanced.ts";
import { type HeuristicsCommand, splitCommand } from "./command-line.ts";

export interface DeviceNode {
  readonly nodeid: number;
  /** 0: none was given. */
  readonly dataCenterId: number;
}

export interface DeviceSettings {
  readonly clusterName: string;
  readonly nodeid: number;
  readonly configVersion: number;
  /** Of the configuration, in its order. */
  readonly nodes: readonly DeviceNode[];
  readonly host: string;
  readonly port: number;
  readonly ipVersion: 0 | 4 | 6;
  readonly tls: "off" | "on" | "required";
  readonly algorithm: AlgorithmName;
  readonly tieBreaker: TieBreaker;
  readonly keepActivePartition: boolean;
  readonly connectMs: number;
  readonly heartbeatMs: number;
  readonly castVoteMs: number;
  /** quorum.device.timeout and sync_timeout: how long votequorum waits for its client. */
  readonly timeoutMs: number;
  readonly syncTimeoutMs: number;
  readonly waitForAll: boolean;
  /** The device's own. */
  readonly votes: number;
  readonly heuristics: HeuristicsSettings;
  readonly advanced: AdvancedSettings;
  /** What was accepted and does not do what it says, in sentences for the log. */
  readonly remarks: readonly string[];
}

export interface HeuristicsSettings {
  readonly mode: "off" | "on" | "sync";
  readonly timeoutMs: number;
  readonly syncTimeoutMs: number;
  readonly intervalMs: number;
  readonly commands: readonly HeuristicsCommand[];
}

export type DeviceSettingsResult =
  | { readonly ok: true; readonly value: DeviceSettings }
  | { readonly ok: false; readonly reason: string };

const defaultPort = 5403;

const yes = ["yes", "on", "1"];
const no = ["no", "off", "0"];

class Fault {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Undefined: no device of model net is configured. A reason names the key and what it may be. */
export function deviceSettings(settings: NodeSettings): DeviceSettingsResult | undefined {
  const { device } = settings.quorum;
  if (device?.model !== "net" || !settings.quorum.provider) return undefined;
  const options = new Options(device.options);
  const { timeoutMs, syncTimeoutMs } = device;
  const read = readAdvanced(device.advanced ?? "");
  if (!read.ok) options.faults.push(new Fault(`the options of corosync-qdevice: ${read.reason}`));
  const advanced = read.ok ? read.value.settings : defaultAdvanced;
  const heartbeatMs = clamp(
    Math.trunc(timeoutMs * 0.8),
    advanced.netHeartbeatIntervalMin,
    advanced.netHeartbeatIntervalMax,
  );
  const { netMinConnectTimeout, netMaxConnectTimeout } = advanced;
  const value: DeviceSettings = {
    clusterName: settings.clusterName,
    nodeid: settings.nodeid,
    configVersion: settings.configVersion,
    nodes: settings.nodes.map(({ nodeid, dataCenterId = 0 }) => ({ nodeid, dataCenterId })),
    host: options.required("net.host"),
    port: options.number("net.port", defaultPort, 1, 65_535),
    ipVersion: ipVersions[options.choice("net.force_ip_version", ["0", "4", "6"], "0")],
    tls: readTls(options),
    algorithm: readAlgorithm(options, advanced),
    tieBreaker: readTieBreaker(options),
    keepActivePartition: options.flag("net.keep_active_partition_tie_breaker", true),
    connectMs: options.number(
      "net.connect_timeout",
      clamp(heartbeatMs, netMinConnectTimeout, netMaxConnectTimeout),
      netMinConnectTimeout,
      netMaxConnectTimeout,
    ),
    heartbeatMs,
    castVoteMs: Math.trunc(timeoutMs * 0.5),
    timeoutMs,
    syncTimeoutMs,
    waitForAll: settings.quorum.waitForAll === true,
    votes: evaluate(settings, undefined).rules.deviceVotes,
    heuristics: readHeuristics(options, timeoutMs, syncTimeoutMs, advanced),
    advanced,
    remarks: [...(read.ok ? read.value.remarks : []), ...options.remarks],
  };
  if (settings.clusterName === "")
    options.faults.push(
      new Fault("totem.cluster_name is missing: the vote server tells clusters apart by it"),
    );
  const ffsplit = ffsplitFault(value, settings);
  if (ffsplit !== undefined) options.faults.push(ffsplit);
  const [fault] = options.faults;
  return fault === undefined ? { ok: true, value } : { ok: false, reason: fault.reason };
}

const ipVersions = { "0": 0, "4": 4, "6": 6 } as const;

/** ffsplit counts nodes, not votes: everybody must have exactly one (qnetd.md §3.2). */
function ffsplitFault(value: DeviceSettings, settings: NodeSettings): Fault | undefined {
  if (value.algorithm !== "ffsplit") return undefined;
  const odd = settings.nodes.find((node) => node.votes !== 1);
  if (odd !== undefined) {
    return new Fault(
      `algorithm ffsplit needs one vote for every node, node ${odd.nodeid} has ${odd.votes}: set its quorum_votes to 1 or use algorithm lms`,
    );
  }
  if (value.votes === 1) return undefined;
  return new Fault(
    `algorithm ffsplit needs quorum.device.votes to be 1, it is ${value.votes}: set it, or use algorithm lms`,
  );
}

/** "test" gives every partition its vote: it must be asked for twice. */
function readAlgorithm(options: Options, advanced: AdvancedSettings): AlgorithmName {
  const algorithm = options.choice(
    "net.algorithm",
    ["ffsplit", "lms", "2nodelms", "test"],
    "ffsplit",
  );
  if (algorithm === "test" && !advanced.netTestAlgorithmEnabled) {
    options.refuse("net.algorithm", algorithm, "ffsplit or lms: it is for developers only");
  }
  return algorithm;
}

function readTls(options: Options): DeviceSettings["tls"] {
  const word = options.choice("net.tls", [...yes, ...no, "required"], "on");
  if (word === "required") return word;
  return yes.includes(word) ? "on" : "off";
}

function readTieBreaker(options: Options): TieBreaker {
  const key = "net.tie_breaker";
  const word = options.text(key) ?? "lowest";
  if (word === "lowest" || word === "highest") return { mode: word };
  const nodeId = /^[0-9]{1,10}$/.test(word) ? Number(word) : 0;
  if (nodeId < 1 || nodeId > 0xffff_ffff) options.refuse(key, word, "lowest, highest or a node id");
  return { mode: "nodeId", nodeId };
}

function readHeuristics(
  options: Options,
  timeoutMs: number,
  syncTimeoutMs: number,
  advanced: AdvancedSettings,
): HeuristicsSettings {
  const word = options.choice("heuristics.mode", [...yes, ...no, "sync"], "off");
  const wanted = word === "sync" ? word : yes.includes(word) ? "on" : "off";
  const commands: HeuristicsCommand[] = [];
  for (const [name, line] of options.withPrefix("heuristics.exec_")) {
    const words = splitCommand(line);
    const isFound = words?.[0]?.startsWith("/") === true || advanced.heuristicsUseExecvp;
    if (words !== undefined && isFound) commands.push({ name, words });
    else if (wanted !== "off") {
      const allowed = "a command that begins with an absolute path";
      options.refuse(`heuristics.exec_${name}`, line, allowed);
    }
  }
  const between =
    (min: number, max: number) =>
    (key: string, fallback: number): number =>
      options.number(`heuristics.${key}`, clamp(Math.trunc(fallback), min, max), min, max);
  const timeout = between(advanced.heuristicsMinTimeout, advanced.heuristicsMaxTimeout);
  const interval = between(advanced.heuristicsMinInterval, advanced.heuristicsMaxInterval);
  const mode = usableMode(wanted, commands.length, advanced.heuristicsMaxExecs, options.remarks);
  return {
    mode,
    timeoutMs: timeout("timeout", timeoutMs / 2),
    syncTimeoutMs: timeout("sync_timeout", syncTimeoutMs / 2),
    intervalMs: interval("interval", timeoutMs * 3),
    commands,
  };
}

/** Without a command, or with too many, the original works without heuristics. */
function usableMode(
  wanted: HeuristicsSettings["mode"],
  commands: number,
  commandsMax: number,
  remarks: string[],
): HeuristicsSettings["mode"] {
  if (wanted === "off" || (commands > 0 && commands <= commandsMax)) return wanted;
  const why = commands === 0 ? "there is no exec_NAME" : `more than ${commandsMax} exec_NAME`;
  remarks.push(`quorum.device.heuristics.mode is ${wanted}, but heuristics are off: ${why}`);
  return "off";
}

function clamp(ms: number, min: number, max: number): number {
  return Math.min(Math.max(ms, min), max);
}

/** Reads options and remembers what is wrong with them; the first fault is reported. */
class Options {
  readonly faults: Fault[] = [];
  readonly remarks: string[] = [];
  readonly #values: Readonly<Record<string, string>>;

  constructor(values: Readonly<Record<string, string>>) {
    this.#values = values;
  }

  text(key: string): string | undefined {
    const value = Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
    return value === "" ? undefined : value;
  }

  withPrefix(prefix: string): (readonly [string, string])[] {
    return Object.entries(this.#values).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
    );
  }

  required(key: string): string {
    const value = this.text(key);
    if (value === undefined) this.faults.push(new Fault(`quorum.device.${key} is missing`));
    return value ?? "";
  }

  choice<T extends string>(key: string, names: readonly T[], fallback: NoInfer<T>): T {
    const value = this.text(key) ?? fallback;
    const found = names.find((name) => name === value);
    if (found === undefined) this.refuse(key, value, `one of ${names.join(", ")}`);
    return found ?? fallback;
  }

  flag(key: string, fallback: boolean): boolean {
    return yes.includes(this.choice(key, [...yes, ...no], fallback ? "yes" : "no"));
  }

  number(key: string, fallback: number, min: number, max: number): number {
    const text = this.text(key);
    if (text === undefined) return fallback;
    const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.refuse(key, text, `a number from ${min} to ${max}`);
    return fallback;
  }

  refuse(key: string, value: string, allowed: string): void {
    this.faults.push(new Fault(`quorum.device.${key} is "${value}", it must be ${allowed}`));
  }
}
