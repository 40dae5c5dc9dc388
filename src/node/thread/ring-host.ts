// The host of one node's pure cores inside the ring thread: links and member take turns over one queue of events, and their
// actions become sockets, files, timers and messages to the main thread. Nothing in here decides anything.
import { Deadlines } from "../../deadlines.ts";
import { reasonOf } from "../../result.ts";
import { Turns } from "../../turns.ts";
import type { GroupRequest, LogAction } from "../../world.ts";
import type { RingQuestion, RingSnapshot, ToRing } from "./bridge.ts";
import type {
  MemberAction,
  MemberEnd,
  MemberEvent,
  MemberSnapshot,
  MemberTimer,
} from "../member/events.ts";
import type { DeviceSnapshot } from "../device/events.ts";
import { DeviceHost } from "../device/device-host.ts";
import type { LinksAction, LinksEvent, LinksTimer } from "../link/events.ts";
import { inflate } from "../compression/inflate.ts";
import { Links } from "../link/links.ts";
import { keepLimits, KeptToken } from "./kept-token.ts";
import type { KeyChange } from "./key-change.ts";
import { PacketOpener } from "./opener.ts";
import { overheadOf } from "./seal.ts";
import type { Outgoing } from "./socket.ts";
import { Member } from "../member/member.ts";
import type { RingHostPort } from "./ring-host-port.ts";
import { SchedulingWatch } from "./scheduling-watch.ts";
import { freshReason } from "../ring/state.ts";
import { Rotation } from "../ring/rotation.ts";
import type { NodeSettings } from "../settings/settings.ts";

export type StartOrder = Extract<ToRing, { kind: "start" }>;

/** The thread itself has the sockets, and asks `snapshot` and `reconfigure` directly. */
export type HostQuestion = Exclude<RingQuestion, { kind: "snapshot" | "catchUp" | "reconfigure" }>;

type Turn =
  | { readonly to: "member"; readonly event: MemberEvent }
  | { readonly to: "links"; readonly event: LinksEvent };

export class RingHost {
  readonly #order: StartOrder;
  readonly #port: RingHostPort;
  readonly #member: Member;
  readonly #links: Links;
  readonly #opener: PacketOpener;
  readonly #keyChange: KeyChange;
  readonly #memberTimers: Deadlines<MemberTimer>;
  readonly #linkTimers: Deadlines<LinksTimer>;
  readonly #schedulingWatch: SchedulingWatch;
  readonly #schedulingTimer: Deadlines<"look">;
  #device: DeviceHost | undefined;
  #settings: NodeSettings;
  readonly #rotation = new Rotation();
  readonly #dropped: Record<string, number> = {};
  readonly #turns: Turns<Turn>;
  readonly #memberActions: MemberAction[] = [];
  readonly #linksActions: LinksAction[] = [];
  #outgoing: Outgoing[] = [];
  #sealedPacket: Uint8Array | undefined;
  #sealed: Uint8Array | undefined;
  /** Requests that the member has no room for yet, oldest first; bounded by the main thread's credit. */
  #requests: GroupRequest[] = [];
  /** The first of them that was not taken: shifting a long array costs its length. */
  #nextRequest = 0;
  /** Set by the member's last action; what it asked to send before still goes out. */
  #end: MemberEnd | undefined;
  #ended = false;
  #tokens = 0;
  readonly #keptToken: KeptToken;

