// What the four states of the ring share (totem.md §3.1), and the few things all of them do: log, arm, send. The regular queue
// belongs to `installed`, the last ring that became OPERATIONAL; it keeps its aru through COMMIT and RECOVERY, so an attempt
// that fails needs nothing restored. Nothing here may depend on a handler.
import type { Answered, Level, Random, RingId } from "../../world.ts";
import type { TotemTuning } from "../settings/settings.ts";
import { Assembly } from "./assembly.ts";
import type {
  Refusal,
  RingAction,
  RingCounters,
  RingMessageCounts,
  RingStateCounts,
  RingTimer,
} from "./events.ts";
import { encodeMessage, type Join, type RetransmitItem, type Token } from "./message.ts";
import { Packer } from "./packing.ts";
import { SortQueue, type StoredMcast } from "./queue.ts";

export type RingPhase = "starting" | "gather" | "commit" | "recovery" | "operational" | "stopped";

/** The last token or commit token that we sent, kept for retransmission until the next one comes. */
export interface SentToken {
  readonly nodeid: number;
  readonly bytes: Uint8Array;
}

/** Something that is in order for the upper layer. */
export type Upward =
  /** `seq`: of the present ring; absent for what the old ring left behind. */
  | { readonly kind: "stored"; readonly stored: StoredMcast; readonly seq?: number }
  | Extract<RingAction, { readonly kind: "configured" }>;

/** Evidence against a member was wrong. */
export interface Doubt {
  /** How often, since it is in the ring. */
  readonly mistakes: number;
  /** Evidence is heeded again from then on. */
  readonly until: number;
}

/** Of members whose process may have ended though their machine lives (deaths.ts). */
export interface Deaths {
  isAnnounced: boolean;
  /** By our own evidence, with the links that refuse. */
  ended: ReadonlyMap<number, readonly number[]>;
  /** No evidence is heeded before. */
  heededFrom: number;
  /** Members against whom evidence was used since the last membership. */
  readonly accused: Set<number>;
  /** Members that the evidence was wrong about. */
  readonly doubts: Map<number, Doubt>;
  /** When GATHER was entered from another state. */
  gatherBeganAt: number;
  /** The newest join of each member of our ring since then. */
  readonly joins: Map<number, Join>;
}

function noDeaths(): Deaths {
  return {
    isAnnounced: false,
    ended: new Map(),
    heededFrom: Number.NEGATIVE_INFINITY,
    accused: new Set(),
    doubts: new Map(),
    gatherBeganAt: 0,
    joins: new Map(),
  };
}

export interface RingState {
  readonly nodeid: number;
  tuning: TotemTuning;
  readonly keep: KeepLimits | undefined;
  readonly random: Random;
  phase: RingPhase;

  /** my_ring_id: the ring being formed from COMMIT on. */
  ring: RingId;
  /** my_old_ring_id. */
  installed: RingId;
  /** Highest ring sequence that a join named since `ring` is what it is. */
  ringSeqReceived: number;

  // Membership. Sets keep the order in which nodes were learnt: the order of a join's lists.
  proc: Set<number>;
  failed: Set<number>;
  consensus: Set<number>;
  /** Members of the installed ring, ascending; empty before the first. */
  members: readonly number[];
  /** Members of `ring` once a commit token was taken up, ascending: ring order. */
  newMembers: readonly number[];
  /** Transitional members: those of newMembers that come along from the installed ring. */
  transMembers: readonly number[];
  /** Nodes whose LEAVE message came since the last membership, or that were removed. */
  leaving: Set<number>;
  isFailedToReceive: boolean;
  /** Consecutive gathers for reason 3. */
  continuousGathers: number;
  readonly deaths: Deaths;

  // Messages.
  regular: SortQueue;
  recovery: SortQueue;
  /** Of the regular queue. */
  highDelivered: number;
  /** Messages delivered since start. */
  deliveries: number;
  /** Of the present ring, ascending: how many messages had been delivered once the packet `seq` was, until all members have it. */
  unstable: { readonly seq: number; readonly deliveries: number }[];
  thisSeqno: number;
  readonly application: Packer;
  /** Of the last message of that queue. */
  lastAnswered: Answered | undefined;
  readonly sync: Packer;
  readonly applicationAssembly: Assembly;
  readonly syncAssembly: Assembly;
  /** Put in order by a ring change and not yet delivered; nothing new is sent or delivered before it is empty. */
  readonly upward: Upward[];
  /** The ring of the last regular configuration that was delivered. */
  configuredRing: RingId;
  /** From a regular configuration until the services are synchronised. */
  isSynchronising: boolean;

