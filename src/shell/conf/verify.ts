// Whether a corosync.conf is right as a whole (pvecm.md §2.6): the original's errors and warnings in its words, and what it does not
// look for. Pure: what names resolve to is given.
import { type Conf, entryAt, sectionsOf } from "../../conf.ts";
import { deviceWarning } from "../../node/device/advice.ts";
import {
  type ClusterConf,
  type ClusterNode,
  interfaceSections,
  linkOfInterface,
  linksMax,
} from "./cluster-conf.ts";
import { isVoter } from "./device-fit.ts";

export interface Verification {
  /** The cluster would not start again with it. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** What each address or name of the nodelist resolves to as corosync resolves it; what is missing does not resolve. */
export type Resolved = ReadonlyMap<string, string>;

/** `resolved` undefined: names are not looked at. */
export function verifyConf(
  conf: Conf,
  cluster: ClusterConf,
  resolved: Resolved | undefined,
): Verification {
  const errors: string[] = [];
  const warnings: string[] = [];
  if (cluster.nodes.length === 0) errors.push("no nodes found");
  if (!isProtected(conf)) {
    warnings.push(
      "warning: authentication/encryption is not explicitly enabled (secauth / crypto_cipher / crypto_hash)",
    );
  }
  const interfaces = interfaceSections(conf).map(linkOfInterface);
  for (let link = 0; link < linksMax; link += 1) {
    errors.push(...linkErrors(cluster.nodes, link, interfaces));
    if (resolved !== undefined) warnings.push(...nameWarnings(cluster.nodes, link, resolved));
  }
  errors.push(...clashes(cluster.nodes));
  if (cluster.twoNode && cluster.device !== undefined) {
    errors.push("two_node and a quorum device exclude each other: remove quorum.two_node");
  }
  warnings.push(...deviceWarnings(cluster), ...leftovers(conf));
  return { errors, warnings };
}

function isProtected(conf: Conf): boolean {
  const value = (key: string): string => entryAt(conf, ["totem", key])?.value ?? "none";
  return (
    value("secauth") === "on" ||
    (value("crypto_cipher") !== "none" && value("crypto_hash") !== "none")
  );
}

function linkErrors(
  nodes: readonly ClusterNode[],
  link: number,
  interfaces: readonly number[],
): string[] {
  const hasInterface = interfaces.includes(link);
  const isUsed = nodes.some(({ addresses }) => addresses.has(link));
  return nodes.flatMap(({ name, addresses }) => {
    const has = addresses.has(link);
    if (interfaces.length === 0) {
      const text = `node '${name}' is missing link ${link}, which is configured on other nodes`;
      return isUsed && !has ? [text] : [];
    }
    if (has && !hasInterface) {
      return [
        `node '${name}' has 'ring${link}_addr', but there is no interface number ${link} configured`,
      ];
    }
    // The original's text lacks the blank, too.
    const text = `node '${name}' is missing address forinterface number ${link}`;
    return hasInterface && !has ? [text] : [];
  });
}

function nameWarnings(nodes: readonly ClusterNode[], link: number, resolved: Resolved): string[] {
  return nodes.flatMap(({ name, addresses }) => {
    const address = addresses.get(link);
    if (address === undefined) return [];
    const ip = resolved.get(address);
    const subject = `ring${link}_addr '${address}' for node '${name}'`;
    if (ip === undefined) {
      return [
        `warning: unable to resolve ${subject} to an IP address according to Corosync's resolve strategy - cluster could fail on restart!`,
      ];
    }
    if (ip === address) return [];
    return [
      `warning: ${subject} resolves to '${ip}' - consider replacing it with the currently resolved IP address for stability`,
    ];
  });
}

/** Two nodes with one name, nodeid or address. */
function clashes(nodes: readonly ClusterNode[]): string[] {
  const found: string[] = [];
  const ids = new Map<number, string>();
  const names = new Set<string>();
  const owners = new Map<string, string>();
  for (const { name, nodeid, addresses } of nodes) {
    if (names.has(name)) found.push(`node '${name}' is configured twice`);
    names.add(name);
    const other = ids.get(nodeid);
    if (nodeid === 0) found.push(`node '${name}' has no nodeid`);
    else if (other !== undefined) {
      found.push(`nodeid ${nodeid} of node '${name}' is already used by node '${other}'`);
    }
    ids.set(nodeid, name);
    for (const [link, address] of addresses) {
      const owner = owners.get(address);
      if (owner !== undefined && owner !== name) {
        found.push(
          `ring${link}_addr '${address}' of node '${name}' is already used by node '${owner}'`,
        );
      }
      owners.set(address, name);
    }
  }
  return found;
}

function deviceWarnings({ device, nodes }: ClusterConf): string[] {
  if (device === undefined) return [];
  const voters = nodes.filter(isVoter);
  if (voters.length < 2) return [];
  const text = deviceWarning(voters.length, device.votes ?? voters.length - 1);
  return text === undefined ? [] : [`warning: ${text}`];
}

/** Of the age of multicast: knet does not look at them. */
function leftovers(conf: Conf): string[] {
  const keys = ["bindnetaddr", "mcastaddr", "broadcast"];
  const transport = entryAt(conf, ["totem", "transport"])?.value ?? "knet";
  if (transport !== "knet") return [];
  const totems = sectionsOf(conf, "totem");
  return [...totems, ...interfaceSections(conf)].flatMap((section) =>
    keys
      .filter((key) => entryAt(section, [key]) !== undefined)
      .map((key) => `warning: '${key}' is of the age of multicast and has no effect: remove it`),
  );
}
