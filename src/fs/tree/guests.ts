// The guest list: which VMID belongs to which node, and the rule that every VMID exists once in the cluster.
// Spec: pmxcfs.md §2.7, §3.3. Follows the paths of the tree's operations; the counters are this process's own.
import { type GuestPath, guestOfPath, type GuestType } from "./rules.ts";

export interface Guest {
  readonly node: string;
  readonly type: GuestType;
  /** From the process-wide counter: changes with every write of the guest's file. */
  readonly version: number;
}

/** Shared by all trees of one process, so that a tree that replaces another goes on counting. */
export interface GuestCounters {
  /** Version of the list, as `.vmlist` and `.version` show it. */
  list: number;
  /** The last version given to a guest. */
  guest: number;
}

export class GuestList {
  readonly counters: GuestCounters;
  readonly #guests = new Map<number, Guest>();

  constructor(counters: GuestCounters) {
    this.counters = counters;
  }

  get all(): ReadonlyMap<number, Guest> {
    return this.#guests;
  }

  /** True when `path` is a guest file whose VMID is known with another node or type. */
  conflicts(path: string): boolean {
    const guest = guestOfPath(path);
    if (guest === undefined) return false;
    const known = this.#guests.get(guest.vmid);
    return known !== undefined && (known.node !== guest.node || known.type !== guest.type);
  }

  /** True when both paths are guest files of one VMID: a migration or a change of type. */
  isSameGuest(path: string, other: string): boolean {
    const guest = guestOfPath(path);
    return guest !== undefined && guest.vmid === guestOfPath(other)?.vmid;
  }

  /** Notes a created, written or moved guest file; other paths do nothing. */
  registerPath(path: string): void {
    const guest = guestOfPath(path);
    if (guest === undefined) return;
    this.#set(guest);
    this.counters.list += 1;
  }

  /** Drops the VMID of a guest path. */
  forgetPath(path: string): void {
    const guest = guestOfPath(path);
    if (guest !== undefined && this.#guests.delete(guest.vmid)) this.counters.list += 1;
  }

  /** Starts anew from all file paths below nodes/; returns a VMID that two paths claim, or undefined. */
  rebuild(paths: Iterable<string>): number | undefined {
    const before = this.#guests.size;
    this.#guests.clear();
    for (const path of paths) {
      const guest = guestOfPath(path);
      if (guest === undefined) continue;
      if (this.#guests.has(guest.vmid)) return guest.vmid;
      this.#set(guest);
    }
    if (before > 0 || this.#guests.size > 0) this.counters.list += 1;
    return undefined;
  }

  #set({ vmid, node, type }: GuestPath): void {
    this.counters.guest += 1;
    this.#guests.set(vmid, { node, type, version: this.counters.guest });
  }
}
