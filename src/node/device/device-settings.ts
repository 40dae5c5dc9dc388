// What the device client takes from corosync.conf (qnetd.md §3.1): every key with its default and range, the derived timers, and
// the start-up checks of the original. Pure: reads settings that were read before.
import { evaluate } from "../quorum/rules.ts";
import type { NodeSettings } from "../settings.ts";
import type { AlgorithmName, TieBreaker } from "../../qnetd/message.ts";
import type { HeuristicsCommand } from "./events.ts";

export interface DeviceSettings {
  readonly clusterName: string;
  readonly nodeid: number;
  readonly configVersion: number;
  /** Of the configuration, in its order. */
  readonly nodes: readonly number[];
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
  readonly waitForAll: boolean;
  /** The device's own. */
  readonly votes: number;
  readonly heuristics: HeuristicsSettings;
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
export const heuristicsCommandsMax = 32;
/** Both of heartbeats and of the other timeouts. */
const timeoutMsMin = 1000;
const timeoutMsMax = 120_000;
const intervalMsMax = 3_600_000;

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
  const heartbeatMs = clamp(Math.trunc(timeoutMs * 0.8));
  const algorithm = options.choice(
    "net.algorithm",
    ["ffsplit", "lms", "2nodelms", "test"],
    "ffsplit",
  );
  const value: DeviceSettings = {
    clusterName: settings.clusterName,
    nodeid: settings.nodeid,
    configVersion: settings.configVersion,
    nodes: settings.nodes.map((node) => node.nodeid),
    host: options.required("net.host"),
    port: options.number("net.port", defaultPort, 1, 65_535),
    ipVersion: ipVersions[options.choice("net.force_ip_version", ["0", "4", "6"], "0")],
    tls: readTls(options),
    algorithm,
    tieBreaker: readTieBreaker(options),
    keepActivePartition: options.flag("net.keep_active_partition_tie_breaker", true),
    connectMs: options.number("net.connect_timeout", heartbeatMs, timeoutMsMin, timeoutMsMax),
    heartbeatMs,
    castVoteMs: Math.trunc(timeoutMs * 0.5),
    waitForAll: settings.quorum.waitForAll === true,
    votes: evaluate(settings, undefined).rules.deviceVotes,
    heuristics: readHeuristics(options, timeoutMs, syncTimeoutMs),
  };
  if (settings.clusterName === "")
    options.faults.push(
      new Fault("totem.cluster_name is missing: the vote server tells clusters apart by it"),
    );
  const misfit = ffsplitFault(value, settings);
  if (misfit !== undefined) options.faults.push(misfit);
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
): HeuristicsSettings {
  const word = options.choice("heuristics.mode", [...yes, ...no, "sync"], "off");
  const mode = word === "sync" ? word : yes.includes(word) ? "on" : "off";
  const commands: HeuristicsCommand[] = [];
  for (const [key, line] of options.withPrefix("heuristics.exec_")) {
    const words = splitCommand(line);
    if (words?.[0]?.startsWith("/") !== true) {
      if (mode !== "off") {
        options.refuse(
          `heuristics.exec_${key}`,
          line,
          "a command that begins with an absolute path",
        );
      }
      continue;
    }
    commands.push({ name: key, words });
  }
  const inRange = (key: string, fallback: number, max: number): number =>
    options.number(`heuristics.${key}`, fallback, timeoutMsMin, max);
  // Without a valid command, or with too many, the original works without heuristics.
  const isUsable = commands.length > 0 && commands.length <= heuristicsCommandsMax;
  return {
    mode: isUsable ? mode : "off",
    timeoutMs: inRange("timeout", clamp(Math.trunc(timeoutMs / 2)), timeoutMsMax),
    syncTimeoutMs: inRange("sync_timeout", clamp(Math.trunc(syncTimeoutMs / 2)), timeoutMsMax),
    intervalMs: inRange(
      "interval",
      Math.min(Math.max(timeoutMs * 3, timeoutMsMin), intervalMsMax),
      intervalMsMax,
    ),
    commands,
  };
}

/** Words between blanks; double quotes and backslashes quote. Undefined: a quote has no end, or there is no word. */
export function splitCommand(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (char === "\\" && at + 1 < line.length) {
      at += 1;
      word = (word ?? "") + line.charAt(at);
    } else if (char === '"') {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (!isQuoted && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (isQuoted) return undefined;
  if (word !== undefined) words.push(word);
  return words.length > 0 ? words : undefined;
}

function clamp(ms: number): number {
  return Math.min(Math.max(ms, timeoutMsMin), timeoutMsMax);
}

/** Reads options and remembers what is wrong with them; the first fault is told. */
class Options {
  readonly faults: Fault[] = [];
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
