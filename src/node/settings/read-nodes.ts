// nodelist{} and the interface{} sections of corosync.conf: which nodes and links there are, and whether they fit together
// (totem.md §6.1, §6.2), in corosync's order and words. At a reload corosync checks less than at a start, and so do we. Pure.
import { type Conf, type ConfItem, type ConfSection, sectionsOf } from "../../conf.ts";
import { ConfError, integerAt, NotListed, textAt } from "./conf-value.ts";
import { type Candidate, findOwnNode, type LocalFacts } from "./local-node.ts";
import type { NodeEntry } from "./settings.ts";

const linksMax = 8;
const nodesMax = 384;

export interface NodesSource {
  readonly conf: Conf;
  readonly local: LocalFacts;
  /** IP address of every host name in the nodelist that could be resolved. */
  readonly resolved: ReadonlyMap<string, string>;
  /** Read for a node that runs already, as the node with this id. */
  readonly runsAs?: number | undefined;
}

export interface NodesRead {
  readonly nodes: readonly NodeEntry[];
  readonly local: NodeEntry;
  /** Of the links in use. */
  readonly numbers: readonly number[];
}

/** Throws ConfError where corosync refuses. */
export function readNodes(source: NodesSource): NodesRead {
  const { conf, runsAs } = source;
  const isStart = runsAs === undefined;
  const sections = nodeSections(conf);
  if (sections.length > nodesMax)
    throw new ConfError(`more than ${nodesMax} nodes in the nodelist`);
  const set = isStart ? linksSetAtStart(conf) : linksSetAtReload(conf);
  if (isStart) checkFirstNode(conf);
  const own = ownIndex(source, sections);
  const nodes = sections.map((section, index) => readNode(section, index === own, source));
  const used = nodes.flatMap(({ addresses }) =>
    [...addresses.keys()].filter((link) => addresses[link] !== undefined),
  );
  const links = [...new Set([...used, ...set])].toSorted((a, b) => a - b);
  if (links.length === 0) {
    throw new ConfError(
      "parse error in config: No interfaces defined: there is no nodelist { node { ring0_addr: … } }",
    );
  }
  const local = own === undefined ? undefined : nodes[own];
  if (local === undefined) throw notFound(source, nodes);
  if (isStart) {
    const closed = links.find((link) => local.addresses[link] === undefined && !set.has(link));
    if (closed !== undefined) {
      throw new ConfError(
        `parse error in config: No multicast port specified for interface ${closed}`,
      );
    }
    checkTimeToLive(conf);
  }
  checkLinks(nodes, sections, links);
  // Checked at a start only: a running node must not know two nodes by one id either.
  checkNodeids(nodes, sections);
  const numbers = links.filter((link) => local.addresses[link] !== undefined);
  if (numbers.length === 0) throw new ConfError("parse error in config: No interfaces defined");
  // A node without nodeid and address is one for nobody.
  return { nodes: nodes.filter(({ nodeid }) => nodeid !== 0), local: named(local), numbers };
}

export function interfaceSections(conf: Conf): ConfSection[] {
  return sectionsOf(conf, "totem").flatMap((totem) => sectionsOf(totem, "interface"));
}

/** What makes a link exist though no node may have an address there; other keys are stored where nobody looks. */
const linkKeys: ReadonlySet<string> = new Set([
  ..."bindnetaddr mcastaddr broadcast mcastport ttl knet_link_priority knet_ping_interval".split(
    " ",
  ),
  ..."knet_ping_timeout knet_ping_precision knet_pong_count knet_transport".split(" "),
]);

const linkNumberOf = (section: ConfSection): number => integerAt(section, ["linknumber"]) ?? 0;

function setsSomething({ items }: ConfSection): boolean {
  return items.some((item) => item.kind === "entry" && linkKeys.has(item.key));
}

/** Of the interface sections that set something, in the order in which corosync comes upon them. */
function setLinks(conf: Conf): { readonly link: number; readonly section: ConfSection }[] {
  return interfaceSections(conf)
    .filter(setsSomething)
    .map((section) => ({ link: linkNumberOf(section), section }))
    .toSorted((a, b) => (String(a.link) < String(b.link) ? -1 : 1));
}

