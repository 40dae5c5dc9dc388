// Ring sequences that no ring can have reached: forged by a stranger in a clear network, or read by a peer from a damaged file.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeMessage, type TotemMessage } from "./message.ts";
import { ringSeqFollowedMax } from "./sequence.ts";
import { freshReason } from "./state.ts";
import { TestNetwork } from "../../../test/double/ring-network.ts";

const body = new Uint8Array(0);
const head = { nodeid: 3, target: 0, from: 3 } as const;
const blank = { ring: { rep: 0, seq: 0 }, aru: 0, highDelivered: 0, received: 0 };

/** Everything that would have a node follow a ring of sequence `seq`. */
const forgeries: Readonly<Record<string, (seq: number) => TotemMessage>> = {
  join: (seq) => ({ kind: "join", ...head, ringSeq: seq, proc: [1, 2, 3], failed: [] }),
  leave: (seq) => ({ kind: "join", ...head, nodeid: 0, ringSeq: seq, proc: [1, 2], failed: [3] }),
  mergeDetect: (seq) => ({ kind: "mergeDetect", ...head, ring: { rep: 3, seq } }),
  mcast: (seq) => ({
    kind: "mcast",
    ...head,
    encapsulated: 2,
    seq: 1,
    thisSeqno: 0,
    ring: { rep: 3, seq },
    unused: 0,
    guarantee: 0,
    body,
  }),
  commit: (seq) => ({
    kind: "commit",
    ...head,
    tokenSeq: 1,
    ring: { rep: 1, seq },
    retransFlag: 0,
    index: 1,
    members: [1, 2, 3],
    entries: [blank, blank, blank],
  }),
};

function forge(network: TestNetwork, message: TotemMessage): void {
  const bytes = encodeMessage(message);
  for (const node of network.alive) node.step({ kind: "received", bytes });
}

describe("no message leads where no ring can follow", () => {
  for (const [name, forgery] of Object.entries(forgeries)) {
    test(`${name}: refused, nothing is disturbed or stored, and the log says why`, () => {
      const network = new TestNetwork({ seed: 3, nodeids: [1, 2, 3] });
      network.startAll();
      const before = network.node(1).ring.snapshot().ring;
      for (const seq of [2 ** 42 + 1, 2 ** 44, 2 ** 52, 2 ** 53 + 2, 2 ** 63]) {
        forge(network, forgery(seq));
        network.run(61_000);
      }
      for (const node of network.alive) {
        expect(node.ring.snapshot().ring).toEqual(before);
        expect(node.persisted.every((seq) => seq < 1000)).toBe(true);
        const lines = node.logs.filter((line) => line.includes("which no ring can have reached"));
        expect(lines[1]).toContain("of node 3 names ring sequence 0x100000000000,");
        expect(lines).toHaveLength(5);
      }
    });
  }

  test("in every state of a node, and after a restart all come together again", () => {
    const network = new TestNetwork({ seed: 4, nodeids: [1, 2, 3] });
    for (const nodeid of network.nodeids) network.start(nodeid);
    for (let i = 0; i < 400; i += 1) {
      for (const forgery of Object.values(forgeries)) forge(network, forgery(2 ** 52));
      network.run(1);
    }
    network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "one ring");
    for (const nodeid of network.nodeids) network.start(nodeid);
    network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "one ring after the restart");
    for (const node of network.alive) {
      expect(node.persisted.every((seq) => seq < 5000)).toBe(true);
    }
  });
});

describe("every legal peer is followed", () => {
  test("one that formed rings alone for years, in a cluster that is new", () => {
    const network = new TestNetwork({ seed: 5, nodeids: [1, 2, 3] });
    network.start(1);
    network.start(2, 2 ** 41);
    network.start(3, 7);
    network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "one ring");
    expect(network.node(3).ring.snapshot().ring.seq).toBeGreaterThan(2 ** 41);
  });

  test("a new node, when somebody has led the ring as far as it goes", () => {
    const network = new TestNetwork({ seed: 6, nodeids: [1, 2, 3] });
    network.start(1);
    network.start(2);
    network.runUntil(() => network.isWhole([1, 2]), 30_000, "two nodes on one ring");
    const join = { kind: "join", ...head, ringSeq: ringSeqFollowedMax, failed: [] } as const;
    forge(network, { ...join, proc: [3] });
    network.runUntil(() => network.isWhole([1, 2]), 60_000, "together again");
    expect(network.node(1).ring.snapshot().ring.seq).toBeGreaterThan(ringSeqFollowedMax);
    network.start(3);
    network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "the new node is with them");
    for (const nodeid of [1, 2]) {
      const lines = network.node(nodeid).logs.filter((line) => line.includes("count at 0 again"));
      expect(lines).toHaveLength(1);
    }
    expect(network.node(3).ring.snapshot().ring.seq).toBeLessThan(1000);
  });
});

