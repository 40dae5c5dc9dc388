// How large a packet one link carries: the arithmetic of data_mtu and the search by probes. Spec: knet.md §4.
// Pure: it says which probe to send next and gets its result. Probes that are larger than our own interface are
// refused by our kernel and never reach the wire.
import { FRAGMENTS_MAX, MESSAGE_BYTES_MAX, PING_BYTES, PROBE_BYTES_MIN } from "./packet.ts";

/** What protection adds to a packet (seal.ts). `hashBytes` 0 and no cipher: clear. */
export interface Overhead {
  readonly cipher: boolean;
  readonly hashBytes: number;
}

const UDP_BYTES = 8;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const IV_BYTES = 16;
const BLOCK_BYTES = 16;
/** The largest knet header, reserved although data needs only 14 (§4.1). */
const HEADER_RESERVE_BYTES = 26;
const IP_PACKET_MAX = 65_535;
/** Below this the largest message has more fragments than can be counted: such a path is of no use. */
const DATA_MTU_MIN = Math.ceil(MESSAGE_BYTES_MAX / FRAGMENTS_MAX);
const START_IPV4 = 576;
const START_IPV6 = 1280;
/** First guess after our interface refused the largest size: what most networks carry. */
const USUAL_MTU = 1500;
const ATTEMPTS_MAX = 30;
/** A single lost probe must not shrink the link for half a minute. */
const TRIES_PER_SIZE = 2;

