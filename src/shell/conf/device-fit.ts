// The quorum device follows the number of nodes (pvecm.md §2.3, pain point 16): after a node came or went, or votes changed, its votes
// and algorithm are those that a set-up would choose now. Pure.
import { type Conf, entryAt, sectionsOf } from "../../conf.ts";
import { deviceAdvice } from "../../node/device/advice.ts";
import type { ClusterConf, ClusterNode } from "./cluster-conf.ts";
import { drop, setEntry } from "./conf-text.ts";

/** A node with votes; one on its way into the cluster has none yet. */
export function isVoter({ votes }: Pick<ClusterNode, "votes">): boolean {
  return votes > 0;
}

/**
 * Changes `conf`, whose nodes were `before` and are `after` now. Answers what was changed, in sentences. A device whose votes were somebody's
 * own choice stays as it is.
 */
export function fitDevice(
  conf: Conf,
  cluster: ClusterConf,
  after: readonly ClusterNode[],
): string[] {
  const notes = fitTwoNode(conf, cluster, after);
  const { device } = cluster;
  const [section] = sectionsOf(conf, "quorum").flatMap((each) => sectionsOf(each, "device"));
  if (device === undefined || section === undefined) return notes;
  const voters = after.filter(isVoter).length;
  const isEven = after.every(({ votes }) => votes === 1);
  if (voters < 2) {
    return [
      ...notes,
      "a cluster of one voting node needs no quorum device: remove it with `quorate qdevice remove`",
    ];
  }
  const before = cluster.nodes.filter(isVoter).length;
  const isLms = device.algorithm === "lms";
  const votesBefore = device.votes ?? before - 1;
  if (votesBefore !== deviceAdvice(before, isLms).votes) {
    const own = `the quorum device keeps its ${votesBefore} votes, which were not chosen for ${before} nodes`;
    return [...notes, `${own}: see \`quorate qdevice status\``];
  }
  const advice = deviceAdvice(voters, isLms && voters % 2 === 1);
  const [net] = sectionsOf(section, "net");
  if (net !== undefined && device.algorithm !== advice.algorithm) {
    setEntry(net, "algorithm", advice.algorithm);
    notes.push(
      `the quorum device's algorithm becomes ${advice.algorithm}, as for ${voters} voting nodes`,
    );
  }
  // votequorum computes them only where every node has one vote.
  if (advice.algorithm === "lms" && isEven)
    drop(section, (item) => item.kind === "entry" && item.key === "votes");
  else setEntry(section, "votes", String(advice.votes));
  if (advice.votes !== votesBefore) {
    notes.push(`the quorum device has ${advice.votes} votes now instead of ${votesBefore}`);
  }
  if (advice.warning !== undefined && voters !== before) notes.push(advice.warning);
  return notes;
}

/** Two nodes' mode is for two votes; with others corosync would not take it. */
function fitTwoNode(conf: Conf, cluster: ClusterConf, after: readonly ClusterNode[]): string[] {
  const votes = after.reduce((sum, node) => sum + node.votes, 0);
  if (!cluster.twoNode || votes === 2) return [];
  for (const quorum of sectionsOf(conf, "quorum")) {
    drop(quorum, (item) => item.kind === "entry" && item.key === "two_node");
  }
  const isExpected = entryAt(conf, ["quorum", "expected_votes"]) !== undefined;
  const rest = isExpected
    ? "; quorum.expected_votes is set by hand: look whether it still fits"
    : "";
  return [`quorum.two_node is removed: the nodes have ${votes} votes now${rest}`];
}
