// Host names of corosync.conf to addresses, asked for as corosync asks (totem.md §6.3): one question a name, for both families at
// once, so that a name in /etc/hosts needs no DNS. Host code.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { shortestAddress } from "../link/address.ts";
import type { IpVersion } from "./settings.ts";

export interface FoundAddress {
  readonly address: string;
  readonly family: number;
}

/** Asks the machine's resolver; `family` 0: any. May reject. */
export type Ask = (name: string, family: 0 | 4 | 6) => Promise<readonly FoundAddress[]>;

/** The machine's own. */
export const byResolver: Ask = (name, family) =>
  lookup(name, { all: true, family, order: "verbatim" });

/** What corosync takes of the resolver's answer: the first address of the family that comes first, or of the other one. */
export function chooseAddress(
  found: readonly FoundAddress[],
  version: IpVersion,
): string | undefined {
  const first = (family: number): string | undefined =>
    found.find((each) => each.family === family)?.address;
  if (version === "ipv4") return first(4);
  if (version === "ipv6") return first(6);
  return version === "ipv4-6" ? (first(4) ?? first(6)) : (first(6) ?? first(4));
}

/** The addresses of `name` of any family, an address in its shortest spelling; none when it cannot be resolved. */
export async function addressesOf(
  name: string,
  family: 0 | 4 | 6 = 0,
  ask: Ask = byResolver,
): Promise<readonly FoundAddress[]> {
  if (name === "") return [];
  const literal = isIP(name);
  if (literal !== 0) {
    const isWanted = family === 0 || family === literal;
    return isWanted ? [{ address: shortestAddress(name), family: literal }] : [];
  }
  try {
    return await ask(name, family);
  } catch {
    return []; // Unknown, or no resolver answers: either way no address; readSettings names it.
  }
}

/**
 * The address of each name. One after the other, as each question may hold one of the runtime's few pool threads for as long as a
 * dead DNS server is waited for; the first without an address ends it, as no configuration with such a name is used.
 */
export async function resolveNames(
  names: Iterable<string>,
  version: IpVersion,
  ask: Ask = byResolver,
): Promise<Map<string, string>> {
  const family = version === "ipv4" ? 4 : version === "ipv6" ? 6 : 0;
  const resolved = new Map<string, string>();
  for (const name of new Set(names)) {
    const address = chooseAddress(await addressesOf(name, family, ask), version);
    if (address === undefined) break;
    resolved.set(name, address);
  }
  return resolved;
}
