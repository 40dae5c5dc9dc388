// One replicated store in one process group: the state machine that both groups share. Spec: pmxcfs.md §4.4–4.9, §4.11, §4.12.
// A configuration change starts a state exchange; its leader fills the others up; until a member is synced, operations wait
// in queues that are the same on all members. There is no timeout: a silent member blocks the group until it leaves.
// Never executes an operation out of the group's order, and never one twice.
import type { GroupEvent, GroupMember, Level } from "../../world.ts";
import {
  type DfsmAction,
  type DfsmEvent,
  type DfsmTimer,
  isFinal,
  isInGroup,
  type Mode,
  outside,
  rejoinMsMin,
  verifyIntervalMs,
  verifySoonMs,
} from "./dfsm-events.ts";
import { Membership, sameMember } from "./membership.ts";
import { MessageQueue, type QueuedMessage } from "./message-queue.ts";
import {
  type Body,
  decodeHeader,
  decodeMessage,
  type Epoch,
  sameEpoch,
  type StateMessage,
} from "./message.ts";
import { Outbox, type StatePart } from "./outbox.ts";
import type { MemberState, Replica, Sink } from "./replica.ts";
import { hex, Verification } from "./verification.ts";

type Out<Action> = Sink<DfsmAction | Action>;

/** One call of `step`: its clocks and where its actions go. */
interface Turn<Action> {
  /** Unix seconds; for headers and epochs only. */
  readonly timeS: number;
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly out: Out<Action>;
}

const noEpoch: Epoch = { epoch: 0, time: 0, nodeid: 0, pid: 0 };

export class Dfsm<Action> {
  readonly #replica: Replica<Action>;
  readonly #self: GroupMember;
  #mode: Mode = "start";
  /** A join was asked for and no configuration change with us came yet. */
  #joining = false;
  #stopping = false;
  #joinedAt = Number.NEGATIVE_INFINITY;
  readonly #membership = new Membership();
  #epochCount = 0;
  #epoch = noEpoch;
  #leaderState: Uint8Array | undefined;
  /** Of all members, while the store waits for something else before it can plan. */
  #states: readonly MemberState[] | undefined;
  /** Operations that nobody synced has executed yet. */
  readonly #messageQueue = new MessageQueue();
  /** Operations that the synced members have executed already while we are filled up, in their order. */
  readonly #syncQueue = new MessageQueue();
  readonly #outbox: Outbox;
  readonly #verification = new Verification();

  constructor(options: { readonly replica: Replica<Action>; readonly self: GroupMember }) {
    this.#replica = options.replica;
    this.#self = options.self;
    this.#outbox = new Outbox(options.replica);
  }

  get mode(): Mode {
    return this.#mode;
  }
  /** Ascending by (nodeid, pid). */
  get members(): readonly GroupMember[] {
    return this.#membership.all;
  }
  /** Operations that wait for the end of a state exchange. */
  get queued(): number {
    return this.#messageQueue.size + this.#syncQueue.size;
  }

