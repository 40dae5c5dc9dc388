// Epochs and durable positions of the tree's group, agreed by the quorate nodes in it through a group of their own. Spec: design.md
// decision 3. Each time a primary component has one tree it draws a number above all that its members know of: first all promise it on
// disk, then, once a majority has, each marks its tree with it. Two components never mark with one number, for a majority of each promised
// it. In a state exchange the newest mark leads: what a majority has on disk under one mark is in every tree of a newer one.
// Never marks a tree before it is durable as the leader's, never announces what a crash could take back.
import type { GroupMember } from "../../world.ts";
import { numberMax } from "../disk/row.ts";
import type { Rank } from "../replica/dcdb.ts";
import { type Epoch as Exchange, sameEpoch } from "../replica/message.ts";
import { sameMember } from "../replica/membership.ts";
import type { EpochAction, EpochEvent, QuorumOfRing, Standing } from "./events.ts";
import {
  compareMarks,
  type Lineage,
  type Mark,
  sameMark,
  unknownLineage,
  withEpoch,
} from "./lineage.ts";
import type { Lineages } from "./lost-changes.ts";
import { decodeOwn, encodeOwn, type OwnMessage } from "./message.ts";
import { chosenDisks } from "./chosen.ts";
import { votesNeeded, votesOf } from "./votes-needed.ts";

type Out = EpochAction[];
type State = OwnMessage & { readonly kind: "state" };

interface Options {
  readonly self: GroupMember;
  /** As the database has it. */
  readonly lineage: Lineage;
  /** Version of the tree as the database has it. */
  readonly version: number;
  /** This disk is flushed with each commit. */
  readonly flushes: boolean;
}

/** A change that waits for the disks of a majority, and the nodeid of whoever waits. */
interface Awaited {
  readonly version: number;
  readonly writer: number;
}

/** Awaited changes for which every disk hurries after the chosen ones were late. */
const impatientFor = 100;

/** What the members of one configuration of the tree's group have agreed on so far. */
class Component {
  readonly members: readonly GroupMember[];
  exchange: Exchange | undefined;
  readonly states = new Map<string, State>();
  /** Of the tree when all had the same; undefined before. */
  beganAt: number | undefined;
  number: number | undefined;
  readonly promised = new Set<string>();
  /** By member: the version that its disk has under this epoch's mark. */
  readonly durable = new Map<string, number>();
  isPromiseAsked = false;
  isPromiseSent = false;
  isMarkAsked = false;
  /** By writer (nodeid): of its newest change that waits for the disks of a majority. */
  readonly awaited = new Map<number, number>();
  /** An awaited change that others' disks were chosen for. */
  spare: Awaited | undefined;
  /** Awaited changes until others' disks are relied on again. */
  impatience = 0;
  /** Of our own newest change that waits for the others' disks. */
  asked = 0;
  announced = -1;
  isAnnouncing = false;
  askSent = 0;
  isAsking = false;

  constructor(members: readonly GroupMember[]) {
    this.members = members;
  }
}

