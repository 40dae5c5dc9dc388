// Nodes in corosync.conf: put in, taken out, given votes or another name, in the form and with the checks of Proxmox's tools
// (pvecm.md §1.3, §1.4, §2). Pure: texts in, texts out; texts hold one character a byte.
import { isIP } from "node:net";
import type { ConfSection } from "../../conf.ts";
import { type Result, failure, success } from "../../result.ts";
import {
  type ClusterConf,
  type ClusterNode,
  isNodeName,
  linkOfKey,
  linksMax,
  nodeOf,
  openConf,
  type OpenConf,
} from "./cluster-conf.ts";
import { type ConfEdit, drop, entry, finishedCanonical, section, setEntry } from "./conf-text.ts";
import { fitDevice } from "./device-fit.ts";
import { verifyConf } from "./verify.ts";

/** knet knows nodes by two bytes. */
const nodeidMax = 65_535;
const votesMax = 255;

export interface NewNode {
  readonly name: string;
  /** Undefined: the lowest that is free, from 1. */
  readonly nodeid?: number | undefined;
  /** 0 to 255; undefined: 1. 0 is written: a node on its way into the cluster costs nobody the quorum. */
  readonly votes?: number | undefined;
  /** Addresses by link number. */
  readonly links: ReadonlyMap<number, string>;
  /** For a cluster with one link, when `links` is empty. */
  readonly fallbackAddress?: string | undefined;
  /** An entry with the same name, votes and nodeid is replaced. */
  readonly isForced?: boolean | undefined;
  /** Of the joining node's tools; 0 knows only one link. Undefined: ours. */
  readonly apiVersion?: number | undefined;
}

export interface NodeEdit extends ConfEdit {
  readonly node: ClusterNode;
}

/** The reasons are the original's sentences where it has them. */
export function withNode(text: string, node: NewNode): Result<NodeEdit> {
  const open = openConf(text);
  if (!open.ok) return open;
  const { cluster, conf, nodelist } = open.value;
  const { errors } = verifyConf(conf, cluster, undefined);
  if (errors.length > 0) return failure(`invalid corosync.conf: ${errors.join("; ")}`);
  const added = newNode(cluster, node);
  if (!added.ok) return added;
  const notes: string[] = [];
  const others = cluster.nodes.filter(({ name }) => name !== node.name);
  const present =
    open.value.nodeSections[cluster.nodes.findIndex(({ name }) => name === node.name)];
  if (present !== undefined) {
    notes.push(`forcing overwrite of configured node '${node.name}'`);
    drop(nodelist, (item) => item === present);
  }
  nodelist.items.push(nodeSection(added.value));
  notes.push(...fitDevice(conf, cluster, [...others, added.value]));
  const edit = finishedCanonical(conf, text, notes);
  return edit.ok ? success({ ...edit.value, node: added.value }) : edit;
}

/** In the original's order of checks. */
function newNode(cluster: ClusterConf, node: NewNode): Result<ClusterNode> {
  const { name, links, votes = 1 } = node;
  if (!isNodeName(name)) return failure(`node: value does not look like a valid node name`);
  const others = cluster.nodes.filter((other) => other.name !== name);
  for (const address of links.values()) {
    const clash = addressClash(others, address);
    if (clash !== undefined) return failure(clash);
  }
  const addresses = newAddresses(cluster, node);
  if (!addresses.ok) return addresses;
  for (const address of addresses.value.values()) {
    const clash = addressClash(others, address);
    if (clash !== undefined) return failure(clash);
  }
  const present = cluster.nodes.find((other) => other.name === name);
  const nodeid =
    node.nodeid ?? (node.isForced === true ? present?.nodeid : undefined) ?? freeNodeid(cluster);
  if (present !== undefined) {
    const isSame = present.votes === votes && present.nodeid === nodeid;
    if (!isSame || node.isForced !== true) return failure(`can't add existing node '${name}'`);
  }
  const owner = others.find((other) => other.nodeid === nodeid);
  if (owner !== undefined) return failure(`nodeid ${nodeid} already used by node '${owner.name}'`);
  if (nodeid < 1 || nodeid > nodeidMax) {
    return failure(`nodeid ${nodeid} cannot be used: it must be from 1 to ${nodeidMax}`);
  }
  const wrongVotes = votesProblem(votes);
  if (wrongVotes !== "") return failure(wrongVotes);
  return success({ name, nodeid, votes, addresses: addresses.value });
}

