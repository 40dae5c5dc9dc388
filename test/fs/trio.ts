// Three nodes on a bus, and what a test asks of them.
import { decodeMessage } from "../../src/fs/replica/message.ts";
import { treeOfVersion, TreeGroup, type TreeNode } from "./tree-group.ts";

/** What was sent, by kind; `from`: by this nodeid only. */
export function kinds(group: TreeGroup, from?: number): string[] {
  return group.bus.sent
    .filter((sent) => from === undefined || sent.from.nodeid === from)
    .map(({ message }) => {
      const read = decodeMessage(message);
      return read.ok ? read.value.kind : "bad";
    });
}

export function count(list: readonly string[], item: string): number {
  return list.filter((each) => each === item).length;
}

/** Synced, quorate, equal trees of version 5; node 1 led. */
export function trio(seed = 1): { group: TreeGroup; nodes: [TreeNode, TreeNode, TreeNode] } {
  const group = new TreeGroup(seed);
  const nodes: [TreeNode, TreeNode, TreeNode] = [
    group.join(1, treeOfVersion(5, "one")),
    group.join(2, treeOfVersion(1, "two")),
    group.join(3, treeOfVersion(1, "three")),
  ];
  group.bus.run();
  group.expectEqual(nodes);
  return { group, nodes };
}
