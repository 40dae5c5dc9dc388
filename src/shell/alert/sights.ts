// What a part of the cluster sees: the conditions of all its members as one list, how long each has held or been gone, and which alerts nobody here can
// judge now. Pure.
import { conditionIds, nameOf } from "./condition.ts";
import type { Look } from "./events.ts";
import type { Sighting } from "./ledger.ts";

/** More links of one network than these, and it is the network. */
const linksOfNetworkMax = 8;

export interface Seen {
  readonly id: string;
  readonly since: number;
  readonly state: string;
}

/** `others`: of the members that are heard. `isOpen`: of alerts. */
export function seenBy(
  { isQuorate, conditions, wallMs }: Look,
  others: ReadonlyMap<number, Sighting>,
  isOpen: (id: string) => boolean,
): ReadonlyMap<string, Seen> {
  const all = new Map<string, Seen>();
  const add = (seen: Seen): void => {
    const known = all.get(seen.id);
    if (known === undefined || seen.since < known.since) all.set(seen.id, seen);
  };
  for (const { id, state, since = wallMs } of conditions) add({ id, state, since });
  // Who is a member, and whether there is quorum, each knows by itself.
  for (const { seen } of others.values()) {
    for (const each of seen) if (!isOfPart(each.id)) add(each);
  }
  // Without quorum a part says one thing: the other side may see all the rest better, and says it.
  if (!isQuorate) return new Map([...all].filter(([id]) => id === conditionIds.quorum));
  return withNetworks(all, isOpen);
}

function isOfPart(id: string): boolean {
  const kind = nameOf(id)?.kind;
  return kind === "quorum" || kind === "node";
}

/** A network that fails is one alert and not one for each pair of nodes. Links that are told of already stay what they are. */
function withNetworks(
  seen: ReadonlyMap<string, Seen>,
  isOpen: (id: string) => boolean,
): ReadonlyMap<string, Seen> {
  const result = new Map(seen);
  const links = [...seen.values()].filter(({ id }) => id.startsWith("link/") && !isOpen(id));
  for (const [link, of] of Map.groupBy(links, ({ id }) => nameOf(id)?.link ?? 0)) {
    const id = conditionIds.network(link);
    if (of.length <= linksOfNetworkMax && !isOpen(id)) continue;
    for (const each of of) result.delete(each.id);
    const [first] = of.toSorted((a, b) => a.since - b.since);
    if (first === undefined) continue;
    const state = `Link ${link} is down between ${of.length} pairs of nodes; first: ${first.state}`;
    result.set(id, { id, since: first.since, state });
  }
  return result;
}

/**
 * Nobody here can say that it is over: who sees it is not here, or is not heard. A node that was taken out of corosync.conf is waited for no longer. `heard`:
 * nodeids, ours among them.
 */
export function isUnjudged(id: string, look: Look, heard: ReadonlySet<number>): boolean {
  if (id === conditionIds.quorum) return false;
  if (!look.isQuorate) return true;
  const { kind, nodes = [] } = nameOf(id) ?? {};
  const isListed = (nodeid: number) => look.nodes.some((node) => node.nodeid === nodeid);
  const there = nodes.filter(isListed);
  switch (kind) {
    case "link":
      if (there.length < nodes.length) return false;
      return (
        there.some((nodeid) => !look.members.includes(nodeid)) ||
        (there.length > 0 && !there.some((nodeid) => heard.has(nodeid)))
      );
    case "certificate":
    case "tree":
      return there.some((nodeid) => !heard.has(nodeid));
    default:
      return false;
  }
}

interface Span {
  /** Since when it holds without a break, monotonic; undefined: it does not. */
  from: number | undefined;
  /** When it held last, or could not be judged. */
  last: number;
}

/** How long each condition has held, and been gone. Every member keeps it, so that a new sender need not begin anew. */
export class Spans {
  readonly #spans = new Map<string, Span>();

  /** `open`: names of open alerts. */
  look(
    seen: ReadonlyMap<string, Seen>,
    open: Iterable<string>,
    isHeld: (id: string) => boolean,
    now: number,
  ): void {
    const openIds = new Set(open);
    for (const id of openIds)
      if (!this.#spans.has(id)) this.#spans.set(id, { from: undefined, last: now });
    for (const id of seen.keys()) {
      const span = this.#spans.get(id);
      if (span === undefined) this.#spans.set(id, { from: now, last: now });
      else this.#spans.set(id, { from: span.from ?? now, last: now });
    }
    for (const [id, span] of this.#spans) {
      if (seen.has(id)) continue;
      span.from = undefined;
      if (!openIds.has(id)) this.#spans.delete(id);
      else if (isHeld(id)) span.last = now;
    }
  }

  /** Milliseconds; 0: it does not hold. */
  heldFor(id: string, now: number): number {
    const from = this.#spans.get(id)?.from;
    return from === undefined ? 0 : now - from;
  }

  goneFor(id: string, now: number): number {
    const span = this.#spans.get(id);
    return span === undefined || span.from !== undefined ? 0 : now - span.last;
  }
}