function linksSetAtStart(conf: Conf): Set<number> {
  for (const { link, section } of setLinks(conf)) {
    if (link >= linksMax) throw numberTooHigh(link, section.line);
    checkTransport(section);
  }
  return new Set(setLinks(conf).map(({ link }) => link));
}

/** At a reload the first fault is passed over, and with it all links after it. */
function linksSetAtReload(conf: Conf): Set<number> {
  const links = new Set<number>();
  for (const { link, section } of setLinks(conf)) {
    const transport = textAt(section, ["knet_transport"]) ?? "udp";
    if (link >= linksMax || (transport !== "udp" && transport !== "sctp")) break;
    checkTransport(section);
    links.add(link);
  }
  return links;
}

function checkTransport(section: ConfSection): void {
  const transport = textAt(section, ["knet_transport"]) ?? "udp";
  if (transport !== "udp" && transport !== "sctp") {
    throw new ConfError("Unrecognised knet_transport. expected 'udp' or 'sctp'", section.line);
  }
  if (transport === "sctp") {
    throw new ConfError("knet_transport sctp is not supported by quorate: use udp", section.line);
  }
}

function checkTimeToLive(conf: Conf): void {
  for (const { link, section } of setLinks(conf)) {
    if ((integerAt(section, ["ttl"]) ?? 1) === 1) continue;
    throw new ConfError(
      `parse error in config: Can only set ttl on multicast transport types for interface ${link}`,
      section.line,
    );
  }
}

function numberTooHigh(link: number, line: number): ConfError {
  const reason = `parse error in config: interface ring number ${link} is bigger than allowed maximum ${linksMax - 1}`;
  return new ConfError(reason, line);
}

/**
 * As corosync's parser numbers them: a nodelist restarted for a second time begins again at node 0, and a section inside a node ends
 * that node, so that what follows it belongs to the next. A number without a key is skipped.
 */
function numberedNodes(conf: Conf): Map<number, ConfSection> {
  const nodes = new Map<number, ConfSection & { readonly items: ConfItem[] }>();
  for (const list of sectionsOf(conf, "nodelist")) {
    let index = 0;
    const walk = (section: ConfSection): void => {
      for (const item of section.items) {
        if (item.kind === "section") walk(item);
        if (item.kind !== "entry") continue;
        const node = nodes.get(index) ?? { ...section, items: [] };
        node.items.push(item);
        nodes.set(index, node);
      }
      index += 1;
    };
    for (const node of sectionsOf(list, "node")) walk(node);
  }
  return nodes;
}

/** In the order of their numbers. */
function nodeSections(conf: Conf): ConfSection[] {
  return [...numberedNodes(conf)].toSorted(([a], [b]) => a - b).map(([, section]) => section);
}

/** corosync looks there whether there is a nodelist at all, and aborts when the others have addresses all the same. */
function checkFirstNode(conf: Conf): void {
  const nodes = numberedNodes(conf);
  const first = nodes.get(0);
  const isThere = ["name", "ring0_addr"].some(
    (key) => first !== undefined && textAt(first, [key]) !== undefined,
  );
  if (nodes.size === 0 || isThere) return;
  throw new ConfError(
    "the first node of the nodelist has neither name nor ring0_addr",
    first?.line ?? 0,
  );
}

/** The nodes of a file as our own may be found among them. */
export function candidates(conf: Conf): Candidate[] {
  return nodeSections(conf).map((section) => ({
    name: textAt(section, ["name"]),
    address: textAt(section, ["ring0_addr"]),
  }));
}

function ownIndex(
  { conf, local, resolved, runsAs }: NodesSource,
  sections: readonly ConfSection[],
): number | undefined {
  const found = findOwnNode(candidates(conf), local, resolved);
  if (found !== undefined || runsAs === undefined) return found;
  // It was found at its start: its address may be gone for the moment.
  const index = sections.findIndex((section) => integerAt(section, ["nodeid"]) === runsAs);
  return index < 0 ? undefined : index;
}

