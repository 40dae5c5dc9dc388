// What the names in a corosync.conf resolve to on this member, for the warnings of pvecm.md §2.6: a name that is not known at the next start keeps a
// node out of its cluster. Bounded: a dead DNS server is waited for once, and what was not asked then is not warned of.
import { setTimeout as wait } from "node:timers/promises";
import { isIP } from "node:net";
import {
  addressesOf,
  type Ask,
  byResolver,
  chooseAddress,
} from "../../../node/settings/resolve.ts";
import { readClusterConf } from "../../conf/cluster-conf.ts";
import type { Resolved } from "../../conf/verify.ts";

const waitMsMax = 5000;

/** `text`: one character a byte; one that cannot be read has no names. Never rejects. */
export async function resolvedIn(
  text: string,
  ask: Ask = byResolver,
  waitMs: number = waitMsMax,
): Promise<Resolved> {
  const conf = readClusterConf(text);
  if (!conf.ok) return new Map();
  const { nodes, ipVersion } = conf.value;
  const names = new Set(nodes.flatMap(({ addresses }) => [...addresses.values()]));
  // An address, and a name that nobody was asked for, stand for themselves: nothing is to be said of them.
  const resolved = new Map([...names].map((name) => [name, name]));
  const over = new AbortController();
  const limit = wait(waitMs, "late" as const, { signal: over.signal }).catch(() => "late" as const);
  for (const name of names) {
    if (isIP(name) !== 0) continue;
    const found = await Promise.race([addressesOf(name, familyOf(ipVersion), ask), limit]);
    const address = found === "late" ? undefined : chooseAddress(found, versionOf(ipVersion));
    if (address === undefined) resolved.delete(name);
    else resolved.set(name, address);
    if (found === "late") break;
  }
  over.abort();
  return resolved;
}

/** Corosync's default is not what `pvecm create` writes (pvecm.md §2.4). */
function versionOf(word: string): "ipv4" | "ipv6" | "ipv4-6" | "ipv6-4" {
  return word === "ipv4" || word === "ipv6" || word === "ipv4-6" ? word : "ipv6-4";
}

function familyOf(word: string): 0 | 4 | 6 {
  return word === "ipv4" ? 4 : word === "ipv6" ? 6 : 0;
}
