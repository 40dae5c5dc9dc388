// The token that is kept for a caller who goes on: sooner for him, at nobody's cost.
import { describe, expect, test } from "bun:test";
import { TestNetwork, type Frame, type TestNode } from "../../../test/double/ring-network.ts";
import type { Answered } from "../../world.ts";
import { encodeMessage } from "./message.ts";

const keep = { keepMs: 0.2, keepsMax: 4, afterAnswerMs: 2, whileStoredMs: 10 };
const nodeids = [1, 2, 3];

const isToken = ({ bytes }: Frame): boolean => bytes[3] === 0;
const isMulticast = ({ bytes }: Frame): boolean => bytes[3] === 1;
const visitsOf = (node: TestNode): number => node.ring.snapshot().counters.tokensReceived;

/** Each time that node 2 kept the token in the next `ms`: how long, and whether "2/1" was stable. */
function keeps(
  network: TestNetwork,
  ms: number,
): { readonly ms: number; readonly isStable: boolean }[] {
  const node = network.node(2);
  const all: { ms: number; isStable: boolean }[] = [];
  const [end, stepMs] = [network.now + ms, 0.005];
  let wasKept = false;
  for (; network.now < end; network.run(stepMs)) {
    const isKept = node.ring.snapshot().isTokenKept;
    const last = all.at(-1);
    if (isKept && wasKept && last !== undefined) last.ms += stepMs;
    if (isKept && !wasKept) all.push({ ms: 0, isStable: node.stable.at(-1)?.name === "2/1" });
    wasKept = isKept;
  }
  return all;
}

/** Three nodes on one ring that is busy enough for nobody to hold its token: its sequence has just moved. */
function busyRing(mayKeep = true): TestNetwork {
  const network = new TestNetwork({ seed: 5, nodeids, ...(mayKeep ? { keep } : {}) });
  network.startAll();
  network.node(3).send("3/first", 10);
  network.runUntil(() => network.alive.every(({ names }) => names.length === 1), 3000, "first");
  // What the sender had waiting is known to all for one more rotation.
  network.run(3);
  return network;
}

/** Sends `count` messages, each `pauseMs` after the one before was delivered; returns how many visits of the token that took. */
function chain(network: TestNetwork, count: number, pauseMs: number): number {
  const node = network.node(2);
  const before = node.names.length;
  let begunAt: number | undefined;
  let endedAt = 0;
  let sent = 1;
  node.goesOn = () => {
    begunAt ??= visitsOf(node);
    endedAt = visitsOf(node);
    if (sent === count) return;
    sent += 1;
    network.at(network.now + pauseMs, () => node.send(`2/${sent}`, 100, "delivered"));
  };
  node.send("2/1", 100, "delivered");
  network.runUntil(() => node.names.length === before + count, 1000, "the chain is delivered");
  return endedAt - (begunAt ?? 0) + 1;
}

describe("a token is kept", () => {
  test("for what a caller sends within a moment of its answer: three messages in one visit", () => {
    expect(chain(busyRing(), 3, 0.15)).toBe(1);
    // Without, and when the caller takes longer than a moment, each has a visit of its own at least.
    expect(chain(busyRing(false), 3, 0.15)).toBeGreaterThan(2);
    expect(chain(busyRing(), 3, 0.25)).toBeGreaterThan(2);
  });

  test("and all deliver the same in one order", () => {
    const network = busyRing();
    chain(network, 20, 0.1);
    const expected = ["3/first", ...Array.from({ length: 20 }, (_, i) => `2/${i + 1}`)];
    network.runUntil(
      () => network.alive.every(({ names }) => names.length === expected.length),
      100,
      "all have all",
    );
    for (const { names } of network.alive) expect(names).toEqual(expected);
    network.runUntil(
      () => network.alive.every(({ stable }) => stable.at(-1)?.name === "2/20"),
      100,
      "all is stable",
    );
  });

  test("in one visit so often at most, however fast the caller is", () => {
    const network = busyRing();
    let arrived = Number.NaN;
    let longest = 0;
    network.onFrame = (frame) => {
      if (isToken(frame) && frame.from === 1) arrived = network.now;
      if (isToken(frame) && frame.from === 2) longest = Math.max(longest, network.now - arrived);
    };
    expect(chain(network, 40, 0.19)).toBe(8);
    // The way of the token takes 0.05 to 0.3 ms.
    expect(longest).toBeGreaterThan(keep.keepMs * 3);
    expect(longest).toBeLessThan(keep.keepMs * keep.keepsMax + 0.3);
  });

  test("again when it comes back and nobody has said anything, until the answer is old", () => {
    const network = busyRing();
    network.node(2).send("2/1", 100, "delivered");
    const kept = keeps(network, 20);
    // A rotation without takes up to 0.9 ms.
    expect(kept.length).toBeGreaterThan(2);
    expect(kept.length).toBeLessThan(keep.afterAnswerMs / keep.keepMs);
    for (const { ms } of kept) expect(Math.abs(ms - keep.keepMs)).toBeLessThan(0.02);
  });

  test("for one that is answered when it is stable, from then on; for disks for longer", () => {
    const counts = (["stable", "stored"] as const).map((answered) => {
      const network = busyRing();
      network.node(2).send("2/1", 100, answered);
      const kept = keeps(network, 30);
      for (const { isStable } of kept) expect(isStable).toBe(true);
      return kept.length;
    });
    const [stable = 0, stored = 0] = counts;
    expect(stable).toBeGreaterThan(1);
    expect(stored).toBeGreaterThan(3 * stable);
  });
});