export class Epochs {
  readonly #options: Options;
  #peers: readonly GroupMember[] = [];
  #component = new Component([]);
  #view: QuorumOfRing | undefined;
  /** On disk. */
  #held: Lineage;
  /** On disk once all that was asked to be stored is. */
  #next: Lineage;
  /** Of what our tree will be replaced by. */
  #adopted: Lineage;
  /** The epoch that the tree in memory follows; its mark may not be on disk yet. */
  #followed: Mark;
  /** Version of our tree when the first epoch began that it follows without its mark: what came since is of none that is marked. */
  #followedFrom = Number.POSITIVE_INFINITY;
  #durableVersion: number | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#held = options.lineage;
    this.#next = options.lineage;
    this.#adopted = options.lineage;
    this.#followed = options.lineage.mark;
    this.#durableVersion = options.version;
  }

  step(event: EpochEvent, out: Out): void {
    this.#take(event, out);
    this.#advance(out);
  }

  /** Who has the newest tree of these, by their marks; with an original by the highest version alone. The same on all that are in our group, at one place of the order. */
  rank(exchange: Exchange, members: readonly GroupMember[]): ReturnType<Rank> {
    const { states, exchange: current } = this.#component;
    if (members.some((member) => !this.#isPeer(member))) return "byVersion";
    if (current === undefined || !sameEpoch(current, exchange)) return "waiting";
    const marks: Mark[] = [];
    let foreign = 0;
    for (const member of members) {
      const state = states.get(keyOf(member));
      if (state === undefined) return "waiting";
      marks.push(state.lineage.mark);
      if (state.lineage.isForeign) foreign += 1;
    }
    // Originals have run here in between, on most of them: the cluster went on without our marks.
    if (foreign * 2 > members.length) return "byVersion";
    return marks.map((mark) => marks.filter((other) => compareMarks(other, mark) < 0).length);
  }

  /** What is to be stored in the transaction in which the leader's tree replaces ours. */
  adopt(): Lineage {
    this.#next = this.#adopted;
    this.#followed = this.#adopted.mark;
    return this.#next;
  }

  /** The epochs of the tree in memory, marked or not, and of what we take over. */
  get lineages(): Lineages {
    const { mark, history } = this.#next;
    const isMarked = sameMark(this.#followed, mark);
    const begun = isMarked ? [] : [{ ...this.#followed, version: this.#followedFrom }];
    return { own: [...history, ...begun], adopted: this.#adopted.history };
  }

  get held(): Lineage {
    return this.#held;
  }

  /** Members of the tree's group that cannot say what their disks have: originals, and nodes that do not flush. */
  get silent(): readonly number[] {
    const { members } = this.#component;
    return members.filter((member) => !this.#canSay(member)).map(({ nodeid }) => nodeid);
  }

  standing(): Standing {
    const view = this.#view;
    if (view?.quorate !== true || !this.#isMarked) return { isAgreed: false, majority: undefined };
    if (this.silent.length > 0) return { isAgreed: true, majority: undefined };
    const majority = this.#reached(view, this.#needed(view));
    return { isAgreed: majority !== undefined, majority: majority ?? -1 };
  }

  /** The highest version that disks with so many votes have. */
  #reached(view: QuorumOfRing, needed: number): number | undefined {
    const own = keyOf(this.#options.self);
    const versions: { readonly nodeid: number; readonly version: number }[] = [];
    for (const member of this.#component.members) {
      const isOwn = keyOf(member) === own;
      const version = isOwn ? this.#durableVersion : this.#component.durable.get(keyOf(member));
      if (version !== undefined) versions.push({ nodeid: member.nodeid, version });
    }
    versions.sort((a, b) => b.version - a.version);
    const counted: number[] = [];
    for (const { nodeid, version } of versions) {
      counted.push(nodeid);
      if (votesOf(view, counted) >= needed) return version;
    }
    return undefined;
  }

  #take(event: EpochEvent, out: Out): void {
    switch (event.kind) {
      case "groupEvent":
        if (event.event.kind === "configured") this.#peers = event.event.members;
        else this.#heard(event.event, out);
        return;
      case "quorumChanged":
        this.#view = event.view;
        return;
      case "treeConfigured":
        this.#component = new Component(event.members);
        return;
      case "exchangeBegan":
        return this.#exchangeBegan(event.exchange, out);
      case "led":
        return this.#led(event, out);
      case "synced":
        this.#component.exchange ??= event.exchange;
        this.#component.beganAt = event.version;
        return;
      case "awaited":
        return this.#await(event, out);
      case "waited":
        return this.#waited(out);
      case "asked":
        this.#component.asked = Math.max(this.#component.asked, event.version);
        return;
      case "durable":
        this.#durableVersion = event.version;
        return;
      case "stored":
        this.#held = event.lineage;
        return;
    }
    event satisfies never;
  }

  #exchangeBegan(exchange: Exchange, out: Out): void {
    const component = this.#component;
    component.exchange = exchange;
    component.states.clear();
    const { flushes } = this.#options;
    const ringSeq = this.#view?.ringSeq ?? 0;
    this.#send({ kind: "state", exchange, flushes, ringSeq, lineage: this.#held }, out);
  }

  #led({ leader, isEqual }: EpochEvent & { kind: "led" }, out: Out): void {
    const { promised } = this.#next;
    const state = this.#component.states.get(keyOf(leader));
    const isOwn = sameMember(leader, this.#options.self);
    // An original's tree: whatever our mark told of is replaced with it.
    if (isOwn || (isEqual && state === undefined)) return;
    this.#adopted = state === undefined ? unknownLineage(promised) : { ...state.lineage, promised };
    if (!isEqual || sameMark(this.#adopted.mark, this.#next.mark)) return;
    this.#followed = this.#adopted.mark;
    this.#store(this.#adopted, out);
  }

  #heard(event: { nodeid: number; pid: number; message: Uint8Array }, out: Out): void {
    const decoded = decodeOwn(event.message);
    if (!decoded.ok) {
      const text = `ignored a message of node ${event.nodeid}: ${decoded.reason}`;
      out.push({ kind: "log", level: "debug", subsystem: "epoch", text });
      return;
    }
    const message = decoded.value;
    const component = this.#component;
    if (component.exchange === undefined || !sameEpoch(component.exchange, message.exchange)) {
      return;
    }
    const key = keyOf(event);
    const isOwn = sameMember(event, this.#options.self);
    if (message.kind === "state") {
      component.states.set(key, message);
      return;
    }
    if (message.number !== component.number && message.number !== this.#drawn()) return;
    switch (message.kind) {
      case "promised":
        component.promised.add(key);
        return;
      case "durable":
        component.durable.set(key, message.version);
        if (isOwn) component.isAnnouncing = false;
        return;
      case "asked":
        if (isOwn) component.isAsking = false;
        else this.#await({ version: message.version, writer: event.nodeid }, out);
        return;
    }
    message satisfies never;
  }

  /** A writer waits for a majority's disks: ours hurries if it is one of those; where not all can say what theirs have, nobody waits. */
  #await(awaited: Awaited, out: Out): void {
    const component = this.#component;
    const { version, writer } = awaited;
    if (version <= (component.awaited.get(writer) ?? 0)) return;
    component.awaited.set(writer, version);
    const view = this.#view;
    if (!this.#isMissing(version) || view === undefined || this.silent.length > 0) return;
    if (component.impatience > 0) component.impatience -= 1;
    else if (!this.#isChosen(awaited, view)) {
      // A spare: it looks after the chosen in a moment.
      if (component.spare === undefined) this.#spare(awaited, out);
      return;
    }
    out.push({ kind: "hurry" });
  }

  #isChosen(awaited: Awaited, view: QuorumOfRing): boolean {
    const choice = { ...awaited, members: this.#nodeids, needed: this.#needed(view), view };
    return chosenDisks(choice).includes(this.#options.self.nodeid);
  }

  #spare(awaited: Awaited, out: Out): void {
    this.#component.spare = awaited;
    out.push({ kind: "wait" });
  }

  /** The chosen were late: for a while nobody relies on them. What was awaited later has a moment of its own. */
  #waited(out: Out): void {
    const component = this.#component;
    const { spare } = component;
    component.spare = undefined;
    if (spare === undefined) return;
    if (this.#isMissing(spare.version) && !this.#isServed(spare)) {
      component.impatience = impatientFor;
      out.push({ kind: "hurry" });
      return;
    }
    const later = this.#unserved().find(({ version }) => this.#isMissing(version));
    if (later !== undefined) this.#spare(later, out);
  }

  /** Not on this disk yet. */
  #isMissing(version: number): boolean {
    return version > (this.#durableVersion ?? -1);
  }

  /** Writers who still wait for others' disks, as far as is known here. */
  #unserved(): Awaited[] {
    return [...this.#component.awaited]
      .map(([writer, version]) => ({ writer, version }))
      .filter((awaited) => !this.#isServed(awaited));
  }

  /** The writer's own disk is its own affair; with what the others have said it has a majority. */
  #isServed({ version, writer }: Awaited): boolean {
    const view = this.#view;
    if (view === undefined) return false;
    const { members, durable } = this.#component;
    const have = members.filter((member) => (durable.get(keyOf(member)) ?? -1) >= version);
    const counted = [writer, ...have.map(({ nodeid }) => nodeid)];
    return votesOf(view, counted) >= this.#needed(view);
  }

  /** Of the component, ascending. */
  get #nodeids(): number[] {
    return this.#component.members.map(({ nodeid }) => nodeid).toSorted((a, b) => a - b);
  }

  /**
   * So many votes are a majority's: also of nodes that have left the tree's group and are about to join it again. Alone in it, one of two
   * quorate nodes would mark a tree that lacks what the other's disk has of the epoch before.
   */
  #needed(view: QuorumOfRing): number {
    const present = [...this.#component.members, ...this.#peers];
    return votesNeeded(
      view,
      present.map(({ nodeid }) => nodeid),
    );
  }

  /** Goes on with what it can. */
  #advance(out: Out): void {
    const component = this.#component;
    const { exchange, beganAt } = component;
    if (exchange === undefined || beganAt === undefined || this.#view?.quorate !== true) return;
    component.number ??= this.#drawn();
    const { number } = component;
    if (number === undefined) return;
    const mark = { number, exchange };
    this.#follow(mark, beganAt);
    this.#promise(component, number, out);
    if (!this.#mayMark(component, number)) return;
    if (!component.isMarkAsked) {
      component.isMarkAsked = true;
      this.#store(withEpoch(this.#next, mark, this.#followedFrom), out);
    }
    if (this.#isMarked) this.#announce(component, number, out);
  }

  /**
   * The number of the epoch, above all that the members know of; undefined before their states are here. Not below the ring's sequence
   * either, which counts on where originals were quorate among themselves.
   */
  #drawn(): number | undefined {
    const { members, states } = this.#component;
    if (members.length === 1) {
      return Math.max(
        this.#next.promised + 1,
        this.#next.mark.number + 1,
        this.#view?.ringSeq ?? 0,
      );
    }
    let number = 0;
    for (const member of members) {
      if (!this.#isPeer(member)) continue;
      const state = states.get(keyOf(member));
      if (state === undefined) return undefined;
      const { promised, mark } = state.lineage;
      number = Math.max(number, promised + 1, mark.number + 1, state.ringSeq);
    }
    // Nobody comes there by counting; the exchange tells two apart then.
    return Math.min(number, numberMax);
  }

  #promise(component: Component, number: number, out: Out): void {
    const { exchange } = component;
    if (exchange === undefined) return;
    if (!component.isPromiseAsked) {
      component.isPromiseAsked = true;
      this.#store({ ...this.#next, promised: Math.max(this.#next.promised, number) }, out);
    }
    if (component.isPromiseSent || this.#held.promised < number) return;
    component.isPromiseSent = true;
    this.#send({ kind: "promised", exchange, number }, out);
  }

  /** A majority has promised; with originals among us there may be no majority of ours. */
  #mayMark(component: Component, number: number): boolean {
    const view = this.#view;
    if (view === undefined || this.#held.promised < number) return false;
    if (this.silent.length > 0) return true;
    const { members, promised } = component;
    const those = members.filter((member) => promised.has(keyOf(member)));
    return (
      votesOf(
        view,
        those.map(({ nodeid }) => nodeid),
      ) >= this.#needed(view)
    );
  }

  get #isMarked(): boolean {
    const { exchange, number } = this.#component;
    if (exchange === undefined || number === undefined) return false;
    return sameMark(this.#held.mark, { number, exchange });
  }

  /** One message of a kind under way at a time; none while nobody waits for it. */
  #announce(component: Component, number: number, out: Out): void {
    const { exchange } = component;
    const version = this.#durableVersion;
    if (exchange === undefined) return;
    const isNews = !component.isAnnouncing && (version ?? -1) > component.announced;
    if (isNews && (component.announced < 0 || this.#isAwaited(component.announced))) {
      component.isAnnouncing = true;
      component.announced = version ?? -1;
      this.#send({ kind: "durable", exchange, number, version: component.announced }, out);
    }
    if (component.isAsking || component.askSent >= component.asked) return;
    component.isAsking = true;
    component.askSent = component.asked;
    this.#send({ kind: "asked", exchange, number, version: component.asked }, out);
  }

  /** Somebody waits for more than this, and has not heard enough of the others. */
  #isAwaited(announced: number): boolean {
    return this.#unserved().some(({ version }) => version > announced);
  }

  /** An epoch begins at this version of our tree. One before it that was never marked is counted to it: no other tree need know of that one. */
  #follow(mark: Mark, version: number): void {
    if (sameMark(this.#followed, mark)) return;
    const isMarked = sameMark(this.#followed, this.#next.mark);
    this.#followed = mark;
    this.#followedFrom = isMarked ? version : Math.min(this.#followedFrom, version);
  }

  #isPeer(member: GroupMember): boolean {
    return this.#peers.some((peer) => sameMember(peer, member));
  }

  #canSay(member: GroupMember): boolean {
    if (sameMember(member, this.#options.self)) return this.#options.flushes;
    if (!this.#isPeer(member)) return false;
    return this.#component.states.get(keyOf(member))?.flushes !== false;
  }

  #store(lineage: Lineage, out: Out): void {
    this.#next = lineage;
    out.push({ kind: "store", lineage });
  }

  #send(message: OwnMessage, out: Out): void {
    out.push({ kind: "send", message: encodeOwn(message) });
  }
}

function keyOf({ nodeid, pid }: GroupMember): string {
  return `${nodeid}/${pid}`;
}
