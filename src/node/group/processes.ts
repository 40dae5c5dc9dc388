// All members of closed process groups in the cluster, in the one order every node shows them: by nodeid, then pid
// (services.md §3.1).
import type { GroupMember } from "../../world.ts";

export interface GroupProcess extends GroupMember {
  readonly group: string;
}

/** A bound against a sender gone mad; a real cluster has two groups and one process a node. */
export const processesMax = 65_536;

const order = (a: GroupProcess, b: GroupProcess): number =>
  a.nodeid - b.nodeid || a.pid - b.pid || (a.group < b.group ? -1 : a.group > b.group ? 1 : 0);

export class Processes {
  #all: GroupProcess[] = [];

  all(): readonly GroupProcess[] {
    return this.#all;
  }

  has(nodeid: number, pid: number, group: string): boolean {
    return this.#all.some(
      (entry) => entry.nodeid === nodeid && entry.pid === pid && entry.group === group,
    );
  }

  /** Whether any process of the node is in the group. */
  hasNode(nodeid: number, group: string): boolean {
    return this.#all.some((entry) => entry.nodeid === nodeid && entry.group === group);
  }

  membersOf(group: string): GroupMember[] {
    return this.#all
      .filter((entry) => entry.group === group)
      .map(({ nodeid, pid }) => ({ nodeid, pid }));
  }

  ofNode(nodeid: number): readonly GroupProcess[] {
    return this.#all.filter((entry) => entry.nodeid === nodeid);
  }

  /** False: known already, or there are too many. */
  add(process: GroupProcess): boolean {
    if (this.#all.length >= processesMax) return false;
    if (this.has(process.nodeid, process.pid, process.group)) return false;
    const at = this.#all.findIndex((entry) => order(process, entry) < 0);
    if (at < 0) this.#all.push(process);
    else this.#all.splice(at, 0, process);
    return true;
  }

  remove(nodeid: number, pid: number, group: string): void {
    this.#all = this.#all.filter(
      (entry) => entry.nodeid !== nodeid || entry.pid !== pid || entry.group !== group,
    );
  }

  /** Removes and returns all that meet `isGone`. */
  removeAll(isGone: (process: GroupProcess) => boolean): GroupProcess[] {
    const gone = this.#all.filter(isGone);
    if (gone.length > 0) this.#all = this.#all.filter((entry) => !isGone(entry));
    return gone;
  }
}
