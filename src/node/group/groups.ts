// Closed process groups (services.md §3): who is in which group, delivered to local processes at the same place in the one order of
// messages on every node. It must never act on a request before the ring has delivered it back, nor report a change of the
// ring that does not change a group.
import type { GroupChange, GroupReason, GroupRequest } from "../../world.ts";
import {
  log,
  serviceIds,
  type ServiceAction,
  type SyncService,
  type SyncView,
} from "../member/service.ts";
import { Assemblies } from "./fragments.ts";
import {
  decodeGroupMessage,
  downlistNodesMax,
  encodeGroupMessage,
  groupNameBytesMax,
  type GroupMessage,
  type JoinlistEntry,
} from "./message.ts";
import type { Outbox } from "./outbox.ts";
import { Processes, type GroupProcess } from "./processes.ts";

/** A local process in one group: what is in force, and what is still on its way around the ring. */
interface Local {
  readonly pid: number;
  readonly group: string;
  isIn: boolean;
  joinsOnWay: number;
  leavesOnWay: number;
}

/** Whether the process will be in the group once everything on its way has arrived. */
const wantsIn = (local: Local): boolean =>
  (local.isIn ? 1 : 0) + local.joinsOnWay - local.leavesOnWay > 0;

const localKey = (pid: number, group: string): string => `${pid} ${group}`;

export class Groups implements SyncService {
  readonly id = serviceIds.groups;
  readonly #nodeid: number;
  readonly #outbox: Outbox;
  readonly #processes = new Processes();
  readonly #assemblies = new Assemblies();
  readonly #locals = new Map<string, Local>();
  /** Local processes are gone: nothing is delivered any more. */
  #isClosed = false;
  /** Members of the last finished synchronisation. */
  #oldMembers: readonly number[] = [];
  #view: SyncView | undefined;
  /**
   * Members of the last finished synchronisation that did not come along to a ring since, even if they are back already: rings may follow each
   * other faster than they are synchronised (the original looks at the last one only, and its groups never learn that they were apart).
   */
  #left: readonly number[] = [];
  readonly #joinlists = new Map<number, readonly JoinlistEntry[]>();

  constructor(options: { readonly nodeid: number; readonly outbox: Outbox }) {
    this.#nodeid = options.nodeid;
    this.#outbox = options.outbox;
  }

  all(): readonly GroupProcess[] {
    return this.#processes.all();
  }