describe("who was led astray is not lost", () => {
  /** What ring-file.ts makes of it. */
  const storedOf = (seq: number) => (seq <= ringSeqFollowedMax ? seq : 0);

  function restart(network: TestNetwork, nodeid: number): void {
    network.start(nodeid, storedOf(network.node(nodeid).persisted.at(-1) ?? 0));
    network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, `one ring with ${nodeid} again`);
  }

  test.each([2 ** 42 + 2 ** 20, 2 ** 42, ringSeqFollowedMax, ringSeqFollowedMax - 1])(
    "one node of three gets a join of %d",
    (seq) => {
      for (const nodeid of [1, 2, 3]) {
        const network = new TestNetwork({ seed: 10, nodeids: [1, 2, 3] });
        network.startAll();
        const from = nodeid === 3 ? 1 : 3;
        const forged = { ...head, from, ringSeq: seq, proc: [1, 2, 3], failed: [] } as const;
        const bytes = encodeMessage({ kind: "join", ...forged });
        network.node(nodeid).step({ kind: "received", bytes });
        network.run(20_000);
        network.runUntil(() => network.isWhole([1, 2, 3]), 10_000, "one ring");
        for (const again of [1, 2, 3]) restart(network, again);
      }
    },
  );

  test("all are led up in steps, and restart one by one", () => {
    const network = new TestNetwork({ seed: 11, nodeids: [1, 2, 3] });
    network.startAll();
    for (const seq of [2 ** 42 - 40, 2 ** 42 + 2 ** 20 - 40, 2 ** 42 + 2 ** 21 - 400]) {
      forge(network, { kind: "join", ...head, from: 9, ringSeq: seq, proc: [9], failed: [] });
      network.run(15_000);
      network.runUntil(() => network.isWhole([1, 2, 3]), 10_000, "one ring");
    }
    for (let round = 0; round < 12; round += 1) restart(network, 1 + (round % 3));
  });

  test("whatever sequences three nodes receive, they form one ring when it is over, also after each restarts", () => {
    const near = fc.integer({ min: -12, max: 12 }).map((offset) => 2 ** 42 + offset);
    const sequence = fc.oneof(
      { weight: 5, arbitrary: near },
      fc.integer({ min: 0, max: 2 ** 52 }),
      fc.constantFrom(2 ** 42 + 2 ** 20, 2 ** 42 + 2 ** 21 - 400),
    );
    const telling = fc.record({
      kind: fc.constantFrom(...Object.keys(forgeries)),
      seq: sequence,
      to: fc.subarray([1, 2, 3], { minLength: 1 }),
      afterMs: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 8000 })),
    });
    const tellings = fc.array(telling, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(tellings, fc.integer({ min: 1, max: 1000 }), (told, seed) => {
        const network = new TestNetwork({ seed, nodeids: [1, 2, 3] });
        network.startAll();
        for (const { kind, seq, to, afterMs } of told) {
          network.run(afterMs);
          const bytes = encodeMessage(forgeries[kind]!(seq));
          for (const nodeid of to) network.node(nodeid).step({ kind: "received", bytes });
        }
        network.run(10_000);
        network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "one ring");
        for (const node of network.alive) {
          expect(Math.max(...node.persisted)).toBeLessThanOrEqual(ringSeqFollowedMax + 4);
        }
        for (const nodeid of [1, 2, 3]) restart(network, nodeid);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

test("a node that refuses another ring calls it seldom, and says so less and less often", () => {
  const network = new TestNetwork({ seed: 9, nodeids: [1, 2] });
  const node = network.start(1);
  network.run(10_000);
  let calls = 0;
  network.onFrame = ({ to, bytes }) => {
    if (to === 2 && bytes[3] === 2) calls += 1;
  };
  network.run(60_000);
  expect(calls).toBeGreaterThan(60);
  calls = 0;
  for (let second = 0; second < 60; second += 1) {
    forge(network, forgeries["mergeDetect"]!(2 ** 52));
    network.run(1000);
  }
  expect(calls).toBeLessThanOrEqual(3);
  expect(calls).toBeGreaterThanOrEqual(1);
  const lines = node.logs.filter((line) => line.includes("which no ring can have reached"));
  expect(lines.length).toBeLessThanOrEqual(6);
  calls = 0;
  network.run(120_000);
  expect(calls).toBeGreaterThan(60);
});

test("the last refusal is there to be shown", () => {
  const network = new TestNetwork({ seed: 8, nodeids: [1] });
  const node = network.start(1);
  network.run(100);
  expect(node.ring.snapshot().refusal).toBeUndefined();
  forge(network, forgeries["join"]!(2 ** 52));
  const { refusal } = node.ring.snapshot();
  expect(freshReason(refusal, network.now + 60_000)).toContain("node 3 names ring sequence");
  expect(freshReason(refusal, network.now + 60_001)).toBe("");
});

test("who cannot form a ring names what it refuses, not the firewall", () => {
  const network = new TestNetwork({ seed: 7, nodeids: [2] });
  const node = network.start(1);
  network.run(10_000);
  forge(network, forgeries["join"]!(2 ** 52));
  network.run(50_000);
  const line = node.logs.findLast((text) => text.startsWith("Totem is unable to form a cluster"));
  expect(line).toContain("node 3 names ring sequence 0x10000000000000");
  expect(line).not.toContain("firewall");
});
