import { describe, expect, test } from "bun:test";
import { decodeMessage, encodeMessage } from "./message.ts";
import {
  defaultTuning,
  TestNetwork,
  testMessage,
  type TestNode,
} from "../../../test/double/ring-network.ts";

/** Every pair of nodes delivered what they share in one order; nobody delivered anything twice or broken. */
function expectOneOrder(nodes: readonly TestNode[]): void {
  for (const node of nodes) {
    expect(new Set(node.names).size).toBe(node.names.length);
    expect(node.seen.every((seen) => seen.kind !== "message" || seen.ok)).toBe(true);
  }
  for (const a of nodes) {
    for (const b of nodes) {
      const shared = new Set(b.names);
      const ofA = a.names.filter((name) => shared.has(name));
      const inA = new Set(a.names);
      expect(ofA).toEqual(b.names.filter((name) => inA.has(name)));
    }
  }
}

function membershipLogs(node: TestNode): string[] {
  return node.logs.filter((line) => line.startsWith("A new membership"));
}

const isMulticast = (bytes: Uint8Array): boolean => bytes[3] === 1;

describe("formation", () => {
  test("a node alone forms the singleton ring (me, stored + 1 + 4) within milliseconds", () => {
    const network = new TestNetwork({ seed: 1, nodeids: [1] });
    const node = network.start(1);
    const took = network.runUntil(() => network.isWhole([1]), 100, "singleton");
    expect(took).toBeLessThan(5);
    expect(node.ring.snapshot().ring).toEqual({ rep: 1, seq: 5 });
    expect(node.persisted).toEqual([5]);
    expect(membershipLogs(node)).toEqual(["A new membership (1.5) was formed. Members joined: 1"]);
    expect(node.seen).toEqual([
      {
        kind: "configured",
        type: "transitional",
        ring: { rep: 1, seq: 5 },
        members: [],
        left: [],
        joined: [],
      },
      {
        kind: "configured",
        type: "regular",
        ring: { rep: 1, seq: 5 },
        members: [1],
        left: [],
        joined: [1],
      },
    ]);
  });

  test("a node that never hears its own join forms nothing", () => {
    const network = new TestNetwork({ seed: 1, nodeids: [2] });
    const node = network.start(1);
    network.run(60_000);
    expect(node.ring.snapshot().state).toBe("gather");
    expect(node.logs.some((line) => line.startsWith("Totem is unable to form"))).toBe(true);
  });

  test("running singletons find each other by merge detection alone", () => {
    const network = new TestNetwork({ seed: 2, nodeids: [1, 2, 3] });
    network.partition([1], [2], [3]);
    for (const nodeid of [1, 2, 3]) network.start(nodeid);
    network.run(5000);
    for (const nodeid of [1, 2, 3]) expect(network.isWhole([nodeid])).toBe(true);
    network.heal();
    network.runUntil(() => network.isWhole([1, 2, 3]), 1500, "merged");
    const { ring } = network.node(1).ring.snapshot();
    expect(ring.rep).toBe(1);
    expect(membershipLogs(network.node(2)).at(-1)).toBe(
      `A new membership (1.${ring.seq.toString(16)}) was formed. Members joined: 1 3`,
    );
  });

  test("the lowest id is meant unsigned, and order of the list does not matter", () => {
    const big = 0xffff_fff0;
    const network = new TestNetwork({ seed: 3, nodeids: [big, 7, 0x8000_0001] });
    network.startAll();
    const { members, ring } = network.node(big).ring.snapshot();
    expect(members).toEqual([7, 0x8000_0001, big]);
    expect(ring.rep).toBe(7);
  });

  test("with nothing to recover the first plain message comes at the fifth visit", () => {
    const network = new TestNetwork({ seed: 4, nodeids: [1, 2, 3] });
    const tokenSeqs = new Map<number, number>();
    const atFirstMessage = new Map<number, number>();
    network.onFrame = (frame) => {
      const decoded = decodeMessage(frame.bytes);
      if (!decoded.ok) return;
      const message = decoded.value;
      if (message.kind === "token") tokenSeqs.set(message.ring.seq, message.tokenSeq);
      if (message.kind !== "mcast" || atFirstMessage.has(message.ring.seq)) return;
      atFirstMessage.set(message.ring.seq, tokenSeqs.get(message.ring.seq) ?? -1);
    };
    network.startAll();
    // 0, 3, 6, 9 leave the representative in RECOVERY: the first message can come at token 12 at the earliest.
    const { ring } = network.node(1).ring.snapshot();
    expect(atFirstMessage.get(ring.seq)).toBeWithin(12, 16);
  });

  test("send_join spreads the joins and still forms", () => {
    const tuning = { ...defaultTuning, sendJoinMs: 80 };
    const network = new TestNetwork({ seed: 5, nodeids: [1, 2, 3, 4, 5], tuning });
    network.startAll();
    expect(network.node(5).ring.snapshot().members).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("ordering", () => {
  test("messages of 1 B to 200 kB from all three nodes at once arrive in one order", () => {
    for (const netMtu of [65_536, 1500]) {
      const network = new TestNetwork({
        seed: 10,
        nodeids: [1, 2, 3],
        tuning: { ...defaultTuning, netMtu },
      });
      network.startAll();
      const count = 60;
      for (let i = 0; i < count; i += 1) {
        for (const node of network.alive) {
          const size = [1, 30, 900, 1399, 1400, 1401, 9000, 65_436, 65_437, 200_000][i % 10] ?? 1;
          node.send(`${node.nodeid}/${i}`, size + network.random.below(3));
        }
      }
      const all = (): boolean => network.alive.every((node) => node.names.length === 3 * count);
      network.runUntil(all, 20_000, "all delivered");
      expectOneOrder(network.alive);
      expect(network.node(1).names).toEqual(network.node(2).names);
      // Messages of one sender keep their order.
      const own = network.node(3).names.filter((name) => name.startsWith("2/"));
      expect(own).toEqual(Array.from({ length: count }, (_, i) => `2/${i}`));
      expect(network.node(1).logs.some((line) => line.includes("Retransmit"))).toBe(false);
      expect(network.node(1).ring.snapshot().counters.droppedMalformed).toBe(0);
    }
  });

  test("loss is repaired and asked for after five visits", () => {
    const network = new TestNetwork({ seed: 11, nodeids: [1, 2, 3] });
    network.startAll();
    network.isLost = (frame) => isMulticast(frame.bytes) && network.random.below(5) === 0;
    for (let i = 0; i < 300; i += 1) {
      network.alive.forEach((node) =>
        node.send(`${node.nodeid}/${i}`, 200 + network.random.below(3000)),
      );
      network.run(2);
    }
    const all = (): boolean => network.alive.every((node) => node.names.length === 900);
    network.runUntil(all, 60_000, "all delivered despite loss");
    expectOneOrder(network.alive);
    expect(network.node(1).names).toEqual(network.node(3).names);
    const { retransmitsAsked, memberships } = network.node(1).ring.snapshot().counters;
    expect(retransmitsAsked).toBeGreaterThan(5);
    // Loss of multicasts alone costs no membership.
    expect(memberships).toBe(network.node(2).ring.snapshot().counters.memberships);
    expect(
      network.alive.some((node) =>
        node.logs.some((line) => /^Retransmit List: ([0-9a-f]+ )+$/.test(line)),
      ),
    ).toBe(true);
  });

  test("a lost token is sent again after token_retransmit by the node that sent it", () => {
    const network = new TestNetwork({ seed: 12, nodeids: [1, 2, 3] });
    network.startAll();
    const memberships = network.node(1).ring.snapshot().counters.memberships;
    let lost = 0;
    network.isLost = (frame) => {
      if (frame.bytes[3] !== 0 || lost > 0) return false;
      lost += 1;
      return true;
    };
    network.runUntil(() => lost === 1, 2000, "a token was lost");
    network.node(2).send("after", 10);
    const took = network.runUntil(
      () => network.alive.every((n) => n.names.includes("after")),
      3000,
      "sent on",
    );
    expect(took).toBeLessThan(900);
    expect(took).toBeGreaterThan(100);
    expect(network.node(1).ring.snapshot().counters.memberships).toBe(memberships);
  });

  test("a message is called stable when the last member has it, not before", () => {
    const network = new TestNetwork({ seed: 17, nodeids: [1, 2, 3] });
    network.startAll();
    const stableAt = (nodeid: number): string[] =>
      network.node(nodeid).stable.map(({ name }) => name);
    network.isLost = (frame) => isMulticast(frame.bytes) && frame.to === 3;
    network.node(1).send("a", 10);
    network.node(2).send("b", 70_000);
    network.run(500);
    expect(network.node(1).names).toEqual(network.node(2).names);
    expect(network.node(1).names.length).toBe(2);
    expect([stableAt(1), stableAt(2), stableAt(3)]).toEqual([[], [], []]);
    network.isLost = () => false;
    network.runUntil(
      () => [1, 2, 3].every((nodeid) => stableAt(nodeid).length === 2),
      3000,
      "stable",
    );
    expect(stableAt(3)).toEqual(network.node(3).names);
    expect(stableAt(1)).toEqual(network.node(1).names);
  });

  test("messages queued while services synchronise go out afterwards, those of the services before", () => {
    const network = new TestNetwork({ seed: 13, nodeids: [1, 2, 3] });
    network.startAll();
    network.node(2).isSlowToSync = true;
    network.kill(3);
    network.node(1).send("old ring?", 100_000);
    network.runUntil(
      () => network.node(1).ring.snapshot().members.length === 2,
      10_000,
      "two left",
    );
    network.node(1).send("one", 150_000);
    network.node(2).send("two", 10);
    network.run(2000);
    expect(network.node(1).names).not.toContain("one");
    expect(network.node(2).names).not.toContain("two");
    expect(network.node(1).ring.snapshot().isSynchronising).toBe(true);
    network.node(2).sync();
    network.runUntil(
      () => network.alive.every((n) => n.names.length === 3),
      1000,
      "queued messages",
    );
    expectOneOrder(network.alive);
  });

  test("a fragmented message right behind the last barrier is put together by all", () => {
    // The barrier and many application packets are delivered in the same rotation: `paused` keeps them apart.
    const network = new TestNetwork({
      seed: 14,
      nodeids: [1, 2, 3],
      tuning: { ...defaultTuning, netMtu: 1500 },
    });
    for (const nodeid of [1, 2, 3]) network.start(nodeid);
    for (let i = 0; i < 20; i += 1) {
      for (const node of network.alive) node.send(`${node.nodeid}/${i}`, 20_000);
    }
    network.runUntil(() => network.isWhole([1, 2, 3]), 20_000, "whole");
    for (const node of network.alive) node.send(`${node.nodeid}/last`, 50_000);
    network.runUntil(
      () => network.alive.every((n) => n.names.filter((m) => m.endsWith("last")).length === 3),
      5000,
      "last",
    );
    expectOneOrder(network.alive);
    for (const node of network.alive) {
      expect(node.names.filter((name) => name.startsWith(`${node.nodeid}/`)).length).toBe(21);
    }
  });

  test("a message too large for any receiver is refused, the ring lives on", () => {
    const network = new TestNetwork({ seed: 15, nodeids: [1, 2] });
    network.startAll();
    network.node(1).send("huge", 1_048_576 + 65);
    network.node(1).send("largest", 1_048_576 + 64);
    network.node(1).send("small", 8);
    network.runUntil(() => network.alive.every((n) => n.names.length === 2), 5000, "two messages");
    expect(network.node(2).names).toEqual(["largest", "small"]);
    expect(
      network
        .node(1)
        .logs.some((line) => line.startsWith("A message of 1048641 bytes was not sent")),
    ).toBe(true);
  });

  test("the send queue says when it is full and when it has room again", () => {
    const network = new TestNetwork({ seed: 16, nodeids: [1, 2] });
    network.startAll();
    const node = network.node(1);
    let sent = 0;
    while (node.ring.hasRoom()) {
      node.send(`m${sent}`, 100_000);
      sent += 1;
      expect(sent).toBeLessThan(60);
    }
    expect(sent).toBeGreaterThan(40);
    network.runUntil(() => node.ring.hasRoom(), 5000, "room");
    network.runUntil(() => network.node(2).names.length === sent, 5000, "all");
    expect(node.ring.hasRoom()).toBe(true);
  });
});

describe("membership changes", () => {
  test("a killed member costs token + consensus and is reported", () => {
    const network = new TestNetwork({ seed: 20, nodeids: [1, 2, 3] });
    network.startAll();
    network.run(3000);
    network.kill(3);
    const took = network.runUntil(() => network.isWhole([1, 2]), 12_000, "two left");
    expect(took).toBeGreaterThan(3650 + 4380 - 700);
    expect(took).toBeLessThan(3650 + 4380 + 100);
    const { logs } = network.node(1);
    const both = [...logs, ...network.node(2).logs];
    expect(both).toContain(
      "A processor failed, forming new configuration: token timed out (3650ms), waiting 4380ms for consensus.",
    );
    expect(both.some((line) => /^Token has not been received in 27\d\d ms$/.test(line))).toBe(true);
    expect(membershipLogs(network.node(1)).at(-1)).toMatch(
      /^A new membership \(1\.[0-9a-f]+\) was formed\. Members left: 3$/,
    );
    expect(logs).toContain("Failed to receive the leave message. failed: 3");
    expect(
      network
        .node(1)
        .seen.findLast((seen) => seen.kind === "configured" && seen.type === "transitional"),
    ).toMatchObject({
      members: [1, 2],
      left: [3],
    });
  });

  test("a clean leave forms the new ring in milliseconds without a timeout, and the leaver is silent", () => {
    const network = new TestNetwork({ seed: 21, nodeids: [1, 2, 3] });
    network.startAll();
    network.run(3000);
    const leaver = network.node(2);
    leaver.step({ kind: "stopped" });
    let heard = 0;
    network.onFrame = (frame) => {
      if (frame.from === 2) heard += 1;
    };
    const took = network.runUntil(() => network.isWhole([1, 3]), 1000, "two left");
    expect(took).toBeLessThan(10);
    network.run(5000);
    expect(heard).toBe(0);
    for (const nodeid of [1, 3]) {
      const { logs } = network.node(nodeid);
      expect(logs).toContain("Received LEAVE message from 2");
      expect(
        logs.some((line) =>
          /token timed out|Failed to receive the leave|token was lost/.test(line),
        ),
      ).toBe(false);
      expect(membershipLogs(network.node(nodeid)).at(-1)).toMatch(/Members left: 2$/);
    }
  });

  test.each([
    ["all read it", [1, 3]],
    ["one has read it so far", [3]],
  ] as const)(
    "a member that corosync.conf does not name any more is not waited for: %s",
    (_, readers) => {
      const network = new TestNetwork({ seed: 25, nodeids: [1, 2, 3] });
      network.startAll();
      network.run(3000);
      network.node(2).send("before", 100);
      // Whoever has read the file neither sends to it nor hears it.
      network.isLost = ({ from, to }) =>
        readers.some((reader) => (from === 2 && to === reader) || (from === reader && to === 2));
      for (const reader of readers) network.node(reader).step({ kind: "removed", nodeids: [2, 9] });
      const took = network.runUntil(() => network.isWhole([1, 3]), 1000, "two left");
      expect(took).toBeLessThan(10);
      for (const nodeid of [1, 3]) {
        const { logs } = network.node(nodeid);
        expect(logs.some((line) => /token timed out|token was lost/.test(line))).toBe(false);
        expect(membershipLogs(network.node(nodeid)).at(-1)).toMatch(/Members left: 2$/);
      }
      expectOneOrder([network.node(1), network.node(3)]);
    },
  );

  test("who is removed while a ring is being formed is not waited for either; who is on none, or is the node itself, changes nothing", () => {
    const network = new TestNetwork({ seed: 26, nodeids: [1, 2, 3] });
    network.startAll();
    network.run(3000);
    const { ring } = network.node(1).ring.snapshot();
    network.node(1).step({ kind: "removed", nodeids: [1, 7] });
    expect(network.node(1).ring.snapshot()).toMatchObject({ state: "operational", ring });
    network.kill(2);
    network.runUntil(() => network.node(1).ring.snapshot().state === "gather", 12_000, "gather");
    network.node(1).step({ kind: "removed", nodeids: [2] });
    const took = network.runUntil(() => network.isWhole([1, 3]), 1000, "two left");
    expect(took).toBeLessThan(100);
  });

  test("a restarted node never uses a ring number again, also after a crash in the middle", () => {
    const network = new TestNetwork({ seed: 22, nodeids: [1, 2, 3] });
    network.startAll();
    let highest = 0;
    for (let round = 0; round < 4; round += 1) {
      const stored = network.node(3).persisted.at(-1) ?? 0;
      expect(stored).toBeGreaterThan(highest);
      highest = stored;
      network.kill(3);
      const node = network.start(3);
      expect(node.ring.snapshot().ring).toEqual({ rep: 3, seq: stored + 1 });
      network.runUntil(() => network.isWhole([1, 2, 3]), 30_000, "rejoined");
      expect(node.ring.snapshot().ring.seq).toBeGreaterThanOrEqual(stored + 4);
    }
  });

  test("a partition forms two rings that go on by themselves and merge again", () => {
    const network = new TestNetwork({ seed: 23, nodeids: [1, 2, 3, 4, 5] });
    network.startAll();
    network.partition([1, 4], [2, 3, 5]);
    network.runUntil(
      () => network.isWhole([1, 4]) && network.isWhole([2, 3, 5]),
      20_000,
      "two rings",
    );
    network.node(1).send("left", 5000);
    network.node(5).send("right", 5000);
    network.runUntil(
      () => network.node(4).names.includes("left") && network.node(2).names.includes("right"),
      1000,
      "sides",
    );
    network.heal();
    network.runUntil(() => network.isWhole([1, 2, 3, 4, 5]), 20_000, "merged");
    network.node(3).send("all", 5000);
    network.runUntil(
      () => network.alive.every((n) => n.names.includes("all")),
      1000,
      "after the merge",
    );
    expect(network.node(2).names).toEqual(["right", "all"]);
    expect(network.node(1).names).toEqual(["left", "all"]);
    const last = membershipLogs(network.node(1)).at(-1);
    expect(last).toMatch(/Members joined: 2 3 5$/);
  });

  test("old-ring messages reach all who go on together before the transitional configuration", () => {
    for (let seed = 0; seed < 12; seed += 1) {
      const network = new TestNetwork({ seed: 100 + seed, nodeids: [1, 2, 3, 4] });
      network.startAll();
      // Node 2 hears no multicast, then node 4 dies: what 2 lacks comes out of the others' RECOVERY wrappers.
      network.isLost = (frame) =>
        isMulticast(frame.bytes) && frame.to === 2 && frame.bytes[4] === 2;
      for (let i = 0; i < 20; i += 1) {
        for (const node of network.alive)
          node.send(`${node.nodeid}/${i}`, 300 + network.random.below(90_000));
        network.run(0.3);
      }
      network.run(seed * 0.4);
      network.kill(4);
      network.runUntil(
        () => network.node(1).ring.snapshot().state === "recovery",
        20_000,
        "recovery",
      );
      network.isLost = () => false;
      network.runUntil(() => network.isWhole([1, 2, 3]), 20_000, "three left");
      network.runUntil(
        () => network.alive.every((n) => n.names.filter((m) => !m.startsWith("4")).length === 60),
        20_000,
        "all of the living",
      );
      expectOneOrder(network.alive);
      const originated = network.alive.flatMap((n) =>
        n.logs.filter((l) => /^Originated [1-9]/.test(l)),
      );
      expect(originated.length).toBeGreaterThan(0);
      // Failure atomicity: up to the configuration change all three delivered the same set.
      const before = network.alive.map((node) => {
        const end = node.seen.findLastIndex(
          (seen) => seen.kind === "configured" && seen.type === "regular",
        );
        return node.seen
          .slice(0, end)
          .flatMap((seen) => (seen.kind === "message" ? [seen.name] : []));
      });
      expect(before[1]).toEqual(before[0] ?? []);
      expect(before[2]).toEqual(before[0] ?? []);
    }
  });

  test("a node that hears tokens but no messages declares itself failed, goes alone and comes back", () => {
    const tuning = { ...defaultTuning, failReceiveMax: 20 };
    const network = new TestNetwork({ seed: 24, nodeids: [1, 2, 3], tuning });
    network.startAll();
    network.isLost = (frame) => isMulticast(frame.bytes) && frame.to === 3;
    network.node(1).send("unheard", 100);
    const alone = (): boolean =>
      network.node(3).logs.includes("FAILED TO RECEIVE") &&
      network.node(3).regular.at(-1)?.members.length === 1;
    network.runUntil(alone, 20_000, "node 3 alone");
    network.isLost = () => false;
    network.runUntil(() => network.isWhole([1, 2, 3]), 20_000, "back");
    expect(network.node(1).names).toEqual(["unheard"]);
    expect(network.node(3).names).toEqual([]);
  });

  test("two nodes that must not believe each other's failed sets do not answer each other for ever", () => {
    const network = new TestNetwork({ seed: 26, nodeids: [1, 2] });
    network.startAll();
    const node = network.node(2);
    const heard = (from: number, failed: number[]): number => {
      const proc = [1, 2, 7, 8, 9];
      const join = {
        kind: "join",
        nodeid: from,
        target: 0,
        from,
        ringSeq: 90,
        proc,
        failed,
      } as const;
      const out: Parameters<typeof node.ring.step>[2] = [];
      node.ring.step({ kind: "received", bytes: encodeMessage(join) }, network.now, out);
      return out.filter((action) => action.kind === "multicast").length;
    };
    expect(heard(8, [])).toBe(1);
    // Node 8 is no member of ours: what it says of node 9 is not believed, and nothing is left to say.
    expect([heard(8, [9]), heard(8, [9]), heard(8, [9])]).toEqual([0, 0, 0]);
    expect(node.ring.snapshot().failed).toEqual([]);
    // A member is believed, once.
    expect([heard(1, [7]), heard(1, [7])]).toEqual([1, 0]);
    expect(node.ring.snapshot().failed).toEqual([7]);
    // Who dropped us is dropped.
    expect([heard(8, [2]), heard(8, [2])]).toEqual([1, 0]);
    expect(node.ring.snapshot().failed).toEqual([7, 8]);
  });

  test("a restarted node does not believe the LEAVE of its former life", () => {
    const network = new TestNetwork({ seed: 27, nodeids: [3] });
    const node = network.start(3);
    const join = {
      kind: "join",
      nodeid: 0,
      target: 0,
      from: 3,
      ringSeq: 9,
      proc: [4],
      failed: [3],
    } as const;
    node.step({ kind: "received", bytes: encodeMessage(join) });
    expect(node.ring.snapshot().failed).toEqual([]);
    network.runUntil(() => network.isWhole([3]), 100, "singleton");
  });

  test("a pause is noticed at the first join and reported once", () => {
    const network = new TestNetwork({ seed: 25, nodeids: [1, 2] });
    network.startAll();
    const node = network.node(2);
    const paused = network.now + 2500;
    const out: Parameters<typeof node.ring.step>[2] = [];
    const join = {
      kind: "join",
      nodeid: 1,
      target: 0,
      from: 1,
      ringSeq: 500,
      proc: [1, 2],
      failed: [],
    } as const;
    node.ring.step({ kind: "received", bytes: encodeMessage(join) }, paused, out);
    node.ring.step({ kind: "received", bytes: encodeMessage(join) }, paused, out);
    expect(out).toHaveLength(1);
    expect(out[0]).toMatchObject({
      level: "notice",
      text: expect.stringMatching(
        /^Process pause detected for \d+ ms, flushing membership messages\.$/,
      ),
    });
    expect(node.ring.snapshot().state).toBe("operational");
    node.ring.step({ kind: "timedOut", timer: "pause" }, paused, out);
    node.ring.step({ kind: "received", bytes: encodeMessage(join) }, paused, out);
    expect(node.ring.snapshot().state).toBe("gather");
  });
});

describe("idle ring", () => {
  test("the representative holds the token, one rotation every hold, one merge detection a rotation", () => {
    const network = new TestNetwork({ seed: 30, nodeids: [1, 2, 3] });
    network.startAll();
    network.run(3000);
    const tokens: number[] = [];
    const merges: { at: number; from: number }[] = [];
    network.onFrame = (frame) => {
      if (frame.bytes[3] === 0 && frame.from === 1) tokens.push(network.now);
      if (frame.bytes[3] === 2 && frame.to === 2)
        merges.push({ at: network.now, from: frame.from });
    };
    network.run(7000);
    expect(tokens.length).toBeGreaterThanOrEqual(9);
    expect(tokens.length).toBeLessThanOrEqual(11);
    for (let i = 1; i < tokens.length; i += 1) {
      expect((tokens[i] ?? 0) - (tokens[i - 1] ?? 0)).toBeWithin(685, 687);
    }
    expect(merges.length).toBeWithin(9, 12);
    expect(merges.every((merge) => merge.from === 1)).toBe(true);
    // Every node knows it: a time between two visits is then no time of the network.
    expect([1, 2, 3].map((id) => network.node(id).ring.isTokenHeld)).toEqual([true, true, true]);
  });

  test("a message on an idle ring goes at once, whoever sends it", () => {
    for (const sender of [1, 2, 3]) {
      const network = new TestNetwork({ seed: 31, nodeids: [1, 2, 3] });
      network.startAll();
      network.run(3000 + network.random.below(700));
      let cancels = 0;
      network.onFrame = (frame) => {
        if (frame.bytes[3] === 5 && frame.to === frame.from) cancels += 1;
      };
      network.node(sender).send("wake", 10);
      network.node(sender).send("up", 10);
      const took = network.runUntil(
        () => network.alive.every((n) => n.names.length === 2),
        3000,
        "wake",
      );
      expect(took).toBeLessThan(5);
      expect(cancels).toBe(1);
    }
  });

  test("an idle ring stays as it is for ten minutes", () => {
    const network = new TestNetwork({ seed: 32, nodeids: [1, 2, 3] });
    network.startAll();
    const logs = network.alive.map((node) => node.logs.length);
    network.run(600_000);
    expect(network.alive.map((node) => node.logs.length)).toEqual(logs);
  });
});

test("test messages carry what they say", () => {
  expect(testMessage("ab", 1)).toEqual(Uint8Array.of(1, 2, 97, 98));
});
