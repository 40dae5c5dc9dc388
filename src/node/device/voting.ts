// Turns the vote server's vote into votequorum polls (qnetd.md §3.6). An ACK belongs to the ring it was given for and is never
// polled for another one; from a node list callback until the server has its ring nothing is polled at all.
import { sameRing, type RingId } from "../../world.ts";
import type { DeviceAction } from "./events.ts";

export class Voting {
  /** Between two polls. */
  everyMs: number;
  /** Under which votequorum knows us. */
  readonly #name: string;
  /** Undefined: the server's answer is awaited, nothing is polled. */
  #vote: "ack" | "nack" | undefined;
  #voteRing: RingId | undefined;
  /** Of the latest node list callback. */
  #ring: RingId | undefined;
  #isPaused = false;
  #lastPoll: { readonly at: number; readonly castsVote: boolean } | undefined;

  constructor(everyMs: number, name: string) {
    this.everyMs = everyMs;
    this.#name = name;
  }

  get vote(): "ack" | "nack" | undefined {
    return this.#vote;
  }
  /** The vote in force was given for the ring that is. */
  get isSettled(): boolean {
    if (this.#isPaused || this.#ring === undefined || this.#voteRing === undefined) return false;
    return this.#vote !== undefined && sameRing(this.#voteRing, this.#ring);
  }
  get lastPoll(): { readonly at: number; readonly castsVote: boolean } | undefined {
    return this.#lastPoll;
  }

  /** A node list callback: what was voted for the old ring does not count for this one. */
  ringChanged(ring: RingId): void {
    this.#ring = ring;
    this.#isPaused = true;
  }

  /** The server has the new membership, or there is no server to wait for. */
  resume(): void {
    this.#isPaused = false;
  }

  /** No word of the server is in force until its next one. */
  wait(out: DeviceAction[]): void {
    this.#vote = undefined;
    out.push({ kind: "disarm", timer: "castVote" });
  }

  /** A vote for `ring`; polled at once. */
  set(vote: "ack" | "nack", ring: RingId, now: number, out: DeviceAction[]): void {
    this.#vote = vote;
    this.#voteRing = ring;
    this.#poll(now, out);
    out.push({ kind: "arm", timer: "castVote", at: now + this.everyMs });
  }

  /** Without a server that we could ask: no vote, and the synchronisation need not wait for us. */
  refuse(now: number, out: DeviceAction[]): void {
    this.resume();
    if (this.#ring !== undefined) this.set("nack", this.#ring, now, out);
  }

  timedOut(now: number, out: DeviceAction[]): void {
    if (this.#vote === undefined) return;
    this.#poll(now, out);
    out.push({ kind: "arm", timer: "castVote", at: now + this.everyMs });
  }

  #poll(now: number, out: DeviceAction[]): void {
    const ring = this.#ring;
    if (this.#isPaused || ring === undefined) return;
    const castsVote = this.#vote === "ack";
    if (castsVote && (this.#voteRing === undefined || !sameRing(this.#voteRing, ring))) return;
    this.#lastPoll = { at: now, castsVote };
    out.push({ kind: "ask", request: { kind: "poll", name: this.#name, ring, castsVote } });
  }
}