  /** A local process asks. It learns of the effect by events only. */
  requested(pid: number, request: GroupRequest, out: ServiceAction[]): void {
    const { group } = request;
    if (this.#isClosed) return refuse(out, request, "this node is stopping");
    if (group.length > groupNameBytesMax) {
      return refuse(out, request, `the name is longer than ${groupNameBytesMax} bytes`);
    }
    const local = this.#locals.get(localKey(pid, group));
    const isWanted = local !== undefined && wantsIn(local);
    switch (request.kind) {
      case "join": {
        if (isWanted) return refuse(out, request, "the process is in the group already");
        const entry = local ?? { pid, group, isIn: false, joinsOnWay: 0, leavesOnWay: 0 };
        entry.joinsOnWay += 1;
        this.#locals.set(localKey(pid, group), entry);
        return this.#queue({ kind: "join", group, pid });
      }
      case "leave":
        if (!isWanted) return refuse(out, request, "the process is not in the group");
        local.leavesOnWay += 1;
        return this.#queue({ kind: "leave", group, pid, reason: 2 });
      case "send":
        if (!isWanted) return refuse(out, request, "the process is not in the group");
        return this.#outbox.queuePayload(group, pid, request.message, request.answered);
    }
    request satisfies never;
  }

  /**
   * The node stops: nothing more is delivered to its processes. Returns the messages that report them as left, as if they had died
   * (services.md §3.3).
   */
  close(): Uint8Array[] {
    this.#isClosed = true;
    return [...this.#locals.values()]
      .filter(wantsIn)
      .map(({ pid, group }) => encodeGroupMessage({ kind: "leave", group, pid, reason: 5 }, "a"));
  }

  received(nodeid: number, bytes: Uint8Array, out: ServiceAction[]): void {
    const result = decodeGroupMessage(bytes);
    if (!result.ok) {
      return log(out, "CPG", "warning", `dropped a message of node ${nodeid}: ${result.reason}`);
    }
    const message = result.value;
    switch (message.kind) {
      case "join":
        return this.#heardJoin(nodeid, message.pid, message.group, out);
      case "leave":
        return this.#heardLeave(nodeid, message.pid, message.group, message.reason, out);
      case "joinlist":
        // Kept until the step ends; a late one of an earlier ring must not count (services.md §8.3, 10).
        if (this.#view?.members.includes(nodeid) === true) {
          this.#joinlists.set(nodeid, message.entries);
        }
        return log(out, "CPG", "debug", `got joinlist message from node ${nodeid}`);
      case "mcast":
        if (!this.#mayDeliver(nodeid, message.group, out)) return;
        return this.#deliver(nodeid, message.pid, message.group, message.payload, out);
      case "partial":
        return this.#heardPartial(nodeid, message, out);
      case "downlist":
        // Each node trusts its own computation; the list is for the log.
        return log(out, "CPG", "debug", `downlist left_list: ${message.left.length} received`);
      case "oldDownlist":
        return log(out, "CPG", "debug", `downlist OLD from node ${nodeid}`);
    }
    message satisfies never;
  }

  #heardJoin(nodeid: number, pid: number, group: string, out: ServiceAction[]): void {
    const local = nodeid === this.#nodeid ? this.#locals.get(localKey(pid, group)) : undefined;
    if (local !== undefined) {
      local.joinsOnWay = Math.max(0, local.joinsOnWay - 1);
      local.isIn = true; // Before the others: the joiner gets its own join first.
    }
    if (!this.#processes.add({ nodeid, pid, group })) return;
    this.#inform(group, [], [{ nodeid, pid, reason: 1 }], out);
  }

  #heardLeave(
    nodeid: number,
    pid: number,
    group: string,
    reason: GroupReason,
    out: ServiceAction[],
  ): void {
    this.#processes.remove(nodeid, pid, group);
    this.#assemblies.drop(nodeid, pid, group);
    this.#inform(group, [{ nodeid, pid, reason }], [], out); // The leaving process gets it, too.
    const key = localKey(pid, group);
    const local = nodeid === this.#nodeid ? this.#locals.get(key) : undefined;
    if (local === undefined) return;
    local.leavesOnWay = Math.max(0, local.leavesOnWay - 1);
    local.isIn = false;
    if (local.joinsOnWay === 0 && local.leavesOnWay === 0) this.#locals.delete(key);
  }

  #heardPartial(
    nodeid: number,
    message: Extract<GroupMessage, { readonly kind: "partial" }>,
    out: ServiceAction[],
  ): void {
    const { group, pid } = message;
    if (this.#mayDeliver(nodeid, group, out)) {
      const whole = this.#assemblies.add(nodeid, message);
      if (whole !== undefined) this.#deliver(nodeid, pid, group, whole, out);
    }
    if (nodeid === this.#nodeid) {
      this.#outbox.fragmentDelivered(group, pid, message.payload.length);
    }
  }

  #hasListener(group: string): boolean {
    if (this.#isClosed) return false;
    for (const local of this.#locals.values()) {
      if (local.isIn && local.group === group) return true;
    }
    return false;
  }

  #mayDeliver(nodeid: number, group: string, out: ServiceAction[]): boolean {
    if (!this.#hasListener(group)) return false;
    if (this.#processes.hasNode(nodeid, group)) return true;
    log(out, "CPG", "warning", "Unknown node -> we will not deliver message");
    return false;
  }

  #deliver(
    nodeid: number,
    pid: number,
    group: string,
    message: Uint8Array,
    out: ServiceAction[],
  ): void {
    out.push({ kind: "delivered", group, nodeid, pid, message });
  }

  #inform(
    group: string,
    left: readonly GroupChange[],
    joined: readonly GroupChange[],
    out: ServiceAction[],
  ): void {
    this.#outbox.groupChanged(group);
    if (!this.#hasListener(group)) return;
    const members = this.#processes.membersOf(group);
    out.push({ kind: "configured", group, members, left, joined });
  }

  syncInit(view: SyncView): void {
    this.#view = view;
    this.#joinlists.clear();
    this.#left = this.#oldMembers.filter(
      (nodeid) =>
        nodeid !== this.#nodeid &&
        (this.#left.includes(nodeid) || !view.transitional.includes(nodeid)),
    );
  }

  syncProcess(_now: number, out: ServiceAction[]): boolean {
    const left = this.#left.slice(0, downlistNodesMax);
    const oldMembers = this.#oldMembers.length;
    log(out, "CPG", "debug", `my downlist: members(old:${oldMembers} left:${left.length})`);
    this.#sendNow({ kind: "downlist", oldMembers, left }, out);
    const entries = this.#processes.ofNode(this.#nodeid);
    if (entries.length > 0) {
      this.#sendNow(
        { kind: "joinlist", entries: entries.map(({ group, pid }) => ({ group, pid })) },
        out,
      );
    }
    return true;
  }

