// The Totem single ring as a pure core (totem.md §3): one event in, actions out. Read `#arrived` first: it is the table of
// messages; each handler then says what its message means in each of the four states.
//
//   state.ts        what all share                        transitions.ts  what each state sets when it begins
//   gather.ts       who is there: joins, processor and failed sets, consensus
//   commit.ts       the commit token's two passes
//   recovery.ts     old-ring messages exchanged           install.ts   the new ring becomes the ring
//   operational.ts  the token's visit                     multicast.ts messages between the tokens
//   deaths.ts       members whose process has ended though their machine lives
//   queue.ts        the sort queue                        deliver.ts   agreed delivery
//   packing.ts, assembly.ts  logical messages to packets and back      message.ts  the wire
//
// It must never touch a socket, a clock or a file: `persistRing` precedes what depends on it, time comes with each event.
import { type Core, sameRing, type RingId } from "../../world.ts";
import type { TotemTuning } from "../settings/settings.ts";
import { commitTokenArrived } from "./commit.ts";
import { deliverAgreed } from "./deliver.ts";
import type { Refusal, RingAction, RingCounters, RingEvent, RingTimer } from "./events.ts";
import {
  commitTokenMissed,
  consensusTimedOut,
  enterGather,
  joinArrived,
  considerDeaths,
  joinTimedOut,
  nodesRemoved,
  sendLeave,
  stampPause,
} from "./gather.ts";
import { decodeMessage } from "./message.ts";
import { mcastArrived, mergeDetectArrived } from "./multicast.ts";
import {
  holdCancelArrived,
  holdTimedOut,
  keepTimedOut,
  keptTokenIsWanted,
  mergeTimedOut,
  tokenArrived,
  tokenRetransmitTimedOut,
  tokenWarningTimedOut,
} from "./operational.ts";
import { logicalMessageBytesMax } from "./packing.ts";
import { ringSeqProblem } from "./sequence.ts";
import {
  cancelHold,
  createState,
  disarm,
  isSynchronising,
  log,
  refuse,
  type SentToken,
  type RingOptions,
  type RingPhase,
  type RingState,
} from "./state.ts";
import { becomeStopped } from "./transitions.ts";

export interface RingSnapshot {
  readonly state: RingPhase;
  /** The ring that was installed last; before the first, the id this node started with. */
  readonly ring: RingId;
  /** Members of that ring, ascending. */
  readonly members: readonly number[];
  readonly isSynchronising: boolean;
  /** The processor and failed sets as the next join would carry them. */
  readonly proc: readonly number[];
  readonly failed: readonly number[];
  readonly aru: number;
  readonly highDelivered: number;
  readonly highSeqReceived: number;
  /** True while the ring is idle and its representative paces the token. */
  readonly isTokenHeld: boolean;
  /** The token is here, and stays a moment for a caller who goes on. */
  readonly isTokenKept: boolean;
  readonly sentToken: SentToken | undefined;
  /** Logical messages of both queues that are not sent completely. */
  readonly queuedMessages: number;
  readonly counters: RingCounters;
  /** How often in a row the consensus timeout has brought it back to GATHER. */
  readonly continuousGathers: number;
  /** When the token was here last, monotonic milliseconds; 0: never. */
  readonly tokenReceivedAt: number;
  /** The last message that was refused; undefined: none since start. */
  readonly refusal: Refusal | undefined;
}

function copyOf(counters: RingCounters): RingCounters {
  const { received, sent, entered, tokenLost } = counters;
  return {
    ...counters,
    received: { ...received },
    sent: { ...sent },
    entered: { ...entered },
    tokenLost: { ...tokenLost },
  };
}

type Submitted = Extract<RingEvent, { readonly kind: "submitted" }>;

const timers: readonly RingTimer[] = [
  "token",
  "tokenWarning",
  "tokenRetransmit",
  "hold",
  "keep",
  "join",
  "consensus",
  "merge",
  "pause",
];

export class Ring implements Core<RingEvent, RingAction> {
  readonly #state: RingState;

  constructor(options: RingOptions) {
    this.#state = createState(options);
  }

  step(event: RingEvent, now: number, out: RingAction[]): void {
    const state = this.#state;
    if (state.phase === "stopped") return;
    switch (event.kind) {
      case "started":
        if (state.phase !== "starting") return;
        stampPause(state, now, out);
        return enterGather(state, 15, now, out);
      case "received":
        return this.#arrived(event.bytes, now, out);
      case "timedOut":
        return this.#timedOut(event.timer, now, out);
      case "submitted":
        return this.#submitted(event, now, out);
      case "synchronised":
        return this.#synchronised(event.ring, now, out);
      case "resumed":
        return deliverAgreed(state, now, out);
      case "removed":
        return nodesRemoved(state, event.nodeids, now, out);
      case "announced":
        state.deaths.isAnnounced = event.isAll;
        return considerDeaths(state, now, out);
      case "ended":
        state.deaths.ended = new Map(event.peers.map(({ nodeid, links }) => [nodeid, links]));
        return considerDeaths(state, now, out);
      case "reloading":
        state.deaths.heededFrom = now + state.tuning.tokenMs + state.tuning.consensusMs;
        return;
      case "stopped":
        if (state.phase !== "starting") sendLeave(state, out);
        for (const timer of timers) disarm(out, timer);
        becomeStopped(state);
        return;
    }
    event satisfies never;
  }

