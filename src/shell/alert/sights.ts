// What a part of the cluster sees: the conditions of all its members as one list, how long each has held or been gone, and which alerts nobody here can
// judge now. Pure.
import { conditionIds, kindOf, nameOf } from "./condition.ts";
import type { Look } from "./events.ts";
import type { Sighting } from "./ledger.ts";

/** More links of one network than these, and it is the network. */
const linksOfNetworkMax = 8;

export interface Seen {
  readonly id: string;
  readonly since: number;
  readonly state: string;
}

/** When an alert changed last, Unix milliseconds; undefined: it is not open. */
export type OpenAt = (id: string) => number | undefined;

/** `others`: of the members that are heard. */
export function seenBy(
  look: Look,
  others: ReadonlyMap<number, Sighting>,
  openAt: OpenAt,
): ReadonlyMap<string, Seen> {
  const { isQuorate, conditions, wallMs } = look;
  const all = new Map<string, Seen>();
  const add = (seen: Seen): void => {
    const known = all.get(seen.id);
    if (known === undefined || seen.since < known.since) all.set(seen.id, seen);
  };
  for (const { id, state, since = wallMs } of conditions) add({ id, state, since });
  // Who is a member each knows by itself.
  for (const { seen } of others.values()) {
    for (const each of seen) if (kindOf(each.id) !== "node") add(each);
  }
  const isOfQuorum = (id: string): boolean => kindOf(id) === "quorum";
  // Without quorum a part says one thing: the other side may see all the rest better, and says it.
  if (!isQuorate)
    return lostQuorum(
      [...all.values()].filter(({ id }) => isOfQuorum(id)),
      look,
      openAt,
    );
  const rest = new Map([...all].filter(([id]) => !isOfQuorum(id)));
  return withNetworks(rest, (id) => openAt(id) !== undefined);
}

/**
 * One alert for the part, by its lowest node. A node that was in a part with quorum when that was told, and has lost it since, is another loss: all that were left may
 * be with one that had none before.
 */
function lostQuorum(
  lacking: readonly Seen[],
  { members, conditions }: Look,
  openAt: OpenAt,
): ReadonlyMap<string, Seen> {
  const state = conditions.find(({ id }) => kindOf(id) === "quorum")?.state ?? "";
  const known = members.flatMap((nodeid) => {
    const id = conditionIds.quorum(nodeid);
    const at = openAt(id);
    return at === undefined ? [] : [{ id, since: at, state }];
  });
  const toldAt = Math.max(Number.NEGATIVE_INFINITY, ...known.map(({ since }) => since));
  const untold = members
    .toSorted((a, b) => a - b)
    .map((nodeid) => lacking.find(({ id }) => id === conditionIds.quorum(nodeid)))
    .find((each) => each !== undefined && each.since > toldAt && openAt(each.id) === undefined);
  const added = untold === undefined ? [] : [{ ...untold, state }];
  return new Map([...known, ...added].map((seen) => [seen.id, seen]));
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
  const { kind, nodes = [] } = nameOf(id) ?? {};
  const isListed = (nodeid: number) => look.nodes.some((node) => node.nodeid === nodeid);
  const there = nodes.filter(isListed);
  if (kind === "quorum") return there.some((nodeid) => !look.members.includes(nodeid));
  if (!look.isQuorate) return true;
  switch (kind) {
    case "link":
      if (there.length < nodes.length) return false;
      return (
        there.some((nodeid) => !look.members.includes(nodeid)) ||
        there.some((nodeid) => !look.reachable.includes(nodeid)) ||
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