  constructor(order: StartOrder, port: RingHostPort) {
    this.#order = order;
    this.#port = port;
    const { settings } = order;
    this.#settings = settings;
    const stored = port.storage.ringSeq();
    if (stored.damage !== "") {
      port.log({ kind: "log", level: "warning", subsystem: "TOTEM", text: stored.damage });
    }
    this.#member = new Member({
      settings,
      storedRingSeq: stored.value,
      random: port.random,
      keep: keepLimits,
      evTrackingBarrier: port.storage.tracking(),
      ...(port.observe === undefined ? {} : { observe: port.observe }),
    });
    this.#turns = new Turns({
      take: (turn) => this.#take(turn),
      settle: () => this.#settle(),
    });
    this.#opener = new PacketOpener(settings, port.clock.now(), {
      keyOnDisk: port.keyOnDisk,
      reachable: () => this.#links.reachable(),
      warn: (text) => this.#log("warning", text),
      reloadMissed: (key) => port.reloadRequested(settings.nodeid, undefined, key),
    });
    this.#keyChange = this.#opener.keyChange;
    this.#links = new Links({ ...settings, crypto: overheadOf(settings.crypto), inflate });
    const { clock } = port;
    this.#memberTimers = new Deadlines({
      clock,
      fire: (timer) => this.run({ to: "member", event: { kind: "timedOut", timer } }),
    });
    this.#linkTimers = new Deadlines({
      clock,
      fire: (timer) => {
        const isTick = timer === "tick";
        const event = isTick
          ? ({ kind: "timedOut", timer } as const)
          : ({ kind: "probed", refusals: port.refusals() } as const);
        this.run({ to: "links", event });
      },
    });
    this.#keptToken = new KeptToken({
      clock,
      awaitPost: port.awaitPost,
      over: () => this.run({ to: "member", event: { kind: "timedOut", timer: "keep" } }),
    });
    this.#schedulingWatch = new SchedulingWatch(settings.tuning.tokenMs, clock.now());
    this.#schedulingTimer = new Deadlines({ clock, fire: () => this.#lookAtScheduling() });
    this.#device = this.#createDevice();
  }

  #lookAtScheduling(): void {
    const text = this.#schedulingWatch.look(this.#port.clock.now());
    if (text !== undefined) {
      this.#port.log({ kind: "log", level: "warning", subsystem: "MAIN", text });
    }
    this.#schedulingTimer.arm("look", this.#schedulingWatch.dueAt);
  }

  #createDevice(): DeviceHost | undefined {
    const { clock, random, machine, log } = this.#port;
    return DeviceHost.create({
      settings: this.#settings,
      directory: this.#order.deviceDir,
      port: {
        clock,
        random,
        machine,
        log,
        ask: (request) => this.run({ to: "member", event: { kind: "deviceAsked", request } }),
      },
    });
  }

  start(): void {
    // Until now the thread may have waited for addresses: that is no lack of a processor.
    this.#schedulingWatch.look(this.#port.clock.now());
    this.#schedulingTimer.arm("look", this.#schedulingWatch.dueAt);
    this.run({ to: "links", event: { kind: "started" } });
    this.run({ to: "member", event: { kind: "started" } });
  }

  stop(): void {
    this.#device?.stop();
    this.run({ to: "member", event: { kind: "stopped" } });
  }

  /** A datagram from the network; what does not authenticate is counted and dropped. */
  received(link: number, address: string, datagram: Uint8Array): void {
    if (this.#ended) return;
    const { packet, isKeySwitched } = this.#opener.open(address, datagram, this.#port.clock.now());
    if (packet === undefined) return this.#drop("not authenticated");
    if (isKeySwitched) this.#keySwitched();
    this.run({ to: "links", event: { kind: "received", link, address, packet } });
  }

  /** What the kernel refused; may be called while the host is at work. */
  refused(event: Extract<LinksEvent, { kind: "refused" }>): void {
    this.run({ to: "links", event });
  }

  request(requests: readonly GroupRequest[]): void {
    for (const request of requests) this.#requests.push(request);
    this.#submitWaiting();
  }

  /** Why no settings can be put in force now, as a sentence. */
  get obstacle(): string | undefined {
    return this.#ended ? "this node is stopping" : undefined;
  }

  /** New settings that were checked; the sockets are there already. In force when this returns. */
  reconfigure(settings: NodeSettings): void {
    if (this.#ended) return;
    const changesKey = this.#opener.reconfigured(settings);
    this.#settings = settings;
    this.#reconfigureLinks();
    this.#schedulingWatch.reconfigure(settings.tuning.tokenMs);
    // A device that is no longer wanted gives its vote back by the rules that it was used by.
    if (this.#device !== undefined && !DeviceHost.isWanted(settings)) {
      this.#device.stop();
      this.#device = undefined;
    }
    this.run({ to: "member", event: { kind: "reconfigured", settings, changesKey } });
    if (this.#device !== undefined) this.#device.event({ kind: "reconfigured", settings });
    else this.#startDevice();
  }

  #reconfigureLinks(): void {
    const configuration = { ...this.#settings, crypto: this.#keyChange.seal.overhead };
    this.run({ to: "links", event: { kind: "reconfigured", configuration } });
  }

  /** All nodes can open the new key (knet.md §3.5). */
  #switchKey(): void {
    if (this.#keyChange.switchOver()) this.#keySwitched();
  }

  /** Another key seals from now on. */
  #keySwitched(): void {
    this.#reconfigureLinks();
    this.run({ to: "links", event: { kind: "keyChanged" } });
  }

  #retireKey(): void {
    if (!this.#keyChange.retire()) return;
    this.#log("notice", "the new key and crypto settings are in use, the old ones are forgotten");
  }

  /** A device that begins in a running cluster gets first what it has missed. */
  #startDevice(): void {
    const device = this.#createDevice();
    this.#device = device;
    const nodeList = this.#member.nodeList;
    if (device === undefined || nodeList === undefined) return;
    const { ring, quorate, voters } = this.memberSnapshot().quorum;
    device.event({ kind: "quorumChanged", ring, quorate, voters });
    device.event({ kind: "nodeListChanged", ...nodeList });
  }

  question(id: number, question: HostQuestion): void {
    const ask = (event: MemberEvent): void => this.run({ to: "member", event });
    switch (question.kind) {
      case "reload":
        return ask({ kind: "reloadAsked", id });
      case "expectedVotes":
        return ask({ kind: "expectedVotesSet", id, votes: question.votes });
      case "votes":
        return ask({ kind: "votesSet", id, nodeid: question.nodeid, votes: question.votes });
      case "kill":
        return ask({ kind: "killAsked", id, nodeid: question.nodeid, reason: question.reason });
      case "notListed":
        ask({ kind: "notListed" });
        return this.#port.replied(id, true, "");
      case "stopDevice":
        this.#device?.stop();
        this.#device = undefined;
        return this.#port.replied(id, true, "");
      case "cancelWaitForAll":
        return ask({ kind: "waitForAllCancelled", id });
      default:
        question satisfies never;
    }
  }

  snapshot(): RingSnapshot {
    const now = this.#port.clock.now();
    const member = this.memberSnapshot();
    return {
      member,
      links: this.#links.snapshot(now),
      reachable: this.#links.reachable(),
      rotationUs: this.#rotation.percentiles(),
      counts: {
        rotationMeanMs: this.#rotation.meanMs(),
        tokenAgeMs: member.tokenReceivedAt === 0 ? undefined : now - member.tokenReceivedAt,
        traffic: this.#links.traffic(),
        crypto: this.#keyChange.seal.counts,
        schedulingMisses: this.#schedulingWatch.misses.map(({ at, delayMs }) => ({
          agoMs: now - at,
          delayMs,
        })),
      },
      refusal: freshReason(member.refusal, now),
      peerFaults: this.#opener.faults(now),
      packetsDropped: { ...this.#dropped, ...this.#links.dropped() },
      device: this.deviceSnapshot(),
    };
  }

  memberSnapshot(): MemberSnapshot {
    return this.#member.snapshot();
  }

  deviceSnapshot(): DeviceSnapshot | undefined {
    return this.#device?.snapshot();
  }

  /** Takes one event, then whatever follows from it, in order, until nothing is left. Never re-entered. */
  run(turn: Turn): void {
    if (!this.#ended) this.#turns.add(turn);
  }

  /** Nothing waits any more: what was said goes out together, and what waited for room may follow. */
  #settle(): void {
    const batch = this.#outgoing;
    if (batch.length > 0) {
      this.#outgoing = [];
      this.#sealedPacket = undefined;
      this.#port.transmit(batch);
    }
    if (this.#end !== undefined) this.#finish(this.#end);
    else if (!this.#submitWaiting()) this.#keptToken.wait();
  }

  #take(turn: Turn): void {
    if (this.#ended) return;
    const now = this.#port.clock.now();
    if (turn.to === "links") {
      const out = this.#linksActions;
      this.#links.step(turn.event, now, out);
      this.#opener.heard();
      for (const action of out.splice(0)) this.#carryOutLinks(action);
      return;
    }
    if (this.#end !== undefined) return;
    const out = this.#memberActions;
    this.#member.step(turn.event, now, out);
    for (const action of out.splice(0)) {
      // What follows something that could not be stored must not be carried out.
      if (this.#ended) return;
      this.#carryOutMember(action);
    }
    this.#countTokens(now);
  }

  #countTokens(now: number): void {
    const tokens = this.#member.tokensReceived;
    if (tokens === this.#tokens) return;
    this.#tokens = tokens;
    this.#rotation.visited(now, this.#member.isTokenHeld);
  }

  #carryOutMember(action: MemberAction): void {
    switch (action.kind) {
      case "unicast":
        return this.run({
          to: "links",
          event: { kind: "sent", nodeid: action.nodeid, message: action.bytes },
        });
      case "multicast":
        return this.run({
          to: "links",
          event: {
            ...{ kind: "sent", nodeid: 0, message: action.bytes },
            isStored: action.isStored === true,
          },
        });
      case "arm":
        // The runtime's timers are too coarse for it.
        if (action.timer === "keep") this.#keptToken.arm(action.at);
        else this.#memberTimers.arm(action.timer, action.at);
        return;
      case "disarm":
        if (action.timer === "keep") this.#keptToken.disarm();
        else this.#memberTimers.disarm(action.timer);
        return;
      case "persistRing":
        return this.#store(() => this.#port.storage.storeRingSeq(action.ringSeq));
      case "persistTracking":
        return this.#store(() => this.#port.storage.storeTracking(action.expectedVotes));
      case "watched":
        return this.run({ to: "links", event: action });
      case "delivered":
      case "configured":
      case "stable":
        return this.#port.events(action);
      case "quorumChanged": {
        const { ring, quorate, voters } = action.quorum;
        this.#device?.event({ kind: "quorumChanged", ring, quorate, voters });
        return this.#port.quorum(action.quorum);
      }
      case "nodeListChanged":
        this.#device?.event(action);
        return;
      case "deviceAnswered":
        this.#device?.event({ kind: "answered", request: action.request, answer: action.answer });
        return;
      case "reloadRequested": {
        const key = this.#port.keyOnDisk();
        if (key !== undefined) this.#keyChange.expect(key.crypto);
        return this.#port.reloadRequested(action.nodeid, action.id, key);
      }
      case "keyPhase":
        return action.phase === 1 ? this.#switchKey() : this.#retireKey();
      case "replied":
        return this.#port.replied(action.id, action.ok, action.reason);
      case "log":
        return this.#port.log(action);
      case "finished":
        this.#end = action;
        return;
      default:
        action satisfies never;
    }
  }

  #carryOutLinks(action: LinksAction): void {
    switch (action.kind) {
      case "transmit":
        return this.#transmit(action.nodeid, action.link, action.packet);
      case "probe": {
        const { nodeid, link, packet } = action;
        return this.#port.probe({ nodeid, link, datagram: this.#keyChange.seal.seal(packet) });
      }
      case "ended":
        return this.run({ to: "member", event: action });
      case "received":
        return this.run({ to: "member", event: { kind: "received", bytes: action.message } });
      case "arm":
        return this.#linkTimers.arm(action.timer, action.at);
      case "disarm":
        return this.#linkTimers.disarm(action.timer);
      case "log":
        return this.#port.log(action);
      default:
        action satisfies never;
    }
  }

  /** A multicast comes as one packet for many nodes: it is sealed once, as knet does. */
  #transmit(nodeid: number, link: number, packet: Uint8Array): void {
    if (packet !== this.#sealedPacket || this.#sealed === undefined) {
      this.#sealedPacket = packet;
      this.#sealed = this.#keyChange.seal.seal(packet);
    }
    this.#outgoing.push({ nodeid, link, datagram: this.#sealed });
  }

  /** A member that cannot store what it must not forget ends at once, without another word to anybody. */
  #store(act: () => void): void {
    try {
      act();
    } catch (error) {
      const directory = this.#order.stateDir;
      this.#outgoing = [];
      this.#finish({
        clean: false,
        reason: `the state of the ring cannot be stored in ${directory}: ${reasonOf(error)}. Make room there or mend the disk, then start this node again`,
      });
    }
  }

  /** One after the other: whether there is room for the next is known when the one before was taken. False: none. */
  #submitWaiting(): boolean {
    const request = this.#requests[this.#nextRequest];
    if (this.#ended || request === undefined || !this.#member.hasRoom()) return false;
    this.#nextRequest += 1;
    if (this.#nextRequest * 2 >= this.#requests.length) {
      this.#requests = this.#requests.slice(this.#nextRequest);
      this.#nextRequest = 0;
    }
    this.run({ to: "member", event: { kind: "requested", pid: this.#order.pid, request } });
    this.#port.taken(request);
    return true;
  }

  #log(level: LogAction["level"], text: string): void {
    this.#port.log({ kind: "log", level, subsystem: "KNET", text });
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  #finish(end: MemberEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#memberTimers.stop();
    this.#linkTimers.stop();
    this.#schedulingTimer.stop();
    this.#keptToken.disarm();
    this.#device?.stop();
    this.#port.finished(end);
  }
}
