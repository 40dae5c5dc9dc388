// What a member answers a machine that joins, and a node the person who lets it join (pvecm.md §2.7, §3.3). Lengths are bounded: the answers
// come from machines that nobody knows yet.
import * as v from "valibot";

const text = v.pipe(v.string(), v.maxLength(1024 * 1024));
const word = v.pipe(v.string(), v.maxLength(256));
const number = v.pipe(v.number(), v.integer());
const base64 = v.pipe(text, v.regex(/^[A-Za-z0-9+/]*={0,2}$/));
const nonce = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const linksMax = 8;

/** What a node must know before it joins; `before` and `after` of corosync.conf, or the `fault` for which it could not. */
export const situationAnswer = v.looseObject({
  cluster: word,
  node: word,
  version: word,
  wallMs: v.number(),
  nodes: v.pipe(
    v.array(
      v.object({ name: text, nodeid: number, votes: number, addresses: v.record(text, text) }),
    ),
    v.maxLength(256),
  ),
  links: v.pipe(v.array(v.object({ number, port: number })), v.maxLength(linksMax)),
  effect: v.pipe(v.string(), v.maxLength(2048)),
  before: v.optional(text),
  after: v.optional(text),
  notes: v.optional(v.array(text)),
  fault: v.optional(text),
  errors: v.optional(v.record(text, text)),
});

/** Where to send probes for `openMs`, what to send and what comes back. */
export const probeAnswer = v.object({
  ask: nonce,
  answer: nonce,
  openMs: number,
  links: v.pipe(
    v.array(
      v.object({ link: number, address: text, port: number, mtu: v.optional(number), fault: text }),
    ),
    v.maxLength(linksMax),
  ),
});

/** `conf` and `key` in base64; `leftS`: the seconds within which the node must be a member. */
export const grantAnswer = v.object({
  conf: base64,
  key: base64,
  nodeid: v.pipe(number, v.minValue(1)),
  leftS: number,
  notes: v.array(text),
});

export const placeAnswer = v.object({
  state: v.picklist(["reserved", "confirmed", "none"]),
  conf: v.optional(base64),
});

/** Proxmox's own, of POST /cluster/config/nodes/{node}. */
export const originalGrantAnswer = v.looseObject({
  corosync_authkey: text,
  corosync_conf: text,
  warnings: v.optional(v.array(text)),
});

/** What a join would do here; `before` and `after` of corosync.conf. */
export const joinReport = v.object({
  cluster: v.string(),
  links: v.record(v.string(), v.string()),
  effect: v.string(),
  notes: v.array(v.string()),
  before: v.optional(v.string()),
  after: v.optional(v.string()),
});
/** In this order; of a kind there may be several. */
export const joinCheckNames = [
  "reach",
  "identity",
  "entry",
  "versions",
  "clock",
  "leftovers",
  "guests",
  "others",
  "addresses",
  "place",
  "link",
  "quorum",
] as const;
const joinCheck = v.object({
  name: v.picklist(joinCheckNames),
  /** skipped: another one has to be good before. */
  state: v.picklist(["good", "note", "bad", "skipped"]),
  /** What was found. */
  text: v.string(),
  /** What to do; "": the text says it, or there is nothing. */
  remedy: v.string(),
});
export type JoinCheck = v.InferOutput<typeof joinCheck>;

/** `report`: absent where anything is bad. */
export const joinChecks = v.object({
  checks: v.array(joinCheck),
  report: v.optional(joinReport),
});

/** Of a join that was begun; `steps` as its log names them. */
export const joinTask = v.object({ upid: v.string(), steps: v.optional(v.array(v.string())) });

/** A one-time token; `text` is what the joining machine is given, and stored nowhere. Times in Unix seconds. */
export const madeJoinToken = v.object({ text: v.string(), id: v.string(), expiresAt: v.number() });
/** `node`: the only one that may still come with it; `usedAt`: since when that is a member. */
export const joinTokens = v.array(
  v.object({
    id: v.string(),
    createdAt: v.number(),
    expiresAt: v.number(),
    by: v.string(),
    node: v.optional(v.string()),
    usedAt: v.optional(v.number()),
  }),
);

/** What was pasted, as words for the call that joins. */
export const readIntroduction = v.variant("kind", [
  v.object({
    kind: v.literal("token"),
    cluster: v.string(),
    hosts: v.array(v.string()),
    port: v.number(),
    /** Of the cluster's authority. */
    fingerprint: v.string(),
    token: v.string(),
    /** Unix seconds. */
    expiresAt: v.number(),
    isExpired: v.boolean(),
  }),
  v.object({
    kind: v.literal("information"),
    cluster: v.string(),
    hosts: v.array(v.string()),
    /** Of the member's certificate. */
    fingerprint: v.string(),
    /** The member's addresses by link number. */
    links: v.record(v.string(), v.string()),
  }),
]);
