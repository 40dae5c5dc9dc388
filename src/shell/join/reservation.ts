// The place of a node that is joining: reserved in corosync.conf with quorum_votes 0, so that no member loses quorum while it is on its
// way, and confirmed with its votes, or removed, by the members themselves. One at a time: a joiner starts with the corosync.conf that
// it was given, and a member refuses who comes with an older version. Pure; the clock and the membership are inputs.
// Real corosync 3.1.7 with a vote of 0: the member counts in the ring and not in the quorum, also with two_node. With a device of
// automatic votes it would switch the device off: `fitDevice` writes the device's votes out for the time of the reservation.
import * as v from "valibot";
import { nodeNameMax, nodeNamePattern } from "./node-name.ts";

export const reservationPath = "priv/quorate/join-reservation";
const recordBytesMax = 16 * 1024;

/** Seconds from the reservation until the joiner must be a synchronised member. */
export const reservationS = 300;
/** Seconds more for a joiner that is in the ring already and still receives the tree. */
export const synchronisingS = 300;
/** A machine that was added by an original's tool may have no tree at all (corosync alone): so long in the ring is enough for it, ms. */
const withoutTreeMs = 30_000;
/** The member with the lowest nodeid acts at once; each next one waits so much longer (ms), in case that one is none of ours, or dead. */
const rankMs = 3000;

const seconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1));
const voteCount = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const schema = v.object({
  node: v.pipe(v.string(), v.maxLength(nodeNameMax), v.regex(nodeNamePattern)),
  nodeid: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 32 - 1)),
  /** What it gets when it is confirmed. */
  votes: voteCount,
  /** By link number; "" where the node has no address of a link. */
  addresses: v.pipe(v.array(v.pipe(v.string(), v.maxLength(253))), v.minLength(1), v.maxLength(8)),
  /** SHA-256 (hex) of the secret with which the joiner may ask for it and give it back; absent for an original's joiner. */
  secret: v.optional(hash),
  /** The token that it came with; absent: a login. */
  token: v.optional(hash),
  /** Who is let in, for the log. */
  by: v.pipe(v.string(), v.maxLength(128)),
  reservedAt: seconds,
  endsAt: seconds,
  /** It takes the place of a configured node of this name (`--force`), which had these votes and gets them back when it does not come. */
  replacedVotes: v.optional(voteCount),
});

/** Times in Unix seconds. */
export type Reservation = Readonly<v.InferOutput<typeof schema>>;

