// The quorum service's part in synchronisation (services.md §2.3, id 3): it sends nothing, keeps the member list of the last
// finished synchronisation and tells the operator what changed. It knows no votes.
import {
  log,
  serviceIds,
  type ServiceAction,
  type SyncService,
  type SyncView,
} from "../member/service.ts";

export class Membership implements SyncService {
  readonly id = serviceIds.quorum;
  #members: readonly number[] = [];
  #next: readonly number[] = [];

  /** Members of the last ring whose services agreed, ascending. */
  get members(): readonly number[] {
    return this.#members;
  }

  syncInit(view: SyncView, _now: number, out: ServiceAction[]): void {
    this.#next = view.members;
    // A node that is back before we missed it is both left and joined: it did not come along with us.
    const stayed = (nodeid: number): boolean =>
      view.transitional.includes(nodeid) && this.#members.includes(nodeid);
    const joined = view.members.filter((nodeid) => !stayed(nodeid));
    const left = this.#members.filter((nodeid) => !view.transitional.includes(nodeid));
    log(out, "QUORUM", "notice", listText("Sync members", view.members));
    if (joined.length > 0) log(out, "QUORUM", "notice", listText("Sync joined", joined));
    if (left.length > 0) log(out, "QUORUM", "notice", listText("Sync left", left));
  }

  syncProcess(): boolean {
    return true;
  }

  syncActivate(): void {
    this.#members = this.#next;
  }

  syncAbort(): void {
    // The list of the last finished synchronisation stays in force.
  }
}

/** "Members[3]: 1 2 3" as corosync writes it. */
export function listText(word: string, members: readonly number[]): string {
  return `${word}[${members.length}]: ${members.join(" ")}`;
}
