// What one replicated store sends into its group: headers, counts and the callers that wait for their own operation to come
// back. Spec: pmxcfs.md §4.1, §4.2, §4.9. Counts belong to the process: they go on over leaving and joining again.
import type { GroupRequest } from "../../world.ts";
import type { DfsmAction, RequestRank } from "./dfsm-events.ts";
import { type Body, encodeMessage, type Epoch, type Message } from "./message.ts";
import type { Sink } from "./replica.ts";

/** A message of a state exchange without what all of them have. */
export type StatePart =
  | { readonly kind: "syncStart" | "updateComplete" }
  | { readonly kind: "state"; readonly body: Uint8Array }
  | { readonly kind: "verifyRequest"; readonly checksumId: number }
  | { readonly kind: "verify"; readonly checksumId: number; readonly checksum: Uint8Array };

export class Outbox {
  readonly #group: string;
  readonly #protocol: number;
  #count = 0;
  /** Callers by the count of their message. */
  readonly #waiting = new Map<number, number>();

  constructor(options: { readonly group: string; readonly protocol: number }) {
    this.#group = options.group;
    this.#protocol = options.protocol;
  }

  join(out: Sink<DfsmAction>): void {
    this.#request({ kind: "join", group: this.#group }, undefined, "other", out);
  }

  leave(out: Sink<DfsmAction>): void {
    this.#request({ kind: "leave", group: this.#group }, undefined, "other", out);
  }

  /** An operation; `timeS`: Unix seconds. */
  send(body: Body, token: number | undefined, timeS: number, out: Sink<DfsmAction>): void {
    this.#count += 1;
    if (token !== undefined) this.#waiting.set(this.#count, token);
    const head = { kind: "normal", protocol: this.#protocol, timeS, count: this.#count } as const;
    const message = encodeMessage({ ...head, subtype: body.subtype, body: body.body });
    const request = { kind: "send", group: this.#group, message, answered: body.answered } as const;
    out.push({ kind: "request", request, token, rank: "operation", unit: body.unit });
  }

  sendState(part: StatePart, epoch: Epoch, timeS: number, out: Sink<DfsmAction>): void {
    this.resend({ ...part, protocol: this.#protocol, timeS, epoch }, out);
  }

  /** One object; encoded when the group takes it, or a large tree would be copied at once while nothing else goes on. */
  sendUpdate(body: () => Uint8Array, epoch: Epoch, timeS: number, out: Sink<DfsmAction>): void {
    const head = { kind: "update", protocol: this.#protocol, timeS, epoch } as const;
    let encoded: Uint8Array | undefined;
    const request = {
      kind: "send",
      group: this.#group,
      get message(): Uint8Array {
        encoded ??= encodeMessage({ ...head, body: body() });
        return encoded;
      },
    } as const;
    this.#request(request, undefined, "update", out);
  }

  /** A message as it is. */
  resend(message: Message, out: Sink<DfsmAction>): void {
    const bytes = encodeMessage(message);
    const request = { kind: "send", group: this.#group, message: bytes } as const;
    this.#request(request, undefined, rankOf(message.kind), out);
  }

  /** Our own message of this count came back: who waits for it. */
  arrived(count: number): number | undefined {
    const token = this.#waiting.get(count);
    this.#waiting.delete(count);
    return token;
  }

  /** The host could not send the operation of this caller; false: nobody waits for it any more. */
  forget(token: number): boolean {
    for (const [count, waiting] of this.#waiting) {
      if (waiting === token) return this.#waiting.delete(count);
    }
    return false;
  }

  /** Nothing of ours will be executed here any more. */
  abortAll(errno: "EBUSY" | "EIO", reason: string, out: Sink<DfsmAction>): void {
    for (const token of this.#waiting.values()) out.push({ kind: "aborted", token, errno, reason });
    this.#waiting.clear();
  }

  #request(
    request: GroupRequest,
    token: number | undefined,
    rank: RequestRank,
    out: Sink<DfsmAction>,
  ): void {
    out.push({ kind: "request", request, token, rank });
  }
}

function rankOf(kind: Message["kind"]): RequestRank {
  switch (kind) {
    case "normal":
      return "operation";
    case "update":
    case "updateComplete":
      return "update";
    case "state":
      return "state";
    case "syncStart":
    case "verify":
    case "verifyRequest":
      return "other";
  }
  return kind satisfies never;
}
