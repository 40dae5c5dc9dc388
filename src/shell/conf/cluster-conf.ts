// What the cluster's operations know of a corosync.conf: name, version, nodes with votes and addresses, links, device. Pure.
import { type Conf, type ConfSection, entryAt, sectionsOf } from "../../conf.ts";
import { type Result, success, failure } from "../../result.ts";
import { canonical, parsed, versionOf } from "./conf-text.ts";

/** Link numbers are 0 to 7. */
export const linksMax = 8;
const nodeNamePattern = /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/;

export interface ClusterNode {
  /** The name, or the address of link 0 where the file has none. */
  readonly name: string;
  /** 0: the file has none. */
  readonly nodeid: number;
  readonly votes: number;
  /** By link number, as written. */
  readonly addresses: ReadonlyMap<number, string>;
}

export interface ClusterLink {
  readonly number: number;
  /** As written; 0: none. The larger one wins. */
  readonly priority: number;
}

export interface ClusterConf {
  readonly clusterName: string;
  readonly version: number;
  /** "" where the file has none. */
  readonly transport: string;
  readonly secauth: string;
  readonly ipVersion: string;
  /** Sorted by name. */
  readonly nodes: readonly ClusterNode[];
  /** All that a node or an interface section names, sorted. */
  readonly links: readonly ClusterLink[];
  /** Undefined: none. `votes` undefined: left to votequorum (nodes − 1). */
  readonly device:
    | {
        readonly model: string;
        readonly host: string;
        readonly algorithm: string;
        readonly votes: number | undefined;
      }
    | undefined;
  readonly twoNode: boolean;
}

/** A file that is being changed: what it says, and the sections that a change goes into. */
export interface OpenConf {
  readonly conf: Conf;
  readonly cluster: ClusterConf;
  readonly totem: ConfSection;
  readonly nodelist: ConfSection;
  /** One for each of `cluster.nodes`. */
  readonly nodeSections: readonly ConfSection[];
}

/** `text` holds one character a byte. The reason names the line, or what is missing. */
export function readClusterConf(text: string): Result<ClusterConf> {
  const open = openConf(text);
  return open.ok ? success(open.value.cluster) : open;
}

/** For an edit: its sections may be changed. */
export function openConf(text: string): Result<OpenConf> {
  const read = parsed(text);
  if (!read.ok) return read;
  const conf = canonical(read.value);
  const version = versionOf(conf, text);
  if (!version.ok) return version;
  const [totem] = sectionsOf(conf, "totem");
  const [nodelist] = sectionsOf(conf, "nodelist");
  if (totem === undefined) return failure("invalid corosync.conf: no totem found");
  if (nodelist === undefined) return failure("invalid corosync.conf: no nodes found");
  const nodeSections = sectionsOf(nodelist, "node");
  return success({
    conf,
    totem,
    nodelist,
    nodeSections,
    cluster: describe(conf, version.value, nodeSections),
  });
}

function describe(conf: Conf, version: number, nodeSections: readonly ConfSection[]): ClusterConf {
  const value = (...path: string[]): string => entryAt(conf, path)?.value ?? "";
  const nodes = nodeSections.map(readNode);
  return {
    clusterName: value("totem", "cluster_name"),
    version,
    transport: value("totem", "transport"),
    secauth: value("totem", "secauth"),
    ipVersion: value("totem", "ip_version"),
    nodes,
    links: readLinks(conf, nodes),
    device: readDevice(conf),
    twoNode: value("quorum", "two_node") === "1",
  };
}

function readNode(section: ConfSection): ClusterNode {
  const addresses = new Map<number, string>();
  for (const item of section.items) {
    if (item.kind !== "entry") continue;
    const link = linkOfKey(item.key);
    if (link !== undefined) addresses.set(link, item.value);
  }
  const nodeid = numberOf(entryAt(section, ["nodeid"])?.value) ?? 0;
  return {
    name: entryAt(section, ["name"])?.value ?? addresses.get(0) ?? `node${nodeid}`,
    nodeid,
    votes: numberOf(entryAt(section, ["quorum_votes"])?.value) ?? 1,
    addresses: new Map([...addresses].toSorted(([a], [b]) => a - b)),
  };
}

function readLinks(conf: Conf, nodes: readonly ClusterNode[]): ClusterLink[] {
  const priorities = new Map<number, number>();
  for (const node of nodes) for (const link of node.addresses.keys()) priorities.set(link, 0);
  for (const section of interfaceSections(conf)) {
    const priority = numberOf(entryAt(section, ["knet_link_priority"])?.value) ?? 0;
    priorities.set(linkOfInterface(section), priority);
  }
  return [...priorities]
    .map(([number, priority]) => ({ number, priority }))
    .toSorted((a, b) => a.number - b.number);
}

function readDevice(conf: Conf): ClusterConf["device"] {
  const found = sectionsOf(conf, "quorum").flatMap((quorum) => sectionsOf(quorum, "device"));
  const [device] = found;
  if (device === undefined) return undefined;
  const value = (...path: string[]): string => entryAt(device, path)?.value ?? "";
  return {
    model: value("model"),
    host: value("net", "host"),
    algorithm: value("net", "algorithm"),
    votes: numberOf(entryAt(device, ["votes"])?.value),
  };
}

export function interfaceSections(conf: Conf): ConfSection[] {
  return sectionsOf(conf, "totem").flatMap((totem) => sectionsOf(totem, "interface"));
}

export function linkOfInterface(section: ConfSection): number {
  const text = entryAt(section, ["linknumber"]) ?? entryAt(section, ["ringnumber"]);
  return numberOf(text?.value) ?? 0;
}

/** The link that a key of a node gives an address for. */
export function linkOfKey(key: string): number | undefined {
  const match = /^(?:ring|link)([0-7])_addr$/.exec(key);
  return match === null ? undefined : Number(match[1]);
}

/** By name, or by an address of any link. */
export function nodeOf(cluster: ClusterConf, nameOrAddress: string): ClusterNode | undefined {
  return (
    cluster.nodes.find(({ name }) => name === nameOrAddress) ??
    cluster.nodes.find(({ addresses }) => [...addresses.values()].includes(nameOrAddress))
  );
}

/** Proxmox's `pve-node`; a cluster's name follows the same rule. */
export function isNodeName(name: string): boolean {
  return nodeNamePattern.test(name);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
