// What an override of the expected votes would do, before it is made, and what helps where it does not (pvecm.md §1.7): by votequorum's own rules, from
// what a node knows of its votes. Pure.
import {
  foreseeExpected,
  votesInPlaceOfDevice,
  type VotesSeen,
} from "../../../node/quorum/foresee.ts";
import { expectedAtLeast, neededVotes } from "../../../node/quorum/needed.ts";
import { voterFlags } from "../../../node/quorum/message.ts";
import { plural } from "../../cli/text-table.ts";

export interface ExpectedEffect {
  /** Why votequorum would not take it, a sentence with what it would; "": it would. */
  readonly refusal: string;
  /** What would be, a sentence. */
  readonly text: string;
  /** What makes this part quorate where the override does not, a sentence each. */
  readonly advice: readonly string[];
  /** Votes needed then. */
  readonly quorum: number;
  readonly isQuorate: boolean;
}

type Seen = VotesSeen & { readonly totalVotes: number };

interface Wanted {
  /** Of the node that shows the votes. */
  readonly nodeid: number;
  readonly votes: number;
  /** Expected votes that expected_votes_tracking keeps; 0: none. */
  readonly floor?: number | undefined;
}

export function expectedEffect(seen: Seen, wanted: Wanted): ExpectedEffect {
  const { totalVotes, expectedVotes, quorum: before } = seen;
  const then = foreseeExpected(seen, wanted);
  const { quorum, isQuorate, isWaiting } = then;
  const isRaised = then.expectedVotes > wanted.votes;
  const stands = isRaised ? `, and ${then.expectedVotes} count all the same` : "";
  const becomes = isQuorate ? "quorate" : isWaiting ? "waiting for all nodes" : "not quorate";
  const risk = isQuorate
    ? ". Nodes that run apart from here and are not off would be a second cluster"
    : "";
  const text =
    `${plural(wanted.votes, "expected vote")} instead of ${expectedVotes}${stands}: quorum would be ${quorum} instead of ${before}, ` +
    `and this part with its ${plural(totalVotes, "vote")} ${becomes}${risk}`;
  const advice = isQuorate ? [] : adviceFor(seen, wanted, isWaiting);
  return { refusal: refusalOf(seen, wanted.votes), text, advice, quorum, isQuorate };
}

/** As votequorum's own check: it does not look at a device's votes. */
function refusalOf({ totalVotes, quorate, flags, voters }: Seen, votes: number): string {
  const present = voters.filter(({ state }) => state === "member").length;
  const quorum = flags.includes("2Node") && present <= 2 ? 1 : neededVotes(votes, totalVotes);
  if (votes < totalVotes)
    return `expected votes ${votes} would be refused: ${plural(totalVotes, "vote is", "votes are")} present already, use at least ${totalVotes}`;
  return quorate && quorum > totalVotes
    ? `expected votes ${votes} would be refused: quorum would become ${quorum} and the ${plural(totalVotes, "vote")} present would not reach it, use at most ${totalVotes * 2 - 1}`
    : "";
}

const cancelCommand = "`corosync-cmapctl -s quorum.cancel_wait_for_all u8 1`";

function adviceFor(seen: Seen, { nodeid, votes }: Wanted, isWaiting: boolean): readonly string[] {
  if (isWaiting) {
    return [
      `Its votes would be enough, but wait_for_all is set: if the other nodes are off and stay off, give \`corosync-quorumtool -e ${votes}\` and then ${cancelCommand} on this node`,
    ];
  }
  const least = Math.max(1, seen.totalVotes);
  if (foreseeExpected(seen, { nodeid, votes: least }).isQuorate) {
    return [`With ${plural(least, "expected vote")} this part would be quorate`];
  }
  return deviceAdvice(seen, nodeid);
}

/** Of a configured device that gives no votes here: they are expected all the same, also when its client is stopped. */
function deviceAdvice(seen: Seen, nodeid: number): readonly string[] {
  const own = seen.voters.find((voter) => voter.nodeid === nodeid);
  const { deviceVotes, totalVotes, expectedVotes } = seen;
  if (deviceVotes === 0 || own === undefined || (own.flags & voterFlags.deviceCastVote) !== 0) {
    return [];
  }
  const withIt = totalVotes + deviceVotes;
  const isEnough =
    withIt >= neededVotes(expectedAtLeast(expectedVotes, totalVotes, deviceVotes), withIt);
  const back = isEnough
    ? "once it gives its votes to this part, that is quorate without an override"
    : "once it gives its votes to this part, the override works";
  const lines = [
    `A quorum device with ${plural(deviceVotes, "vote")} is configured and gives none here. They are expected all the same, so no number of expected votes makes this part quorate`,
    `Bring the vote server back: ${back} (\`quorate qdevice status\` says what is wrong with it)`,
  ];
  const wanted = votesInPlaceOfDevice(seen, nodeid);
  if (wanted === undefined) return lines;
  const wait = seen.flags.includes("WaitForAll")
    ? `, and after it ${cancelCommand}, as wait_for_all is set`
    : "";
  return [
    ...lines,
    `Or, if the other nodes are off and stay off, type \`corosync-quorumtool -v ${wanted}\` on this node${wait}: it has ${plural(wanted, "vote")} instead of ${own.votes} then, and this part is quorate, until corosync.conf changes or this node restarts. Nodes that run apart from here would be a second cluster`,
  ];
}