function newAddresses(cluster: ClusterConf, node: NewNode): Result<ReadonlyMap<number, string>> {
  const numbers = cluster.links.map(({ number }) => number);
  const { links, fallbackAddress, apiVersion = 1 } = node;
  if (links.size > 0) {
    const missing = numbers.find((number) => !links.has(number));
    if (missing !== undefined) {
      return failure(
        `corosync: link ${missing} exists in cluster config but wasn't specified for new node`,
      );
    }
    const surplus = [...links.keys()].find((number) => !numbers.includes(number));
    if (surplus !== undefined) {
      return failure(
        `corosync: link ${surplus} specified for new node doesn't exist in cluster config`,
      );
    }
    return success(new Map([...links].toSorted(([a], [b]) => a - b)));
  }
  if (fallbackAddress === undefined) {
    return failure("no links and no fallback ip (new_node_ip) given, cannot join cluster");
  }
  if (numbers.length > 1) {
    return failure(
      apiVersion < 1
        ? `cluster has ${numbers.length} links, but only 1 given`
        : "no links given but multiple links found on other nodes, fallback only supported on single-link clusters",
    );
  }
  return success(new Map([[numbers[0] ?? 0, fallbackAddress]]));
}

/** Why `address` cannot be a new node's; undefined when none of `others` has it. */
export function addressClash(others: readonly ClusterNode[], address: string): string | undefined {
  for (const { name, addresses } of others) {
    for (const [link, used] of addresses) {
      if (used === address) {
        return `corosync: address '${address}' already used on link ring${link}_addr by node '${name}'`;
      }
    }
  }
  return undefined;
}

/** Two links of a node over one address fail together, so the second is none; "" when each has its own. */
export function twinProblem(name: string, addresses: ReadonlyMap<number, string>): string {
  for (const [link, address] of addresses) {
    const twin = [...addresses].find(([other, used]) => other !== link && used === address);
    if (twin !== undefined) {
      const pair = [link, twin[0]].toSorted((a, b) => a - b).join(" and ");
      return `links ${pair} of node '${name}' would both have the address ${address}, and fail together: give each link an address in a network of its own`;
    }
  }
  return "";
}

function freeNodeid({ nodes }: ClusterConf): number {
  const used = new Set(nodes.map(({ nodeid }) => nodeid));
  let nodeid = 1;
  while (used.has(nodeid)) nodeid += 1;
  return nodeid;
}

/** The section of a node in the nodelist. */
export function nodeSection({ name, nodeid, votes, addresses }: ClusterNode): ConfSection {
  return section("node", [
    entry("name", name),
    entry("nodeid", String(nodeid)),
    entry("quorum_votes", String(votes)),
    ...[...addresses].map(([link, address]) => entry(`ring${link}_addr`, address)),
  ]);
}

/** `nameOrAddress`: an address of any link will do. */
export function withoutNode(text: string, nameOrAddress: string): Result<NodeEdit> {
  const found = openNode(text, nameOrAddress);
  if (!found.ok) return found;
  const { open, node, at } = found.value;
  const { cluster, conf, nodelist } = open;
  if (cluster.nodes.length === 1) {
    return failure(
      `node '${node.name}' is the only one of this cluster: use \`quorate leave\` on it to make it standalone`,
    );
  }
  drop(nodelist, (item) => item === at);
  const notes = fitDevice(
    conf,
    cluster,
    cluster.nodes.filter((other) => other !== node),
  );
  const edit = finishedCanonical(conf, text, notes);
  return edit.ok ? success({ ...edit.value, node }) : edit;
}

