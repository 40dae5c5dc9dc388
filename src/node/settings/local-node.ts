// Which node of the nodelist this machine is, found as corosync finds it (totem.md §6.2): by the host name and its shorter forms, by
// the names and IPv4 addresses of its interfaces, and last by an address that a name or ring0_addr resolves to. Pure.
import { canonicalAddress } from "../link/address.ts";

/** What is known of this machine. */
export interface LocalFacts {
  /** The host name and its forms with the domain cut off label by label, or the one that --name gives alone. */
  readonly names: readonly string[];
  /** The host name up to the first dot, which also finds a node whose name is longer; absent with --name. */
  readonly shortName?: string;
  /** What the resolver calls the addresses of this machine, and those of IPv4 themselves, in the system's order. */
  readonly aliases?: readonly string[];
  /** Of its interfaces; none with --name. */
  readonly addresses: readonly string[];
  /** All addresses of each `name` and `ring0_addr`; where one is absent, what the links use counts. */
  readonly resolved?: ReadonlyMap<string, readonly string[]>;
}

/** What a node may be found by: corosync knows neither the addresses of other links nor the nodeid here. */
export interface Candidate {
  readonly name: string | undefined;
  /** ring0_addr as it is written. */
  readonly address: string | undefined;
}

/** By names that this machine has without asking a resolver. */
export function findByHostName(
  nodes: readonly Candidate[],
  { names, shortName }: LocalFacts,
): number | undefined {
  const index = findByName(nodes, names);
  if (index !== undefined) return index;
  if (shortName === undefined) return undefined;
  return indexOf(nodes, (text) => text.split(".")[0] === shortName);
}

/** Position of our own node; undefined: none is ours. `linkAddresses`: IP address of each ringX_addr. */
export function findOwnNode(
  nodes: readonly Candidate[],
  facts: LocalFacts,
  linkAddresses: ReadonlyMap<string, string>,
): number | undefined {
  const index = findByHostName(nodes, facts) ?? findByName(nodes, facts.aliases ?? []);
  if (index !== undefined) return index;
  return indexOf(nodes, (text) => {
    const known = linkAddresses.get(text);
    return isOneOf(facts.resolved?.get(text) ?? (known === undefined ? [] : [known]), facts);
  });
}

/** The node that is called by the first of these names which is any node's. */
export function findByName(
  nodes: readonly Candidate[],
  names: readonly string[],
): number | undefined {
  for (const name of names) {
    const index = indexOf(nodes, (text) => text === name);
    if (index !== undefined) return index;
  }
  return undefined;
}

/** Whether one of `addresses` is this machine's. */
export function isOneOf(addresses: readonly string[], facts: LocalFacts): boolean {
  const own = new Set(facts.addresses.map((address) => canonicalAddress(address) ?? address));
  return addresses.some((address) => own.has(canonicalAddress(address) ?? address));
}

function indexOf(
  nodes: readonly Candidate[],
  isOurs: (text: string) => boolean,
): number | undefined {
  const index = nodes.findIndex(({ name, address }) =>
    [name, address].some((text) => text !== undefined && isOurs(text)),
  );
  return index < 0 ? undefined : index;
}
