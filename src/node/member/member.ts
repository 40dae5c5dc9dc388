// One member of the cluster: the ring and the services above it, as one core without any transport. It hands what the ring
// delivers to the services in exactly that order, and what they send back to the ring; it decides nothing about either.
// Stopping gracefully follows services.md §8.1 and totem.md §3.10: the services leave first, then the ring, then nothing is sent.
import { equalBytes } from "../../bytes.ts";
import { type Core, quorateGroup, type Random, type RingId } from "../../world.ts";
import { Announced } from "./announced.ts";
import type {
  MemberAction,
  MemberEnd,
  MemberEvent,
  MemberSnapshot,
  MemberTimer,
} from "./events.ts";
import type { RingAction, RingEvent } from "../ring/events.ts";
import { Ring } from "../ring/ring.ts";
import type { KeepLimits } from "../ring/state.ts";
import type { ServiceAction } from "./service.ts";
import { Services, type Question } from "./services.ts";
import type { NodeSettings } from "../settings/settings.ts";
import { Stability } from "./stability.ts";

/** Longest wait for the last leave message to be delivered before the ring is left anyway. */
export const leavingMsMax = 2_000;

export interface MemberOptions {
  readonly settings: NodeSettings;
  /** As read from the ring id file; 0 when there is none. */
  readonly storedRingSeq: number;
  readonly random: Random;
  /** As in RingOptions. */
  readonly keep?: KeepLimits;
  /** As last given by `persistTracking` (file ev_tracking); 0 or absent: none. */
  readonly evTrackingBarrier?: number;
  /** Sees what the ring asks for, in order, before it is carried out: for the checkers of the simulator. */
  readonly observe?: (action: RingAction) => void;
}

type Phase = "waiting" | "running" | "finished";

export class Member implements Core<MemberEvent, MemberAction> {
  readonly #nodeid: number;
  /** Of the nodelist in force. */
  #listed: readonly number[];
  readonly #ring: Ring;
  readonly #services: Services;
  readonly #stability = new Stability();
  readonly #announced: Announced;
  readonly #observe: ((action: RingAction) => void) | undefined;
  #phase: Phase = "waiting";
  /** A stop under way, and the last leave message: once it is delivered, all of them are. */
  #leaving: { readonly end: MemberEnd; readonly lastLeaveMessage: Uint8Array } | undefined;
  /** The ring is to be left at the end of this step. */
  #mustLeaveRing = false;
  /** What the ring asked for and is not carried out yet, in order. */
  readonly #ringActions: RingAction[] = [];
  readonly #work: ServiceAction[] = [];
  /** Messages that the ring has delivered since start. */
  #deliveries = 0;
  /** Own phases of a change of the key that were delivered and are not stable yet. */
  #keyPhases: { readonly phase: 1 | 2; readonly deliveries: number }[] = [];

