// What the link core gets from corosync.conf, and which links follow from it. Spec: knet.md §2.1. Pure.
import type { LinkSettings, NodeEntry, NodeSettings } from "../settings/settings.ts";
import { LINKS_MAX } from "./packet.ts";
import type { Overhead } from "./pmtud.ts";

export type LinkMode = "passive" | "active" | "rr";

export interface LinkOptions {
  readonly settings: LinkSettings;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly overhead: Overhead;
  readonly pmtudIntervalMs: number;
  readonly fixedMtu: number;
}

/** Opens compressed user data: at most 65536 bytes and slack; or a clause that says why it cannot (§5). */
export type Inflate = (method: number, bytes: Uint8Array) => Uint8Array | string;

/** The part of the options that may change while the node runs. */
export interface LinksConfiguration {
  /** Ourselves included. */
  readonly nodes: readonly NodeEntry[];
  readonly links: readonly LinkSettings[];
  readonly linkMode: LinkMode;
  readonly crypto: Overhead;
  readonly pmtudIntervalMs: number;
  /** 0: probe. */
  readonly knetMtu: number;
  readonly blockUnlistedIps: boolean;
  /** Outgoing messages are never compressed (a free choice of each node, §5); received ones are opened. */
  readonly compression: NodeSettings["compression"];
}

export interface LinkAddresses {
  readonly settings: LinkSettings;
  readonly localAddress: string;
  readonly remoteAddress: string;
}

/** The address pairs between ourselves and `node`: one for each link number for which both have an address. */
export function linkAddresses(
  node: NodeEntry,
  ourNodeid: number,
  configuration: Pick<LinksConfiguration, "nodes" | "links">,
): LinkAddresses[] {
  const self = configuration.nodes.find((entry) => entry.nodeid === ourNodeid);
  const pairs: LinkAddresses[] = [];
  for (const settings of configuration.links.slice(0, LINKS_MAX)) {
    const localAddress = self?.addresses[settings.number];
    const remoteAddress = node.addresses[settings.number];
    if (localAddress === undefined || remoteAddress === undefined) continue;
    pairs.push({ settings, localAddress, remoteAddress });
  }
  return pairs;
}

/** The options of the links between ourselves and `node`. */
export function linksTo(
  node: NodeEntry,
  ourNodeid: number,
  configuration: LinksConfiguration,
): LinkOptions[] {
  return linkAddresses(node, ourNodeid, configuration).map((pair) => ({
    ...pair,
    overhead: configuration.crypto,
    pmtudIntervalMs: configuration.pmtudIntervalMs,
    fixedMtu: configuration.knetMtu,
  }));
}
