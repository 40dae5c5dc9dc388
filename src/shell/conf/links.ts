// Links in corosync.conf: an address for every node and an interface section (pvecm.md §2.4). Pure: texts in, texts out.
import type { ConfSection } from "../../conf.ts";
import { type Result, failure } from "../../result.ts";
import {
  interfaceSections,
  linkOfInterface,
  linkOfKey,
  linksMax,
  openConf,
  type OpenConf,
} from "./cluster-conf.ts";
import { type ConfEdit, drop, entry, finishedCanonical, section } from "./conf-text.ts";
import { addressClash, familyProblem } from "./nodes.ts";

const priorityMax = 255;

export interface NewLink {
  /** 0 to 7. */
  readonly number: number;
  /** By node name; every node has one. */
  readonly addresses: ReadonlyMap<string, string>;
  /** 0 to 255, the larger one wins; undefined or 0: not written. */
  readonly priority?: number | undefined;
}

export function withLink(text: string, link: NewLink): Result<ConfEdit> {
  const open = openConf(text);
  if (!open.ok) return open;
  const problem = newLinkProblem(open.value, link);
  if (problem !== "") return failure(problem);
  const { conf, cluster, totem, nodeSections } = open.value;
  for (const [index, { name }] of cluster.nodes.entries()) {
    const address = link.addresses.get(name) ?? "";
    nodeSections[index]?.items.push(entry(`ring${link.number}_addr`, address));
  }
  // Where one has an interface section, all must have.
  const described = interfaceSections(conf).map(linkOfInterface);
  for (const { number } of cluster.links) {
    if (!described.includes(number)) totem.items.push(interfaceSection(number, 0));
  }
  totem.items.push(interfaceSection(link.number, link.priority ?? 0));
  return finishedCanonical(conf, text, []);
}

function newLinkProblem({ cluster }: OpenConf, link: NewLink): string {
  const { number, addresses } = link;
  if (!Number.isInteger(number) || number < 0 || number >= linksMax) {
    return `link ${number} cannot exist: links are 0 to ${linksMax - 1}`;
  }
  if (cluster.links.some((other) => other.number === number)) {
    return `link ${number} exists already: change an address with \`quorate readdress\`, its priority with \`quorate link set\``;
  }
  const priority = priorityProblem(link.priority ?? 0);
  if (priority !== "") return priority;
  const known = cluster.nodes.map(({ name }) => name);
  const unknown = [...addresses.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) return `Node/IP: ${unknown} is not a known host of the cluster.`;
  const missing = known.filter((name) => !addresses.has(name));
  if (missing.length > 0) {
    return `link ${number} needs an address on every node; missing: ${missing.join(", ")}`;
  }
  for (const node of cluster.nodes) {
    const address = addresses.get(node.name) ?? "";
    const clash = addressClash(
      cluster.nodes.filter((other) => other !== node),
      address,
    );
    if (clash !== undefined) return clash;
    const twin = [...addresses].find(([name, other]) => name !== node.name && other === address);
    if (twin !== undefined) return `address ${address} is given to ${node.name} and to ${twin[0]}`;
  }
  const added = cluster.nodes.map((node) => ({
    ...node,
    addresses: new Map([[number, addresses.get(node.name) ?? ""]]),
  }));
  for (const { addresses: own } of added) {
    const problem = familyProblem(added, number, own.get(number) ?? "");
    if (problem !== "") return problem;
  }
  return "";
}

/** `priority`: 0 to 255; 0 takes the key away. The larger one wins. */
export function withLinkPriority(text: string, number: number, priority: number): Result<ConfEdit> {
  const open = openConf(text);
  if (!open.ok) return open;
  const problem = priorityProblem(priority);
  if (problem !== "") return failure(problem);
  const { conf, cluster, totem } = open.value;
  const present = cluster.links.find((link) => link.number === number);
  if (present === undefined) return failure(unknownLink(open.value, number));
  const sections = interfaceSections(conf);
  const described = sections.map(linkOfInterface);
  for (const link of cluster.links) {
    if (!described.includes(link.number)) totem.items.push(interfaceSection(link.number, 0));
  }
  for (const each of interfaceSections(conf)) {
    if (linkOfInterface(each) !== number) continue;
    drop(each, (item) => item.kind === "entry" && item.key === "knet_link_priority");
    if (priority > 0) each.items.push(entry("knet_link_priority", String(priority)));
  }
  return finishedCanonical(conf, text, []);
}

export function withoutLink(text: string, number: number): Result<ConfEdit> {
  const open = openConf(text);
  if (!open.ok) return open;
  const { conf, cluster, totem, nodeSections } = open.value;
  if (!cluster.links.some((link) => link.number === number)) {
    return failure(unknownLink(open.value, number));
  }
  if (cluster.links.length === 1) {
    return failure(
      `link ${number} is the only one: the ring would have no way left. Add another first`,
    );
  }
  for (const node of nodeSections) {
    drop(node, (item) => item.kind === "entry" && linkOfKey(item.key) === number);
  }
  drop(
    totem,
    (item) =>
      item.kind === "section" && item.name === "interface" && linkOfInterface(item) === number,
  );
  return finishedCanonical(conf, text, []);
}

/** The section of a link in totem. */
export function interfaceSection(number: number, priority: number): ConfSection {
  return section("interface", [
    ...(priority > 0 ? [entry("knet_link_priority", String(priority))] : []),
    entry("linknumber", String(number)),
  ]);
}

/** "" when it is right. */
export function priorityProblem(priority: number): string {
  const isRight = Number.isInteger(priority) && priority >= 0 && priority <= priorityMax;
  return isRight ? "" : `priority ${priority} cannot be used: it must be from 0 to ${priorityMax}`;
}

function unknownLink({ cluster }: OpenConf, number: number): string {
  const numbers = cluster.links.map((link) => link.number).join(", ");
  return `link ${number} does not exist in the cluster's configuration (it has ${numbers})`;
}
