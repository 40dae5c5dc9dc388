// When expected votes count as overridden.
import { expect, test } from "bun:test";
import { expectedOverride } from "./status.ts";

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
  members,
  flags,
});

test("fewer votes than the nodes of corosync.conf have are an override, named with who is away", () => {
  expect(expectedOverride(settings, view(1, [1], "Quorate"))).toMatch(
    /^the expected votes are overridden: 1 instead of the 3 of .*if pve2 or pve3 runs apart from here, .*It ends when their votes return/,
  );
});

test.each([
  ["all votes expected", view(3, [1, 2, 3])],
  ["more, for a quorum device", view(4, [1, 2, 3])],
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
