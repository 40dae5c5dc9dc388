// votequorum (services.md §4): the votes of every node as its owner states them, the quorum they make, and what the operator
// may change while the cluster runs. A change takes effect when its message is delivered, the same moment on every node.
import type { RingId } from "../../world.ts";
import type { MemberAction, QuorumView, VoteMap } from "../member/events.ts";
import type { NodeSettings } from "../settings/settings.ts";
import {
  log,
  serviceIds,
  withPrefix,
  type ServiceAction,
  type ServiceTimer,
  type SyncService,
  type SyncView,
} from "../member/service.ts";
import { Device, type DeviceCall } from "./device.ts";
import {
  hasFlag,
  recalculate,
  setFlag,
  setWaiting,
  takeExpectedVotes,
  type Ledger,
  type Voter,
} from "./ledger.ts";
import { listText } from "./membership.ts";
import {
  decodeVoteMessage,
  encodeVoteMessage,
  reconfigureParams,
  voterFlags,
  type NodeInfo,
  type VoteMessage,
} from "./message.ts";
import { Operator } from "./operator.ts";
import { evaluate, type Evaluation } from "./rules.ts";
import { viewOf } from "./view.ts";
import { VoteMapKeys } from "./vote-map.ts";

export interface VotesOptions {
  readonly settings: NodeSettings;
  /** The floor of expected votes as stored by an earlier run; 0: none. Used with expected_votes_tracking only. */
  readonly trackingBarrier: number;
}

export class Votes implements SyncService {
  readonly id = serviceIds.votequorum;
  readonly #ledger: Ledger;
  readonly #device = new Device();
  readonly #operator: Operator;
  readonly #map: VoteMapKeys;
  #ring: RingId;
  #syncedRing: RingId;
  #syncedMembers: readonly number[] = [];
  /** True until the first synchronisation ends: nothing is published of a node without a ring. */
  #isSynchronising = true;
  #hasSentState = false;
  #published: QuorumView | undefined;
  #startNotices: Evaluation["notices"];

  constructor(options: VotesOptions) {
    const { settings } = options;
    const { rules, notices } = evaluate(settings, undefined);
    this.#startNotices = notices;
    const { nodeid } = settings;
    let { trackingBarrier } = options;
    if (trackingBarrier > rules.expectedVotesMax) {
      const text = `ev_tracking: the stored ${trackingBarrier} expected votes are more than any cluster of such nodes has (a damaged file, or a forged message was believed): they are not used`;
      this.#startNotices = [...notices, { level: "warning", text }];
      trackingBarrier = 0;
    }
    const us: Voter = {
      nodeid,
      state: "member",
      votes: rules.votes,
      expectedVotes: rules.expectedVotes,
      flags: voterFlags.first,
    };
    if (rules.expectedVotesTracking && trackingBarrier > 0) {
      us.expectedVotes = trackingBarrier;
    }
    this.#ledger = {
      rules,
      us,
      voters: new Map([[nodeid, us]]),
      deviceVotes: rules.deviceVotes,
      quorum: 0,
      isQuorate: false,
      barrier: us.expectedVotes,
      trackingBarrier,
      lowest: nodeid,
      highest: nodeid,
      hasEnds: false,
      previous: [],
      current: [],
      isWaiting: false,
      masterWins: false,
    };
    setWaiting(this.#ledger, rules.waitForAll);
    this.#ring = { rep: nodeid, seq: 0 };
    this.#syncedRing = this.#ring;
    this.#operator = new Operator(this.#ledger);
    this.#map = new VoteMapKeys(rules, settings);
  }