  step(event: DfsmEvent, now: number, out: Out<Action>): void {
    const turn = { timeS: event.timeS, now, out };
    switch (event.kind) {
      case "started":
        return this.#join(turn);
      case "groupEvent":
        if (event.event.group !== this.#replica.group) return;
        if (event.event.kind === "configured") {
          return this.#configured(event.event, turn);
        }
        return this.#delivered(event.event, turn);
      case "sendRequested":
        return this.#sendRequested(event, turn);
      case "sendGivenUp":
        return this.#sendGivenUp(event.token, turn);
      case "timedOut":
        return this.#timedOut(event.timer, turn);
      case "quorumChanged":
        return this.#replica.quorumChanged(event.quorate);
      case "planAgain":
        return this.#states && this.#startSync(this.#states, turn);
      case "failed":
        return this.#end("error", event.reason, turn);
      case "stopped":
        this.#stopping = true;
        turn.out.push({ kind: "disarm", timer: "verify" });
        turn.out.push({ kind: "disarm", timer: "rejoin" });
        if (this.#mode === "start" && !this.#joining) return;
        if (isInGroup(this.#mode)) this.#depart("leave", "the node is stopping", turn);
        return;
    }
    event satisfies never;
  }

  #join(turn: Turn<Action>): void {
    if (this.#mode !== "start" || this.#joining || this.#stopping) return;
    this.#joining = true;
    this.#joinedAt = turn.now;
    this.#outbox.join(turn.out);
  }

  #timedOut(timer: DfsmTimer, turn: Turn<Action>): void {
    if (timer === "rejoin") return this.#join(turn);
    if (this.#stopping) return;
    turn.out.push({ kind: "arm", timer: "verify", at: turn.now + verifyIntervalMs });
    this.#requestVerification(turn);
  }

  // Configuration changes (§4.5)

  #configured(event: GroupEvent & { kind: "configured" }, turn: Turn<Action>): void {
    const isMember = event.members.some((member) => sameMember(member, this.#self));
    if (!isInGroup(this.#mode)) {
      if (this.#mode === "leave" && !isMember) this.#left(turn);
      return;
    }
    this.#epochCount += 1;
    this.#epoch = { epoch: this.#epochCount, time: turn.timeS, ...this.#self };
    this.#forgetExchange(turn);
    if (!isMember) {
      // A leave that is seen before the join says nothing; out of any other mode we were thrown out.
      if (this.#mode === "start") return;
      this.#log("error", "this node is no longer in the group; it joins again", turn);
      this.#dropAll("this node is no longer in the group", turn);
      return this.#left(turn);
    }
    this.#joining = false;
    this.#membership.replace(event.members);
    const members = this.#membership.all;
    this.#replica.membersChanged(members, turn.out);
    if (members.length > 1) return this.#startExchange(event.joined.length > 0, turn);
    this.#membership.setAllSynced();
    this.#enterSynced(turn);
    this.#executeMessageQueue(turn);
  }

  #startExchange(someJoined: boolean, turn: Turn<Action>): void {
    // A newcomer has none of the queue: every member sends its own part again, so that all have the same.
    if (someJoined) {
      for (const queued of this.#messageQueue.take()) {
        if (sameMember(queued.sender, this.#self)) this.#outbox.resend(queued.message, turn.out);
      }
    }
    this.#setMode("startSync", turn);
    if (this.#isLowest) this.#sendState({ kind: "syncStart" }, turn);
  }

  #forgetExchange(turn: Turn<Action>): void {
    // The synced members have executed these, so they are not sent again; what came of ours we shall never know.
    for (const { sender, message } of this.#syncQueue.takeArrived()) {
      if (!sameMember(sender, this.#self)) continue;
      const token = this.#outbox.arrived(message.count);
      const reason =
        "a state exchange broke off; the change may have been made: look before you repeat it";
      if (token !== undefined) turn.out.push({ kind: "aborted", token, errno: "EBUSY", reason });
    }
    this.#leaderState = undefined;
    this.#states = undefined;
    this.#membership.clearStates();
    this.#verification.reset();
  }

  // Deliveries (§4.1)

  #delivered(event: GroupEvent & { kind: "delivered" }, turn: Turn<Action>): void {
    if (!isInGroup(this.#mode)) return;
    if (this.#mode === "start") {
      if (this.#joining) this.#leave("a message came before the first configuration change", turn);
      return;
    }
    const sender: GroupMember = { nodeid: event.nodeid, pid: event.pid };
    const head = decodeHeader(event.message);
    if (!head.ok)
      return this.#leave(`node ${sender.nodeid} sent a bad message: ${head.reason}`, turn);
    const { protocol } = head.value;
    if (protocol > this.#replica.protocol) {
      const own = this.#replica.protocol;
      const reason = `node ${sender.nodeid} speaks protocol version ${protocol}, this node ${own}: update this node's software`;
      return this.#end("versionError", reason, turn);
    }
    if (protocol < this.#replica.protocol) {
      return this.#log("debug", `ignored message of old protocol version ${protocol}`, turn);
    }
    const message = decodeMessage(event.message);
    if (!message.ok) {
      return this.#leave(`node ${sender.nodeid} sent a bad message: ${message.reason}`, turn);
    }
    if (message.value.kind === "normal") {
      return this.#operationArrived({ sender, message: message.value }, turn);
    }
    this.#stateArrived(sender, message.value, turn);
  }

  // Operations and their queues (§4.7)

  #operationArrived(queued: QueuedMessage, turn: Turn<Action>): void {
    if (this.#mode === "synced") return this.#execute(queued, turn);
    // While we are filled up, the synced members execute whatever arrives, whoever sent it; so do we, after the commit. The
    // original puts what not synced members send into the message queue here, and then differs from its leader in order.
    const queue = this.#mode === "update" ? this.#syncQueue : this.#messageQueue;
    if (!queue.add(queued)) {
      this.#leave("too many operations wait for the end of the state exchange", turn);
    }
  }

  #execute(queued: QueuedMessage, turn: Turn<Action>): void {
    const { sender, message } = queued;
    const isOwn = sameMember(sender, this.#self);
    const token = isOwn ? this.#outbox.arrived(message.count) : undefined;
    const { subtype, body } = message;
    const executed = this.#replica.deliver(
      { sender, subtype, body, timeS: message.timeS, isOwn, isLowest: this.#isLowest, token },
      turn.now,
      turn.out,
    );
    if (executed.kind === "leave") return this.#leave(executed.reason, turn);
    if (executed.send !== undefined) this.#send(executed.send, undefined, turn);
  }

  /** Those of synced senders; the others' stay until all are synced; those of nodes that left are gone. */
  #executeMessageQueue(turn: Turn<Action>): void {
    const kept: QueuedMessage[] = [];
    for (const queued of this.#messageQueue.take()) {
      if (!this.#membership.has(queued.sender)) continue;
      if (!this.#membership.isSynced(queued.sender)) kept.push(queued);
      else this.#execute(queued, turn);
      if (this.#mode !== "synced") return;
    }
    for (const queued of kept) this.#messageQueue.add(queued);
  }

  #sendRequested(event: DfsmEvent & { kind: "sendRequested" }, turn: Turn<Action>): void {
    const { token } = event;
    if (isInGroup(this.#mode) && this.#mode !== "start") return this.#send(event, token, turn);
    if (token === undefined) return;
    turn.out.push({ kind: "aborted", token, errno: this.#abortErrno, reason: outside(this.#mode) });
  }

  #sendGivenUp(token: number | undefined, turn: Turn<Action>): void {
    if (token === undefined) {
      if (isInGroup(this.#mode)) this.#leave("the ring did not take a message for 10 s", turn);
      return;
    }
    if (!this.#outbox.forget(token)) return;
    const reason = "the ring did not take the change for 10 s; nothing was changed, try again";
    turn.out.push({ kind: "aborted", token, errno: "EBUSY", reason });
  }

  // State exchange (§4.6, §4.8)

  #stateArrived(sender: GroupMember, message: StateMessage, turn: Turn<Action>): void {
    if (message.kind === "syncStart" && this.#mode === "startSync") {
      return this.#syncStarted(sender, message.epoch, turn);
    }
    // Late messages of an older exchange.
    if (!sameEpoch(message.epoch, this.#epoch)) return;
    switch (this.#mode) {
      case "startSync":
        if (message.kind === "state") return this.#stateOf(sender, message.body, turn);
        if (message.kind === "verify" || message.kind === "verifyRequest") return;
        return this.#leave(`node ${sender.nodeid} sent ${message.kind} before all states`, turn);
      case "update":
        if (message.kind === "update") return this.#updated(sender, message.body, turn);
        if (message.kind === "updateComplete") return this.#commit(turn);
        if (message.kind === "verify" || message.kind === "verifyRequest") return;
        return this.#leave(`node ${sender.nodeid} sent ${message.kind} among updates`, turn);
      case "synced":
        if (message.kind === "updateComplete") {
          this.#membership.setAllSynced();
          return this.#executeMessageQueue(turn);
        }
        if (message.kind === "verifyRequest") {
          return this.#verificationRequested(sender, message.checksumId, turn);
        }
        if (message.kind === "verify") return this.#compareChecksum(message, turn);
        return;
      case "start":
      case "leave":
      case "versionError":
      case "error":
        return;
    }
    this.#mode satisfies never;
  }

  #syncStarted(sender: GroupMember, epoch: Epoch, turn: Turn<Action>): void {
    if (sender.nodeid !== this.#membership.lowest) {
      this.#log("warning", `node ${sender.nodeid} started a sync, but is not the lowest`, turn);
    }
    this.#epoch = epoch;
    this.#states = undefined;
    this.#membership.clearStates();
    this.#sendState({ kind: "state", body: this.#replica.encodeState(epoch, turn.out) }, turn);
  }

  #stateOf(sender: GroupMember, state: Uint8Array, turn: Turn<Action>): void {
    const added = this.#membership.addState(sender, state);
    if (added === "foreign") {
      return this.#leave(`node ${sender.nodeid} sent a state but is not a member`, turn);
    }
    if (added === "twice") {
      return this.#leave(`node ${sender.nodeid} sent its state twice`, turn);
    }
    const states = this.#membership.takeStates();
    if (states === undefined) return;
    this.#startSync(states, turn);
  }

  #startSync(states: readonly MemberState[], turn: Turn<Action>): void {
    const self = states.findIndex((state) => sameMember(state, this.#self));
    const plan = this.#replica.planSync(states, self, turn.out, this.#epoch);
    this.#states = plan.kind === "waiting" ? states : undefined;
    switch (plan.kind) {
      case "waiting":
        return;
      case "refused":
        return this.#leave(plan.reason, turn);
      case "merged":
        this.#membership.setAllSynced();
        for (const body of plan.send) this.#send(body, undefined, turn);
        this.#enterSynced(turn);
        return this.#executeMessageQueue(turn);
      case "led":
        break;
      default:
        plan satisfies never;
    }
    this.#membership.setSynced(plan.synced);
    const leader = states[plan.leader];
    if (leader === undefined) return this.#leave("the state exchange named no leader", turn);
    this.#log("info", `all states are here; node ${leader.nodeid} leads`, turn);
    if (plan.leader === self) {
      for (const body of this.#replica.updatesFor(states, self)) {
        this.#outbox.sendUpdate(body, this.#epoch, turn.timeS, turn.out);
      }
      this.#sendState({ kind: "updateComplete" }, turn);
    } else if (plan.synced[self] !== true) {
      return this.#enterUpdate(leader.state, turn);
    }
    this.#enterSynced(turn);
    this.#executeMessageQueue(turn);
  }

  #enterSynced(turn: Turn<Action>): void {
    this.#setMode("synced", turn);
    turn.out.push({ kind: "arm", timer: "verify", at: turn.now + verifySoonMs });
    const bodies = this.#replica.becameSynced(this.#epoch, turn.out);
    for (const body of bodies) this.#send(body, undefined, turn);
  }

  #enterUpdate(leaderState: Uint8Array, turn: Turn<Action>): void {
    this.#leaderState = leaderState;
    for (const queued of this.#messageQueue.take()) {
      if (!this.#membership.has(queued.sender)) continue;
      const synced = this.#membership.isSynced(queued.sender);
      // Both queues keep to one limit each: what was in one fits the other.
      (synced ? this.#syncQueue : this.#messageQueue).add(queued);
    }
    this.#setMode("update", turn);
  }

  #updated(sender: GroupMember, body: Uint8Array, turn: Turn<Action>): void {
    const added = this.#replica.addUpdate(body);
    if (!added.ok) this.#leave(`node ${sender.nodeid} sent a bad update: ${added.reason}`, turn);
  }

  #commit(turn: Turn<Action>): void {
    this.#membership.setAllSynced();
    const leaderState = this.#leaderState ?? new Uint8Array(0);
    this.#leaderState = undefined;
    const committed = this.#replica.commit(leaderState, turn.now, turn.out);
    if (!committed.ok) {
      const reason = `the updates do not give the leader's tree: ${committed.reason}`;
      return this.#end("error", reason, turn);
    }
    this.#enterSynced(turn);
    for (const queued of this.#syncQueue.takeArrived()) {
      this.#execute(queued, turn);
      if (this.#mode !== "synced") return;
    }
    this.#executeMessageQueue(turn);
  }

  // Verification (§4.11)

  #requestVerification(turn: Turn<Action>): void {
    if (this.#mode !== "synced" || !this.#isLowest) return;
    if (this.#replica.checksum() === undefined) return;
    const checksumId = this.#verification.request();
    if (checksumId === undefined) {
      return this.#log("warning", "delay verify request: the last one is still on its way", turn);
    }
    this.#sendState({ kind: "verifyRequest", checksumId }, turn);
  }

  #verificationRequested(sender: GroupMember, id: number, turn: Turn<Action>): void {
    const checksum = this.#replica.checksum();
    if (checksum === undefined) return;
    this.#verification.arrived(this.#epoch, id, checksum);
    if (!sameMember(sender, this.#self)) return;
    this.#sendState({ kind: "verify", checksumId: id, checksum }, turn);
  }

  #compareChecksum(message: StateMessage & { kind: "verify" }, turn: Turn<Action>): void {
    const outcome = this.#verification.compare(message);
    if (outcome.kind === "skipped") return;
    turn.out.push({ kind: "verified", isEqual: outcome.kind === "equal", digest: outcome.own });
    if (outcome.kind === "equal") return this.#log("info", "data verification successful", turn);
    const checksums = `${outcome.own} != ${hex(message.checksum)}`;
    this.#leave(`wrong checksum ${checksums}: this node's data differ and are fetched again`, turn);
  }

  // Leaving (§4.9, §4.12)

  #leave(reason: string, turn: Turn<Action>): void {
    this.#log("error", `${reason}; leaving the group to join it again`, turn);
    this.#depart("leave", reason, turn);
  }

  /** For good. */
  #end(mode: "error" | "versionError", reason: string, turn: Turn<Action>): void {
    if (isFinal(this.#mode)) return;
    this.#log("error", reason, turn);
    this.#depart(mode, reason, turn);
    turn.out.push({ kind: "fatal", reason });
  }

  #depart(mode: "leave" | "error" | "versionError", reason: string, turn: Turn<Action>): void {
    const isIn = isInGroup(this.#mode) && (this.#mode !== "start" || this.#joining);
    this.#setMode(mode, turn);
    this.#dropAll(reason, turn);
    if (isIn) this.#outbox.leave(turn.out);
  }

  #left(turn: Turn<Action>): void {
    this.#joining = false;
    this.#membership.replace([]);
    this.#setMode("start", turn);
    if (this.#stopping) return;
    const at = Math.max(turn.now, this.#joinedAt + rejoinMsMin);
    turn.out.push({ kind: "arm", timer: "rejoin", at });
  }

  #dropAll(reason: string, turn: Turn<Action>): void {
    this.#forgetExchange(turn);
    this.#messageQueue.clear();
    this.#outbox.abortAll(this.#abortErrno, reason, turn.out);
  }

  // Sending

  get #isLowest(): boolean {
    return this.#membership.lowest === this.#self.nodeid;
  }

  get #abortErrno(): "EIO" | "EBUSY" {
    return isFinal(this.#mode) ? "EIO" : "EBUSY";
  }

  #send(body: Body, token: number | undefined, turn: Turn<Action>): void {
    this.#outbox.send(body, token, turn.timeS, turn.out);
  }

  #sendState(part: StatePart, turn: Turn<Action>): void {
    this.#outbox.sendState(part, this.#epoch, turn.timeS, turn.out);
  }

  #setMode(mode: Mode, turn: Turn<Action>): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    turn.out.push({ kind: "modeChanged", mode });
  }

  #log(level: Level, text: string, turn: Turn<Action>): void {
    turn.out.push({ kind: "log", level, subsystem: this.#replica.domain, text });
  }
}
