// What the page says about a cluster: the sentence, who may still fail, the votes bar, and what is to be done.
import { expect, test } from "bun:test";
import {
  deviceFacts,
  linkFacts,
  nodeFacts,
  overviewOf,
} from "../../../../test/double/overviews.ts";
import { nodesThatMayFail, verdictOf, voteParts, warningsOf } from "./verdict.ts";

test.each([
  [[1, 2, 3], [], "Quorate: 3 of 3 votes, 2 needed. One more node may fail.", "good"],
  [[1, 2, 3], [3], "Quorate: 2 of 3 votes, 2 needed. No further node may fail.", "warn"],
  [[1, 2], [], "Quorate: 2 of 2 votes, 2 needed. No further node may fail.", "warn"],
  [[1, 2, 3, 4, 5], [], "Quorate: 5 of 5 votes, 3 needed. Two more nodes may fail.", "good"],
  [
    ...[
      [1, 2, 3],
      [2, 3],
    ],
    "Not quorate: 1 of 3 votes, 2 needed. 1 more is needed. Reading works, changes are refused.",
    "bad",
  ],
] as const)("%j without %j: %s", (nodes, away, sentence, mood) => {
  expect(verdictOf(overviewOf(nodes, away))).toMatchObject({ sentence, mood });
});

test("a standalone node needs nobody; one that waits for all says so", () => {
  const { quorum, ...rest } = overviewOf([1]);
  expect(verdictOf({ ...rest, quorum: { ...quorum, mode: "standalone" } })).toMatchObject({
    mood: "calm",
    sentence: "Standalone: this node is in no cluster and needs no other.",
  });
  const waiting = overviewOf([1, 2], []);
  const flags = ["WaitForAll"];
  expect(
    verdictOf({ ...waiting, quorum: { ...waiting.quorum, quorate: false, flags } }).sentence,
  ).toEndWith("It waits until all nodes were seen once; changes are refused until then.");
});

test("who may fail: whichever nodes they are, by the votes in force, with the arbiter's", () => {
  // One of them has more votes: if that one fails, all is over.
  const { quorum, ...rest } = overviewOf([1, 2, 3]);
  const voters = quorum.voters.map((voter) =>
    voter.nodeid === 1 ? { ...voter, votes: 3 } : voter,
  );
  const heavy = {
    ...rest,
    quorum: { ...quorum, voters, totalVotes: 5, expectedVotes: 5, quorum: 3 },
  };
  expect(nodesThatMayFail(heavy)).toBe(0);
  // Two nodes and an arbiter.
  const two = overviewOf([1, 2]);
  const device = { ...two.quorum, totalVotes: 3, expectedVotes: 3, quorum: 2, deviceVotes: 1 };
  expect(nodesThatMayFail({ ...two, quorum: device })).toBe(1);
  // In a ring of two with two_node one vote is enough.
  expect(nodesThatMayFail({ ...two, quorum: { ...two.quorum, quorum: 1 } })).toBe(1);
  // The last one has nobody who could miss it.
  expect(nodesThatMayFail(overviewOf([1]))).toBe(0);
});

test("the votes bar: nodes in their order, the arbiter apart, nothing without a vote", () => {
  const two = overviewOf([1, 2], [2], { device: deviceFacts });
  expect(voteParts(two)).toEqual([
    { nodeid: 1, name: "pve1", votes: 1, isPresent: true },
    { nodeid: 2, name: "pve2", votes: 1, isPresent: false },
    { nodeid: 0, name: "arbiter", votes: 1, isPresent: false },
  ]);
  const voteless = overviewOf([1, 2, 3]);
  const nodes = [...voteless.nodes, nodeFacts(9, { votes: 0 })];
  expect(voteParts({ ...voteless, nodes })).toHaveLength(3);
});

test("an arbiter that is gone has no vote here, though it would have", () => {
  const base = overviewOf([1, 2], [2], { device: deviceFacts });
  const quorum = { ...base.quorum, deviceVotes: 1 };
  const arbiter = (more: Partial<typeof quorum>) =>
    voteParts({ ...base, quorum: { ...quorum, ...more } }).at(-1);
  expect(arbiter({})).toMatchObject({ nodeid: 0, votes: 1, isPresent: true });
  const voters = quorum.voters.map((voter) => ({ ...voter, flags: 16 }));
  expect(arbiter({ voters })).toMatchObject({ nodeid: 0, votes: 1, isPresent: false });
});

const texts = (...of: Parameters<typeof overviewOf>) =>
  warningsOf(overviewOf(...of)).map(({ text }) => text);

test("nothing to do where all is well", () => {
  expect(texts([1, 2, 3])).toEqual([]);
  const alone = overviewOf([1]);
  expect(warningsOf({ ...alone, quorum: { ...alone.quorum, mode: "standalone" } })).toEqual([]);
});

