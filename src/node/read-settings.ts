// corosync.conf to NodeSettings: the checks of corosync in corosync's order and words (totem.md §6, services.md §4.9, §5.3),
// so that a file which corosync refuses is refused here too. Pure: names are resolved and the key is read by the caller.
import { entryAt, sectionsOf, type Conf, type ConfSection } from "../conf.ts";
import { checkIntegers, choiceAt, ConfError, integerAt, nonZeroAt, textAt } from "./conf-value.ts";
import { ipVersions, type IpVersion } from "./settings.ts";
import type {
  CipherName,
  CryptoSettings,
  HashName,
  LinkSettings,
  NodeEntry,
  NodeSettings,
} from "./settings.ts";
import { readQuorum } from "./quorum-settings.ts";
import { readScheduling } from "./scheduling-settings.ts";
import { readTuning } from "./tuning.ts";

const linksMax = 8;
const nodesMax = 384;
const basePort = 5405;
export const keyBytesMax = 4096;
export const keyBytesMin = 128;

export interface SettingsSource {
  readonly conf: Conf;
  /** Name of the file in error sentences. */
  readonly file: string;
  /** Node names to look for in the nodelist, best first (the host name and its shorter forms, or the one given by --name). */
  readonly localNames: readonly string[];
  /** The name is the operator's word, not the host's. */
  readonly isNameGiven?: boolean;
  /** Addresses of this machine, tried after the names; empty when --name was given. */
  readonly localAddresses: readonly string[];
  /** IP address of every host name in the nodelist that could be resolved. */
  readonly resolved: ReadonlyMap<string, string>;
  /** Read for a node that runs already: what only stops a start is left to the services (services.md §4.9). */
  readonly isRunning?: boolean;
  /** Bytes of the key file, or why it could not be read. Not looked at without crypto. */
  readonly key:
    | { readonly ok: true; readonly bytes: Uint8Array }
    | { readonly ok: false; readonly reason: string };
}

export type SettingsResult =
  | { readonly ok: true; readonly value: NodeSettings }
  | { readonly ok: false; readonly reason: string };