function ipBytes(ipv6: boolean): number {
  return (ipv6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES;
}

/** Largest clear knet packet whose protected form fits `space` bytes of UDP payload; negative when there is no room. */
function clearBytes(space: number, overhead: Overhead): number {
  if (!overhead.cipher) return space - overhead.hashBytes;
  return Math.floor((space - IV_BYTES - overhead.hashBytes) / BLOCK_BYTES) * BLOCK_BYTES - 1;
}

/** UDP payload of a clear packet of `bytes` once protected (§3.3). */
export function sealedBytes(bytes: number, overhead: Overhead): number {
  if (!overhead.cipher) return bytes + overhead.hashBytes;
  return IV_BYTES + (Math.floor(bytes / BLOCK_BYTES) + 1) * BLOCK_BYTES + overhead.hashBytes;
}

/** User data of one fragment in an IP packet of `mtu` bytes (§4.1). */
export function dataMtu(mtu: number, ipv6: boolean, overhead: Overhead): number {
  return clearBytes(mtu - ipBytes(ipv6), overhead) - HEADER_RESERVE_BYTES;
}

/** The working value before any link was measured: 576 with room for either IP version (§4.2). */
export function dataMtuFloor(overhead: Overhead): number {
  return (
    clearBytes(START_IPV4 - IPV6_BYTES - IPV4_BYTES - UDP_BYTES, overhead) - HEADER_RESERVE_BYTES
  );
}

export interface PathOptions {
  readonly ipv6: boolean;
  readonly overhead: Overhead;
  readonly intervalMs: number;
  /** totem.knet_mtu: an IP packet size used without probing; 0 means probe. */
  readonly fixedMtu: number;
}

/** A probe to send: `size` is the IP packet size written into it, `bytes` the clear knet packet's length. */
export interface Probe {
  readonly size: number;
  readonly bytes: number;
}

/** After an event: send this, or the run has ended well or badly, or nothing changed. */
export type SearchStep =
  | { readonly kind: "probe"; readonly probe: Probe }
  | { readonly kind: "found"; readonly before: number }
  | { readonly kind: "failed" }
  | { readonly kind: "idle" };

const IDLE: SearchStep = { kind: "idle" };

/** What the last finished search of a path has found. */
export interface PathReport {
  /** `fixed`: corosync.conf says the MTU; `new`: no search was finished yet; `failed`: no probe was answered, and no data goes there. */
  readonly state: "fixed" | "new" | "measured" | "failed";
  /** Bytes of the largest IP packet that is sent. */
  readonly mtu: number;
  /** Bytes of the smallest IP packet that our interface took and nobody answered, though it was sent twice; absent: none. */
  readonly unanswered?: number;
}

interface Run {
  /** Largest size known to pass, smallest known not to. */
  good: number;
  bad: number;
  answered: boolean;
  size: number;
  deadline: number;
  tries: number;
  attempts: number;
  /** Smallest size that went out in vain. */
  lost: number | undefined;
  /** Sizes worth trying before bisecting. */
  readonly hints: number[];
}

/** The path MTU of one link. */
export class PathMtu {
  #options: PathOptions;
  /** IP packet size known to pass. */
  #mtu: number;
  #isMeasured: boolean;
  #isValid: boolean;
  #isForced = true;
  #startedAt: number | undefined;
  #run: Run | undefined;
  /** Of the last run. */
  #unanswered: number | undefined;

  constructor(options: PathOptions) {
    this.#options = options;
    this.#mtu = this.#startMtu();
    this.#isMeasured = options.fixedMtu > 0;
    this.#isValid = this.dataMtu >= DATA_MTU_MIN;
  }

  #startMtu(): number {
    if (this.#options.fixedMtu > 0) return this.#options.fixedMtu;
    return this.#options.ipv6 ? START_IPV6 : START_IPV4;
  }

  /** False after a run without any answer: such a link carries no data (§4.3). */
  get isValid(): boolean {
    return this.#isValid;
  }
  /** False from the moment the link came up until a run ended. */
  get isMeasured(): boolean {
    return this.#isMeasured;
  }
  get isSearching(): boolean {
    return this.#run !== undefined;
  }
  get dataMtu(): number {
    return dataMtu(this.#mtu, this.#options.ipv6, this.#options.overhead);
  }
  /** UDP payload of the probe that is under way, protected; undefined without one. */
  get probeDatagramBytes(): number | undefined {
    if (this.#run === undefined) return undefined;
    return this.#run.size - ipBytes(this.#options.ipv6);
  }
  get report(): PathReport {
    const { fixedMtu } = this.#options;
    const measured = this.#isValid ? "measured" : "failed";
    const state = this.#isMeasured ? measured : "new";
    return {
      state: fixedMtu > 0 ? "fixed" : state,
      mtu: this.#mtu,
      ...(this.#unanswered === undefined ? {} : { unanswered: this.#unanswered }),
    };
  }
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** The link came up, the key changed or the kernel refused data: measure again, from scratch, at the next tick. */
  force(): void {
    this.#run = undefined;
    if (this.#options.fixedMtu > 0) return;
    this.#isForced = true;
    this.#isMeasured = false;
  }

  /** The link went down: a run that is under way means nothing. */
  abort(): void {
    this.#run = undefined;
  }

  retune(options: PathOptions): void {
    const before = this.#options;
    this.#options = options;
    const changed =
      before.fixedMtu !== options.fixedMtu ||
      before.overhead.cipher !== options.overhead.cipher ||
      before.overhead.hashBytes !== options.overhead.hashBytes;
    if (!changed) return;
    this.#mtu = this.#startMtu();
    this.#isMeasured = options.fixedMtu > 0;
    this.#isValid = this.dataMtu >= DATA_MTU_MIN;
    this.force();
  }

  /** Each tick of a link that is up: starts a run when one is due, or counts a probe as lost. */
  tick(now: number, answerMs: number): SearchStep {
    if (this.#options.fixedMtu > 0) return IDLE;
    const run = this.#run;
    if (run !== undefined) return now >= run.deadline ? this.#lost(run, now, answerMs) : IDLE;
    const isDue =
      this.#startedAt === undefined || now - this.#startedAt >= this.#options.intervalMs;
    if (!isDue && !this.#isForced) return IDLE;
    return this.#start(now, answerMs);
  }

  #start(now: number, answerMs: number): SearchStep {
    this.#isForced = false;
    this.#startedAt = now;
    const ping = sealedBytes(PING_BYTES, this.#options.overhead) + ipBytes(this.#options.ipv6);
    const guess = this.#round(this.#isMeasured && this.#isValid ? this.#mtu : USUAL_MTU);
    const run: Run = {
      good: ping,
      bad: IP_PACKET_MAX + 1,
      answered: false,
      size: 0,
      deadline: 0,
      tries: 0,
      attempts: 0,
      lost: undefined,
      hints: [this.#round(IP_PACKET_MAX), guess, guess + this.#grain()],
    };
    this.#run = run;
    return this.#next(run, now, answerMs);
  }

  /** A reply that carries `size`. */
  replied(size: number, now: number, answerMs: number): SearchStep {
    const run = this.#run;
    if (run === undefined || size !== run.size) return IDLE;
    run.good = Math.max(run.good, size);
    run.answered = true;
    return this.#next(run, now, answerMs);
  }

  /** Our kernel refused the probe under way as too large: nothing went out. */
  refused(now: number, answerMs: number): SearchStep {
    const run = this.#run;
    if (run === undefined) return IDLE;
    // Not a real attempt, except at the smallest size, which would be refused for ever.
    if (run.size > run.good) run.attempts -= 1;
    return this.#tooLarge(run, now, answerMs);
  }

  #lost(run: Run, now: number, answerMs: number): SearchStep {
    if (run.tries < TRIES_PER_SIZE && run.attempts < ATTEMPTS_MAX) {
      return this.#send(run, run.size, now, answerMs);
    }
    run.lost = Math.min(run.lost ?? run.size, run.size);
    return this.#tooLarge(run, now, answerMs);
  }

  #tooLarge(run: Run, now: number, answerMs: number): SearchStep {
    if (run.size > run.good) run.bad = Math.min(run.bad, run.size);
    else if (!run.answered && run.attempts >= ATTEMPTS_MAX) return this.#fail();
    return this.#next(run, now, answerMs);
  }

  #next(run: Run, now: number, answerMs: number): SearchStep {
    for (let hint = run.hints.shift(); hint !== undefined; hint = run.hints.shift()) {
      if (hint > run.good && hint < run.bad) return this.#attempt(run, hint, now, answerMs);
    }
    const isClosed = run.bad - run.good <= this.#grain() || run.good === this.#round(IP_PACKET_MAX);
    if (isClosed && run.answered) return this.#found(run);
    const middle = this.#round(Math.floor((run.good + run.bad) / 2));
    // Without any answer the smallest size is asked again and again until the attempts are used up.
    const size = isClosed || middle <= run.good ? run.good : middle;
    if (size === run.good && run.answered) return this.#found(run);
    return this.#attempt(run, size, now, answerMs);
  }

  #attempt(run: Run, size: number, now: number, answerMs: number): SearchStep {
    if (run.attempts >= ATTEMPTS_MAX) return run.answered ? this.#found(run) : this.#fail();
    run.tries = 0;
    return this.#send(run, size, now, answerMs);
  }

  #send(run: Run, size: number, now: number, answerMs: number): SearchStep {
    run.size = size;
    run.tries += 1;
    run.attempts += 1;
    run.deadline = now + answerMs;
    const bytes = clearBytes(size - ipBytes(this.#options.ipv6), this.#options.overhead);
    return { kind: "probe", probe: { size, bytes: Math.max(bytes, PROBE_BYTES_MIN) } };
  }

  #found(run: Run): SearchStep {
    const before = this.dataMtu;
    this.#mtu = run.good;
    this.#unanswered = run.lost !== undefined && run.lost > run.good ? run.lost : undefined;
    this.#run = undefined;
    this.#isValid = this.dataMtu >= DATA_MTU_MIN;
    this.#isMeasured = true;
    return this.#isValid ? { kind: "found", before } : { kind: "failed" };
  }

  #fail(): SearchStep {
    this.#unanswered = this.#run?.lost;
    this.#run = undefined;
    this.#isValid = false;
    this.#isMeasured = true;
    return { kind: "failed" };
  }

  /** Sizes differ by one byte, with a cipher by one block. */
  #grain(): number {
    return this.#options.overhead.cipher ? BLOCK_BYTES : 1;
  }

  /** The largest size up to `mtu` that a protected packet can have exactly. */
  #round(mtu: number): number {
    const overhead = this.#options.overhead;
    if (!overhead.cipher) return mtu;
    const head = ipBytes(this.#options.ipv6) + IV_BYTES + overhead.hashBytes;
    return head + Math.floor((mtu - head) / BLOCK_BYTES) * BLOCK_BYTES;
  }
}
