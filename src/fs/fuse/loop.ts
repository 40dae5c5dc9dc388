// The device loop: takes requests from /dev/fuse, gives them to a session, writes its replies (engineering.md §11).
// One asynchronous wait (SIGIO: it needs no thread, so nothing else in the process has to queue behind it), then draining
// by bounded polling: the cost is the wake-up, not the work. It never keeps the event loop for more than DRAIN_MS.
import type { Files } from "../tree/files.ts";
import {
  closeFd,
  errnoName,
  errnos,
  ownInputSignal,
  readFd,
  signalOnInput,
  writeFd,
  writev,
} from "../../libc.ts";
import type { Level, Receipts } from "../../world.ts";
import { writeBytesMax, type Unique } from "./abi.ts";
import { encodeReplyHeader, outHeaderBytes } from "./reply.ts";
import { Session } from "./session.ts";

/** The kernel wants room for its largest request: a WRITE with its headers. */
const REQUEST_BYTES_MAX = writeBytesMax + 8192;
/** After so long the rest of the program gets its turn. */
const DRAIN_MS = 2;
/** How long the device is polled after the last request or reply before we wait for the signal. */
const QUIET_MS = 0.05;
const NOTIFIED_AT_ONCE = 256;
/** A signal that was lost would cost so much once; the interval also keeps the process alive. */
const CHECK_MS = 1000;

export interface LoopOptions {
  /** An open, mounted /dev/fuse, non-blocking. The loop closes it at its end. */
  readonly fd: number;
  readonly files: Files;
  readonly gid: number;
  readonly log: (level: Level, text: string) => void;
  /** Of the ring thread, where the tree is replicated: it withdraws attributes through the same descriptor. */
  readonly receipts: Receipts | undefined;
}

/** A request that came while the tree was behind what this member had received. */
interface Early {
  readonly request: Uint8Array;
  readonly mark: number;
}

export class DeviceLoop {
  /** Why the kernel or `stop` ended it, as a sentence. The descriptor is closed then. */
  readonly ended: Promise<string>;
  /** INIT was answered; "" or why the kernel cannot be served. */
  readonly initialised: Promise<string>;
  readonly #fd: number;
  readonly #log: (level: Level, text: string) => void;
  readonly #receipts: Receipts | undefined;
  readonly #session: Session;
  readonly #buffer = new Uint8Array(REQUEST_BYTES_MAX);
  readonly #header = new Uint8Array(outHeaderBytes);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #end = Promise.withResolvers<string>();
  readonly #onSignal = () => this.#wake();
  readonly #check: ReturnType<typeof setInterval>;
  #early: Early | undefined;
  #isDraining = false;
  #isEnded = false;
  #activeAt = 0;

