// The members of a group as a state exchange sees them: whose state is here, who is synced. Spec: pmxcfs.md §4.5, §4.6.
// A member is a process: (nodeid, pid).
import type { GroupMember } from "../../world.ts";
import type { MemberState } from "./replica.ts";

interface Member extends GroupMember {
  state: Uint8Array | undefined;
  synced: boolean;
}

export function sameMember(a: GroupMember, b: GroupMember): boolean {
  return a.nodeid === b.nodeid && a.pid === b.pid;
}

export class Membership {
  /** Ascending by (nodeid, pid). */
  #members = new Map<string, Member>();

  get all(): readonly GroupMember[] {
    return [...this.#members.values()].map(({ nodeid, pid }) => ({ nodeid, pid }));
  }

  /** Lowest nodeid; undefined while there are no members. */
  get lowest(): number | undefined {
    return this.#members.values().next().value?.nodeid;
  }

  /** A configuration change: nobody is synced, no state is here. */
  replace(members: readonly GroupMember[]): void {
    const sorted = members.toSorted((a, b) => a.nodeid - b.nodeid || a.pid - b.pid);
    this.#members = new Map(
      sorted.map(({ nodeid, pid }) => [
        keyOf({ nodeid, pid }),
        { nodeid, pid, state: undefined, synced: false },
      ]),
    );
  }

  has(member: GroupMember): boolean {
    return this.#members.has(keyOf(member));
  }

  isSynced(member: GroupMember): boolean {
    return this.#members.get(keyOf(member))?.synced === true;
  }

  setAllSynced(): void {
    for (const member of this.#members.values()) member.synced = true;
  }

  /** In the order of the members. */
  setSynced(synced: readonly boolean[]): void {
    let i = 0;
    for (const member of this.#members.values()) {
      member.synced = synced[i] === true;
      i += 1;
    }
  }

  addState(sender: GroupMember, state: Uint8Array): "added" | "foreign" | "twice" {
    const member = this.#members.get(keyOf(sender));
    if (member === undefined) return "foreign";
    if (member.state !== undefined) return "twice";
    member.state = state;
    return "added";
  }

  /** All states, once the last one is here; they are forgotten with that. */
  takeStates(): readonly MemberState[] | undefined {
    const states: MemberState[] = [];
    for (const { nodeid, pid, state } of this.#members.values()) {
      if (state === undefined) return undefined;
      states.push({ nodeid, pid, state });
    }
    this.clearStates();
    return states;
  }

  clearStates(): void {
    for (const member of this.#members.values()) member.state = undefined;
  }
}

function keyOf(member: GroupMember): string {
  return `${member.nodeid}/${member.pid}`;
}
