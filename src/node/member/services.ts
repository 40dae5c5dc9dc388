// The services of one node above the ring, as one stack: synchronisation, groups, votes, configuration version (services.md).
// It takes the ring's deliveries and configurations in their order and asks for messages to be sent; it knows no ring core,
// so that any totally ordered bus can drive it.
import type { GroupRequest } from "../../world.ts";
import type { MemberEvent, MemberSnapshot, QuorumView } from "./events.ts";
import type { DeviceRequest } from "../device/events.ts";
import { Groups } from "../group/groups.ts";
import { Outbox } from "../group/outbox.ts";
import { ConfigurationService, shutdownAnnouncement } from "../quorum/cfg.ts";
import { ConfigVersion } from "../quorum/config-version.ts";
import { Membership } from "../quorum/membership.ts";
import { Sync, type Configuration } from "../quorum/sync.ts";
import { viewWithoutVotes } from "../quorum/view.ts";
import { Votes } from "../quorum/votes.ts";
import { MemberHistory } from "./member-history.ts";
import { ServiceCounters } from "./service-counters.ts";
import {
  decodePrefix,
  log,
  serviceIds,
  type ServiceAction,
  type ServiceTimer,
  type SyncService,
} from "./service.ts";
import type { NodeSettings } from "../settings/settings.ts";

type ServicesSnapshot = Pick<
  MemberSnapshot,
  "synchronising" | "quorum" | "configVersions" | "groups" | "pastMembers" | "messages" | "voteMap"
>;

export interface ServicesOptions {
  readonly settings: NodeSettings;
  /** The stored floor of expected votes (file ev_tracking); 0: none. */
  readonly trackingBarrier: number;
}

/** What an operator asks; answered by `replied` with the same id. */
export type Question = Extract<
  MemberEvent,
  {
    readonly kind:
      "expectedVotesSet" | "votesSet" | "waitForAllCancelled" | "reloadAsked" | "killAsked";
  }
>;

export class Services {
  /** What local processes sent and the ring has not taken. The owner moves it on as the ring has room. */
  readonly outbox: Outbox;
  readonly #groups: Groups;
  readonly #configVersion: ConfigVersion;
  readonly #configuration: ConfigurationService;
  readonly #votes: Votes | undefined;
  readonly #sync: Sync;
  readonly #history = new MemberHistory();
  readonly #counters = new ServiceCounters();
  #nodes: NodeSettings["nodes"];
  /** Without a quorum provider. */
  #plainView: QuorumView;
  /** Of the last regular configuration. */
  #ringMembers: readonly number[] = [];

