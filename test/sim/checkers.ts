// The invariants of the ring, checked on what each incarnation of each node saw (engineering §9: V1-V6, V8; T1).
// An incarnation is one life of a process; a crash ends it.
import { sameRing, type RingId } from "../../src/world.ts";
import type { MemberSnapshot, QuorumView } from "../../src/node/member/events.ts";
import type { RingAction } from "../../src/node/ring/events.ts";
import { reasonOf } from "../../src/result.ts";

export class InvariantBroken extends Error {
  readonly invariant: string;
  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

/** What a seed has found. An assertion of the cores is a finding as a broken invariant is. */
export async function findingOf(run: () => Promise<void>): Promise<{
  readonly ok: boolean;
  readonly failure: string;
  readonly invariant: string;
}> {
  // What is thrown into a promise that nobody awaits (a start, a reload) would otherwise end the process without naming the seed.
  const escaped: unknown[] = [];
  const note = (error: unknown): void => void escaped.push(error);
  process.on("unhandledRejection", note);
  try {
    try {
      await run();
    } finally {
      // Such are told in a turn of the event loop of their own.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (escaped.length > 0) throw escaped[0];
  } catch (thrown) {
    const error = escaped[0] ?? thrown;
    const failure = reasonOf(error);
    if (error instanceof InvariantBroken) {
      return { ok: false, failure, invariant: error.invariant };
    }
    const stack = error instanceof Error ? `\n${error.stack}` : "";
    return { ok: false, failure: failure + stack, invariant: "assertion" };
  } finally {
    process.off("unhandledRejection", note);
  }
  return { ok: true, failure: "", invariant: "" };
}

/** Four times a fifth of a millisecond, by clocks that run faster or slower by a hundredth. */
const keptMsMax = 0.82;

type Seen =
  | { readonly kind: "message"; readonly id: string }
  | {
      readonly kind: "transitional" | "regular";
      readonly ring: string;
      readonly members: readonly number[];
    };

/** What a node has received of the ring that it installed last. */
type Holding = Pick<MemberSnapshot, "ring" | "members" | "aru">;

interface Life {
  readonly nodeid: number;
  readonly incarnation: number;
  readonly holding: () => Holding | undefined;
  readonly seen: Seen[];
  readonly delivered: Set<string>;
  readonly sent: Set<string>;
  ended: boolean;
}

/** One stretch of a life: from a regular configuration to the next. */
interface Stretch {
  readonly life: Life;
  readonly ring: string;
  /** Delivered before the transitional configuration. */
  readonly agreed: readonly string[];
  /** Delivered in the whole stretch. */
  readonly all: readonly string[];
  /** The transitional members and the next ring; undefined for the last stretch. */
  readonly next: { readonly ring: string; readonly together: readonly number[] } | undefined;
}

const ringName = (ring: RingId): string => `${ring.rep}.${ring.seq}`;
const placeOf = (nodeid: number, ring: RingId): string => `${nodeid} ${ringName(ring)}`;

export class RingChecker {
  readonly #lives: Life[] = [];
  readonly #current = new Map<number, Life>();
  readonly #sentBy = new Map<string, Life>();
  readonly #ringSeq = new Map<number, number>();
  /** The aru of a node on a ring that it has left, by `placeOf`. */
  readonly #heldAtEnd = new Map<string, number>();
  /** Since when a node keeps the token. */
  readonly #keptSince = new Map<number, number>();
  #broken: InvariantBroken | undefined;
  deliveries = 0;

  /** `holding`: of the ring thread at the moment of asking. */
  begin(nodeid: number, incarnation: number, holding: Life["holding"]): void {
    const life: Life = {
      nodeid,
      incarnation,
      holding,
      seen: [],
      delivered: new Set(),
      sent: new Set(),
      ended: false,
    };
    this.#lives.push(life);
    this.#keptSince.delete(nodeid);
    this.#current.set(nodeid, life);
  }

  end(nodeid: number): void {
    const life = this.#current.get(nodeid);
    if (life === undefined || life.ended) return;
    this.parted(nodeid);
    life.ended = true;
  }

  /** The node takes up another ring: it receives nothing more of the one it is on. */
  parted(nodeid: number): void {
    const holding = this.#life(nodeid).holding();
    if (holding !== undefined) this.#heldAtEnd.set(placeOf(nodeid, holding.ring), holding.aru);
  }

  /** V6 at once: when a node calls the packets up to `seq` of its ring stable, every member has received them, or had when it left that ring. */
  stable(nodeid: number, seq: number): void {
    const own = this.#life(nodeid).holding();
    if (own === undefined) return;
    for (const member of own.members) {
      const held = this.#heldBy(member, own.ring);
      if (held !== undefined && held >= seq) continue;
      const has = held === undefined ? "was never on it" : `has those up to ${held}`;
      throw new InvariantBroken(
        "V6",
        `node ${nodeid} calls packet ${seq} of ring ${ringName(own.ring)} stable, node ${member} ${has}`,
      );
    }
  }

  #heldBy(nodeid: number, ring: RingId): number | undefined {
    const life = this.#current.get(nodeid);
    const holding = life?.ended === false ? life.holding() : undefined;
    if (holding !== undefined && sameRing(holding.ring, ring)) return holding.aru;
    return this.#heldAtEnd.get(placeOf(nodeid, ring));
  }

  /** T1: a token that is kept goes on before anybody could miss it, and long before. */
  kept(nodeid: number, action: RingAction, now: number): void {
    const isArm = action.kind === "arm" || action.kind === "disarm";
    if (isArm && action.timer !== "keep") return;
    const since = this.#keptSince.get(nodeid);
    if (action.kind === "arm") this.#keptSince.set(nodeid, since ?? now);
    // Only tokens are sent to one node on a ring that works.
    if (action.kind === "disarm" || action.kind === "unicast") this.#keptSince.delete(nodeid);
    if (since === undefined || now - since <= keptMsMax) return;
    throw new InvariantBroken("T1", `node ${nodeid} has kept the token for ${now - since} ms`);
  }

  /** The node gets no processor for so long, and nobody can let a token go on without one. */
  paused(nodeid: number, durationMs: number): void {
    const since = this.#keptSince.get(nodeid);
    if (since !== undefined) this.#keptSince.set(nodeid, since + durationMs);
  }

  sent(nodeid: number, id: string): void {
    const life = this.#life(nodeid);
    life.sent.add(id);
    this.#sentBy.set(id, life);
  }

  /** V1 at once: it was sent, and is delivered once. */
  delivered(nodeid: number, id: string): void {
    const life = this.#life(nodeid);
    this.deliveries += 1;
    if (!this.#sentBy.has(id))
      throw new InvariantBroken("V1", `node ${nodeid} delivered ${id}, which nobody sent`);
    if (life.delivered.has(id))
      throw new InvariantBroken("V1", `node ${nodeid} delivered ${id} twice`);
    life.delivered.add(id);
    life.seen.push({ kind: "message", id });
  }

  configured(
    nodeid: number,
    type: "transitional" | "regular",
    ring: RingId,
    members: readonly number[],
  ): void {
    const life = this.#life(nodeid);
    if (type === "regular") {
      this.#checkPreceded(life, ring);
      const before = this.#ringSeq.get(nodeid) ?? 0;
      if (ring.seq <= before) {
        throw new InvariantBroken(
          "V8",
          `node ${nodeid} installed ring ${ringName(ring)} after sequence ${before}`,
        );
      }
      this.#ringSeq.set(nodeid, ring.seq);
      if (!members.includes(nodeid)) {
        throw new InvariantBroken(
          "V4",
          `node ${nodeid} installed ring ${ringName(ring)} without itself`,
        );
      }
    }
    life.seen.push({ kind: type, ring: ringName(ring), members: [...members] });
  }

  /** V8 for the durable number: it never goes back, also across restarts. Told later: the host takes what is thrown here for its disk's. */
  persisted(nodeid: number, before: number, after: number): void {
    if (after >= before) return;
    const text = `node ${nodeid} stored ring sequence ${after} after ${before}`;
    this.#broken ??= new InvariantBroken("V8", text);
  }

  /** V8: what was to be stored is durable before anything leaves. */
  sending(nodeid: number, asked: number, stored: number): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (stored >= asked) return;
    const text = `node ${nodeid} sends before ring sequence ${asked} is stored, ${stored} is`;
    throw new InvariantBroken("V8", text);
  }

  #life(nodeid: number): Life {
    const life = this.#current.get(nodeid);
    if (life === undefined || life.ended) {
      throw new InvariantBroken("V1", `node ${nodeid} acts while it is down`);
    }
    return life;
  }