function notFound({ local, runsAs }: NodesSource, nodes: readonly NodeEntry[]): ConfError {
  if (runsAs !== undefined) {
    return new NotListed(
      `this node, ${runsAs}, is not in the nodelist: stop it if it is to leave the cluster, else put it back into the file`,
    );
  }
  const names = nodes.map((node) => node.name || (node.addresses[0] ?? "?")).join(", ");
  return new ConfError(
    `parse error in config: No valid name found for local host (looked for ${local.names.join(", ") || "an own address"}; the nodelist has ${names}). ${local.shortName === undefined ? "--name has to be one of these" : "Give the node's name with --name"}`,
  );
}

function readNode(section: ConfSection, isOwn: boolean, { resolved }: NodesSource): NodeEntry {
  const nodeid = integerAt(section, ["nodeid"]) ?? 0;
  if (nodeid === 0 && isOwn) {
    throw new ConfError("Knet requires an explicit nodeid for the local node", section.line);
  }
  const dataCenterId = integerAt(section, ["datacenterid"]) ?? 0;
  return {
    nodeid,
    ...(dataCenterId > 0 ? { dataCenterId } : {}),
    name: textAt(section, ["name"]) ?? "",
    votes: integerAt(section, ["quorum_votes"]) ?? 1,
    addresses: readAddresses(section, nodeid, resolved),
  };
}

function readAddresses(
  section: ConfSection,
  nodeid: number,
  resolved: ReadonlyMap<string, string>,
): (string | undefined)[] {
  const addresses: (string | undefined)[] = Array.from({ length: linksMax });
  const texts = new Map<number, { readonly text: string; readonly line: number }>();
  for (const item of section.items) {
    if (item.kind !== "entry") continue;
    const match = /^ring(\d+)_addr$/.exec(item.key);
    if (match !== null) texts.set(Number(match[1]), { text: item.value, line: item.line });
  }
  for (const [link, { text, line }] of texts) {
    if (link >= linksMax) throw numberTooHigh(link, line);
    if (nodeid === 0) {
      throw new ConfError(
        `Knet requires an explicit nodeid to be specified for address '${text}'.`,
        section.line,
      );
    }
    if (nodeid >= 65536) {
      throw new ConfError(
        `Knet requires nodeid to be less than 65536 for address '${text}'.`,
        section.line,
      );
    }
    const address = resolved.get(text);
    if (address === undefined) {
      throw new ConfError(
        `failed to parse node address '${text}': it is neither an address of the family of totem.ip_version, nor a name that this machine can resolve to one (DNS, /etc/hosts)`,
        line,
      );
    }
    addresses[link] = address;
  }
  return addresses;
}

function checkNodeids(nodes: readonly NodeEntry[], sections: readonly ConfSection[]): void {
  const seen = new Set<number>();
  for (const [index, { nodeid }] of nodes.entries()) {
    if (nodeid !== 0 && seen.has(nodeid)) {
      const line = sections[index]?.line ?? 0;
      throw new ConfError(`Nodeid ${nodeid} appears twice in corosync.conf`, line);
    }
    seen.add(nodeid);
  }
}

/** Every link has as many nodes as the first, and addresses of one family; one link alone need not be every node's. */
function checkLinks(
  nodes: readonly NodeEntry[],
  sections: readonly ConfSection[],
  links: readonly number[],
): void {
  const addressesOf = (link: number): string[] =>
    nodes.flatMap(({ addresses }) => addresses[link] ?? []);
  if (links.length > 1) {
    const members = addressesOf(links[0] ?? 0).length;
    if (sections.slice(0, members).some((section) => textAt(section, ["name"]) === undefined)) {
      throw new ConfError(
        "parse error in config: for a multi-link configuration, all nodes must have a 'name' attribute",
      );
    }
    if (links.some((link) => addressesOf(link).length !== members)) {
      throw new ConfError("parse error in config: Not all nodes have the same number of links");
    }
  }
  for (const link of links) {
    const [first = "", ...others] = addressesOf(link);
    const other = others.find((address) => address.includes(":") !== first.includes(":"));
    if (other === undefined) continue;
    throw new ConfError(
      `parse error in config: Nodes for link ${link} have different IP families (compared ${other} with ${first})`,
    );
  }
}

function named(node: NodeEntry): NodeEntry {
  return node.name === "" ? { ...node, name: node.addresses[0] ?? `node${node.nodeid}` } : node;
}
