// The addresses of our own that links are bound to, and those among them that this machine does not have (yet). Host code.
import { networkInterfaces } from "node:os";
import type { LinkSettings, NodeEntry } from "../settings/settings.ts";
import { canonicalAddress } from "./address.ts";

/** One socket's place. */
export interface Binding {
  readonly address: string;
  readonly port: number;
  /** Usually one: links with one address and port share a socket. */
  readonly links: number[];
}

export interface OwnLinks {
  readonly nodeid: number;
  readonly nodes: readonly NodeEntry[];
  readonly links: readonly LinkSettings[];
}

/** By `bindingKey`. */
export function bindings({ nodeid, nodes, links }: OwnLinks): Map<string, Binding> {
  const self = nodes.find((node) => node.nodeid === nodeid);
  const wanted = new Map<string, Binding>();
  for (const { number, port } of links) {
    const address = self?.addresses[number];
    if (address === undefined) continue;
    const key = bindingKey(address, port);
    const binding = wanted.get(key) ?? { address, port, links: [] };
    binding.links.push(number);
    wanted.set(key, binding);
  }
  return wanted;
}

export function bindingKey(address: string, port: number): string {
  return `${canonicalAddress(address) ?? address} ${port}`;
}

/** Those that no interface of this machine has now: their links wait. */
export function absentBindings(own: OwnLinks): Binding[] {
  return [...bindings(own).values()].filter(({ address }) => !isOwnAddress(address));
}

/** What is missing and what to do, for log and status. */
export function absentSentence(binding: Binding): string {
  return `${binding.address} port ${binding.port}/udp (${linkNames(binding)}): no interface of this machine has that address, the link waits for it: add it, or correct ring${binding.links[0] ?? 0}_addr of this node in corosync.conf`;
}

export function linkNames({ links }: Binding): string {
  return links.length === 1 ? `link ${links[0]}` : `links ${links.join(", ")}`;
}

/** Whether an interface of this machine has the IP address now. */
export function isOwnAddress(address: string): boolean {
  const wanted = canonicalAddress(address);
  // All of 127.0.0.0/8 is ours, though only one of it is listed; wildcards are nobody's.
  if (wanted?.startsWith("127.") === true || wanted === "0.0.0.0") return true;
  for (const addresses of Object.values(networkInterfaces())) {
    if (addresses?.some((entry) => canonicalAddress(entry.address) === wanted)) return true;
  }
  return false;
}
