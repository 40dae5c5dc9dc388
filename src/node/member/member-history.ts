// Every node that was a member of a ring of ours since start, as the configuration map shows them (services.md §6.1, runtime.members): how
// often it joined, whether it is there, what it last said of its configuration. Pure; one entry a node id that formed a ring with us.
import type { Configuration } from "../quorum/sync.ts";
import type { PastMember } from "./events.ts";
import type { NodeEntry } from "../settings/settings.ts";

export class MemberHistory {
  readonly #members = new Map<number, PastMember>();

  /**
   * A configuration of the ring, in its place among the deliveries: who does not come along in a transitional one has left, who is new in
   * a regular one has joined. `nodes`: the node list in force.
   */
  configured({ type, members }: Configuration, nodes: readonly NodeEntry[]): void {
    if (type === "transitional") {
      for (const [nodeid, member] of this.#members) {
        if (!members.includes(nodeid)) this.#members.set(nodeid, { ...member, isJoined: false });
      }
      return;
    }
    for (const nodeid of members) {
      if (this.#members.get(nodeid)?.isJoined === true) continue;
      const known = this.#members.get(nodeid);
      const entry = nodes.find((node) => node.nodeid === nodeid);
      this.#members.set(nodeid, {
        nodeid,
        isJoined: true,
        joinCount: (known?.joinCount ?? 0) + 1,
        addresses: known?.addresses ?? entry?.addresses ?? [],
        configVersion: known?.configVersion,
      });
    }
  }

  /** What nodes have said of their corosync.conf; 0: a node has no version. */
  heardVersions(versions: readonly { readonly nodeid: number; readonly version: number }[]): void {
    for (const { nodeid, version } of versions) {
      const known = this.#members.get(nodeid);
      if (known !== undefined) this.#members.set(nodeid, { ...known, configVersion: version });
    }
  }

  /** Ascending by nodeid. */
  all(): PastMember[] {
    return [...this.#members.values()].toSorted((a, b) => a.nodeid - b.nodeid);
  }
}
