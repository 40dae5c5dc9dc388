import { expect, test } from "bun:test";
import { whyNeeded } from "./uninstall.ts";

type Votes = {
  readonly others: number;
  readonly own: number;
  readonly quorum: number;
  readonly quorate?: boolean;
};

function needed(
  { others, own, quorum, quorate = true }: Votes,
  memberCount = 2,
): string | undefined {
  const node = { name: "", nodeid: 1, member: true, reachable: true, addresses: [] };
  return whyNeeded({
    quorum: {
      ...{
        quorate,
        quorum,
        totalVotes: others + own,
        expectedVotes: others + own,
        flags: [],
        voters: [],
      },
      ...{ ring: { rep: 1, seq: 4 }, deviceVotes: 0, meaning: "" },
      members: Array.from({ length: memberCount }, (_, index) => index + 1),
    },
    nodes: [
      { ...node, local: false, votes: others },
      { ...node, local: true, votes: own },
    ],
  });
}

test("a node is needed when the others' votes are no quorum", () => {
  expect(needed({ others: 2, own: 1, quorum: 2 })).toBeUndefined();
  expect(needed({ others: 1, own: 1, quorum: 2 })).toContain("1 of 2 votes");
  expect(needed({ others: 2, own: 2, quorum: 3 })).toContain("2 of 3 votes");
});

test("nobody loses by a node that is alone, or without quorum", () => {
  expect(needed({ others: 0, own: 1, quorum: 1 }, 1)).toBeUndefined();
  expect(needed({ others: 1, own: 1, quorum: 3, quorate: false })).toBeUndefined();
});
