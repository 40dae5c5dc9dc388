// Who of the members is heard, and which of them sends. Every member runs the same rule over what all have told in one order, so that they agree as soon as
// they have heard the same: the lowest nodeid of those of its part that are heard and ready. Pure.
import type { Look } from "./events.ts";
import { decodeSighting, type Sighting } from "./ledger.ts";

/** A member that tells nothing for so long is not counted on: it hangs, or runs a program that knows no alerts. */
export const silentMs = 60_000;
export const beatMs = 15_000;
/** After the members, or this node's tree, have changed: until all have heard what all know. */
export const settleMs = 3000;

interface Heard {
  readonly bytes: Uint8Array;
  readonly sighting: Sighting | undefined;
  readonly at: number;
}

export class Group {
  readonly #heard = new Map<number, Heard>();
  #members: readonly number[] = [];
  #changedAt = 0;
  #syncedAt: number | undefined;
  /** When the others were first told that this node is ready. */
  #readyAt: number | undefined;

  /** Takes what was told since the last look. */
  look({ self, members, told, isQuorate, isSynced }: Look, now: number): void {
    const isSame =
      members.length === this.#members.length &&
      members.every((nodeid) => this.#members.includes(nodeid));
    if (!isSame) this.#changedAt = now;
    for (const nodeid of this.#heard.keys()) {
      // One that comes back is heard when it has told something since.
      const isMember = members.includes(nodeid);
      const known = this.#heard.get(nodeid);
      if (!isMember && known !== undefined) {
        this.#heard.set(nodeid, { ...known, at: Number.NEGATIVE_INFINITY });
      }
    }
    this.#members = members;
    for (const nodeid of members) {
      const bytes = told.get(nodeid)?.sighting;
      if (nodeid === self.nodeid || bytes === undefined) continue;
      if (this.#heard.get(nodeid)?.bytes === bytes) continue;
      this.#heard.set(nodeid, { bytes, sighting: decodeSighting(bytes), at: now });
    }
    if (isSynced || !isQuorate) this.#syncedAt ??= now;
    else this.#syncedAt = undefined;
    if (!this.isReady(now)) this.#readyAt = undefined;
    else this.#readyAt ??= now;
  }

  /** What this node tells the others of itself. Not at once after a start: it has to hear what they know. */
  isReady(now: number): boolean {
    return this.#syncedAt !== undefined && now - this.#syncedAt >= settleMs;
  }

  /** What the other members see, by nodeid; of those that are heard. */
  others(now: number): ReadonlyMap<number, Sighting> {
    const found = new Map<number, Sighting>();
    for (const [nodeid, { sighting, at }] of this.#heard) {
      if (sighting !== undefined && now - at < silentMs) found.set(nodeid, sighting);
    }
    return found;
  }

  /** Of this part, whoever it is; undefined: nobody is ready yet. */
  sender(self: number, now: number): number | undefined {
    const ready = [...this.others(now)].flatMap(([nodeid, { ready: is }]) => (is ? [nodeid] : []));
    if (this.#readyAt !== undefined) ready.push(self);
    return ready.length === 0 ? undefined : Math.min(...ready);
  }

  /** This node is the one, and all have had the time to hear so. */
  mayAct(self: number, now: number): boolean {
    return (
      this.sender(self, now) === self &&
      this.#readyAt !== undefined &&
      now - this.#readyAt >= settleMs &&
      now - this.#changedAt >= settleMs
    );
  }
}
