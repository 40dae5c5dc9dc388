// What an override of the expected votes would do, before it is made: by the rules of votequorum (pvecm.md §1.7), from what a node knows of its votes. Pure.
import type { QuorumView } from "../../../node/member/events.ts";
import type { NodeSettings } from "../../../node/settings/settings.ts";

export interface ExpectedEffect {
  /** Why votequorum would not take it, a sentence with what it would; "": it would. */
  readonly refusal: string;
  /** What would be, a sentence. */
  readonly text: string;
}

export function expectedEffect(
  { totalVotes, quorate, members, expectedVotes, quorum: before }: QuorumView,
  rules: Pick<NodeSettings["quorum"], "twoNode">,
  votes: number,
): ExpectedEffect {
  const isTwoNode = rules.twoNode && members.length <= 2;
  const quorum = isTwoNode ? 1 : Math.max(half(votes), half(totalVotes));
  const refusal =
    votes < totalVotes
      ? `expected votes ${votes} would be refused: ${totalVotes} votes are present already, use at least ${totalVotes}`
      : quorate && quorum > totalVotes
        ? `expected votes ${votes} would be refused: quorum would become ${quorum} and the ${totalVotes} votes present would not reach it, use at most ${totalVotes * 2 - 1}`
        : "";
  const becomes = totalVotes >= quorum ? "quorate" : "not quorate";
  const text =
    `${votes} expected votes instead of ${expectedVotes}: quorum would be ${quorum} instead of ${before}, ` +
    `and this part with its ${totalVotes} votes ${becomes}. Nodes that run apart from here and are not off would be a second cluster`;
  return { refusal, text };
}

function half(votes: number): number {
  return Math.floor(votes / 2) + 1;
}