export function encodeReservation(reservation: Reservation): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(reservation)}\n`);
}

/** Undefined: the file is none of ours. */
export function decodeReservation(bytes: Uint8Array): Reservation | undefined {
  if (bytes.length > recordBytesMax) return undefined;
  try {
    const read = v.safeParse(schema, JSON.parse(new TextDecoder().decode(bytes)));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}

/** What a reservation is asked for with. */
export interface ReservationRequest {
  readonly node: string;
  readonly nodeid: number | undefined;
  readonly votes: number;
  readonly addresses: readonly string[];
  readonly secret: string | undefined;
  readonly token: string | undefined;
}

export type ReservationAnswer =
  | { readonly kind: "free" }
  /** It is the same joiner: it gets the same place, with its time from the beginning. */
  | { readonly kind: "again" }
  /** The same node with another secret, let in by the same authority: the old place goes, then a new one is made. */
  | { readonly kind: "replaced" }
  /** Another node is joining: ask again later. `reason`: a sentence for the joiner's terminal. */
  | { readonly kind: "queued"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

/** May this joiner have a place now? `members`: nodeids in the ring. `nowS`: Unix seconds. */
export function answerRequest(
  current: Reservation | undefined,
  request: ReservationRequest,
  members: readonly number[],
  nowS: number,
): ReservationAnswer {
  if (current === undefined) return { kind: "free" };
  if (current.node !== request.node) {
    const leftS = Math.max(1, endOf(current, members) - nowS);
    return {
      kind: "queued",
      reason: `node '${current.node}' is joining this cluster now, for ${leftS} s more at the most; '${request.node}' is next`,
    };
  }
  const isSame = request.secret !== undefined && request.secret === current.secret;
  if (isSame && isEqual(request, current)) return { kind: "again" };
  if (members.includes(current.nodeid)) {
    return {
      kind: "refused",
      reason: `node '${current.node}' is in the ring already and about to be confirmed: wait for the end of that join`,
    };
  }
  if (isSame) return { kind: "replaced" };
  if (request.token !== current.token) {
    return {
      kind: "queued",
      reason: `a machine with the name '${request.node}' is joining already, let in by ${current.by}, for ${Math.max(1, current.endsAt - nowS)} s more at the most: if it is not this one, give one of them another name`,
    };
  }
  return { kind: "replaced" };
}

function isEqual(request: ReservationRequest, { nodeid, votes, addresses }: Reservation): boolean {
  const text = (all: readonly string[]): string => all.filter((each) => each !== "").join(" ");
  const isOwnId = request.nodeid === undefined || request.nodeid === nodeid;
  return isOwnId && request.votes === votes && text(request.addresses) === text(addresses);
}

/** Until when it may last, Unix seconds. */
function endOf(reservation: Reservation, members: readonly number[]): number {
  return reservation.endsAt + (members.includes(reservation.nodeid) ? synchronisingS : 0);
}

/** What a member sees when it judges a reservation. */
export interface JoinView {
  readonly reservation: Reservation | undefined;
  /** The node's entry in the tree's corosync.conf; undefined: it has none. */
  readonly entry: { readonly nodeid: number; readonly votes: number } | undefined;
  readonly self: number;
  readonly isQuorate: boolean;
  /** nodeids in the ring, ascending. */
  readonly members: readonly number[];
  /** nodeids in the group of the tree, while this node's tree is the same as theirs; empty while trees are being compared. */
  readonly synced: readonly number[];
  /** Unix seconds. */
  readonly wallS: number;
  /** Milliseconds of a clock that is never set. */
  readonly nowMs: number;
}

export type JoinDecision =
  | { readonly kind: "nothing" }
  /** Look again then, on the clock of `nowMs`; sooner when something of the view changes. */
  | { readonly kind: "wait"; readonly untilMs: number }
  /** The entry gets its votes, then the reservation goes. */
  | { readonly kind: "confirm"; readonly reservation: Reservation }
  /** The entry goes (or gets its old votes back), then the reservation. `reason`: for the log. */
  | { readonly kind: "remove"; readonly reservation: Reservation; readonly reason: string }
  /** Only the reservation goes: the entry is as it shall be, or not there. */
  | { readonly kind: "forget"; readonly reservation: Reservation; readonly isConfirmed: boolean };

/** What one member does about the reservation. Each member has one of these; any of them may act, and the work is the same twice. */
export class JoinKeeper {
  /** Which reservation this member watches, since when, and what is to be done about it. */
  #watched: Watched | undefined;

  /** Called whenever something of the view has changed, and when the time of the last answer is there. */
  decide(view: JoinView): JoinDecision {
    const { reservation, nowMs } = view;
    if (reservation === undefined) {
      this.#watched = undefined;
      return { kind: "nothing" };
    }
    const key = `${reservation.node} ${reservation.reservedAt} ${reservation.endsAt}`;
    if (this.#watched?.key !== key) {
      this.#watched = { key, sinceMs: nowMs, ringMs: undefined, due: undefined };
    }
    const watched: Watched = this.#watched;
    watched.ringMs = view.members.includes(reservation.nodeid)
      ? (watched.ringMs ?? nowMs)
      : undefined;
    const decision = view.isQuorate ? judge(view, reservation, watched) : waitForQuorum;
    const { kind } = decision;
    if (kind === "wait" || kind === "nothing") {
      watched.due = undefined;
      return decision;
    }
    if (watched.due?.kind !== kind) watched.due = { kind, sinceMs: nowMs };
    const actMs = watched.due.sinceMs + rankOf(view, reservation) * rankMs;
    return nowMs >= actMs ? decision : { kind: "wait", untilMs: actMs };
  }
}

interface Watched {
  readonly key: string;
  readonly sinceMs: number;
  /** Since when the joiner is in the ring; undefined: it is not. */
  ringMs: number | undefined;
  /** Since when there is this to do. */
  due: Due | undefined;
}

interface Due {
  readonly kind: JoinDecision["kind"];
  readonly sinceMs: number;
}

/** A change of quorum asks again. */
const waitForQuorum: JoinDecision = { kind: "nothing" };

function judge(
  view: JoinView,
  reservation: Reservation,
  { sinceMs, ringMs }: Watched,
): JoinDecision {
  const { entry, members, synced, wallS, nowMs } = view;
  const { node, nodeid } = reservation;
  if (entry === undefined || entry.nodeid !== nodeid) {
    // A member that died between the two writes has left a reservation without an entry; its joiner was answered nothing.
    return { kind: "forget", reservation, isConfirmed: false };
  }
  if (entry.votes !== 0) return { kind: "forget", reservation, isConfirmed: true };
  if (members.includes(nodeid) && synced.includes(nodeid)) return { kind: "confirm", reservation };
  if (reservation.secret === undefined && ringMs !== undefined) {
    const untilMs = ringMs + withoutTreeMs;
    return nowMs >= untilMs ? { kind: "confirm", reservation } : { kind: "wait", untilMs };
  }
  // Over by the clock on the wall, which may be wrong here, and by what this member has seen itself.
  const end = endOf(reservation, members);
  // Made by a clock that is ahead of this one: it would last for as long as that is. Only what was seen counts.
  const isOfFuture = wallS < reservation.reservedAt;
  const lengthS = Math.max(0, (isOfFuture ? end : reservation.endsAt) - reservation.reservedAt);
  const leftMs = Math.max(isOfFuture ? 0 : (end - wallS) * 1000, sinceMs + lengthS * 1000 - nowMs);
  if (leftMs > 0) return { kind: "wait", untilMs: nowMs + leftMs };
  const how = members.includes(nodeid)
    ? "came into the ring, but never got the whole tree"
    : "did not come into the ring";
  return { kind: "remove", reservation, reason: `node '${node}' ${how} in its time` };
}

/** How many of the members go before this one. The joiner itself does not count. */
function rankOf(view: JoinView, { nodeid }: Reservation): number {
  return view.members.filter((member) => member < view.self && member !== nodeid).length;
}
