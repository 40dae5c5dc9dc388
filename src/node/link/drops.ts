// What the link core did not carry or deliver, by reason, and the lines about it, at most one a reason in 30 s. Pure.
import type { LinksAction } from "./events.ts";

const COMPLAIN_EVERY_MS = 30_000;

export type DropReason =
  | "malformed"
  | "unknownNode"
  | "unknownLink"
  | "unlistedAddress"
  | "notReachable"
  | "duplicate"
  | "stale"
  | "expiredFragment"
  | "malformedFragment"
  | "notInflated"
  | "notForUs"
  | "noTarget"
  | "unsendable";

export class Drops {
  readonly #counts = new Map<DropReason, number>();
  readonly #complainAt = new Map<DropReason, number>();

  /** Packets by reason. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  count(reason: DropReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /** Counts it, and warns of it when no line of this reason was written lately. */
  complain(reason: DropReason, text: string, now: number, out: LinksAction[]): void {
    this.count(reason);
    if (now < (this.#complainAt.get(reason) ?? Number.NEGATIVE_INFINITY)) return;
    this.#complainAt.set(reason, now + COMPLAIN_EVERY_MS);
    out.push({ kind: "log", level: "warning", subsystem: "KNET", text });
  }
}
