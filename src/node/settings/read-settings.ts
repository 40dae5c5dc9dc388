// corosync.conf to NodeSettings: the checks of corosync in corosync's order and words (totem.md §6, services.md §4.9, §5.3),
// so that a file which corosync refuses is refused here too. Pure: names are resolved and the key is read by the caller.
import { entryAt, type Conf } from "../../conf.ts";
import { checkDaemonStart, checkDaemonWords, type DaemonFacts } from "./conf-daemon.ts";
import {
  checkIntegers,
  choiceAt,
  ConfError,
  integerAt,
  nonZeroAt,
  NotListed,
  textAt,
} from "./conf-value.ts";
import { configurationKeys } from "./configuration-keys.ts";
import { ipVersions, type IpVersion } from "./settings.ts";
import type {
  CipherName,
  CryptoSettings,
  HashName,
  LinkSettings,
  NodeSettings,
} from "./settings.ts";
import type { LocalFacts } from "./local-node.ts";
import { interfaceSections, readNodes } from "./read-nodes.ts";
import { readQuorum } from "./quorum-settings.ts";
import { readScheduling } from "./scheduling-settings.ts";
import { readTuning } from "./tuning.ts";

const linkModeLengthMax = 64;
const basePort = 5405;
export const keyBytesMax = 4096;
const keyBytesMin = 128;

export interface SettingsSource {
  readonly conf: Conf;
  /** Name of the file in error sentences. */
  readonly file: string;
  readonly local: LocalFacts;
  /** IP address of every host name in the nodelist that could be resolved. */
  readonly resolved: ReadonlyMap<string, string>;
  /** In force, of a node that runs already: what only stops a start is left to the services (services.md §4.9, §5.4). */
  readonly running?: NodeSettings | undefined;
  /** What only the machine knows of the original's own sections; without it they are not asked. */
  readonly daemon?: DaemonFacts;
  /** Bytes of the key file, or why it could not be read. Not looked at without crypto. */
  readonly key:
    | { readonly ok: true; readonly bytes: Uint8Array; readonly path?: string | undefined }
    | { readonly ok: false; readonly reason: string; readonly path?: string };
}

export type SettingsResult =
  | { readonly ok: true; readonly value: NodeSettings }
  | {
      readonly ok: false;
      readonly reason: string;
      /** The node that runs is not in the nodelist: it is no member any more. */
      readonly isNotListed?: true;
    };

/** The settings of the node that we are, or one sentence that says what is wrong and where. */
export function readSettings(source: SettingsSource): SettingsResult {
  try {
    return { ok: true, value: read(source) };
  } catch (error) {
    if (!(error instanceof ConfError)) throw error;
    const { line, file = source.file } = error;
    const place = line > 0 ? `${file}:${line}` : file;
    const reason = `${place}: ${error.reason}`;
    return { ok: false, reason, ...(error instanceof NotListed ? { isNotListed: true } : {}) };
  }
}

const cipherReason = "Invalid cipher type. Should be none, aes256, aes192 or aes128";
const hashReason = "Invalid hash type. Should be none, md5, sha1, sha256, sha384 or sha512";
const ciphers: readonly CipherName[] = ["none", "aes128", "aes192", "aes256"];
const hashes: readonly HashName[] = ["none", "md5", "sha1", "sha256", "sha384", "sha512"];

function cryptoNames(conf: Conf): { cipher: CipherName; hash: HashName } {
  const secure = textAt(conf, ["totem", "secauth"]) === "on";
  choiceAt(
    conf,
    ["totem", "crypto_model"],
    ["nss", "openssl"],
    "nss",
    "Invalid crypto model. Should be nss or openssl",
  );
  return {
    cipher: choiceAt(
      conf,
      ["totem", "crypto_cipher"],
      ciphers,
      secure ? "aes256" : "none",
      cipherReason,
    ),
    hash: choiceAt(conf, ["totem", "crypto_hash"], hashes, secure ? "sha256" : "none", hashReason),
  };
}

/** Where the key comes from: undefined when the file asks for no crypto (or is wrong: readSettings says how). */
export function keySource(
  conf: Conf,
): { readonly keyfile: string | undefined; readonly key: string | undefined } | undefined {
  try {
    const { cipher, hash } = cryptoNames(conf);
    if (cipher === "none" && hash === "none") return undefined;
  } catch (error) {
    if (error instanceof ConfError) return undefined;
    throw error;
  }
  return { keyfile: textAt(conf, ["totem", "keyfile"]), key: textAt(conf, ["totem", "key"]) };
}

/** How host names are to be resolved; the default where the file is wrong (readSettings says so). */
export function ipVersionOf(conf: Conf): IpVersion {
  const word = textAt(conf, ["totem", "ip_version"]);
  return ipVersions.find((version) => version === word) ?? "ipv6-4";
}

/** The crypto settings alone; throws a ConfError when they cannot be used. */
export function cryptoOf(conf: Conf, fromDisk: SettingsSource["key"]): CryptoSettings {
  const { cipher, hash } = cryptoNames(conf);
  if (cipher !== "none" && hash === "none") {
    throw new ConfError("crypto_cipher requires crypto_hash with value other than none");
  }
  if (hash === "none") return { cipher, hash, key: new Uint8Array(0) };
  if (!fromDisk.ok) throw new ConfError(fromDisk.reason, 0, fromDisk.path);
  const key = fromDisk.bytes;
  if (key.length < keyBytesMin) {
    throw new ConfError(
      `the key has ${key.length * 8} bits, the minimum is ${keyBytesMin * 8}: copy it from another node of the cluster; a new cluster needs a new one, the same on all nodes`,
      0,
      fromDisk.path,
    );
  }
  return { cipher, hash, key: key.slice(0, keyBytesMax) };
}