/** `votes`: 0 to 255. */
export function withVotes(text: string, name: string, votes: number): Result<NodeEdit> {
  const wrong = votesProblem(votes);
  if (wrong !== "") return failure(wrong);
  const found = openNode(text, name);
  if (!found.ok) return found;
  const { open, node, at } = found.value;
  setEntry(at, "quorum_votes", String(votes));
  const changed = { ...node, votes };
  const after = open.cluster.nodes.map((other) => (other === node ? changed : other));
  const notes = fitDevice(open.conf, open.cluster, after);
  const edit = finishedCanonical(open.conf, text, notes);
  return edit.ok ? success({ ...edit.value, node: changed }) : edit;
}

/** The node keeps its nodeid, votes and addresses. */
export function withName(text: string, name: string, newName: string): Result<NodeEdit> {
  const found = openNode(text, name);
  if (!found.ok) return found;
  const { open, node, at } = found.value;
  if (!isNodeName(newName)) return failure("newname: value does not look like a valid node name");
  const owner = open.cluster.nodes.find((other) => other.name === newName);
  if (owner !== undefined) {
    return failure(
      owner === node
        ? `node '${newName}' has this name already`
        : `the name '${newName}' is already used by node ${owner.nodeid}`,
    );
  }
  setEntry(at, "name", newName);
  const edit = finishedCanonical(open.conf, text, []);
  return edit.ok ? success({ ...edit.value, node: { ...node, name: newName } }) : edit;
}

/** Gives one link of a node another address. A running ring takes it only when the link was away in between (services.md §5.4). */
export function withAddress(
  text: string,
  name: string,
  link: number,
  address: string,
): Result<NodeEdit> {
  const found = openNode(text, name);
  if (!found.ok) return found;
  const { open, node, at } = found.value;
  const wrong = addressProblem(open, node, link, address);
  if (wrong !== "") return failure(wrong);
  drop(at, (item) => item.kind === "entry" && linkOfKey(item.key) === link);
  setEntry(at, `ring${link}_addr`, address);
  const addresses = new Map([...node.addresses, [link, address]]);
  const edit = finishedCanonical(open.conf, text, []);
  return edit.ok ? success({ ...edit.value, node: { ...node, addresses } }) : edit;
}

function addressProblem(
  { cluster }: OpenConf,
  node: ClusterNode,
  link: number,
  address: string,
): string {
  if (!node.addresses.has(link)) {
    const numbers = cluster.links.map(({ number }) => number).join(", ");
    return link >= 0 && link < linksMax
      ? `link ${link} does not exist in the cluster's configuration (it has ${numbers}): add it with \`quorate link add\``
      : `link ${link} cannot exist: links are 0 to ${linksMax - 1}`;
  }
  if (node.addresses.get(link) === address) {
    return `link ${link} of node '${node.name}' has the address ${address} already`;
  }
  const others = cluster.nodes.filter((other) => other !== node);
  const clash = addressClash(others, address);
  if (clash !== undefined) return clash;
  return familyProblem(others, link, address);
}

/** corosync refuses a link whose nodes have addresses of both families; "" when they agree, or a name stands among them. */
export function familyProblem(
  others: readonly ClusterNode[],
  link: number,
  address: string,
): string {
  const family = isIP(address);
  for (const other of others) {
    const used = other.addresses.get(link) ?? "";
    if (family === 0 || isIP(used) === 0 || isIP(used) === family) continue;
    return `link ${link}: ${address} and ${used} of node '${other.name}' are of different IP families`;
  }
  return "";
}

function votesProblem(votes: number): string {
  const isRight = Number.isInteger(votes) && votes >= 0 && votes <= votesMax;
  return isRight ? "" : `votes: ${votes} cannot be used: it must be from 0 to ${votesMax}`;
}

interface FoundNode {
  readonly open: OpenConf;
  readonly node: ClusterNode;
  readonly at: ConfSection;
}

function openNode(text: string, nameOrAddress: string): Result<FoundNode> {
  const open = openConf(text);
  if (!open.ok) return open;
  const { cluster, nodeSections } = open.value;
  const node = nodeOf(cluster, nameOrAddress);
  const at = node === undefined ? undefined : nodeSections[cluster.nodes.indexOf(node)];
  if (node === undefined || at === undefined) {
    return failure(`Node/IP: ${nameOrAddress} is not a known host of the cluster.`);
  }
  return success({ open: open.value, node, at });
}