  constructor(options: ServicesOptions) {
    const { settings, trackingBarrier } = options;
    const { nodeid } = settings;
    this.#nodes = settings.nodes;
    this.outbox = new Outbox({ nodeid });
    this.#groups = new Groups({ nodeid, outbox: this.outbox });
    this.#configVersion = new ConfigVersion({ nodeid, version: settings.configVersion });
    this.#configuration = new ConfigurationService({ nodeid });
    this.#votes = settings.quorum.provider ? new Votes({ settings, trackingBarrier }) : undefined;
    const services: SyncService[] = [this.#configVersion, this.#groups, new Membership()];
    if (this.#votes !== undefined) services.push(this.#votes);
    this.#sync = new Sync(services);
    this.#plainView = viewWithoutVotes({ rep: nodeid, seq: 0 }, []);
  }

  get synchronising(): boolean {
    return this.#sync.synchronising;
  }
  /** Undefined without a quorum provider. */
  get votes(): Votes | undefined {
    return this.#votes;
  }

  quorum(): QuorumView {
    return this.#votes?.view() ?? this.#plainView;
  }

  snapshot(): ServicesSnapshot {
    this.#history.heardVersions(this.#configVersion.versions());
    const voteMap = this.#votes?.map();
    return {
      synchronising: this.#sync.synchronising,
      quorum: this.quorum(),
      configVersions: this.#configVersion.versions(),
      groups: this.#groups.all().map(({ group, nodeid, pid }) => ({ group, nodeid, pid })),
      pastMembers: this.#history.all(),
      messages: this.#counters.all(),
      ...(voteMap === undefined ? {} : { voteMap }),
    };
  }

  start(out: ServiceAction[]): void {
    this.#votes?.start(out);
  }

  configured(configuration: Configuration, now: number, out: ServiceAction[]): void {
    // Who leaves now is asked for its version no more.
    this.#history.heardVersions(this.#configVersion.versions());
    this.#history.configured(configuration, this.#nodes);
    if (configuration.type === "regular") this.#ringMembers = configuration.members;
    this.#sync.configured(configuration, now, out);
  }

  /** A totempg message in its place, our own included. */
  delivered(nodeid: number, bytes: Uint8Array, now: number, out: ServiceAction[]): void {
    const prefixed = decodePrefix(bytes);
    if (!prefixed.ok) {
      const text = `dropped a message of node ${nodeid}: ${prefixed.reason}`;
      return log(out, "SERV", "warning", text);
    }
    const { group, message } = prefixed.value;
    if (group === "a") this.#dispatch(nodeid, message, now, out);
    if (group !== "sync") return;
    const mark = out.length;
    this.#sync.received(nodeid, message, now, out);
    this.#noteSynchronised(out, mark);
  }

  /** The service is the upper half of the id, the first four bytes; one that we do not run is ignored (services.md §1.2). */
  #dispatch(nodeid: number, message: Uint8Array, now: number, out: ServiceAction[]): void {
    if (message.length < 4) return;
    this.#counters.received(message);
    switch ((message[2] ?? 0) + (message[3] ?? 0) * 256) {
      case serviceIds.groups:
        return this.#groups.received(nodeid, message, out);
      case serviceIds.votequorum:
        return this.#votes?.received(nodeid, message, now, out);
      case serviceIds.configMap:
        return this.#configVersion.received(nodeid, message, out);
      case serviceIds.configuration:
        return this.#configuration.received(nodeid, message, out);
    }
  }

  /** Without a provider every synchronised ring is quorate. */
  #noteSynchronised(out: ServiceAction[], from: number): void {
    if (this.#votes !== undefined) return;
    const done = out.slice(from).find((action) => action.kind === "synchronised");
    if (done?.kind !== "synchronised") return;
    this.#plainView = viewWithoutVotes(done.ring, done.members);
    out.push({ kind: "quorumChanged", quorum: this.#plainView });
  }

  /** A totempg message of ours goes to the ring. */
  sent(message: Uint8Array): void {
    this.#counters.sent(message);
  }

  /** A local process joins, leaves or sends. */
  requested(pid: number, request: GroupRequest, out: ServiceAction[]): void {
    this.#groups.requested(pid, request, out);
  }

  asked(question: Question, out: ServiceAction[]): void {
    if (question.kind === "reloadAsked") return this.#configuration.reload(question.id, out);
    if (question.kind === "killAsked") {
      return this.#configuration.kill(question, this.#ringMembers, out);
    }
    const votes = this.#votes;
    if (votes === undefined) {
      const reason = "votes cannot be changed: corosync.conf names no quorum provider";
      out.push({ kind: "replied", id: question.id, ok: false, reason });
      return;
    }
    switch (question.kind) {
      case "expectedVotesSet":
        return votes.setExpectedVotes(question.id, question.votes, out);
      case "votesSet":
        return votes.setVotes(question.id, question.nodeid, question.votes, out);
      case "waitForAllCancelled":
        return votes.cancelWaitForAll(question.id, out);
    }
    question satisfies never;
  }

  /** In the order of the original's messages: version, votes, key (services.md §5.4). */
  reconfigured(settings: NodeSettings, changesKey: boolean, out: ServiceAction[]): void {
    this.#nodes = settings.nodes;
    this.#configVersion.changed(settings.configVersion, this.#sync.synchronising, out);
    this.#votes?.reconfigure(settings, out);
    if (changesKey) this.#configuration.announceKey(out);
  }

  /** A `keyPhase` of ours is stable. */
  keyPhaseStable(phase: 1 | 2, out: ServiceAction[]): void {
    if (phase === 1) this.#configuration.keyTaken(out);
  }

  /** The local client of a quorum device. */
  deviceAsked(request: DeviceRequest, now: number, out: ServiceAction[]): void {
    const votes = this.#votes;
    if (votes !== undefined) return votes.device.asked(request, votes.deviceCall(now, out));
    out.push({ kind: "deviceAnswered", request: request.kind, answer: "notAllowed" });
  }

  timedOut(timer: ServiceTimer, now: number, out: ServiceAction[]): void {
    if (timer === "configurationBehind") return this.#configVersion.timedOut(out);
    this.#votes?.timedOut(timer, now, out);
  }

  /** To be called after every step: a service that had to wait may go on. */
  advance(now: number, out: ServiceAction[]): void {
    this.#sync.advance(now, out);
  }

  /**
   * A clean stop: queues the leave messages, and delivers nothing more to local processes (services.md §8.1).
   * Returns the last of these messages: once it was delivered, all were.
   */
  close(): Uint8Array {
    let last = shutdownAnnouncement();
    const messages = [last, ...this.#groups.close()];
    const leaveMessage = this.#votes?.leaveMessage();
    if (leaveMessage !== undefined) messages.push(leaveMessage);
    for (const message of messages) {
      this.outbox.queue(message);
      last = message;
    }
    return last;
  }

  /** Questions that will not be answered any more. */
  refusePending(reason: string, out: ServiceAction[]): void {
    this.#votes?.refusePending(reason, out);
    this.#configuration.refusePending(reason, out);
  }
}
