// One connection of the network API and its time: each phase has an end, after which the connection is cut. A head that dribbles in counts as idle
// time, so that who sends a byte now and then gains nothing. How phases follow each other is in `door.ts`.
import type { Socket } from "node:net";
import type { Guest } from "./admission.ts";

/** How long each phase may take, milliseconds. */
export interface PhaseLimits {
  /** From the connection to the end of the TLS handshake, or of a plain request. */
  readonly hello: number;
  /** From the handshake or the last answer to the end of the next request's head. */
  readonly idle: number;
  /** From the head to the end of the body. */
  readonly body: number;
  /** What the node does for the request. */
  readonly work: number;
  /** From one piece of the answer that the client has not taken to the next. */
  readonly answer: number;
}

export type Phase = keyof PhaseLimits;

export class DoorConnection implements Guest {
  readonly address: string;
  readonly #socket: Socket;
  readonly #limits: PhaseLimits;
  readonly #onTimeout: (phase: Phase) => void;
  #phase: Phase = "hello";
  #idleSince: number | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(options: {
    readonly socket: Socket;
    readonly address: string;
    readonly limits: PhaseLimits;
    readonly onTimeout: (phase: Phase) => void;
  }) {
    this.#socket = options.socket;
    this.address = options.address;
    this.#limits = options.limits;
    this.#onTimeout = options.onTimeout;
    this.enter("hello");
  }

  get phase(): Phase {
    return this.#phase;
  }

  /**
   * A handshake or a body under way is idle too: it may be dropped for somebody else, or strangers who dribble one would hold every place.
   */
  get idleSince(): number | undefined {
    return this.#idleSince;
  }

  enter(phase: Phase): void {
    const isIdle = phase === "hello" || phase === "idle" || phase === "body";
    this.#phase = phase;
    this.#idleSince = isIdle ? performance.now() : undefined;
    clearTimeout(this.#deadline);
    if (this.#socket.destroyed) return;
    this.#deadline = setTimeout(() => {
      this.#onTimeout(phase);
      this.destroy();
    }, this.#limits[phase]);
  }

  /** Cuts it at once. */
  destroy(): void {
    clearTimeout(this.#deadline);
    this.#socket.destroy();
  }

  /** The other side is gone. */
  closed(): void {
    clearTimeout(this.#deadline);
  }
}
