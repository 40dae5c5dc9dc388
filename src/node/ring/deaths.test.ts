// Evidence that a member's process has ended, in rings on a virtual clock: what it may start, and what it may never do.
import { describe, expect, test } from "bun:test";
import { TestNetwork, type TestNode } from "../../../test/double/ring-network.ts";
import { decodeMessage } from "./message.ts";

function ringOf(nodeids: readonly number[], seed: number): TestNetwork {
  const network = new TestNetwork({ seed, nodeids });
  network.startAll();
  network.run(3000);
  for (const node of network.alive) node.step({ kind: "announced", isAll: true });
  return network;
}

/** The node's own evidence, of these members. */
function ended(node: TestNode, ...nodeids: number[]): void {
  node.step({ kind: "ended", peers: nodeids.map((nodeid) => ({ nodeid, links: [0, 1] })) });
}

const gathers = (node: TestNode): number => node.ring.snapshot().counters.entered.gather;
const doubts = (node: TestNode): string[] =>
  node.logs.filter((line) => line.includes("lives, though"));

describe("a member whose process has ended", () => {
  test("is out of the ring in a few joins' time when all others know it, whoever knows it first", () => {
    const network = ringOf([1, 2, 3, 4], 40);
    network.kill(1);
    ended(network.node(3), 1);
    network.run(120);
    expect(network.node(3).ring.snapshot().failed).toEqual([]);
    ended(network.node(2), 1);
    network.run(60);
    expect(network.node(3).ring.snapshot().failed).toEqual([]);
    ended(network.node(4), 1);
    const took = network.runUntil(() => network.isWhole([2, 3, 4]), 1000, "the rest");
    expect(took).toBeLessThan(70);
    expect(network.node(3).logs).toContain(
      "The process of node 1 has ended: its machine refuses packets on links 0 and 1, and nothing comes from it. Forming a new membership without waiting for the token.",
    );
    for (const node of network.alive) {
      expect(node.logs.some((line) => /token timed out|consensus timeout/.test(line))).toBe(false);
      expect(doubts(node)).toEqual([]);
    }
  });

  test("is waited for as ever when one of the others does not agree", () => {
    const network = ringOf([1, 2, 3], 41);
    network.kill(3);
    ended(network.node(1), 3);
    const took = network.runUntil(() => network.isWhole([1, 2]), 12_000, "the rest");
    expect(took).toBeGreaterThan(4300);
    // Membership began at once all the same.
    expect(took).toBeLessThan(4600);
  });

  test("two of five, one right after the other", () => {
    const network = ringOf([1, 2, 3, 4, 5], 42);
    network.kill(2);
    network.kill(3);
    const rest = [1, 4, 5];
    for (const nodeid of rest) ended(network.node(nodeid), 2);
    network.run(150);
    for (const nodeid of rest) ended(network.node(nodeid), 2, 3);
    const took = network.runUntil(() => network.isWhole(rest), 1000, "the rest");
    expect(took).toBeLessThan(120);
  });

  test("of two members the other goes on, after it has given it time to be heard", () => {
    const network = ringOf([1, 2], 43);
    network.kill(1);
    ended(network.node(2), 1);
    const took = network.runUntil(() => network.isWhole([2]), 1000, "the other");
    expect(took).toBeGreaterThanOrEqual(100);
    expect(took).toBeLessThan(200);
  });

  test("is waited for where not all are ours, and what the order of a join's list says is not read", () => {
    const network = ringOf([1, 2, 3], 44);
    for (const nodeid of [1, 2]) network.node(nodeid).step({ kind: "announced", isAll: false });
    network.kill(3);
    const before = gathers(network.node(1));
    for (const nodeid of [1, 2]) ended(network.node(nodeid), 3);
    network.run(1000);
    expect(gathers(network.node(1))).toBe(before);
    const took = network.runUntil(() => network.isWhole([1, 2]), 12_000, "the rest");
    expect(took).toBeGreaterThan(5000);
  });
});

