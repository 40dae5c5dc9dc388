// What one peer has sent us already: duplicates, fragments put together, and where its counter stands. Spec: knet.md §1.6,
// §1.7. Unlike knet's, this window does not follow the data: a recorded packet that is sent again authenticates (§3.3), and must
// not push the window to where the sender is not. It follows the peer's pings, whose clock separates old ones from new.
// Memory is bounded: 32 KiB of marks and 64 messages of 64 KiB a peer.
import { equalBytes } from "../../bytes.ts";
import { type DataPacket, MESSAGE_BYTES_MAX, PING_EVERY_SEQ } from "./packet.ts";

/** Numbers that lie further behind the sender's counter are too old. */
export const BEHIND_MAX = 4096;
/** None is further ahead of it: every 8191 messages a ping has the counter, and one such ping may be lost. */
export const AHEAD_MAX = 2 * PING_EVERY_SEQ;
/** Twice knet's: under loss many messages wait for their repetition at a time. */
export const ASSEMBLIES_MAX = 64;
const MODULUS = 65_536;
/** Marks are kept by number modulo this: more than are ever near, and a divisor of the modulus. */
const SLOTS = 32_768;
const DELIVERED = 1;
const BEGUN = 2;
/** Data may overtake a ping that takes a slower link, by no more than this. */
const OVERTAKING_MS = 200;
/** By how much a peer's clock may run faster than ours: one that is being set right may gain a twelfth. */
const CLOCK_GAIN_MAX = 0.1;

export interface HeardPing {
  /** The last data number that the peer has used. */
  readonly seq: number;
  /** The peer's monotonic clock, ms; undefined when it cannot be read. */
  readonly clock: number | undefined;
  readonly now: number;
  /** After so long without a ping whose clock goes on, the window follows the data: the peer was started again. */
  readonly silenceMs: number;
}

/** What a data number means: not delivered yet, delivered, or none that the peer can have used just now. */
export type Freshness = "new" | "duplicate" | "stale";

/** What became of a fragment: it completed a message, is kept, or was dropped. */
export type FragmentOutcome =
  | { readonly kind: "complete"; readonly message: Uint8Array }
  | { readonly kind: "kept" | "duplicate" | "expired" | "malformed" };

interface Assembly {
  readonly fragments: number;
  readonly present: Uint8Array;
  count: number;
  /** Length of every fragment but the last; 0 until one of them came. */
  size: number;
  /** The last fragment when it came first: its place is unknown until `size` is. */
  parked: Uint8Array | undefined;
  lastLength: number;
  bytes: Uint8Array | undefined;
  touched: number;
}

export class Window {
  /** The peer's counter as its last ping gave it; without any, the highest number that came. */
  #base: number | undefined;
  /** The number furthest ahead of `#base` that came. */
  #highest = 0;
  readonly #marks = new Uint8Array(SLOTS);
  readonly #assemblies = new Map<number, Assembly>();
  #touches = 0;
  /** Data has led the window since no clock is known. */
  #isFollowing = false;
  #clock: { readonly clock: number; readonly at: number; readonly leadMs: number } | undefined;
  /** What had come when the ping with this clock came. */
  #noted: { readonly clock: number; readonly highest: number } | undefined;

  /** Messages being put together. */
  get assembling(): number {
    return this.#assemblies.size;
  }

  /**
   * The last link went down, or pings of another clock come instead: whatever comes next is new. A clock is taken only from a ping whose counter is
   * where data has led since. No data is taken from a peer that does not answer our own pings, so a live one leads to its own pings,
   * and recorded pings alone lead nowhere.
   */
  reset(): void {
    this.#wipe(undefined);
    this.#clock = undefined;
    this.#isFollowing = false;
  }

