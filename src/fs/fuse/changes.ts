// Requests whose answer comes later: a change waits for the cluster, possibly for long (pmxcfs.md §2.10). Counts and bounds
// them, and lets a signalled process go: after INTERRUPT an answer is still awaited for a while, then EINTR is given. The
// change itself cannot be taken back and may still be carried out.
import { errnos } from "../../libc.ts";
import type { Unique } from "./abi.ts";

/**
 * Long enough that signals that a program handles (SIGCHLD, SIGWINCH, …) never break a write of a working cluster; short
 * enough that Ctrl-C and alarm() free a process that waits for a cluster that does not move.
 */
const INTERRUPT_GRACE_MS = 1000;

/** An answer; `undelivered` undoes what the kernel never got to know (a lookup count, an open handle). */
export interface Reply {
  readonly errno: number;
  readonly body?: Uint8Array;
  readonly undelivered?: () => void;
}

export interface ChangesOptions {
  readonly reply: (unique: Unique, reply: Reply) => void;
  readonly countMax: number;
  readonly bytesMax: number;
  readonly interruptGraceMs?: number;
}

interface Waiting {
  isAnswered: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Changes {
  readonly #options: ChangesOptions;
  readonly #waiting = new Map<string, Waiting>();
  #count = 0;
  #bytes = 0;
  #onRoom: (() => void)[] = [];

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  /** Requests that are not yet done, those answered by EINTR included. */
  get count(): number {
    return this.#count;
  }

  /** True while no further request may be taken from the kernel: what waits would fill the memory. */
  get isFull(): boolean {
    return this.#count >= this.#options.countMax || this.#bytes >= this.#options.bytesMax;
  }

  /** Calls back once, when a request was done. */
  onRoom(callback: () => void): void {
    this.#onRoom.push(callback);
  }

  /** Answers `unique` when `work` is done. `bytes` is what the request keeps in memory. A rejection is a bug and ends us. */
  add(unique: Unique, bytes: number, work: Promise<Reply>): void {
    const key = keyOf(unique);
    const waiting: Waiting = { isAnswered: false, timer: undefined };
    this.#waiting.set(key, waiting);
    this.#count += 1;
    this.#bytes += bytes;
    void work.then((reply) => {
      this.#count -= 1;
      this.#bytes -= bytes;
      clearTimeout(waiting.timer);
      if (waiting.isAnswered) reply.undelivered?.();
      else {
        this.#waiting.delete(key);
        this.#options.reply(unique, reply);
      }
      const onRoom = this.#onRoom;
      this.#onRoom = [];
      for (const callback of onRoom) callback();
    });
  }

  /** The process that waits for `unique` got a signal. Unknown numbers were answered meanwhile. */
  interrupt(unique: Unique): void {
    const key = keyOf(unique);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined || waiting.timer !== undefined) return;
    waiting.timer = setTimeout(() => {
      waiting.isAnswered = true;
      this.#waiting.delete(key);
      this.#options.reply(unique, { errno: errnos.EINTR });
    }, this.#options.interruptGraceMs ?? INTERRUPT_GRACE_MS);
  }

  /** No answers any more: the mount is gone. What was begun still runs to its end. */
  abandon(): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.isAnswered = true;
    }
    this.#waiting.clear();
  }
}

function keyOf(unique: Unique): string {
  return `${unique.high}:${unique.low}`;
}
