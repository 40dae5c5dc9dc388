// What an operator's change of votes will come to, decided by the ledger that will carry it out (services.md §4.11): on a copy made of what a node shows
// of its votes. Pure.
import type { QuorumView } from "../member/events.ts";
import { type Ledger, hasFlag, members, recalculate, takeExpectedVotes } from "./ledger.ts";
import { voterFlags } from "./message.ts";
import { votesDespiteDevice } from "./needed.ts";

/** What is needed of a node's view of its votes. */
export type VotesSeen = Pick<
  QuorumView,
  "quorate" | "quorum" | "expectedVotes" | "flags" | "voters" | "deviceVotes"
>;

export interface Foreseen {
  readonly expectedVotes: number;
  readonly totalVotes: number;
  /** Votes needed. */
  readonly quorum: number;
  readonly isQuorate: boolean;
  /** wait_for_all keeps it from quorum though the votes would be enough. */
  readonly isWaiting: boolean;
}

/** `nodeid`: of the node that shows `seen`; `floor`: expected votes that expected_votes_tracking keeps, 0 for none. */
export function foreseeExpected(
  seen: VotesSeen,
  { nodeid, votes, floor = 0 }: { nodeid: number; votes: number; floor?: number | undefined },
): Foreseen {
  const ledger = ledgerOf(seen, nodeid, floor);
  takeExpectedVotes(ledger, votes);
  return outcome(ledger);
}

/** Of running votes of `of`, which are changed to `votes`. A node that is not known changes nothing. */
export function foreseeVotes(
  seen: VotesSeen,
  { nodeid, of, votes }: { nodeid: number; of: number; votes: number },
): Foreseen {
  const ledger = ledgerOf(seen, nodeid, 0);
  const voter = ledger.voters.get(of);
  if (voter !== undefined) voter.votes = votes;
  return outcome(ledger);
}

/**
 * How many votes node `nodeid` must be given while it runs so that its part is quorate though a device gives no votes to it; undefined: there is no
 * such device, or it would not help.
 */
export function votesInPlaceOfDevice(seen: VotesSeen, nodeid: number): number | undefined {
  const { us, voters } = ledgerOf(seen, nodeid, 0);
  if (seen.deviceVotes === 0 || hasFlag(us, voterFlags.deviceCastVote)) return undefined;
  const present = [...voters.values()].filter(({ state }) => state === "member");
  const expected = Math.max(...present.map(({ expectedVotes }) => expectedVotes));
  const others = present.reduce((sum, { votes }) => sum + votes, 0) - us.votes;
  const votes = votesDespiteDevice(expected, seen.deviceVotes) - others;
  const { quorum, totalVotes } = foreseeVotes(seen, { nodeid, of: nodeid, votes });
  return votes > us.votes && totalVotes >= quorum ? votes : undefined;
}

function outcome(ledger: Ledger): Foreseen {
  const { total, isWaitingForAll } = recalculate(ledger, true, false);
  const { quorum, isQuorate, us } = ledger;
  return {
    expectedVotes: us.expectedVotes,
    totalVotes: total,
    quorum,
    isQuorate,
    isWaiting: isWaitingForAll && total >= quorum,
  };
}

/** A copy. What a view does not show decides ties of auto_tie_breaker only: a part is not promised to win one. */
function ledgerOf(seen: VotesSeen, nodeid: number, floor: number): Ledger {
  const voters = new Map(seen.voters.map((voter) => [voter.nodeid, { ...voter }]));
  const us = voters.get(nodeid) ?? {
    ...{ nodeid, state: "member" as const, votes: 0, flags: 0 },
    expectedVotes: seen.expectedVotes,
  };
  voters.set(nodeid, us);
  const ledger: Ledger = {
    rules: {
      twoNode: seen.flags.includes("2Node"),
      waitForAll: seen.flags.includes("WaitForAll"),
      allowDownscale: seen.flags.includes("AllowDownscale"),
      lastManStanding: seen.flags.includes("LastManStanding"),
      tieBreaker: undefined,
      expectedVotesTracking: floor > 0,
      // What only a device's client, a window or a new corosync.conf asks for.
      ...{ lastManStandingWindowMs: 0, votes: us.votes, expectedVotes: us.expectedVotes },
      ...{ expectedVotesMax: 0, deviceVotes: seen.deviceVotes, isDeviceAllowed: true },
      ...{ deviceTimeoutMs: 0, deviceSyncTimeoutMs: 0 },
    },
    ...{ us, voters, deviceVotes: seen.deviceVotes, quorum: seen.quorum, barrier: 0 },
    ...{ isQuorate: seen.quorate, trackingBarrier: floor, lowest: 0, highest: 0, hasEnds: false },
    ...{ previous: [], current: [], isWaiting: hasFlag(us, voterFlags.waitForAll) },
    masterWins: hasFlag(us, voterFlags.deviceMasterWins),
  };
  ledger.current = [...members(ledger)].map((voter) => voter.nodeid);
  return ledger;
}
