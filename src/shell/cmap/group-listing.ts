// The closed process groups of the cluster in the order in which the original's library lists them (services.md §7.4). Pure.
import type { MemberSnapshot } from "../../node/member/events.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";

/** A group with its processes. */
export interface GroupListing {
  /** A byte string. */
  readonly group: string;
  readonly members: readonly {
    readonly nodeid: number;
    readonly pid: number;
    /** Of the node, by link. */
    readonly addresses: readonly string[];
  }[];
}

/**
 * The processes are gone through by node and pid, those of one process from the last name on: each new group goes in front of the others,
 * each further process of a group behind its first.
 */
export function groupListing(
  groups: MemberSnapshot["groups"],
  nodes: NodeSettings["nodes"],
): GroupListing[] {
  const listed: { group: string; members: GroupListing["members"][number][] }[] = [];
  for (const { group, nodeid, pid } of groups.toSorted(
    (a, b) => a.nodeid - b.nodeid || a.pid - b.pid || (a.group < b.group ? 1 : -1),
  )) {
    const node = nodes.find((entry) => entry.nodeid === nodeid);
    const addresses = (node?.addresses ?? []).filter((address) => address !== undefined);
    const member = { nodeid, pid, addresses };
    const known = listed.find((entry) => entry.group === group);
    if (known === undefined) listed.unshift({ group, members: [member] });
    else known.members.splice(1, 0, member);
  }
  return listed;
}
