// What local processes have sent and the ring has not taken yet, in order. A message too large for one totempg message goes
// out fragment by fragment, each after the one before came back, and starts again when its group changes meanwhile: so a
// process that joined in between receives all of it (libcpg lets the sender fail instead, services.md §3.6). Without a limit of its
// own: the member takes a request only while nothing waits here.
import type { Answered } from "../../world.ts";
import { fragmentAt } from "./fragments.ts";
import { encodeGroupMessage, fragmentBytesMax } from "./message.ts";

interface Whole {
  readonly kind: "whole";
  readonly message: Uint8Array;
  readonly answered?: Answered | undefined;
}

interface Large {
  readonly kind: "large";
  readonly group: string;
  readonly pid: number;
  readonly payload: Uint8Array;
  offset: number;
  isInFlight: boolean;
  mustRestart: boolean;
}

/** One totempg message; `answered`: as in GroupRequest. */
export type Outgoing = Pick<Whole, "message" | "answered">;

export class Outbox {
  readonly #nodeid: number;
  readonly #waiting: (Whole | Large)[] = [];

  constructor(options: { readonly nodeid: number }) {
    this.#nodeid = options.nodeid;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** A whole totempg message, prefix included. */
  queue(message: Uint8Array, answered?: Answered): void {
    this.#waiting.push({ kind: "whole", message, answered });
  }

  /** A message of a process to its group; `answered`: as in GroupRequest. */
  queuePayload(group: string, pid: number, payload: Uint8Array, answered?: Answered): void {
    if (payload.length <= fragmentBytesMax) {
      const nodeid = this.#nodeid;
      const message = { kind: "mcast", group, pid, nodeid, payload } as const;
      return this.queue(encodeGroupMessage(message, "a"), answered);
    }
    this.#waiting.push({
      kind: "large",
      group,
      pid,
      payload,
      offset: 0,
      isInFlight: false,
      mustRestart: false,
    });
  }

  /** The next message for the ring; undefined when there is none now. */
  next(): Outgoing | undefined {
    const head = this.#waiting[0];
    if (head === undefined) return undefined;
    if (head.kind === "whole") {
      this.#waiting.shift();
      return head;
    }
    if (head.isInFlight) return undefined;
    head.isInFlight = true;
    const { group, pid } = head;
    const { type, payload } = fragmentAt(head.payload, head.offset);
    const total = head.payload.length;
    const nodeid = this.#nodeid;
    const fragment = { kind: "partial", group, pid, nodeid, total, type, payload } as const;
    return { message: encodeGroupMessage(fragment, "a") };
  }

  /** A fragment of ours was delivered. */
  fragmentDelivered(group: string, pid: number, fragmentBytes: number): void {
    const head = this.#waiting[0];
    if (head?.kind !== "large" || !head.isInFlight) return;
    if (head.group !== group || head.pid !== pid) return;
    head.isInFlight = false;
    head.offset += fragmentBytes;
    if (head.offset >= head.payload.length) {
      this.#waiting.shift();
    } else if (head.mustRestart) {
      head.offset = 0;
    }
    head.mustRestart = false;
  }

  /** Processes joined or left this group. */
  groupChanged(group: string): void {
    const head = this.#waiting[0];
    if (head?.kind !== "large" || head.group !== group) return;
    if (head.isInFlight) head.mustRestart = true;
    else head.offset = 0;
  }
}