  // The token.
  sentToken: SentToken | undefined;
  lastTokenSeq: number;
  lastSeq: number;
  /** The token's aru as it came last. */
  lastAru: number;
  /** The token's aru as we passed it on last on this ring. */
  passedAru: number;
  aruCount: number;
  seqUnchanged: number;
  isTokenHeld: boolean;
  /** The visit of a token that is kept here for a moment; undefined: it has gone on, or is not here. */
  kept: Visit | undefined;
  /** The last of our messages, when somebody here goes on after it (keep.ts). */
  followed: Followed | undefined;
  isMergeArmed: boolean;
  mergeDetectAt: number;
  tokenReceivedAt: number;
  /** trc, pbl: sent and queued at the last visit. */
  sentLastVisit: number;
  backlogLastVisit: number;

  // RECOVERY.
  /** Old messages still to be wrapped and sent, by old sequence number, ascending. */
  readonly originate: Map<number, Uint8Array>;
  isFlagSetter: boolean;
  flagCount: number;
  installSeq: number;
  rotations: number;
  isInitialTokenSent: boolean;
  commitTokenSeq: number;

  // Pause detection (totem.md §3.11).
  pauseStampAt: number;
  isPauseReported: boolean;

  /** Malformed messages are counted always and logged once in a while, less and less often as long as they go on. */
  malformedLoggedAt: number;
  malformedQuietMs: number;
  /** The last of them; `at` in monotonic milliseconds. */
  refusal: Refusal | undefined;
  readonly counters: RingCounters;
}

/** One visit of the token on a ring that works. */
export interface Visit {
  readonly queue: SortQueue;
  /** As it came. */
  readonly token: Token;
  /** What the token asks for when it goes on. */
  readonly retransmits: RetransmitItem[];
  /** The token's aru at the visit before. */
  readonly aruBefore: number;
  /** The highest number given out, with ours. */
  seq: number;
  /** How many more may be multicast. */
  allowed: number;
  /** Multicast in this visit, of these again. */
  sent: number;
  readonly resent: number;
  /** Packets that waited in this visit (cbl). */
  backlog: number;
  /** How often the token was kept. */
  keeps: number;
}

export interface Followed {
  readonly seq: number;
  readonly answered: Answered;
  /** When that was so first, or for "stored" when it was stable; undefined: not yet. */
  answeredAt: number | undefined;
}

/** How long a token may be kept for a caller who goes on (keep.ts); milliseconds. */
export interface KeepLimits {
  /** At a time. */
  readonly keepMs: number;
  /** In one visit. */
  readonly keepsMax: number;
  /** Since the caller was answered. */
  readonly afterAnswerMs: number;
  /** Since his message is stable, when he waits for the disks of others. */
  readonly whileStoredMs: number;
}

export interface RingOptions {
  readonly nodeid: number;
  /** Every node of the node list, ourselves included. Totem itself does not check: any node whose messages are authentic may join. */
  readonly configured: readonly number[];
  /** As read from the ring id file; 0 when there is none. */
  readonly storedRingSeq: number;
  readonly tuning: TotemTuning;
  readonly random: Random;
  /** Absent: no token is kept. */
  readonly keep?: KeepLimits | undefined;
}

export function createState(options: RingOptions): RingState {
  // One more than stored: a restarted node's first ring must never have an id that was used (totem.md §3.12).
  const ring = { rep: options.nodeid, seq: options.storedRingSeq + 1 };
  return {
    nodeid: options.nodeid,
    tuning: options.tuning,
    keep: options.keep,
    random: options.random,
    phase: "starting",
    ring,
    installed: ring,
    ringSeqReceived: 0,
    proc: new Set([options.nodeid]),
    failed: new Set(),
    consensus: new Set(),
    members: [],
    newMembers: [],
    transMembers: [],
    leaving: new Set(),
    isFailedToReceive: false,
    continuousGathers: 0,
    deaths: noDeaths(),
    regular: new SortQueue(),
    recovery: new SortQueue(),
    highDelivered: 0,
    deliveries: 0,
    unstable: [],
    thisSeqno: 0,
    application: new Packer(options.tuning.netMtu),
    lastAnswered: undefined,
    sync: new Packer(options.tuning.netMtu),
    applicationAssembly: new Assembly(),
    syncAssembly: new Assembly(),
    upward: [],
    configuredRing: ring,
    isSynchronising: false,
    sentToken: undefined,
    lastTokenSeq: 0,
    lastSeq: 0,
    lastAru: 0,
    passedAru: 0,
    aruCount: 0,
    seqUnchanged: 0,
    isTokenHeld: false,
    kept: undefined,
    followed: undefined,
    isMergeArmed: false,
    mergeDetectAt: Number.NEGATIVE_INFINITY,
    tokenReceivedAt: 0,
    sentLastVisit: 0,
    backlogLastVisit: 0,
    originate: new Map(),
    isFlagSetter: false,
    flagCount: 0,
    installSeq: 0,
    rotations: 0,
    isInitialTokenSent: false,
    commitTokenSeq: 0,
    pauseStampAt: 0,
    isPauseReported: false,
    malformedLoggedAt: Number.NEGATIVE_INFINITY,
    malformedQuietMs: 0,
    refusal: undefined,
    counters: noCounts(),
  };
}