  /** V4: a regular configuration follows its own transitional one. */
  #checkPreceded(life: Life, ring: RingId): void {
    const last = life.seen.findLast((seen) => seen.kind !== "message");
    if (last === undefined || last.kind !== "transitional" || last.ring !== ringName(ring)) {
      throw new InvariantBroken(
        "V4",
        `node ${life.nodeid}: regular ${ringName(ring)} without its transitional configuration`,
      );
    }
  }

  /** At the end: agreement over all pairs (V2, V4, V5). */
  checkAgreement(): void {
    if (this.#broken !== undefined) throw this.#broken;
    const stretches = this.#lives.flatMap((life) => stretchesOf(life));
    const byRing = Map.groupBy(stretches, (stretch) => stretch.ring);
    for (const group of byRing.values()) {
      for (const [at, a] of group.entries()) {
        for (const b of group.slice(at + 1)) {
          checkPrefix(a, b);
          checkTogether(a, b);
        }
      }
    }
    for (const [at, a] of this.#lives.entries()) {
      for (const b of this.#lives.slice(at + 1)) checkOrder(a, b);
    }
  }

  /** V3, once everybody had time: who still lives has delivered what it has sent. */
  checkSelfDelivery(): void {
    for (const life of this.#current.values()) {
      if (life.ended) continue;
      for (const id of life.sent) {
        if (!life.delivered.has(id)) {
          throw new InvariantBroken("V3", `node ${life.nodeid} never delivered its own ${id}`);
        }
      }
    }
  }

  /** A short fingerprint of everything delivered: equal for two runs of one seed. */
  fingerprint(): number {
    let hash = 0x811c9dc5;
    for (const life of this.#lives) {
      for (const seen of life.seen) {
        const text = seen.kind === "message" ? seen.id : `${seen.kind}${seen.ring}`;
        for (let at = 0; at < text.length; at += 1) {
          hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
        }
      }
    }
    return hash;
  }
}

function stretchesOf(life: Life): Stretch[] {
  const stretches: Stretch[] = [];
  let ring: string | undefined;
  let agreed: string[] = [];
  let all: string[] = [];
  let together: readonly number[] | undefined;
  for (const seen of life.seen) {
    if (seen.kind === "message") {
      all.push(seen.id);
      if (together === undefined) agreed.push(seen.id);
    } else if (seen.kind === "transitional") together = seen.members;
    else {
      if (ring !== undefined) {
        stretches.push({
          life,
          ring,
          agreed,
          all,
          next: { ring: seen.ring, together: together ?? [] },
        });
      }
      ring = seen.ring;
      agreed = [];
      all = [];
      together = undefined;
    }
  }
  if (ring !== undefined) stretches.push({ life, ring, agreed, all, next: undefined });
  return stretches;
}

const who = (life: Life): string => `node ${life.nodeid} (life ${life.incarnation})`;

/** V2: within one configuration everybody delivers the same sequence, as far as each gets; no holes. */
function checkPrefix(a: Stretch, b: Stretch): void {
  const length = Math.min(a.agreed.length, b.agreed.length);
  for (let at = 0; at < length; at += 1) {
    if (a.agreed[at] !== b.agreed[at]) {
      throw new InvariantBroken(
        "V2",
        `ring ${a.ring}, place ${at}: ${who(a.life)} delivered ${a.agreed[at]}, ${who(b.life)} ${b.agreed[at]}`,
      );
    }
  }
}

/** V4 and V5: who moves together from one configuration to the next has delivered the same in between. */
function checkTogether(a: Stretch, b: Stretch): void {
  if (a.next === undefined || b.next === undefined || a.next.ring !== b.next.ring) return;
  const aWithB = a.next.together.includes(b.life.nodeid);
  const bWithA = b.next.together.includes(a.life.nodeid);
  if (aWithB !== bWithA) {
    throw new InvariantBroken(
      "V4",
      `${a.ring} → ${a.next.ring}: ${who(a.life)} and ${who(b.life)} disagree on having moved together`,
    );
  }
  if (!aWithB) return;
  const one = a.all.join("\n");
  const other = b.all.join("\n");
  if (one !== other) {
    throw new InvariantBroken(
      "V5",
      `${a.ring} → ${a.next.ring}: ${who(a.life)} delivered ${a.all.length} messages, ${who(b.life)} ${b.all.length}, not the same`,
    );
  }
}

/** V2 over whole lives: messages that both delivered come in the same order. */
function checkOrder(a: Life, b: Life): void {
  const positions = new Map<string, number>();
  for (const seen of b.seen) if (seen.kind === "message") positions.set(seen.id, positions.size);
  let last = -1;
  for (const seen of a.seen) {
    if (seen.kind !== "message") continue;
    const position = positions.get(seen.id);
    if (position === undefined) continue;
    if (position < last) {
      throw new InvariantBroken(
        "V2",
        `${who(a)} and ${who(b)} delivered ${seen.id} in different order`,
      );
    }
    last = position;
  }
}

/** How often a caller looks at rings when nothing changes. */
export const lookEveryMs = 100;

/** Every member of this ring is operational on it. */
export function isWholeRing(
  { ring, members }: Pick<QuorumView, "ring" | "members">,
  nodes: readonly { readonly member: MemberSnapshot | undefined }[],
): boolean {
  return members.every((nodeid) => {
    const member = nodes[nodeid - 1]?.member;
    return member?.state === "operational" && ringName(member.ring) === ringName(ring);
  });
}

/**
 * Rings that one of their members has left: their token goes around no more and nothing is stable in them, but who is left counts as
 * quorate until the token must have been missed.
 */
export class BrokenRings {
  readonly #since = new Map<string, number>();

  /** To be called at least every `lookEveryMs`. */
  mayStillServe(name: string, isWhole: boolean, now: number, tokenMs: number): boolean {
    if (isWhole) {
      this.#since.delete(name);
      return false;
    }
    const since = this.#since.get(name) ?? now;
    this.#since.set(name, since);
    return now - since < tokenMs * 1.02 + lookEveryMs;
  }
}
