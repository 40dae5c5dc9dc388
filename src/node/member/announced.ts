// Whether everybody in the ring has announced itself as one of ours, by being in the group of quorate nodes: then members whose process ends are
// found by their machines' refusals (ring/deaths.ts). With an original in the ring nothing of it happens. Pure.
import type { GroupMember } from "../../world.ts";
import type { LinksEvent } from "../link/events.ts";

export class Announced {
  readonly #nodeid: number;
  #inGroup: readonly number[] = [];
  #ring: readonly number[] = [];
  #sought: readonly number[] = [];
  #isForming = false;
  #told = ", ,false";

  constructor(nodeid: number) {
    this.#nodeid = nodeid;
  }

  groupChanged(members: readonly GroupMember[]): void {
    this.#inGroup = members.map(({ nodeid }) => nodeid);
  }

  /** A new ring: who is new in it is in the group only once that is synchronised. */
  ringChanged(members: readonly number[]): void {
    this.#ring = members;
  }

  sought(nodeids: readonly number[], isForming: boolean): void {
    this.#sought = nodeids;
    this.#isForming = isForming;
  }

  get isAll(): boolean {
    return this.#ring.length > 1 && this.#ring.every((nodeid) => this.#inGroup.includes(nodeid));
  }

  /** What the links are to watch, if that has changed since the last call. */
  news(): (LinksEvent & { readonly kind: "watched" }) | undefined {
    const nodeids = this.isAll ? this.#ring.filter((nodeid) => nodeid !== this.#nodeid) : [];
    const sought = this.isAll ? this.#sought : [];
    const isForming = this.isAll && this.#isForming;
    const text = `${nodeids.join(" ")}, ${sought.join(" ")},${isForming}`;
    if (text === this.#told) return undefined;
    this.#told = text;
    return { kind: "watched", nodeids, sought, isForming };
  }
}