test("each trouble has one warning, with an action", () => {
  expect(texts([1, 2, 3], [3])).toEqual([
    "pve3 is not in the cluster: see when it went, and start it.",
  ]);
  const [first, ...others] = warningsOf(overviewOf([1, 2, 3], [2, 3]));
  expect(first).toMatchObject({ mood: "bad", action: { kind: "go", screen: "emergency" } });
  expect(others).toHaveLength(2);
  expect(warningsOf(overviewOf([1, 2]))).toMatchObject([
    { action: { kind: "go", screen: "arbiter" } },
  ]);
  expect(warningsOf(overviewOf([1, 2, 3], [], { device: deviceFacts }))).toMatchObject([
    { action: { kind: "go", screen: "arbiter" } },
  ]);
  const broken = { ...deviceFacts, problem: "its certificate has expired" };
  expect(texts([1, 2], [], { device: broken })).toEqual([
    "The arbiter: its certificate has expired",
  ]);
  const nodes = [1, 2, 3].map((nodeid) => nodeFacts(nodeid));
  expect(warningsOf(overviewOf([1, 2, 3], [], { nodes }))).toMatchObject([
    {
      action: {
        kind: "type",
        command: "quorate link add 1 pve1=ADDRESS pve2=ADDRESS pve3=ADDRESS",
      },
    },
  ]);
  const certificates = [{ file: "nodes/pve1/pve-ssl.pem", daysLeft: 3 }];
  expect(texts([1, 2, 3], [], { certificates })).toEqual([
    "The certificate nodes/pve1/pve-ssl.pem expires in 3 days.",
  ]);
  const links = [linkFacts(2, 0, { faults: ["link 0 to pve2 loses packets"] })];
  expect(warningsOf(overviewOf([1, 2, 3], [], { links }))).toMatchObject([
    { text: "link 0 to pve2 loses packets", action: { kind: "go", screen: "links" } },
  ]);
  // Said of the link itself, once.
  const down = "link 1 to pve2 (node 2) at 10.1.0.2 is down: no answer. The ring goes on";
  expect(texts([1, 2, 3], [], { warnings: [down] })).toEqual(texts([1, 2, 3]));
  expect(texts([1, 2, 3], [], { warnings: ["the clock is wrong"] })).toEqual([
    "the clock is wrong",
  ]);
});

test("a command that names strangers is one command, whatever their names", () => {
  const nodes = [nodeFacts(1), nodeFacts(2, { name: "$(reboot); 'x'" })];
  const commands = warningsOf(overviewOf([1, 2], [], { nodes })).flatMap(({ action }) =>
    action.kind === "type" ? [action.command] : [],
  );
  expect(commands).toEqual([`quorate link add 1 pve1=ADDRESS '$(reboot); '\\''x'\\''=ADDRESS'`]);
});

test("a name that is written from right to left takes nothing of its sentence with it", () => {
  const [first] = warningsOf(
    overviewOf([1, 2, 3], [], {
      nodes: [1, 2, 3].map((nodeid) =>
        nodeFacts(nodeid, {
          name: nodeid === 3 ? "\u05e9\u05dc\u05d5\u05dd" : `pve${nodeid}`,
          addresses: ["10.0.0.1", "10.1.0.1"],
          isMember: nodeid !== 3,
        }),
      ),
    }),
  );
  expect(first?.text).toStartWith("\u2068\u05e9\u05dc\u05d5\u05dd\u2069 is not in the cluster");
});

test("a node that is joining counts as it does in the ring, not as corosync.conf says until then", () => {
  const [one, two, three] = overviewOf([1, 2, 3]).nodes;
  const nodes = [one!, two!, { ...three!, votes: 0 }];
  expect(texts([1, 2, 3], [], { nodes })).toEqual([]);
});

test("versions that differ, what was left by hand, a tree that cannot be changed", () => {
  const [one, two, three] = overviewOf([1, 2, 3]).nodes;
  const nodes = [one!, two!, { ...three!, configVersion: 2 }];
  expect(texts([1, 2, 3], [], { nodes })).toEqual([
    "pve3 runs version 2 of corosync.conf, this node version 3.",
  ]);
  const leftover = { kind: "remove", reason: "no", obstacle: "", left: ["Do it."], file: "/x" };
  expect(texts([1, 2, 3], [], { leftover })).toEqual([
    'The change "remove" left something to be done by hand: no Do it.',
  ]);
  const tree = { isWritable: false, reason: "its disk is full" };
  expect(texts([1, 2, 3], [], { tree })).toEqual([
    "The tree cannot be changed on pve1: its disk is full",
  ]);
});