/** The settings of the node that we are, or one sentence that says what is wrong and where. */
export function readSettings(source: SettingsSource): SettingsResult {
  try {
    return { ok: true, value: read(source) };
  } catch (error) {
    if (!(error instanceof ConfError)) throw error;
    const place = error.line > 0 ? `${source.file}:${error.line}` : source.file;
    return { ok: false, reason: `${place}: ${error.reason}` };
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

function readCrypto(source: SettingsSource): CryptoSettings {
  const { cipher, hash } = cryptoNames(source.conf);
  if (cipher !== "none" && hash === "none") {
    throw new ConfError("crypto_cipher requires crypto_hash with value other than none");
  }
  if (hash === "none") return { cipher, hash, key: new Uint8Array(0) };
  if (!source.key.ok) throw new ConfError(source.key.reason);
  const key = source.key.bytes;
  if (key.length < keyBytesMin) {
    throw new ConfError(
      `the key has ${key.length * 8} bits, the minimum is ${keyBytesMin * 8}: copy it from another node of the cluster; a new cluster needs a new one, the same on all nodes`,
    );
  }
  return { cipher, hash, key: key.slice(0, keyBytesMax) };
}

function read(source: SettingsSource): NodeSettings {
  const { conf } = source;
  checkIntegers(conf);
  choiceAt(conf, ["totem", "ip_version"], ipVersions, "ipv6-4", "Invalid ip_version type");
  const transport = choiceAt(
    conf,
    ["totem", "transport"],
    ["knet", "udpu", "udp"],
    "knet",
    "Invalid transport type. Should be udpu, udp or knet",
  );
  const crypto = readCrypto(source);
  if (transport !== "knet") {
    throw new ConfError(
      `totem.transport is ${transport}: this version of quorate speaks knet only. Set "transport: knet" on all nodes`,
      entryAt(conf, ["totem", "transport"])?.line ?? 0,
    );
  }
  checkLinkSections(conf);
  const nodes = readNodes(source);
  if (nodes.length === 0) {
    throw new ConfError(
      "parse error in config: No interfaces defined: there is no nodelist { node { ring0_addr: … } }",
    );
  }
  if (integerAt(conf, ["totem", "version"]) !== 2) {
    throw new ConfError(
      "parse error in config: This totem parser can only parse version 2 configurations.",
    );
  }
  const local = localNode(source, nodes);
  const numbers = checkAddresses(nodes, local);
  const tuning = readTuning(conf, nodes.length);
  const linkMode = choiceAt(
    conf,
    ["totem", "link_mode"],
    ["passive", "active", "rr"],
    "passive",
    `parse error in config: The Knet link mode "${textAt(conf, ["totem", "link_mode"]) ?? ""}" specified is invalid.  It must be active, passive or rr.`,
  );
  return {
    clusterName: textAt(conf, ["totem", "cluster_name"]) ?? "",
    configVersion: integerAt(conf, ["totem", "config_version"]) ?? 0,
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
    quorum: readQuorum(conf, nodes, source.isRunning === true ? undefined : local),
  };
}

function readCompression(conf: Conf): NodeSettings["compression"] {
  const model = choiceAt(
    conf,
    ["totem", "knet_compression_model"],
    ["none", "zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"],
    "none",
    "Invalid compression model. Should be zlib, lz4, lz4hc, lzo2, lzma, bzip2 or zstd",
  );
  return {
    model,
    threshold: integerAt(conf, ["totem", "knet_compression_threshold"]) ?? 0,
    level: integerAt(conf, ["totem", "knet_compression_level"]) ?? 0,
  };
}

function interfaceSections(conf: Conf): ConfSection[] {
  return sectionsOf(conf, "totem").flatMap((totem) => sectionsOf(totem, "interface"));
}

function checkLinkSections(conf: Conf): void {
  for (const section of interfaceSections(conf)) {
    const number = integerAt(section, ["linknumber"]) ?? 0;
    const entries = section.items.filter(
      (item) => item.kind === "entry" && item.key !== "linknumber",
    );
    if (number >= linksMax && entries.length > 0) {
      throw new ConfError(
        `parse error in config: interface ring number ${number} is bigger than allowed maximum 7`,
        section.line,
      );
    }
    const transport = textAt(section, ["knet_transport"]);
    if (transport !== undefined && transport !== "udp" && transport !== "sctp") {
      throw new ConfError("Unrecognised knet_transport. expected 'udp' or 'sctp'", section.line);
    }
    if (transport === "sctp") {
      throw new ConfError("knet_transport sctp is not supported by quorate: use udp", section.line);
    }
    if (integerAt(section, ["ttl"]) !== undefined) {
      throw new ConfError(
        `parse error in config: Can only set ttl on multicast transport types for interface ${number}`,
        section.line,
      );
    }
  }
}

/** A section restarted for a second time begins again at node 0, as corosync's parser numbers them. */
function nodeSections(conf: Conf): ConfSection[] {
  const byIndex: ConfSection[] = [];
  for (const list of sectionsOf(conf, "nodelist")) {
    for (const [index, node] of sectionsOf(list, "node").entries()) byIndex[index] = node;
  }
  return byIndex;
}

function readNodes(source: SettingsSource): NodeEntry[] {
  const sections = nodeSections(source.conf);
  if (sections.length > nodesMax)
    throw new ConfError(`more than ${nodesMax} nodes in the nodelist`);
  const seen = new Set<number>();
  return sections.map((section) => {
    const addresses = readAddresses(section, source.resolved);
    const first = textAt(section, ["ring0_addr"]) ?? "";
    const nodeid = integerAt(section, ["nodeid"]) ?? 0;
    if (nodeid === 0) {
      const name = textAt(section, ["name"]) ?? first;
      const address = addresses[0];
      const isLocal =
        source.localNames.includes(name) ||
        (address !== undefined && source.localAddresses.includes(address));
      if (isLocal) {
        throw new ConfError("Knet requires an explicit nodeid for the local node", section.line);
      }
      throw new ConfError(
        `Knet requires an explicit nodeid to be specified for address '${first}'.`,
        section.line,
      );
    }
    if (nodeid >= 65536) {
      throw new ConfError(
        `Knet requires nodeid to be less than 65536 for address '${first}'.`,
        section.line,
      );
    }
    if (seen.has(nodeid)) {
      throw new ConfError(`Nodeid ${nodeid} appears twice in corosync.conf`, section.line);
    }
    seen.add(nodeid);
    const dataCenterId = integerAt(section, ["datacenterid"]) ?? 0;
    return {
      nodeid,
      ...(dataCenterId > 0 ? { dataCenterId } : {}),
      name: textAt(section, ["name"]) ?? "",
      votes: integerAt(section, ["quorum_votes"]) ?? 1,
      addresses,
    };
  });
}

function readAddresses(
  section: ConfSection,
  resolved: ReadonlyMap<string, string>,
): (string | undefined)[] {
  const addresses: (string | undefined)[] = Array.from({ length: linksMax });
  for (const item of section.items) {
    if (item.kind !== "entry") continue;
    const match = /^ring(\d+)_addr$/.exec(item.key);
    if (match === null) continue;
    const number = Number(match[1]);
    if (number >= linksMax) {
      throw new ConfError(
        `parse error in config: interface ring number ${number} is bigger than allowed maximum 7`,
        item.line,
      );
    }
    if (item.value === "") continue;
    const address = resolved.get(item.value);
    if (address === undefined) {
      throw new ConfError(
        `failed to parse node address '${item.value}': it is neither an address of the family of totem.ip_version, nor a name that this machine can resolve to one (DNS, /etc/hosts)`,
        item.line,
      );
    }
    addresses[number] = address;
  }
  return addresses;
}

function localNode(source: SettingsSource, nodes: readonly NodeEntry[]): NodeEntry {
  const sections = nodeSections(source.conf);
  for (const name of source.localNames) {
    const index = nodes.findIndex(
      (node, at) =>
        node.name === name || textAt(sections[at] ?? source.conf, ["ring0_addr"]) === name,
    );
    const found = nodes[index];
    if (found !== undefined) return named(found);
  }
  const found = nodes.filter((node) =>
    node.addresses.some(
      (address) => address !== undefined && source.localAddresses.includes(address),
    ),
  );
  if (found.length === 1 && found[0] !== undefined) return named(found[0]);
  const names = nodes.map((node) => node.name || (node.addresses[0] ?? "?")).join(", ");
  throw new ConfError(
    `parse error in config: No valid name found for local host (looked for ${source.localNames.join(", ") || "an own address"}; the nodelist has ${names}). ${source.isNameGiven === true ? "--name has to be one of these" : "Give the node's name with --name"}`,
  );
}

function named(node: NodeEntry): NodeEntry {
  return node.name === "" ? { ...node, name: node.addresses[0] ?? `node${node.nodeid}` } : node;
}

/** The link numbers in use; every node must have the local node's links, of one address family each. */
function checkAddresses(nodes: readonly NodeEntry[], local: NodeEntry): number[] {
  const numbers: number[] = [];
  for (const [number, address] of local.addresses.entries())
    if (address !== undefined) numbers.push(number);
  if (numbers.length === 0) throw new ConfError("parse error in config: No interfaces defined");
  for (const node of nodes) {
    for (let number = 0; number < linksMax; number += 1) {
      const mine = local.addresses[number];
      const theirs = node.addresses[number];
      if (mine === undefined && theirs !== undefined) {
        throw new ConfError(
          `parse error in config: No multicast port specified for interface ${number}`,
        );
      }
      if (mine !== undefined && theirs === undefined) {
        throw new ConfError("parse error in config: Not all nodes have the same number of links");
      }
      if (
        mine !== undefined &&
        theirs !== undefined &&
        mine.includes(":") !== theirs.includes(":")
      ) {
        throw new ConfError(
          `parse error in config: Nodes for link ${number} have different IP families (compared ${theirs} with ${nodes[0]?.addresses[number] ?? mine})`,
        );
      }
    }
    if (numbers.length > 1 && node.name === "") {
      throw new ConfError(
        "parse error in config: for a multi-link configuration, all nodes must have a 'name' attribute",
      );
    }
  }
  return numbers;
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