function noCounts(): RingCounters {
  return {
    tokensReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    retransmitsSent: 0,
    retransmitsAsked: 0,
    memberships: 0,
    droppedMalformed: 0,
    received: noMessages(),
    sent: noMessages(),
    entered: noStates(),
    tokenLost: noStates(),
    consensusTimeouts: 0,
  };
}

function noMessages(): RingMessageCounts {
  return { token: 0, mcast: 0, mergeDetect: 0, join: 0, commit: 0, holdCancel: 0 };
}

function noStates(): RingStateCounts {
  return { gather: 0, commit: 0, recovery: 0, operational: 0 };
}

export function ascending(nodeids: Iterable<number>): number[] {
  return [...nodeids].toSorted((a, b) => a - b);
}

/** Whether we are the representative of the ring we are on. */
export function isRepresentative(state: RingState): boolean {
  return state.ring.rep === state.nodeid;
}

/** Whether the services of the installed ring are not synchronised yet: only the sync queue is sent. */
export function isSynchronising(state: RingState): boolean {
  return state.isSynchronising || state.upward.length > 0;
}

/** The member behind us in ring order; ourselves on a ring of one. */
export function nextMember(state: RingState): number {
  const index = state.newMembers.indexOf(state.nodeid);
  return state.newMembers[(index + 1) % state.newMembers.length] ?? state.nodeid;
}

export function log(out: RingAction[], level: Level, text: string): void {
  out.push({ kind: "log", level, subsystem: "TOTEM", text });
}

export function arm(out: RingAction[], timer: RingTimer, at: number): void {
  out.push({ kind: "arm", timer, at });
}

export function disarm(out: RingAction[], timer: RingTimer): void {
  out.push({ kind: "disarm", timer });
}

/** The token timer, and the warning that comes before it. */
export function armToken(state: RingState, now: number, out: RingAction[]): void {
  state.tokenReceivedAt = now;
  arm(out, "token", now + state.tuning.tokenMs);
  armTokenWarning(state, now, out);
}

export function armTokenWarning(state: RingState, now: number, out: RingAction[]): void {
  const { tokenMs, tokenWarningPercent } = state.tuning;
  if (tokenWarningPercent > 0) {
    arm(out, "tokenWarning", now + Math.trunc((tokenMs * tokenWarningPercent) / 100));
  }
}

export function armTokenRetransmit(state: RingState, now: number, out: RingAction[]): void {
  arm(out, "tokenRetransmit", now + state.tuning.tokenRetransmitMs);
}

/** Sends the token or commit token kept from our last turn once more; the duplicate is harmless (token_seq). */
export function retransmitToken(state: RingState, out: RingAction[]): void {
  if (state.sentToken !== undefined) out.push({ kind: "unicast", ...state.sentToken });
}

/** Ends the hold of the token because we have something to send (totem.md §3.9). */
export function cancelHold(state: RingState, out: RingAction[]): void {
  if (state.phase !== "operational" || !state.isTokenHeld) return;
  state.isTokenHeld = false;
  const message = {
    kind: "holdCancel",
    nodeid: state.nodeid,
    target: 0,
    ring: state.ring,
  } as const;
  state.counters.sent.holdCancel += 1;
  out.push({ kind: "multicast", bytes: encodeMessage(message) });
}

const malformedQuietMsMin = 1000;
const malformedQuietMsMax = 60_000;
/** So long a refused message may explain what happens. */
const refusalFreshMs = 60_000;

/** Why the last message was refused, if that was within a minute; "" otherwise. */
export function freshReason(refusal: Refusal | undefined, now: number): string {
  return refusal !== undefined && now - refusal.at <= refusalFreshMs ? refusal.reason : "";
}

/** Counts a message that no honest node sends; `reason` is for the operator. */
export function refuse(state: RingState, reason: string, now: number, out: RingAction[]): void {
  state.counters.droppedMalformed += 1;
  if (freshReason(state.refusal, now) === "") state.malformedQuietMs = 0;
  state.refusal = { reason, at: now };
  if (now - state.malformedLoggedAt < state.malformedQuietMs) return;
  state.malformedLoggedAt = now;
  const quietMs = Math.max(malformedQuietMsMin, state.malformedQuietMs * 2);
  state.malformedQuietMs = Math.min(malformedQuietMsMax, quietMs);
  log(out, "warning", reason);
}