describe("evidence that is wrong", () => {
  test("forms the ring anew, with all its members, and then counts for nothing twice as long each time", () => {
    const network = ringOf([1, 2, 3], 45);
    const deceived = network.node(2);
    const times: number[] = [];
    const before = gathers(deceived);
    while (network.now < 200_000) {
      // Forged again and again, withdrawn whenever the member is heard.
      ended(deceived, 3);
      network.run(20);
      ended(deceived);
      network.runUntil(() => network.isWhole([1, 2, 3]), 1000, "all three");
      if (doubts(deceived).length > times.length) times.push(network.now);
      network.run(480);
    }
    // 10, 20, 40, 80 s.
    expect(times).toHaveLength(5);
    times.slice(1).forEach((at, i) => {
      expect(at - (times[i] ?? 0)).toBeGreaterThanOrEqual(10_000 * 2 ** i);
    });
    expect(gathers(deceived) - before).toBeLessThanOrEqual(3 * times.length);
    expect(doubts(deceived)[0]).toBe(
      "Node 3 lives, though its machine seemed to refuse packets: refusals of it count for nothing for 10 s. Does a firewall reject the cluster's ports for moments, or does somebody forge ICMP messages?",
    );
  });

  test("never takes out a member that stands still, while one other is not deceived", () => {
    const network = ringOf([1, 2, 3, 4], 46);
    const until = network.now + 3000;
    // Node 4 neither says nor hears anything for three seconds.
    network.isLost = ({ from, to }) => network.now < until && (from === 4 || to === 4);
    for (const nodeid of [1, 2]) ended(network.node(nodeid), 4);
    network.run(2900);
    expect(network.node(1).ring.snapshot()).toMatchObject({ members: [1, 2, 3, 4], failed: [] });
    network.run(100);
    ended(network.node(1));
    ended(network.node(2));
    network.runUntil(() => network.isWhole([1, 2, 3, 4]), 1000, "all four");
    for (const node of network.alive) {
      expect(node.seen.every((seen) => seen.kind !== "configured" || !seen.left.includes(4))).toBe(
        true,
      );
    }
  });

  test("is not heeded against more than half of the members, nor while addresses may change", () => {
    const network = ringOf([1, 2, 3], 47);
    const until = network.now + 2000;
    network.isLost = ({ from, to }) => network.now < until && (from === 1) !== (to === 1);
    ended(network.node(1), 2, 3);
    network.run(1990);
    expect(network.node(1).ring.snapshot()).toMatchObject({ state: "gather", failed: [] });
    ended(network.node(1));
    network.runUntil(() => network.isWhole([1, 2, 3]), 2000, "all three");
    const reloading = network.node(2);
    const before = gathers(reloading);
    reloading.step({ kind: "announced", isAll: true });
    reloading.step({ kind: "reloading" });
    ended(reloading, 1);
    network.run(5000);
    expect(gathers(reloading)).toBe(before);
  });

  test("a member that comes back begins with a clean slate", () => {
    const network = ringOf([1, 2, 3], 48);
    const deceived = network.node(2);
    ended(deceived, 3);
    network.run(20);
    ended(deceived);
    network.runUntil(() => network.isWhole([1, 2, 3]), 1000, "all three");
    expect(doubts(deceived)).toHaveLength(1);
    network.kill(3);
    network.runUntil(() => network.isWhole([1, 2]), 12_000, "the rest");
    network.start(3);
    network.runUntil(() => network.isWhole([1, 2, 3]), 12_000, "all three again");
    for (const nodeid of [1, 2]) network.node(nodeid).step({ kind: "announced", isAll: true });
    network.kill(3);
    for (const nodeid of [1, 2]) ended(network.node(nodeid), 3);
    const took = network.runUntil(() => network.isWhole([1, 2]), 1000, "the rest again");
    expect(took).toBeLessThan(200);
  });
});

test("a join says it by the order of its list, and by nothing else", () => {
  const network = ringOf([1, 2, 3], 49);
  const lists: (readonly number[])[] = [];
  network.onFrame = ({ from, bytes }) => {
    const message = decodeMessage(bytes);
    if (message.ok && message.value.kind === "join" && from === 2) lists.push(message.value.proc);
  };
  network.kill(3);
  ended(network.node(2), 3);
  network.run(60);
  expect(lists[0]?.[0]).toBe(3);
  expect(lists[0]?.[1]).toBe(2);
  expect(lists[0]).toHaveLength(3);
  ended(network.node(2));
  lists.length = 0;
  network.run(60);
  expect(lists[0]?.[0]).toBe(2);
});
