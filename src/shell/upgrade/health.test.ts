import { describe, expect, test } from "bun:test";
import type { Facts, NodeFacts, ServerFacts } from "./events.ts";
import { probationFailure, nodeRefusal, serverRefusal } from "./health.ts";

const node: NodeFacts = {
  role: "node",
  version: "1.0.0",
  ringState: "operational",
  isSynchronising: false,
  members: [1, 2, 3],
  isQuorate: true,
  treeMode: "synced",
  treeVersion: 50,
  treeMembers: [1, 2, 3],
  isTreeDifferent: false,
};

const failure = (before: Facts, facts: Facts | undefined) =>
  probationFailure(before, { role: before.role, service: "running", facts }, "1.0.1");

describe("a node", () => {
  const after = { ...node, version: "1.0.1" };

  test("the same or better is healthy", () => {
    expect(failure(node, after)).toBeUndefined();
    expect(failure(node, { ...after, members: [1, 2, 3, 4], treeVersion: 51 })).toBeUndefined();
    expect(failure({ ...node, isQuorate: false, members: [1] }, after)).toBeUndefined();
  });

  test.each<readonly [Partial<NodeFacts>, string]>([
    [{ version: "1.0.0" }, "the node still runs version 1.0.0"],
    [{ ringState: "gather" }, "its ring is in state gather"],
    [{ isSynchronising: true }, "its services are synchronising"],
    [{ members: [1, 3] }, "it does not see node 2, which it saw before"],
    [{ isQuorate: false }, "it is not quorate and was before"],
    [{ treeMode: "synchronising" }, "its tree is synchronising"],
    [{ treeMembers: [1] }, "its tree is not shared with nodes 2, 3"],
    [{ isTreeDifferent: true }, "its tree differed from that of the lowest node id"],
    [{ treeVersion: 49 }, "its tree has version 49 and had 50 before"],
  ])("%p is a probation failure", (change, sentence) => {
    expect(failure(node, { ...after, ...change })).toBe(sentence);
  });

  test("silence is a probation failure", () => {
    expect(failure(node, undefined)).toBe("the node does not answer");
    expect(probationFailure(node, undefined, "1.0.1")).toBe("the node does not answer");
  });
});

describe("a vote server", () => {
  const server: ServerFacts = {
    role: "qnetd",
    version: "1.0.0",
    clusters: [
      { name: "a", nodes: [1, 2] },
      { name: "b", nodes: [1, 2] },
    ],
  };
  const after = (...clusters: ServerFacts["clusters"]): ServerFacts => ({
    role: "qnetd",
    version: "1.0.1",
    clusters,
  });

  test("all nodes are back, and more", () => {
    expect(failure(server, after(...server.clusters, { name: "c", nodes: [7] }))).toBeUndefined();
    expect(failure({ ...server, clusters: [] }, after())).toBeUndefined();
  });

  test("of few nodes none may be absent", () => {
    expect(failure(server, after({ name: "a", nodes: [1, 2] }, { name: "b", nodes: [2] }))).toBe(
      'node 1 of cluster "b" has not come back',
    );
    expect(failure(server, after({ name: "a", nodes: [1] }))).toBe(
      'node 2 of cluster "a" and 2 more have not come back',
    );
  });

  test("of many nodes one in ten may have gone for reasons of its own", () => {
    const clusters = Array.from({ length: 10 }, (_, i) => ({ name: `c${i}`, nodes: [1, 2] }));
    const many = { ...server, clusters };
    expect(failure(many, after(...clusters.slice(1)))).toBeUndefined();
    expect(failure(many, after(...clusters.slice(1, 9), { name: "c9", nodes: [2] }))).toContain(
      "have not come back",
    );
  });
});

describe("what a restart would cost", () => {
  const votes = { isQuorate: true, totalVotes: 3, ownVotes: 1, quorum: 2, members: [1, 2, 3] };

  test("three nodes, or two with a device or two_node: nothing", () => {
    expect(nodeRefusal(votes)).toBeUndefined();
    expect(nodeRefusal({ ...votes, members: [1, 2] })).toBeUndefined();
    expect(nodeRefusal({ ...votes, totalVotes: 2, quorum: 1, members: [1, 2] })).toBeUndefined();
  });

  test("two plain nodes, or two of three: quorum", () => {
    expect(nodeRefusal({ ...votes, totalVotes: 2, members: [1, 2] })).toContain("1 of 2 votes");
    expect(nodeRefusal({ ...votes, ownVotes: 2 })).toContain("1 of 2 votes");
  });

  test("nothing to lose: alone, or without quorum already", () => {
    expect(nodeRefusal({ ...votes, totalVotes: 1, quorum: 1, members: [1] })).toBeUndefined();
    expect(nodeRefusal({ ...votes, isQuorate: false, totalVotes: 1 })).toBeUndefined();
  });

  test("a vote server whose cluster lacks a node", () => {
    const whole = { name: "a", configured: [1, 2], connected: [2, 1] };
    const short = { name: "b", configured: [1, 2, 3], connected: [1] };
    expect(serverRefusal([whole])).toBeUndefined();
    expect(serverRefusal([])).toBeUndefined();
    expect(serverRefusal([whole, short])).toContain('cluster "b" lacks nodes 2, 3:');
  });
});
