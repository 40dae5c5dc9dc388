// When expected votes count as overridden.
import { expect, test } from "bun:test";
import { expectedOverride, votesOverride } from "./status.ts";

const node = (nodeid: number, votes = 1) => ({
  nodeid,
  name: `pve${nodeid}`,
  votes,
  addresses: [],
});
const nodes = [node(1), node(2), node(3)];
const quorum = {
  provider: true,
  expectedVotes: undefined,
  votes: undefined,
  twoNode: false,
  waitForAll: undefined,
};
const settings = { nodes, quorum } as unknown as Parameters<typeof expectedOverride>[0];
const view = (expectedVotes: number, members: number[], ...flags: string[]) => ({
  expectedVotes,
  totalVotes: members.length,
  quorum: Math.floor(expectedVotes / 2) + 1,
  members,
  flags,
});
const withQuorum = (change: Record<string, unknown>) => ({
  ...settings,
  quorum: { ...settings.quorum, ...change },
});

test("fewer votes than the nodes of corosync.conf have are an override, named with who is away", () => {
  expect(expectedOverride(settings, view(1, [1], "Quorate"))).toMatch(
    /^the expected votes are overridden: 1 instead of the 3 of .*if pve2 or pve3 runs apart from here, .*It ends when their votes return/,
  );
});

test("more votes than corosync.conf has are told with the way back, a device's are not", () => {
  const raised =
    /^the expected votes are raised: 5 instead of the 3 of .*so that 3 are needed\. `quorate expected 3` sets them back/;
  expect(expectedOverride(settings, view(5, [1, 2, 3], "Quorate"))).toMatch(raised);
  // Fewer than are here would be refused.
  const many = { ...view(6, [1, 2, 3]), totalVotes: 4 };
  expect(expectedOverride(settings, many)).toContain("`quorate expected 4` sets them back");
  const device = { model: "net", votes: 1 };
  expect(expectedOverride(withQuorum({ device }), view(4, [1, 2, 3]))).toBe("");
  expect(expectedOverride(withQuorum({ device: { model: "net" } }), view(5, [1, 2, 3]))).toBe("");
  expect(expectedOverride(withQuorum({ device }), view(5, [1, 2, 3]))).toMatch(/the 4 of coros/);
  expect(expectedOverride(withQuorum({ expectedVotes: 5 }), view(5, [1, 2, 3]))).toBe("");
  expect(expectedOverride(withQuorum({ expectedVotes: 5 }), view(3, [1, 2, 3]))).toContain(
    "overridden: 3 instead of the 5",
  );
  expect(expectedOverride(withQuorum({ expectedVotesTracking: true }), view(5, [1]))).toBe("");
});

test.each([
  ["all votes expected", view(3, [1, 2, 3])],
  ["last man standing lowers them", view(1, [1], "LastManStanding")],
  ["a node that left lowers them", view(2, [1, 2], "AllowDownscale")],
  ["not known yet", view(0, [1])],
])("no override: %s", (_, state) => {
  expect(expectedOverride(settings, state)).toBe("");
});

test("without a quorum provider there is nothing to override", () => {
  const without = { ...settings, quorum: { ...settings.quorum, provider: false } };
  expect(expectedOverride(without, view(1, [1]))).toBe("");
});

test("votes that a node was given while it runs are told until they end; a node that joins has none yet", () => {
  const voter = (nodeid: number, votes: number, state: "member" | "dead" = "member") => ({
    ...{ nodeid, votes, state, expectedVotes: 3, flags: 0 },
  });
  const seen = (...voters: ReturnType<typeof voter>[]) => votesOverride({ nodes }, { voters });
  expect(seen(voter(1, 3), voter(2, 1), voter(3, 9, "dead"))).toEqual([
    expect.stringMatching(
      /^pve1 \(node 1\) has 3 votes instead of the 1 of corosync\.conf.*restarts, or with `corosync-quorumtool -v 1` there once all are back$/,
    ),
  ]);
  const joins = [...nodes, node(4, 0)];
  expect(votesOverride({ nodes: joins }, { voters: [voter(4, 1), voter(5, 1)] })).toEqual([]);
});