  constructor(options: LoopOptions) {
    this.#fd = options.fd;
    this.#log = options.log;
    this.#receipts = options.receipts;
    this.#receipts?.device(this.#fd);
    this.ended = this.#end.promise;
    const initialised = Promise.withResolvers<string>();
    this.initialised = initialised.promise;
    this.#session = new Session({
      files: options.files,
      gid: options.gid,
      log: options.log,
      ...(options.receipts && { receipts: options.receipts }),
      send: (unique, errno, body) => this.#send(unique, errno, body),
      onInit: initialised.resolve,
    });
    process.on("SIGIO", this.#onSignal);
    this.#check = setInterval(this.#onSignal, CHECK_MS);
    const errno = ownInputSignal(this.#fd);
    if (errno !== 0) this.#log("warning", `FUSE without signals is slow: ${errnoName(errno)}`);
    this.#wake();
  }

  /** Nodes, handles and waiting requests; whether one waits for what was received to be in the tree. */
  snapshot(): ReturnType<Session["snapshot"]> & { readonly isBehind: boolean } {
    return { ...this.#session.snapshot(), isBehind: this.#early !== undefined };
  }

  /** Resolves when no request waits for the cluster, or after `timeoutMs`. */
  async quiet(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.#session.changes.count > 0 && performance.now() < deadline) {
      const room = Promise.withResolvers<void>();
      const timer = setTimeout(room.resolve, Math.max(1, deadline - performance.now()));
      this.#session.changes.onRoom(room.resolve);
      await room.promise;
      clearTimeout(timer);
    }
  }

  /**
   * Objects changed, of `paths` or (undefined) all: the kernel asks anew. Only attributes are made invalid, which takes no lock
   * of the kernel's: dropping names or pages here could wait for a request that only this thread can answer.
   */
  changed(paths: readonly string[] | undefined, isOwn: boolean): void {
    if (paths === undefined) return this.#allChanged(this.#session.allChanged());
    for (const path of paths) this.#notify(this.#session.changed(path, isOwn));
  }

  /** A whole tree in pieces, so that requests are answered in between. */
  #allChanged(messages: Iterator<Uint8Array>): void {
    for (let count = 0; count < NOTIFIED_AT_ONCE; count += 1) {
      const { value, done } = messages.next();
      if (done === true) return;
      this.#notify(value);
    }
    setImmediate(() => this.#allChanged(messages));
  }

  #notify(message: Uint8Array | undefined): void {
    if (message === undefined || this.#isEnded) return;
    const written = writeFd(this.#fd, message);
    // ENOENT: the kernel has just forgotten the node.
    if (written < 0 && written !== -errnos.ENOENT && written !== -errnos.ENODEV) {
      this.#log("warning", `FUSE: the kernel refused an invalidation (${errnoName(-written)})`);
    }
  }

  /** Ends the loop. Closing the device ends the connection: who still waits gets an error from the kernel. */
  stop(why: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearInterval(this.#check);
    signalOnInput(this.#fd, false);
    process.off("SIGIO", this.#onSignal);
    this.#session.changes.abandon();
    this.#receipts?.device(undefined);
    closeFd(this.#fd);
    this.#end.resolve(why);
  }

  #wake(): void {
    if (this.#isDraining || this.#isEnded) return;
    this.#isDraining = true;
    signalOnInput(this.#fd, false);
    this.#activeAt = performance.now();
    this.#drain();
  }

  #drain(): void {
    const until = performance.now() + DRAIN_MS;
    while (!this.#isEnded) {
      const { changes } = this.#session;
      if (!this.#isCaughtUp()) return this.#later();
      if (changes.isFull) return changes.onRoom(() => this.#later());
      const isTaken = this.#take();
      if (isTaken === undefined) return;
      const now = performance.now();
      if (isTaken) this.#activeAt = now;
      else if (now - this.#activeAt >= QUIET_MS) return this.#rest();
      // What waits for the cluster is answered from the event loop only: polling here would delay it.
      if (now >= until || (!isTaken && changes.count > 0)) return this.#later();
    }
  }

  #later(): void {
    setImmediate(() => this.#drain());
  }

  /** Waits for the signal. A request that came just before it was switched on would give none: look once more. */
  #rest(): void {
    const errno = signalOnInput(this.#fd, true);
    if (errno !== 0) this.#log("warning", `FUSE without signals is slow: ${errnoName(errno)}`);
    const isTaken = this.#take();
    if (isTaken === true) {
      this.#activeAt = performance.now();
      signalOnInput(this.#fd, false);
      return this.#later();
    }
    if (isTaken === false) this.#isDraining = false;
  }

  /** True: one request was handled; false: there is none; undefined: the loop has ended. */
  #take(): boolean | undefined {
    const count = readFd(this.#fd, this.#buffer);
    if (count > 0) return this.#handle(this.#buffer.subarray(0, count));
    switch (-count) {
      case errnos.EAGAIN:
        return false;
      case errnos.EINTR:
      case errnos.ENOENT: // A request that was taken back while we read it.
        return true;
      case errnos.ENODEV:
        this.stop("the file system was unmounted by another program");
        return undefined;
      default:
        this.#log("error", `/dev/fuse cannot be read any more: ${errnoName(-count)}`);
        this.stop(`/dev/fuse cannot be read any more: ${errnoName(-count)}`);
        return undefined;
    }
  }

  /**
   * Who has an answer elsewhere may look here next: what was stable then has been received here, and must be in the tree first. The request
   * waits in the buffer, and those behind it in the kernel.
   */
  #handle(request: Uint8Array): boolean | undefined {
    const mark = this.#receipts?.mark();
    if (mark !== undefined && this.#receipts?.hasPassed(mark) === false) {
      this.#early = { request, mark };
      return true;
    }
    this.#session.handle(request);
    return this.#isEnded ? undefined : true;
  }

  /** Whether nothing waits for the tree any more. */
  #isCaughtUp(): boolean {
    const early = this.#early;
    if (early === undefined) return true;
    if (this.#receipts?.hasPassed(early.mark) === false) return false;
    this.#early = undefined;
    this.#session.handle(early.request);
    return true;
  }

  #send(unique: Unique, errno: number, body: Uint8Array | undefined): boolean {
    if (this.#isEnded) return false;
    const bodyBytes = errno === 0 && body !== undefined ? body.length : 0;
    encodeReplyHeader(this.#headerView, unique, errno, bodyBytes);
    const written =
      bodyBytes === 0 || body === undefined
        ? writeFd(this.#fd, this.#header)
        : writev(this.#fd, [this.#header, body]);
    this.#activeAt = performance.now();
    if (written >= 0) return true;
    // ENOENT: nobody waits for this any more. ENODEV: unmounted, which the next read reports.
    if (written === -errnos.ENOENT || written === -errnos.ENODEV) return false;
    this.#log("error", `FUSE: the kernel refused a reply (${errnoName(-written)})`);
    if (errno !== 0) return false;
    this.#send(unique, errnos.EIO, undefined); // Else its process would wait for ever.
    return false;
  }
}
