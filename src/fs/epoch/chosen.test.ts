import { expect, test } from "bun:test";
import { chosenDisks } from "./chosen.ts";
import { votesNeeded, votesOf } from "./votes-needed.ts";

const cluster = (votes: readonly number[], deviceVotes = 0) => {
  const expectedVotes = votes.reduce((sum, each) => sum + each, deviceVotes);
  return {
    ...{ quorate: true, deviceVotes, expectedVotes, quorum: Math.floor(expectedVotes / 2) + 1 },
    voters: votes.map((each, at) => ({ nodeid: at + 1, votes: each })),
  };
};

test.each([
  ["three nodes", cluster([1, 1, 1]), 1],
  ["five nodes", cluster([1, 1, 1, 1, 1]), 2],
  ["two nodes", cluster([1, 1]), 1],
  ["two and a device", cluster([1, 1], 1), 1],
  ["one that has a majority alone", cluster([5, 1, 1]), 0],
  ["alone", cluster([1]), 0],
])("%s: no more than are needed with the writer, and all in turn", (_, view, count) => {
  const members = view.voters.map(({ nodeid }) => nodeid);
  const turns = new Map<number, number>();
  // One writer's changes: each replace is three.
  for (let version = 9; version < 9000; version += 3) {
    const needed = votesNeeded(view, members);
    const chosen = chosenDisks({ version, writer: 1, members, needed, view });
    expect(chosen.length).toBe(count);
    expect(votesOf(view, [1, ...chosen])).toBeGreaterThanOrEqual(votesNeeded(view, members));
    expect(chosen).not.toContain(1);
    for (const nodeid of chosen) turns.set(nodeid, (turns.get(nodeid) ?? 0) + 1);
  }
  const share = (2997 * count) / Math.max(1, members.length - 1);
  if (count === 0) expect(turns.size).toBe(0);
  else
    for (const nodeid of members.slice(1)) {
      expect(turns.get(nodeid)).toBeGreaterThan(share * 0.9);
      expect(turns.get(nodeid)).toBeLessThan(share * 1.1);
    }
});

test("who has no vote is never chosen, more votes make it fewer", () => {
  const view = cluster([1, 0, 2, 1]);
  for (let version = 1; version < 100; version += 1) {
    const members = [1, 2, 3, 4];
    const needed = votesNeeded(view, members);
    const chosen = chosenDisks({ version, writer: 1, members, needed, view });
    expect(chosen).not.toContain(2);
    expect(chosen).toContain(3);
  }
});
