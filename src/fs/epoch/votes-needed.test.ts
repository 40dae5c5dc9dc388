import { expect, test } from "bun:test";
import { votesNeeded } from "./votes-needed.ts";

const cluster = (
  votes: readonly number[],
  over: { quorum: number; expectedVotes?: number; deviceVotes?: number },
) => ({
  quorate: true,
  deviceVotes: 0,
  expectedVotes: votes.reduce((sum, each) => sum + each, over.deviceVotes ?? 0),
  voters: votes.map((each, at) => ({ nodeid: at + 1, votes: each })),
  ...over,
});

test.each([
  ["three nodes", cluster([1, 1, 1], { quorum: 2 }), [1, 2, 3], 2],
  ["three nodes, one away", cluster([1, 1, 1], { quorum: 2 }), [1, 2], 2],
  ["four nodes", cluster([1, 1, 1, 1], { quorum: 3 }), [1, 2, 3, 4], 3],
  ["five nodes", cluster([1, 1, 1, 1, 1], { quorum: 3 }), [1, 2, 3], 3],
  ["one node has more votes", cluster([3, 1, 1], { quorum: 3 }), [1, 2, 3], 3],
  ["a node that joins has none yet", cluster([1, 1, 0], { quorum: 2 }), [1, 2, 3], 2],
  // Either may go on alone with the device's vote: both must have it while both are there.
  ["two and a device", cluster([1, 1], { quorum: 2, deviceVotes: 1 }), [1, 2], 2],
  ["one of two with the device", cluster([1, 1], { quorum: 2, deviceVotes: 1 }), [1], 1],
  // Two of four and the device are quorate: three must have it, so that no such two are without one of them.
  ["four and a device", cluster([1, 1, 1, 1], { quorum: 3, deviceVotes: 1 }), [1, 2, 3, 4], 3],
  ["half of four with the device", cluster([1, 1, 1, 1], { quorum: 3, deviceVotes: 1 }), [1, 2], 2],
  // Each alone is quorate with the device of last-man-standing.
  ["three, lms", cluster([1, 1, 1], { quorum: 3, deviceVotes: 2 }), [1, 2, 3], 3],
  ["two_node", cluster([1, 1], { quorum: 1 }), [1, 2], 2],
  ["two_node, one away", cluster([1, 1], { quorum: 1 }), [2], 1],
  ["without votes", cluster([], { quorum: 0 }), [1, 2], 0],
])("%s", (_, view, present, needed) => {
  expect(votesNeeded(view, present)).toBe(needed);
});