  #arrived(bytes: Uint8Array, now: number, out: RingAction[]): void {
    const state = this.#state;
    if (state.phase === "starting") return;
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return refuse(state, decoded.reason, now, out);
    const message = decoded.value;
    const problem = ringSeqProblem(message);
    if (problem !== undefined) return refuse(state, problem, now, out);
    state.counters.received[message.kind] += 1;
    switch (message.kind) {
      case "token":
        // Ignored in GATHER and COMMIT: the ring it belongs to is over, or not there yet.
        if (state.phase !== "operational" && state.phase !== "recovery") return;
        return tokenArrived(state, message, now, out);
      case "mcast":
        return mcastArrived(state, message, bytes, now, out);
      case "mergeDetect":
        return mergeDetectArrived(state, message, now, out);
      case "join":
        return joinArrived(state, message, now, out);
      case "commit":
        return commitTokenArrived(state, message, now, out);
      case "holdCancel":
        if (sameRing(message.ring, state.ring)) holdCancelArrived(state, now, out);
        return;
    }
    message satisfies never;
  }

  #timedOut(timer: RingTimer, now: number, out: RingAction[]): void {
    const state = this.#state;
    switch (timer) {
      case "token":
        return this.#tokenLost(now, out);
      case "tokenWarning":
        return tokenWarningTimedOut(state, now, out);
      case "tokenRetransmit":
        return tokenRetransmitTimedOut(state, now, out);
      case "hold":
        return holdTimedOut(state, out);
      case "keep":
        return keepTimedOut(state, now, out);
      case "join":
        return joinTimedOut(state, now, out);
      case "consensus":
        return consensusTimedOut(state, now, out);
      case "merge":
        return mergeTimedOut(state, now, out);
      case "pause":
        stampPause(state, now, out);
        return considerDeaths(state, now, out);
    }
    timer satisfies never;
  }

  #tokenLost(now: number, out: RingAction[]): void {
    const state = this.#state;
    const { tokenMs, consensusMs } = state.tuning;
    const { tokenLost } = state.counters;
    switch (state.phase) {
      case "operational":
        tokenLost.operational += 1;
        log(
          out,
          "notice",
          `A processor failed, forming new configuration: token timed out (${tokenMs}ms), waiting ${consensusMs}ms for consensus.`,
        );
        log(out, "debug", "The token was lost in the OPERATIONAL state.");
        return enterGather(state, 2, now, out);
      case "gather":
        tokenLost.gather += 1;
        return commitTokenMissed(state, now, out);
      case "commit":
        tokenLost.commit += 1;
        log(out, "debug", "The token was lost in the COMMIT state.");
        return enterGather(state, 4, now, out);
      case "recovery":
        tokenLost.recovery += 1;
        log(out, "debug", "The token was lost in the RECOVERY state.");
        return enterGather(state, 5, now, out);
      case "starting":
      case "stopped":
        return;
    }
    state.phase satisfies never;
  }

  #submitted(event: Submitted, now: number, out: RingAction[]): void {
    const { queue, message } = event;
    const state = this.#state;
    const packer = queue === "sync" ? state.sync : state.application;
    if (!packer.push(message)) {
      log(
        out,
        "error",
        `A message of ${message.length} bytes was not sent: no node of a ring can take more than ${logicalMessageBytesMax}.`,
      );
      return;
    }
    if (queue === "application") state.lastAnswered = event.answered;
    if (queue === "sync" || !isSynchronising(state)) cancelHold(state, out);
    keptTokenIsWanted(state, now, out);
  }

  #synchronised(ring: RingId, now: number, out: RingAction[]): void {
    const state = this.#state;
    if (!state.isSynchronising || !sameRing(ring, state.configuredRing)) return;
    state.isSynchronising = false;
    state.syncAssembly.clear();
    if (state.application.messages > 0) cancelHold(state, out);
    deliverAgreed(state, now, out);
  }

  /** False: 4 MiB of application messages or more wait for the token; ask again after the next step. A message submitted nevertheless is kept. */
  hasRoom(): boolean {
    return this.#state.application.hasRoom;
  }

  /** New timeouts and limits after a reload; they hold from the next time each is used. */
  retune(tuning: TotemTuning): void {
    this.#state.tuning = tuning;
    this.#state.application.setNetMtu(tuning.netMtu);
    this.#state.sync.setNetMtu(tuning.netMtu);
  }

  /** Visits of the token so far. */
  get tokensReceived(): number {
    return this.#state.counters.tokensReceived;
  }

  /** The ring is idle: the representative holds the token before it sends it on. */
  get isTokenHeld(): boolean {
    return this.#state.isTokenHeld;
  }

  snapshot(): RingSnapshot {
    const state = this.#state;
    return {
      state: state.phase,
      ring: state.installed,
      members: state.members,
      isSynchronising: isSynchronising(state),
      proc: [...state.proc],
      failed: [...state.failed],
      aru: state.regular.aru,
      highDelivered: state.highDelivered,
      highSeqReceived: state.regular.highest,
      isTokenHeld: state.isTokenHeld,
      isTokenKept: state.kept !== undefined,
      sentToken: state.sentToken,
      queuedMessages: state.application.messages + state.sync.messages,
      counters: copyOf(state.counters),
      continuousGathers: state.continuousGathers,
      tokenReceivedAt: state.tokenReceivedAt,
      refusal: state.refusal,
    };
  }
}