  /** First numbers, before any ring: what the operator sees of a node that starts. */
  start(out: ServiceAction[]): void {
    for (const notice of this.#startNotices) log(out, "VOTEQ", notice.level, notice.text);
    this.#startNotices = [];
    this.#recalculate(false, false, out);
  }

  /**
   * As last published. While a synchronisation goes on, the votes are those of now, as the original answers, but whether they are
   * quorate stays. A node that never was in a synchronised ring is not quorate, whatever its votes.
   */
  view(): QuorumView {
    const published = this.#published;
    if (published !== undefined && !this.#isSynchronising) return published;
    return { ...this.#current(), quorate: published?.quorate ?? false };
  }

  /** Its keys of the configuration map. */
  map(): VoteMap {
    return this.#map.view(this.#ledger, this.#device.hasAskedMasterWins);
  }

  #current(): QuorumView {
    return viewOf(this.#ledger, this.#syncedRing, this.#syncedMembers, this.#device.name);
  }

  /** Of the local client of a quorum device, and of the others' devices. */
  get device(): Device {
    return this.#device;
  }

  /** The last `nodeListChanged`, whose ring a device client must name in its poll; undefined before the first ring. */
  get nodeList(): { readonly ring: RingId; readonly members: readonly number[] } | undefined {
    const members = this.#ledger.current;
    return members.length === 0 ? undefined : { ring: this.#ring, members };
  }

  deviceCall(now: number, out: ServiceAction[]): DeviceCall {
    return {
      ledger: this.#ledger,
      ring: this.#ring,
      now,
      out,
      send: (message) => this.#send(message, out),
      sendSelf: () => this.#sendSelf(out),
      sendDeviceRecord: () => this.#sendDeviceRecord(out),
      recount: () => {
        // During a synchronisation not everybody is known yet; its end counts.
        if (!this.#isSynchronising) this.#recalculate(false, false, out);
      },
    };
  }

  received(nodeid: number, bytes: Uint8Array, now: number, out: ServiceAction[]): void {
    const result = decodeVoteMessage(bytes);
    if (!result.ok) {
      return log(out, "VOTEQ", "debug", `dropped a message of node ${nodeid}: ${result.reason}`);
    }
    const message = result.value;
    switch (message.kind) {
      case "nodeInfo":
        return message.nodeid === 0
          ? this.#heardDeviceVotes(nodeid, message.votes, out)
          : this.#heardNodeInfo(nodeid, message, out);
      case "reconfigure":
        this.#heardReconfigure(nodeid, message, out);
        this.#operator.heard(nodeid, message, out);
        return;
      case "deviceRegister": {
        const call = this.deviceCall(now, out);
        return this.#device.heardRegister(nodeid, message.isRegistered, message.name, call);
      }
      case "deviceRename":
        return this.#device.heardRename(nodeid, message.oldName, message.newName, out);
    }
    message satisfies never;
  }

  #heardDeviceVotes(sender: number, votes: number, out: ServiceAction[]): void {
    const ledger = this.#ledger;
    const voter = ledger.voters.get(sender);
    if (voter === undefined) return; // corosync asserts here (services.md §8.3, 2).
    const before = ledger.deviceVotes;
    const isTaught = !ledger.isQuorate && hasFlag(voter, voterFlags.quorate);
    ledger.deviceVotes = isTaught ? votes : Math.max(before, votes);
    if (ledger.deviceVotes !== before) this.#recalculate(false, false, out);
  }

  #heardNodeInfo(sender: number, info: NodeInfo, out: ServiceAction[]): void {
    const ledger = this.#ledger;
    const { us, rules } = ledger;
    if (info.nodeid !== sender) {
      const text = `node ${sender} speaks for node ${info.nodeid}: ignored`;
      return log(out, "VOTEQ", "warning", text);
    }
    const known = ledger.voters.get(sender);
    const voter = known ?? newVoter(sender);
    if (known === undefined) ledger.voters.set(sender, voter);
    const before = { ...voter };
    const claims = (flag: number): boolean => (info.flags & flag) !== 0;
    const isQuorate = claims(voterFlags.quorate);
    // Our own flags may have changed since we sent this; the others' are what they say.
    if (voter !== us) voter.flags = info.flags;
    voter.votes = info.votes;
    const isLeaving = claims(voterFlags.leaving);
    voter.state = isLeaving ? "leaving" : "member";
    let mayDecrease = isLeaving;
    if (!ledger.isQuorate && isQuorate && voter !== us) {
      mayDecrease = true;
      us.expectedVotes = info.expectedVotes;
    }
    voter.expectedVotes =
      isQuorate || rules.expectedVotesTracking ? info.expectedVotes : us.expectedVotes;
    if (rules.lastManStanding && voter.votes > 1) this.#disableLastManStanding(out);
    const isChanged =
      known === undefined ||
      voter === us ||
      claims(voterFlags.first) ||
      before.votes !== voter.votes ||
      before.expectedVotes !== voter.expectedVotes ||
      before.flags !== voter.flags ||
      before.state !== voter.state;
    if (isChanged) this.#recalculate(mayDecrease, isLeaving, out);
    if (rules.waitForAll && voter !== us && isQuorate && !claims(voterFlags.waitForAll)) {
      setWaiting(ledger, false);
    }
  }

  #heardReconfigure(
    sender: number,
    message: Extract<VoteMessage, { readonly kind: "reconfigure" }>,
    out: ServiceAction[],
  ): void {
    const ledger = this.#ledger;
    switch (message.param) {
      case reconfigureParams.expectedVotes:
        takeExpectedVotes(ledger, message.value);
        return this.#recalculate(true, false, out);
      case reconfigureParams.votes: {
        const voter = ledger.voters.get(message.nodeid);
        if (voter === undefined) return;
        voter.votes = message.value;
        return this.#recalculate(true, false, out);
      }
      case reconfigureParams.cancelWaitForAll:
        setWaiting(ledger, false);
        this.#map.waitForAllCancelled();
        log(out, "VOTEQ", "notice", `wait_for_all_status reset by user on node ${sender}.`);
        return this.#recalculate(false, false, out);
      default:
        return; // Nothing else is defined.
    }
  }

  syncInit(view: SyncView, now: number, out: ServiceAction[]): void {
    const ledger = this.#ledger;
    this.#isSynchronising = true;
    this.#hasSentState = false;
    this.#ring = view.ring;
    if (view.members.length > 1) setFlag(ledger.us, voterFlags.first, false);
    const isPresent = (nodeid: number): boolean => view.members.includes(nodeid);
    for (const voter of ledger.voters.values()) {
      if (voter !== ledger.us && !isPresent(voter.nodeid)) voter.state = "dead";
    }
    if (this.#startsWindow(view.members)) {
      const at = now + ledger.rules.lastManStandingWindowMs;
      out.push({ kind: "arm", timer: "lastManStanding", at });
    }
    ledger.previous = ledger.current;
    ledger.current = view.members;
    this.#device.syncInit(this.deviceCall(now, out));
  }

  /** Whether the nodes that are left may become the whole cluster after the window (services.md §4.7). */
  #startsWindow(next: readonly number[]): boolean {
    const { rules, current, quorum, hasEnds, lowest } = this.#ledger;
    if (!rules.lastManStanding) return false;
    const hasLost = current.some((nodeid) => !next.includes(nodeid));
    if (next.length >= quorum && hasLost) return true;
    const mayWinTie = rules.tieBreaker !== undefined && hasEnds && next.includes(lowest);
    return mayWinTie && next.length <= quorum;
  }

  syncProcess(now: number, out: ServiceAction[]): boolean {
    if (!this.#hasSentState) {
      this.#hasSentState = true;
      // In this order: a device record of an unknown sender ends a corosync 3.1.7.
      this.#sendSelf(out);
      this.#sendDeviceRecord(out);
      const { name } = this.#device;
      if (name !== "") this.#send({ kind: "deviceRegister", isRegistered: true, name }, out);
      out.push({ kind: "nodeListChanged", ring: this.#ring, members: this.#ledger.current });
    }
    return !this.#device.isWaiting;
  }

  syncActivate(_now: number, out: ServiceAction[]): void {
    this.#isSynchronising = false;
    this.#syncedRing = this.#ring;
    this.#syncedMembers = this.#ledger.current;
    const before = this.#published?.quorate ?? false;
    this.#recalculate(false, false, out);
    if (before === this.#ledger.isQuorate) this.#logMembers(out);
  }

  syncAbort(): void {
    // What was delivered stays applied (services.md §2.5); the next syncInit starts over.
  }

  timedOut(
    timer: Exclude<ServiceTimer, "configurationBehind">,
    now: number,
    out: ServiceAction[],
  ): void {
    switch (timer) {
      case "lastManStanding":
        if (this.#ledger.isQuorate && this.#ledger.rules.lastManStanding) {
          this.#recalculate(true, true, out);
        }
        return;
      case "deviceTimeout":
        return this.#device.timedOut(this.deviceCall(now, out));
    }
    timer satisfies never;
  }

  /** Operator: expected votes of the whole cluster; answered when the change is in force. */
  setExpectedVotes(id: number, votes: number, out: ServiceAction[]): void {
    const message = this.#operator.expectedVotes(id, votes, out);
    if (message !== undefined) this.#send(message, out);
  }

  /** Operator: running votes of one node, until it states its own again. */
  setVotes(id: number, nodeid: number, votes: number, out: ServiceAction[]): void {
    const message = this.#operator.votes(id, nodeid, votes, out);
    if (message !== undefined) this.#send(message, out);
  }

  cancelWaitForAll(id: number, out: ServiceAction[]): void {
    const message = this.#operator.cancelWaitForAll(id, out);
    if (message !== undefined) this.#send(message, out);
  }

  /** Questions of the operator that will not be answered any more. */
  refusePending(reason: string, out: ServiceAction[]): void {
    this.#operator.refuseAll(reason, out);
  }

  /** A new corosync.conf is in force (services.md §4.9). */
  reconfigure(settings: NodeSettings, out: ServiceAction[]): void {
    const ledger = this.#ledger;
    const { us } = ledger;
    const isDeviceRegistered = hasFlag(us, voterFlags.deviceRegistered);
    const { rules, notices } = evaluate(settings, { rules: ledger.rules, isDeviceRegistered });
    for (const notice of notices) log(out, "VOTEQ", notice.level, notice.text);
    const before = { votes: us.votes, expectedVotes: us.expectedVotes };
    ledger.rules = rules;
    this.#map.reconfigured(rules, settings);
    us.votes = rules.votes;
    const isTracked = rules.expectedVotesTracking && ledger.trackingBarrier > 0;
    us.expectedVotes = isTracked ? ledger.trackingBarrier : rules.expectedVotes;
    ledger.barrier = us.expectedVotes;
    ledger.deviceVotes = rules.deviceVotes;
    if (!rules.waitForAll) setWaiting(ledger, false);
    this.#sendSelf(out);
    this.#sendDeviceRecord(out);
    const { nodeid } = us;
    const say = (param: number, value: number): void =>
      this.#send({ kind: "reconfigure", nodeid, value, param }, out);
    if (before.votes !== us.votes) say(reconfigureParams.votes, us.votes);
    if (before.expectedVotes !== us.expectedVotes) {
      say(reconfigureParams.expectedVotes, us.expectedVotes);
    }
  }

  /** Node information with the leaving flag, for a clean stop; undefined without allow_downscale (services.md §4.7). */
  leaveMessage(): Uint8Array | undefined {
    const { rules, us } = this.#ledger;
    if (!rules.allowDownscale) return undefined;
    const { nodeid, votes, expectedVotes } = us;
    const flags = us.flags | voterFlags.leaving;
    const info: NodeInfo = { kind: "nodeInfo", nodeid, votes, expectedVotes, flags };
    return withPrefix("a", encodeVoteMessage(info));
  }

  #disableLastManStanding(out: ServiceAction[]): void {
    this.#ledger.rules = { ...this.#ledger.rules, lastManStanding: false };
    out.push({ kind: "disarm", timer: "lastManStanding" });
    const text =
      "Last Man Standing feature is supported only when all cluster nodes votes are set to 1. Disabling LMS.";
    log(out, "VOTEQ", "warning", text);
  }

  #recalculate(mayDecrease: boolean, byNodes: boolean, out: ServiceAction[]): void {
    const ledger = this.#ledger;
    const result = recalculate(ledger, mayDecrease, byNodes);
    if (result.hasNewTrackingBarrier) {
      out.push({ kind: "persistTracking", expectedVotes: ledger.trackingBarrier });
    }
    if (result.isWaitingForAll) {
      const text = `Waiting for all cluster members. Current votes: ${result.total} expected_votes: ${ledger.us.expectedVotes}`;
      log(out, "VOTEQ", "notice", text);
    }
    if (!this.#isSynchronising) this.#publish(out);
  }

  /** Tells the host when anything a person can see has changed. */
  #publish(out: ServiceAction[]): void {
    const view = this.#current();
    const last = this.#published;
    if (last !== undefined && JSON.stringify(last) === JSON.stringify(view)) return;
    this.#published = view;
    const action: Extract<MemberAction, { readonly kind: "quorumChanged" }> = {
      kind: "quorumChanged",
      quorum: view,
    };
    out.push(action);
    if ((last?.quorate ?? false) === view.quorate) return;
    const text = view.quorate
      ? "This node is within the primary component and will provide service."
      : "This node is within the non-primary component and will NOT provide any services.";
    log(out, "QUORUM", "notice", text);
    this.#logMembers(out);
  }

  #logMembers(out: ServiceAction[]): void {
    log(out, "QUORUM", "notice", listText("Members", this.#syncedMembers));
  }

  #sendSelf(out: ServiceAction[]): void {
    const { nodeid, votes, expectedVotes, flags } = this.#ledger.us;
    this.#send({ kind: "nodeInfo", nodeid, votes, expectedVotes, flags }, out);
  }

  #sendDeviceRecord(out: ServiceAction[]): void {
    const votes = this.#ledger.deviceVotes;
    this.#send({ kind: "nodeInfo", nodeid: 0, votes, expectedVotes: 0, flags: 0 }, out);
  }

  #send(message: VoteMessage, out: ServiceAction[]): void {
    const queue = this.#isSynchronising ? "sync" : "application";
    out.push({ kind: "submit", queue, message: withPrefix("a", encodeVoteMessage(message)) });
  }
}

function newVoter(nodeid: number): Voter {
  return { nodeid, state: "member", votes: 0, expectedVotes: 0, flags: 0 };
}
