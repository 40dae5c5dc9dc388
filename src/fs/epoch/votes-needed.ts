// How many votes must have a change on their disks before it is answered. Spec: services.md §4.2; design.md decision 3. Pure.

/** What is needed of votequorum's view (QuorumView). */
export interface VoteCounts {
  readonly quorate: boolean;
  readonly quorum: number;
  readonly expectedVotes: number;
  readonly deviceVotes: number;
  readonly voters: readonly { readonly nodeid: number; readonly votes: number }[];
}

/**
 * The quorum, and where less than a majority of the nodes can be quorate (a device's vote, two_node) so many that no such part is
 * without one of them: a device's vote has no disk. At most what is here: who is quorate with less can have no more.
 */
export function votesNeeded(view: VoteCounts, present: Iterable<number>): number {
  const { quorum, expectedVotes, deviceVotes } = view;
  const ofNodes = Math.max(1, expectedVotes - deviceVotes);
  const leastQuorate = Math.max(1, quorum - deviceVotes);
  return Math.min(Math.max(quorum, ofNodes - leastQuorate + 1), votesOf(view, present));
}

/** Of these nodes together; each counts once. */
export function votesOf({ voters }: Pick<VoteCounts, "voters">, nodeids: Iterable<number>): number {
  const counted = new Set(nodeids);
  let votes = 0;
  for (const voter of voters) if (counted.has(voter.nodeid)) votes += voter.votes;
  return votes;
}
