// What one remote host has sent us already: duplicates within a window of 4096 numbers, fragments put together, and the
// restart signs in its pings. Spec: knet.md §1.6, §1.7. Memory is bounded: 8 KiB of marks and 32 messages of 64 KiB a host.
import { type DataPacket, MESSAGE_BYTES_MAX } from "./packet.ts";

export const WINDOW = 4096;
export const ASSEMBLIES_MAX = 32;
const MODULUS = 65_536;

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
  #head = 0;
  readonly #seen = new Uint8Array(WINDOW);
  readonly #seenFragment = new Uint8Array(WINDOW);
  readonly #assemblies = new Map<number, Assembly>();
  #touches = 0;
  #lastTimed = 0;
  #lastUntimed = 0;
  #gotData = false;

  /** Messages being put together. */
  get assembling(): number {
    return this.#assemblies.size;
  }

  /** The last link went down: whatever comes next is new. */
  reset(): void {
    this.#wipe(0);
  }

  /** True when data number `seq` was not delivered yet; moves the window. */
  isNew(seq: number): boolean {
    this.#gotData = true;
    return this.#look(this.#seen, seq);
  }

  /** To be called after the complete message was handed on. */
  delivered(seq: number): void {
    this.#seen[seq % WINDOW] = 1;
  }

  /** A ping of this host: a timed one with 0 is a restart, an untimed one keeps windows in step that see no data (§1.7). */
  pinged(seq: number, timed: boolean): void {
    if (timed) {
      if (seq === this.#lastTimed) return;
      this.#lastTimed = seq;
      if (seq === 0) this.#wipe(0);
      return;
    }
    if (seq !== this.#lastUntimed) {
      this.#lastUntimed = seq;
      if (!this.#gotData) this.#wipe(seq);
      this.#gotData = false;
    }
    this.#look(this.#seen, seq);
  }

  /** Adds one fragment of a message that `isNew`. The data is copied. */
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
    if (assembly.count < assembly.fragments || assembly.bytes === undefined)
      return { kind: "kept" };
    this.#assemblies.delete(packet.seq);
    const length = (assembly.fragments - 1) * assembly.size + assembly.lastLength;
    return { kind: "complete", message: assembly.bytes.subarray(0, length) };
  }

  #assembly(packet: DataPacket): Assembly | undefined {
    const known = this.#assemblies.get(packet.seq);
    if (known !== undefined) return known;
    if (!this.#look(this.#seenFragment, packet.seq)) return undefined;
    if (this.#assemblies.size >= ASSEMBLIES_MAX) this.#dropOldest();
    this.#seenFragment[packet.seq % WINDOW] = 1;
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

  /** The seven steps of §1.6 on one of the two arrays of marks. */
  #look(marks: Uint8Array, seq: number): boolean {
    if (this.#head === 0) this.#head = seq;
    for (const number of this.#assemblies.keys()) {
      if ((this.#head - number + MODULUS) % MODULUS > ASSEMBLIES_MAX) {
        this.#assemblies.delete(number);
      }
    }
    const head = this.#head;
    // Older numbers give a small distance, newer ones one near 65535.
    const distance =
      seq < head ? (MODULUS - 1 - seq + head) % MODULUS : (head - seq + MODULUS) % MODULUS;
    if (distance < WINDOW) return marks[seq % WINDOW] === 0;
    if (distance <= MODULUS - 1 - WINDOW) {
      this.#wipe(seq);
      return true;
    }
    for (let number = (head + 1) % MODULUS; ; number = (number + 1) % MODULUS) {
      this.#seen[number % WINDOW] = 0;
      this.#seenFragment[number % WINDOW] = 0;
      if (number === seq) break;
    }
    this.#head = seq;
    return true;
  }

  #wipe(head: number): void {
    this.#seen.fill(0);
    this.#seenFragment.fill(0);
    this.#assemblies.clear();
    this.#head = head;
  }
}

/** Copies a fragment to its place; false when its length contradicts the others or the message would be too long. */
function place(assembly: Assembly, packet: DataPacket): boolean {
  const data = packet.data;
  if (packet.fragment === packet.fragments) {
    if (assembly.size === 0) {
      if (data.length > MESSAGE_BYTES_MAX) return false;
      assembly.parked = data.slice();
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