  constructor(options: MemberOptions) {
    const { settings, random, storedRingSeq, evTrackingBarrier } = options;
    this.#nodeid = settings.nodeid;
    this.#announced = new Announced(settings.nodeid);
    this.#listed = settings.nodes.map((node) => node.nodeid);
    this.#ring = new Ring({
      nodeid: settings.nodeid,
      configured: this.#listed,
      storedRingSeq,
      tuning: settings.tuning,
      random,
      keep: options.keep,
    });
    this.#services = new Services({ settings, trackingBarrier: evTrackingBarrier ?? 0 });
    this.#observe = options.observe;
  }

  /** After `finished` every event is ignored. */
  step(event: MemberEvent, now: number, out: MemberAction[]): void {
    if (this.#phase === "finished") return;
    this.#take(event, now, out);
    this.#settle(now, out);
    if (this.#mustLeaveRing && this.#leaving !== undefined)
      this.#leaveRing(this.#leaving.end, now, out);
  }

  /** False: enough is waiting; ask again after the next step. A request made nevertheless is kept. */
  hasRoom(): boolean {
    return this.#services.outbox.isEmpty && this.#ring.hasRoom();
  }

  /** Counts visits of the token, for the host's rotation times. */
  get tokensReceived(): number {
    return this.#ring.tokensReceived;
  }

  /** The ring is idle: the representative holds the token before it sends it on. */
  get isTokenHeld(): boolean {
    return this.#ring.isTokenHeld;
  }

  /** What a quorum device that begins now must know first; undefined before the first ring, and without votes. */
  get nodeList(): { readonly ring: RingId; readonly members: readonly number[] } | undefined {
    return this.#services.votes?.nodeList;
  }

  snapshot(): MemberSnapshot {
    const ring = this.#ring.snapshot();
    return {
      state: this.#phase === "finished" ? "stopped" : ring.state,
      ring: ring.ring,
      members: ring.members,
      aru: ring.aru,
      counters: ring.counters,
      refusal: ring.refusal,
      continuousGathers: ring.continuousGathers,
      tokenReceivedAt: ring.tokenReceivedAt,
      queuedMessages: ring.queuedMessages + this.#services.outbox.length,
      ...this.#services.snapshot(),
    };
  }

  #take(event: MemberEvent, now: number, out: MemberAction[]): void {
    const services = this.#services;
    const work = this.#work;
    switch (event.kind) {
      case "started":
        if (this.#phase !== "waiting") return;
        this.#phase = "running";
        services.start(work);
        this.#toRing(event, now);
        break;
      case "received":
      case "ended":
        return this.#toRing(event, now);
      case "timedOut":
        this.#timedOut(event.timer, now);
        break;
      case "requested":
        services.requested(event.pid, event.request, work);
        break;
      case "expectedVotesSet":
      case "votesSet":
      case "waitForAllCancelled":
      case "reloadAsked":
      case "killAsked":
        this.#asked(event);
        break;
      case "deviceAsked":
        services.deviceAsked(event.request, now, work);
        break;
      case "reconfigured":
        this.#reconfigure(event.settings, now);
        services.reconfigured(event.settings, event.changesKey, work);
        break;
      case "notListed":
        this.#toRing({ kind: "removed", nodeids: this.#listed }, now);
        break;
      case "stopped":
        this.#stop({ clean: true, reason: "" }, now, out);
        break;
      default:
        event satisfies never;
    }
    this.#carryOut(now, out);
  }

  #timedOut(timer: MemberTimer, now: number): void {
    switch (timer) {
      case "configurationBehind":
      case "lastManStanding":
      case "deviceTimeout":
        return this.#services.timedOut(timer, now, this.#work);
      case "leaving":
        this.#mustLeaveRing = true;
        return;
      default:
        return this.#toRing({ kind: "timedOut", timer }, now);
    }
  }

  #reconfigure({ tuning, nodes }: NodeSettings, now: number): void {
    this.#ring.retune(tuning);
    this.#toRing({ kind: "reloading" }, now);
    const listed = nodes.map(({ nodeid }) => nodeid);
    const removed = this.#listed.filter((nodeid) => !listed.includes(nodeid));
    this.#listed = listed;
    if (removed.length > 0) this.#toRing({ kind: "removed", nodeids: removed }, now);
  }

  #asked(question: Question): void {
    if (this.#leaving === undefined) return this.#services.asked(question, this.#work);
    const reason = "this node is stopping";
    this.#work.push({ kind: "replied", id: question.id, ok: false, reason });
  }

  /** Carries out everything that follows from a step, until nothing is left. */
  #settle(now: number, out: MemberAction[]): void {
    const actions = this.#ringActions;
    do {
      for (let at = 0; at < actions.length; at += 1) {
        const action = actions[at];
        if (action !== undefined) this.#fromRing(action, now, out);
        if (this.#phase === "finished") break;
      }
      actions.length = 0;
      if (this.#phase === "finished") return;
      this.#services.advance(now, this.#work);
      this.#carryOut(now, out);
      this.#sendWaiting(now);
    } while (actions.length > 0);
  }

  #sendWaiting(now: number): void {
    while (this.#ring.hasRoom()) {
      const next = this.#services.outbox.next();
      if (next === undefined) return;
      const { message, answered } = next;
      this.#services.sent(message);
      this.#toRing({ kind: "submitted", queue: "application", message, answered }, now);
    }
  }

  #toRing(event: RingEvent, now: number): void {
    this.#ring.step(event, now, this.#ringActions);
  }

  #fromRing(action: RingAction, now: number, out: MemberAction[]): void {
    this.#observe?.(action);
    switch (action.kind) {
      case "delivered": {
        const { nodeid, message } = action;
        this.#deliveries += 1;
        this.#services.delivered(nodeid, message, now, this.#work);
        let local = 0;
        for (const each of this.#work) if (each.kind === "delivered") local += 1;
        this.#stability.delivered(local);
        this.#carryOut(now, out);
        const lastLeaveMessage = this.#leaving?.lastLeaveMessage;
        if (
          lastLeaveMessage !== undefined &&
          nodeid === this.#nodeid &&
          equalBytes(message, lastLeaveMessage)
        ) {
          this.#mustLeaveRing = true;
        }
        return;
      }
      case "configured": {
        const { type, ring, members } = action;
        if (type === "regular") {
          this.#stability.ringChanged();
          this.#announced.ringChanged(members);
          this.#announce(now, out);
        }
        this.#services.configured({ type, ring, members }, now, this.#work);
        return this.#carryOut(now, out);
      }
      case "stable":
        publishStable(this.#stability.stable(action.deliveries), out);
        this.#keyPhasesStable(action.deliveries, out);
        return this.#carryOut(now, out);
      case "sought":
        this.#announced.sought(action.nodeids, action.isForming);
        return this.#announce(now, out);
      case "paused":
        return this.#toRing({ kind: "resumed" }, now);
      default:
        out.push(action);
    }
  }

  #announce(now: number, out: MemberAction[]): void {
    this.#toRing({ kind: "announced", isAll: this.#announced.isAll }, now);
    const news = this.#announced.news();
    if (news !== undefined) out.push(news);
  }

  /** What the services asked for since the last call. */
  #carryOut(now: number, out: MemberAction[]): void {
    const work = this.#work;
    for (let at = 0; at < work.length; at += 1) {
      const action = work[at];
      if (action === undefined) continue;
      switch (action.kind) {
        case "submit":
          this.#services.sent(action.message);
          this.#toRing({ kind: "submitted", queue: action.queue, message: action.message }, now);
          break;
        case "synchronised":
          publishStable(this.#stability.synchronised(), out);
          // Whoever is in this ring with us has the messages of the last one.
          this.#keyPhasesStable(this.#deliveries, out);
          this.#toRing({ kind: "synchronised", ring: action.ring }, now);
          break;
        case "configured":
          if (action.group === quorateGroup) {
            this.#announced.groupChanged(action.members);
            this.#announce(now, out);
          }
          out.push(action);
          break;
        case "reloadRequested":
          this.#toRing({ kind: "reloading" }, now);
          out.push(action);
          break;
        case "keyPhase":
          this.#keyPhases.push({ phase: action.phase, deliveries: this.#deliveries });
          break;
        case "leave":
          this.#stop({ clean: false, reason: action.reason, isConfiguration: true }, now, out);
          break;
        case "die":
          work.length = 0;
          // The original ends without a word, and the others wait for the token's timeout.
          return this.#leaveRing({ clean: false, reason: action.reason }, now, out);
        default:
          out.push(action);
      }
    }
    work.length = 0;
  }

  /** Nothing may be sent with the new key to a node that does not know of it: delivered to us is not enough. */
  #keyPhasesStable(deliveries: number, out: MemberAction[]): void {
    while (this.#keyPhases[0] !== undefined && this.#keyPhases[0].deliveries <= deliveries) {
      const { phase } = this.#keyPhases[0];
      this.#keyPhases.shift();
      out.push({ kind: "keyPhase", phase });
      this.#services.keyPhaseStable(phase, this.#work);
    }
  }

  /** Sends the leave messages of the services; the ring is left when the last of them is delivered to us. */
  #stop(end: MemberEnd, now: number, out: MemberAction[]): void {
    if (this.#leaving !== undefined) return;
    if (this.#phase === "waiting") return this.#finish(end, out);
    this.#leaving = { end, lastLeaveMessage: this.#services.close() };
    out.push({ kind: "arm", timer: "leaving", at: now + leavingMsMax });
  }

  /** Says LEAVE and ends; what else the ring asked for in this step is of no use any more. */
  #leaveRing(end: MemberEnd, now: number, out: MemberAction[]): void {
    if (this.#phase === "finished") return;
    const last: RingAction[] = [];
    this.#ring.step({ kind: "stopped" }, now, last);
    for (const action of last) if (isForHost(action)) out.push(action);
    this.#finish(end, out);
  }

  #finish(end: MemberEnd, out: MemberAction[]): void {
    const refusals: ServiceAction[] = [];
    this.#services.refusePending("this node is stopping", refusals);
    for (const action of refusals) if (action.kind === "replied") out.push(action);
    for (const timer of [
      "lastManStanding",
      "deviceTimeout",
      "configurationBehind",
      "leaving",
    ] as const) {
      out.push({ kind: "disarm", timer });
    }
    this.#phase = "finished";
    out.push({ kind: "finished", ...end });
  }
}

function publishStable(deliveries: number | undefined, out: MemberAction[]): void {
  if (deliveries !== undefined) out.push({ kind: "stable", deliveries });
}

type RingOnly = Extract<
  RingAction,
  { readonly kind: "delivered" | "configured" | "stable" | "paused" | "sought" }
>;

/** Whether an action of the ring passes the services by. */
function isForHost(action: RingAction): action is Exclude<RingAction, RingOnly> {
  switch (action.kind) {
    case "delivered":
    case "configured":
    case "stable":
    case "paused":
    case "sought":
      return false;
    default:
      return true;
  }
}
