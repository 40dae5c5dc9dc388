// What a healthy node that is its own cluster says of itself.
import type { NodeFacts } from "../../src/shell/upgrade/events.ts";

export function loneNode(version: string): NodeFacts {
  return {
    role: "node",
    version,
    ringState: "operational",
    isSynchronising: false,
    members: [1],
    isQuorate: true,
    treeMode: "synced",
    treeVersion: 1,
    treeMembers: [1],
    isTreeDifferent: false,
  };
}
