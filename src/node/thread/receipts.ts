// What the ring thread has received of one group, in memory that both threads share (world.ts, Receipts). A message is counted, and what was
// to be withdrawn with it is written, within the ring thread's turn that delivers it: before its datagrams leave, hence before the token
// can say that this member has it. So whatever any member calls stable is counted here by then, however far behind the main thread is.
// The two indices are those of a queue with one writer (main thread) and one reader (ring thread). Each side first says what it has, then
// looks at the other (sequentially consistent): a withdrawal is either seen by the ring thread, or the message by the main thread.
import { errnos } from "../../libc.ts";
import type { PortEvent, Receipts } from "../../world.ts";

/** Bounds what one message can make the ring thread write: well below a millisecond. */
const withdrawalsMax = 512;
/** Of one withdrawal; all have this size. */
export const withdrawalBytes = 40;

/** Places of the 32-bit numbers at the beginning. All counts wrap. */
const places = { received: 0, head: 1, tail: 2, fd: 3, writing: 4 } as const;
const headBytes = 32;

/** To the device: the count, or a negative errno. */
export type WithdrawalWriter = (fd: number, message: Uint8Array) => number;

/** Both sides: the main thread makes it, the ring thread gets its memory. */
export class SharedReceipts implements Receipts {
  /** What the other thread is given. */
  readonly memory: SharedArrayBuffer;
  /** Byte string of the group whose events count. */
  readonly group: string;
  readonly #numbers: Int32Array;
  readonly #slots: Uint8Array;
  /** Events that the listener has had; the main thread's own. */
  #passed = 0;
  #isEnded = false;

  constructor(group: string, memory?: SharedArrayBuffer) {
    this.group = group;
    this.memory = memory ?? new SharedArrayBuffer(headBytes + withdrawalsMax * withdrawalBytes);
    this.#numbers = new Int32Array(this.memory, 0, headBytes / 4);
    this.#slots = new Uint8Array(this.memory, headBytes);
    if (memory === undefined) this.#numbers[places.fd] = -1;
  }

  #isOurs(event: PortEvent): boolean {
    return event.kind !== "stable" && event.group === this.group;
  }

  // The main thread

  mark(): number {
    return Atomics.load(this.#numbers, places.received);
  }

  hasPassed(mark: number): boolean {
    return this.#isEnded || ((this.#passed - mark) | 0) >= 0;
  }

  /** The listener has had these. */
  passed(events: readonly PortEvent[]): void {
    for (const event of events) if (this.#isOurs(event)) this.passedOne();
  }

  /** And this, which was `counted`. */
  passedOne(): void {
    this.#passed = (this.#passed + 1) | 0;
  }

  /** No more events will come: nobody waits for them. */
  end(): void {
    this.#isEnded = true;
  }

  withdraw(message: Uint8Array): number | undefined {
    const head = Atomics.load(this.#numbers, places.head);
    const tail = Atomics.load(this.#numbers, places.tail);
    if (((head - tail) | 0) >= withdrawalsMax || message.length !== withdrawalBytes) {
      return undefined;
    }
    this.#slots.set(message, (head & (withdrawalsMax - 1)) * withdrawalBytes);
    Atomics.store(this.#numbers, places.head, (head + 1) | 0);
    return head;
  }

  isWaiting(withdrawal: number): boolean {
    return ((withdrawal - Atomics.load(this.#numbers, places.tail)) | 0) >= 0;
  }

  device(fd: number | undefined): void {
    Atomics.store(this.#numbers, places.fd, fd ?? -1);
    // It may be writing to the old one, which never takes long: FUSE waits for nothing when attributes become invalid.
    while (Atomics.load(this.#numbers, places.writing) !== 0);
  }

  // The ring thread

  /** Counts an event, and carries out what waits for it. Returns the errno that kept something from being withdrawn, else 0. */
  heard(event: PortEvent, write: WithdrawalWriter): number {
    return this.#isOurs(event) ? this.counted(write) : 0;
  }

  /** The same for what is no event of a group, but as good as one: the quorum changed. */
  counted(write: WithdrawalWriter): number {
    Atomics.add(this.#numbers, places.received, 1);
    const head = Atomics.load(this.#numbers, places.head);
    let tail = Atomics.load(this.#numbers, places.tail);
    if (tail === head) return 0;
    let problem = 0;
    Atomics.store(this.#numbers, places.writing, 1);
    const fd = Atomics.load(this.#numbers, places.fd);
    for (; tail !== head; tail = (tail + 1) | 0) {
      if (fd < 0) continue;
      const at = (tail & (withdrawalsMax - 1)) * withdrawalBytes;
      const written = write(fd, this.#slots.subarray(at, at + withdrawalBytes));
      // ENOENT: the kernel has forgotten it by itself. ENODEV: unmounted.
      if (written < 0 && written !== -errnos.ENOENT && written !== -errnos.ENODEV) {
        problem = -written;
      }
    }
    Atomics.store(this.#numbers, places.tail, tail);
    Atomics.store(this.#numbers, places.writing, 0);
    return problem;
  }
}