  /** Checks data number `seq`; until the peer's clock is known the window follows its data, as knet's does. */
  check(seq: number): Freshness {
    this.#base ??= this.#highest = seq;
    if (this.#clock === undefined) this.#isFollowing = true;
    const ahead = distance(this.#base, seq);
    if (!isNear(ahead)) {
      if (this.#clock !== undefined) return "stale";
      this.#wipe(seq);
    } else if (ahead <= AHEAD_MAX) {
      if (ahead > distance(this.#base, this.#highest)) this.#highest = seq;
      if (this.#clock === undefined) this.#advance(seq);
    }
    return this.#isMarked(seq, DELIVERED) ? "duplicate" : "new";
  }

  /** To be called after the complete message was handed on. */
  delivered(seq: number): void {
    this.#mark(seq, DELIVERED);
  }

  /**
   * A ping of this peer. One that was sent after all that were received before shows where its counter stands: 0 is a restart, and
   * what came from further ahead well before the ping was sent cannot be what the peer sends now.
   */
  pinged(ping: HeardPing): void {
    const { seq, clock } = ping;
    if (clock === undefined) {
      if (seq === 0 && this.#base !== 0) this.#wipe(0);
      return;
    }
    const isFirst = this.#clock === undefined;
    if (!this.#goesOn(ping, clock)) return;
    const base = this.#base ?? seq;
    const isBack = (seq === 0 && base !== 0) || isBehind(base, seq);
    if (!isBack) this.#advance(seq);
    // Data that has overtaken the first ping has come nevertheless.
    else if (isFirst) this.#base = seq;
    else this.#wipe(seq);
    const noted = this.#noted;
    if (noted !== undefined && clock - noted.clock < OVERTAKING_MS && clock >= noted.clock) return;
    if (noted !== undefined && noted.highest !== seq && !isBehind(seq, noted.highest)) {
      this.#forgetAhead(seq);
    }
    this.#noted = { clock, highest: this.#highest };
  }

  /** Whether a ping with this clock is the latest so far; a recorded one that is sent again is not. */
  #goesOn({ seq, now, silenceMs }: HeardPing, clock: number): boolean {
    const last = this.#clock;
    if (last === undefined) {
      if (!this.#isFollowing || !isNear(distance(this.#base ?? seq, seq))) return false;
      this.#clock = { clock, at: now, leadMs: 0 };
      return true;
    }
    const passed = clock - last.clock;
    const elapsed = now - last.at;
    // A clock that leaps belongs to an earlier start of the peer, and one that keeps running ahead to a recording.
    const leadMs = Math.max(0, last.leadMs + passed - elapsed * (1 + CLOCK_GAIN_MAX));
    const isOn = passed > 0 && leadMs <= silenceMs && elapsed - passed < silenceMs;
    if (isOn) this.#clock = { clock, at: now, leadMs };
    else if (elapsed >= silenceMs) this.reset();
    return isOn;
  }

  /** Adds one fragment of a message that is new. */
  fragment(packet: DataPacket): FragmentOutcome {
    const assembly = this.#assembly(packet);
    if (assembly === undefined) return { kind: "expired" };
    if (assembly.fragments !== packet.fragments) return { kind: "malformed" };
    if (assembly.present[packet.fragment - 1] === 1) return { kind: "duplicate" };
    this.#touches += 1;
    assembly.touched = this.#touches;
    if (!place(assembly, packet)) return { kind: "malformed" };
    assembly.present[packet.fragment - 1] = 1;
    assembly.count += 1;
    if (packet.fragment === 1 && isMulticast(packet)) this.#resume(assembly);
    if (assembly.count < assembly.fragments || assembly.bytes === undefined)
      return { kind: "kept" };
    this.#assemblies.delete(packet.seq);
    const length = (assembly.fragments - 1) * assembly.size + assembly.lastLength;
    return { kind: "complete", message: assembly.bytes.subarray(0, length) };
  }

  #assembly(packet: DataPacket): Assembly | undefined {
    const known = this.#assemblies.get(packet.seq);
    if (known !== undefined) return known;
    if (this.#isMarked(packet.seq, BEGUN)) return undefined;
    if (this.#assemblies.size >= ASSEMBLIES_MAX) this.#dropOldest();
    this.#mark(packet.seq, BEGUN);
    const fresh: Assembly = {
      fragments: packet.fragments,
      present: new Uint8Array(packet.fragments),
      count: 0,
      size: 0,
      parked: undefined,
      lastLength: 0,
      bytes: undefined,
      touched: 0,
    };
    this.#assemblies.set(packet.seq, fresh);
    return fresh;
  }

  /**
   * A message that the ring sends again has a new number and the same bytes: what came of it before is taken over. Otherwise a
   * large one hardly ever arrives under loss, since all of its fragments would have to come at one attempt.
   */
  #resume(assembly: Assembly): void {
    for (const [seq, earlier] of this.#assemblies) {
      if (earlier === assembly || !beginsAlike(earlier, assembly)) continue;
      for (let i = 1; i < assembly.fragments; i += 1) takeOver(assembly, earlier, i);
      this.#assemblies.delete(seq);
    }
  }

  #dropOldest(): void {
    let oldest: number | undefined;
    let touched = Number.POSITIVE_INFINITY;
    for (const [seq, assembly] of this.#assemblies) {
      if (assembly.touched >= touched) continue;
      touched = assembly.touched;
      oldest = seq;
    }
    if (oldest !== undefined) this.#assemblies.delete(oldest);
  }

  #isMarked(seq: number, mark: number): boolean {
    return ((this.#marks[seq % SLOTS] ?? 0) & mark) !== 0;
  }

  #mark(seq: number, mark: number): void {
    const slot = seq % SLOTS;
    this.#marks[slot] = (this.#marks[slot] ?? 0) | mark;
  }

  /** The peer's counter is at `seq` now: the numbers that come near by that have no marks yet. */
  #advance(seq: number): void {
    const base = this.#base ?? seq;
    this.#clear(base + AHEAD_MAX, distance(base, seq));
    this.#base = seq;
    if (isBehind(seq, this.#highest)) this.#highest = seq;
    for (const number of this.#assemblies.keys()) {
      if (!isNear(distance(seq, number))) this.#assemblies.delete(number);
    }
  }

  /** Whatever came from ahead of `seq` was sent in another time. */
  #forgetAhead(seq: number): void {
    this.#clear(seq, AHEAD_MAX);
    this.#highest = seq;
    for (const number of this.#assemblies.keys()) {
      if (!isBehind(seq, number)) this.#assemblies.delete(number);
    }
  }

  /** Takes the marks of `count` numbers after `from`. */
  #clear(from: number, count: number): void {
    for (let i = 1; i <= Math.min(count, SLOTS); i += 1) this.#marks[(from + i) % SLOTS] = 0;
  }

  #wipe(base: number | undefined): void {
    this.#marks.fill(0);
    this.#assemblies.clear();
    this.#base = base;
    this.#highest = base ?? 0;
    this.#noted = undefined;
  }
}

/** How far `to` lies ahead of `from`, 0 … 65535. */
function distance(from: number, to: number): number {
  return (to - from + MODULUS) % MODULUS;
}

function isNear(ahead: number): boolean {
  return ahead <= AHEAD_MAX || ahead > MODULUS - BEHIND_MAX;
}

function isBehind(from: number, seq: number): boolean {
  return distance(from, seq) > MODULUS / 2;
}

const MCAST_HEADER_BYTES = 45;
const MCAST_TYPE = 1;

/** An mcast begins with its ring and its number there (totem.md §1.4), so what begins alike is the same. */
function isMulticast({ method, data }: DataPacket): boolean {
  return method === 0 && data.length >= MCAST_HEADER_BYTES && data[3] === MCAST_TYPE;
}

function beginsAlike(one: Assembly, other: Assembly): boolean {
  if (one.fragments !== other.fragments || one.size !== other.size) return false;
  if (one.present[0] !== 1 || one.bytes === undefined || other.bytes === undefined) return false;
  return equalBytes(one.bytes.subarray(0, one.size), other.bytes.subarray(0, other.size));
}

/** Fragment `i + 1`, if only the earlier assembly has it. */
function takeOver(assembly: Assembly, earlier: Assembly, i: number): void {
  if (assembly.present[i] === 1 || earlier.present[i] !== 1 || earlier.bytes === undefined) return;
  const begin = i * earlier.size;
  const isLast = i === earlier.fragments - 1;
  const data = earlier.bytes.subarray(begin, begin + (isLast ? earlier.lastLength : earlier.size));
  if (!isLast) assembly.bytes?.set(data, begin);
  else if (!placeLast(assembly, data)) return;
  assembly.present[i] = 1;
  assembly.count += 1;
}

/** Copies a fragment to its place; false when its length contradicts the others or the message would be too long. */
function place(assembly: Assembly, packet: DataPacket): boolean {
  const data = packet.data;
  if (packet.fragment === packet.fragments) {
    if (assembly.size === 0) {
      if (data.length > MESSAGE_BYTES_MAX) return false;
      assembly.parked = data;
      return true;
    }
    return placeLast(assembly, data);
  }
  if (assembly.size === 0) {
    const before = (packet.fragments - 1) * data.length;
    if (data.length === 0 || before >= MESSAGE_BYTES_MAX) return false;
    assembly.size = data.length;
    assembly.bytes = new Uint8Array(Math.min(before + data.length, MESSAGE_BYTES_MAX));
    if (assembly.parked !== undefined && !unpark(assembly)) return false;
  }
  if (data.length !== assembly.size) return false;
  assembly.bytes?.set(data, (packet.fragment - 1) * assembly.size);
  return true;
}

function placeLast(assembly: Assembly, data: Uint8Array): boolean {
  const before = (assembly.fragments - 1) * assembly.size;
  const bytes = assembly.bytes;
  if (bytes === undefined || data.length > assembly.size) return false;
  if (before + data.length > bytes.length) return false;
  bytes.set(data, before);
  assembly.lastLength = data.length;
  return true;
}

/** A parked last fragment that does not fit what followed is forgotten, so that a good copy may still come. */
function unpark(assembly: Assembly): boolean {
  const parked = assembly.parked;
  assembly.parked = undefined;
  if (parked === undefined || placeLast(assembly, parked)) return true;
  assembly.present[assembly.fragments - 1] = 0;
  assembly.count -= 1;
  assembly.size = 0;
  assembly.bytes = undefined;
  return false;
}