/** totem.config_version; 0 when it is absent or no number that is followed. */
export function configVersionOf(conf: Conf): number {
  return Math.max(0, integerAt(conf, ["totem", "config_version"]) ?? 0);
}

function read(source: SettingsSource): NodeSettings {
  const { conf, running } = source;
  checkIntegers(conf);
  checkDaemonWords(conf, source.daemon);
  choiceAt(conf, ["totem", "ip_version"], ipVersions, "ipv6-4", "Invalid ip_version type");
  const transport = readTransport(source);
  const crypto = cryptoOf(conf, source.key);
  const isStart = running === undefined;
  if (isStart) checkStart(source);
  const { nodes, local, numbers } = readNodes({ ...source, runsAs: running?.nodeid });
  if (isStart && integerAt(conf, ["totem", "version"]) !== 2) {
    throw new ConfError(
      "parse error in config: This totem parser can only parse version 2 configurations.",
    );
  }
  const members = nodes.filter(({ addresses }) => addresses[0] !== undefined).length;
  const tuning = readTuning(conf, members);
  const linkMode = readLinkMode(source);
  return {
    clusterName: textAt(conf, ["totem", "cluster_name"]) ?? "",
    // What is no number to us (negative ones wrap around for corosync) counts as absent: no peer compares then.
    configVersion: configVersionOf(conf),
    transport,
    nodeid: local.nodeid,
    name: local.name,
    nodes,
    links: numbers.map((number) => readLink(conf, number, tuning.tokenMs)),
    linkMode: numbers.length === 1 ? "passive" : linkMode,
    tuning,
    crypto,
    pmtudIntervalMs: nonZeroAt(conf, ["totem", "knet_pmtud_interval"], 30) * 1000,
    knetMtu: integerAt(conf, ["totem", "knet_mtu"]) ?? 0,
    compression: readCompression(conf),
    scheduling: readScheduling(conf),
    blockUnlistedIps: textAt(conf, ["totem", "block_unlisted_ips"]) !== "no",
    ipVersion: ipVersionOf(conf),
    quorum: readQuorum(conf, nodes, isStart ? local : undefined),
    configuration: configurationKeys(conf),
  };
}

/** A word that a running node would not take is not looked at by the original: its own stays. */
function readTransport({ conf, running }: SettingsSource): NodeSettings["transport"] {
  const words = ["knet", "udpu", "udp"] as const;
  const entry = entryAt(conf, ["totem", "transport"]);
  if (running !== undefined) return words.find((word) => word === entry?.value) ?? "knet";
  const reason = "Invalid transport type. Should be udpu, udp or knet";
  const transport = choiceAt(conf, ["totem", "transport"], words, "knet", reason);
  if (transport === "knet") return transport;
  throw new ConfError(
    `totem.transport is ${transport}: this version of quorate speaks knet only. Set "transport: knet" on all nodes`,
    entry?.line ?? 0,
  );
}

function readLinkMode({ conf, running }: SettingsSource): NodeSettings["linkMode"] {
  const words = ["passive", "active", "rr"] as const;
  const text = textAt(conf, ["totem", "link_mode"]) ?? "passive";
  if (running !== undefined) return words.find((word) => word === text) ?? running.linkMode;
  if (text.length >= linkModeLengthMax) throw new ConfError("totem.link_mode is too long");
  return choiceAt(
    conf,
    ["totem", "link_mode"],
    words,
    "passive",
    `parse error in config: The Knet link mode "${text}" specified is invalid.  It must be active, passive or rr.`,
  );
}

/** What stops a start only. */
function checkStart({ conf, resolved, daemon }: SettingsSource): void {
  checkDaemonStart(conf, daemon);
  for (const section of interfaceSections(conf)) {
    const address = entryAt(section, ["mcastaddr"]);
    if (address === undefined || resolved.has(address.value)) continue;
    throw new ConfError(`failed to parse mcast address '${address.value}'`, address.line);
  }
}

/** "none" is the default without being a word. */
const compressionModels: readonly string[] = [
  "zlib",
  "lz4",
  "lz4hc",
  "lzo2",
  "lzma",
  "bzip2",
  "zstd",
];

function readCompression(conf: Conf): NodeSettings["compression"] {
  const model = choiceAt(
    conf,
    ["totem", "knet_compression_model"],
    compressionModels,
    "none",
    "Invalid compression model. Should be zlib, lz4, lz4hc, lzo2, lzma, bzip2 or zstd",
  );
  return {
    model,
    threshold: integerAt(conf, ["totem", "knet_compression_threshold"]) ?? 0,
    level: integerAt(conf, ["totem", "knet_compression_level"]) ?? 0,
  };
}

function readLink(conf: Conf, number: number, tokenMs: number): LinkSettings {
  const sections = interfaceSections(conf).filter(
    (section) => (integerAt(section, ["linknumber"]) ?? 0) === number,
  );
  const value = (name: string): number => {
    let found = 0;
    for (const section of sections) found = integerAt(section, [name]) ?? found;
    return found;
  };
  const priority = sections
    .map((section) => integerAt(section, ["knet_link_priority"]))
    .findLast((candidate) => candidate !== undefined);
  const pongCount = value("knet_pong_count") || 2;
  return {
    number,
    port: value("mcastport") || basePort + number,
    pingIntervalMs: value("knet_ping_interval") || Math.trunc(tokenMs / (pongCount * 2)),
    pingTimeoutMs: value("knet_ping_timeout") || Math.trunc(tokenMs / pongCount),
    pingPrecision: value("knet_ping_precision") || 2048,
    pongCount,
    priority: priority ?? 1,
  };
}