  syncActivate(_now: number, out: ServiceAction[]): void {
    const view = this.#view;
    if (view === undefined) return;
    this.#view = undefined;
    this.#oldMembers = view.members;
    this.#applyLeft(out);
    this.#applyJoinlists(out);
    this.#removeZombies(out);
    this.#joinlists.clear();
    this.#left = [];
  }

  syncAbort(): void {
    this.#view = undefined;
    this.#joinlists.clear();
  }

  #applyLeft(out: ServiceAction[]): void {
    const gone = this.#processes.removeAll(({ nodeid }) => this.#left.includes(nodeid));
    for (const { nodeid, pid, group } of gone) this.#assemblies.drop(nodeid, pid, group);
    for (const [group, changes] of byGroup(gone, 3)) this.#inform(group, changes, [], out);
  }

  #applyJoinlists(out: ServiceAction[]): void {
    const added: GroupProcess[] = [];
    const senders = [...this.#joinlists.keys()].sort((a, b) => a - b);
    for (const nodeid of senders) {
      if (nodeid === this.#nodeid) continue;
      for (const { group, pid } of this.#joinlists.get(nodeid) ?? []) {
        const process = { nodeid, pid, group };
        if (this.#processes.add(process)) added.push(process);
      }
    }
    for (const [group, changes] of byGroup(added, 4)) this.#inform(group, [], changes, out);
  }

  /** Processes that left while we were apart: nobody named them in this round. */
  #removeZombies(out: ServiceAction[]): void {
    const isNamed = ({ nodeid, pid, group }: GroupProcess): boolean =>
      (this.#joinlists.get(nodeid) ?? []).some(
        (entry) => entry.pid === pid && entry.group === group,
      );
    const zombies = this.#processes
      .all()
      .filter((process) => process.nodeid !== this.#nodeid && !isNamed(process));
    for (const { nodeid, pid, group } of zombies) {
      this.#processes.remove(nodeid, pid, group);
      this.#assemblies.drop(nodeid, pid, group);
      this.#inform(group, [{ nodeid, pid, reason: 5 }], [], out);
    }
  }

  #queue(message: GroupMessage): void {
    this.#outbox.queue(encodeGroupMessage(message, "a"));
  }

  #sendNow(message: GroupMessage, out: ServiceAction[]): void {
    out.push({ kind: "submit", queue: "sync", message: encodeGroupMessage(message, "a") });
  }
}

/** Changes group by group, groups in the order of their names. */
function byGroup(
  processes: readonly GroupProcess[],
  reason: GroupReason,
): [string, readonly GroupChange[]][] {
  const groups = new Map<string, GroupChange[]>();
  for (const { nodeid, pid, group } of processes) {
    const changes = groups.get(group) ?? [];
    changes.push({ nodeid, pid, reason });
    groups.set(group, changes);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function refuse(out: ServiceAction[], request: GroupRequest, why: string): void {
  const name = request.group.replace(/[^\x20-\x7e]/g, "?");
  log(out, "CPG", "warning", `${request.kind} of group "${name}" refused: ${why}`);
}