describe("a token goes on at once", () => {
  /** How long node 2 has the token in the visit in which it sends "2/1". */
  function heldFor(network: TestNetwork, answered: Answered | undefined): number {
    const node = network.node(2);
    let sentAt: number | undefined;
    let heldMs: number | undefined;
    network.onFrame = (frame) => {
      if (isMulticast(frame) && frame.from === 2) sentAt ??= network.now;
      if (isToken(frame) && frame.from === 2 && sentAt !== undefined)
        heldMs ??= network.now - sentAt;
    };
    node.send("2/1", 100, answered);
    network.runUntil(() => heldMs !== undefined, 1000, "the token goes on");
    return heldMs ?? Number.NaN;
  }

  test("when nobody waits for the message, or not for its delivery alone", () => {
    expect(heldFor(busyRing(), "delivered")).toBeCloseTo(keep.keepMs, 6);
    expect(heldFor(busyRing(), "stable")).toBe(0);
    expect(heldFor(busyRing(), "stored")).toBe(0);
    expect(heldFor(busyRing(), undefined)).toBe(0);
    expect(heldFor(busyRing(false), "delivered")).toBe(0);
  });

  test("when another had something to send at its last visit", () => {
    const network = busyRing();
    for (let i = 0; i < 1000; i += 1) network.node(1).send(`1/${i}`, 30_000);
    network.run(2);
    expect(heldFor(network, "delivered")).toBe(0);
  });

  test("when another says that it waits", () => {
    const network = busyRing();
    const node = network.node(2);
    const { ring } = node.ring.snapshot();
    node.send("2/1", 100, "delivered");
    network.runUntil(() => node.names.includes("2/1"), 1000, "it has the token");
    let heldMs: number | undefined;
    const begin = network.now;
    network.onFrame = (frame) => {
      if (isToken(frame) && frame.from === 2) heldMs ??= network.now - begin;
    };
    const cancel = { kind: "holdCancel", nodeid: 3, target: 0, ring } as const;
    node.step({ kind: "received", bytes: encodeMessage(cancel) });
    expect(heldMs).toBe(0);
    network.run(100);
    expect(network.isWhole(nodeids)).toBe(true);
  });

  test("and a ring that breaks while it is kept forms anew, with what was sent", () => {
    const network = busyRing();
    const node = network.node(2);
    node.send("2/1", 100, "delivered");
    network.runUntil(() => node.names.includes("2/1"), 1000, "it has the token");
    network.kill(3);
    node.step({ kind: "removed", nodeids: [3] });
    network.node(1).step({ kind: "removed", nodeids: [3] });
    network.runUntil(() => network.isWhole([1, 2]), 5000, "the rest is whole");
    expect(network.node(1).names).toEqual(["3/first", "2/1"]);
    node.send("2/2", 100, "delivered");
    network.runUntil(() => network.node(1).names.includes("2/2"), 1000, "and goes on");
  });
});
