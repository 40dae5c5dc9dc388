// How many votes a quorum device should have, and when it does more harm than good (qnetd.md §3.1, §8): what set-up writes into
// corosync.conf and what status warns about. Pure.

export interface Advice {
  readonly votes: number;
  readonly algorithm: "ffsplit" | "lms";
  /** What the operator should know before it is done; undefined: nothing speaks against it. */
  readonly warning: string | undefined;
}

/**
 * The device for a cluster of `nodes` nodes (≥ 2) with one vote each. One vote for an even number. For an odd number one vote too,
 * with a warning, unless `lastManStanding` asks for N − 1 votes with lms: then a single node can carry the cluster.
 */
export function deviceAdvice(nodes: number, lastManStanding: boolean): Advice {
  const votes = lastManStanding ? nodes - 1 : 1;
  const algorithm = lastManStanding ? "lms" : "ffsplit";
  return { votes, algorithm, warning: deviceWarning(nodes, votes) };
}

/** A warning about a device with `votes` votes beside `nodes` nodes with one vote each; undefined: all is well. */
export function deviceWarning(nodes: number, votes: number): string | undefined {
  if (votes === 0)
    return "the quorum device has no vote and changes nothing: set quorum.device.votes";
  const quorum = Math.floor((nodes + votes) / 2) + 1;
  if (nodes < quorum) {
    return `without its vote server this cluster is never quorate, even with all ${nodes} nodes (the device has ${votes} of ${nodes + votes} votes, ${quorum} are needed): the vote server is a single point of failure`;
  }
  const bearsAlone = nodes - quorum;
  const bearsWithout = nodes - (Math.floor(nodes / 2) + 1);
  if (bearsAlone < bearsWithout) {
    return `while its vote server is away this cluster of ${nodes} nodes bears the loss of ${nodesText(bearsAlone)}, without a device it would bear ${bearsWithout}: the vote server adds a point of failure`;
  }
  return undefined;
}

function nodesText(count: number): string {
  if (count === 0) return "no node";
  return count === 1 ? "one node" : `${count} nodes`;
}
