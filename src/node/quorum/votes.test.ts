import { describe, expect, test } from "bun:test";
import type { QuorumView } from "../member/events.ts";
import { withPrefix, type ServiceAction } from "../member/service.ts";
import { busSettings, OrderedBus, type BusNode } from "../../../test/double/service-bus.ts";
import {
  decodeVoteMessage,
  encodeVoteMessage,
  voterFlags,
  type NodeInfo,
  type VoteMessage,
} from "./message.ts";
import { cluster, expected, kill } from "../../../test/double/vote-clusters.ts";
import { Votes } from "./votes.ts";

/** A message of a node that is not on the bus, put into the order by hand. */
function hear(bus: OrderedBus, nodeid: number, message: VoteMessage): void {
  const bytes = withPrefix("a", encodeVoteMessage(message));
  for (const node of bus.nodes.values()) {
    bus.device(node.nodeid, (each, out) => each.services.delivered(nodeid, bytes, bus.now, out));
  }
}

const info = (nodeid: number, more: Partial<NodeInfo> = {}): NodeInfo => ({
  kind: "nodeInfo",
  nodeid,
  votes: 1,
  expectedVotes: 3,
  flags: 0,
  ...more,
});

function spoken(bus: OrderedBus, from: number, since: number): VoteMessage[] {
  return bus.delivered.slice(since).flatMap(({ from: sender, bytes }) => {
    const service = bytes[2] === 1 && bytes[4] === 0x61 ? bytes[7] : undefined;
    if (sender !== from || service !== 5) return [];
    const decoded = decodeVoteMessage(bytes.subarray(5));
    return decoded.ok ? [decoded.value] : [];
  });
}

const views = (node: BusNode): QuorumView[] =>
  node.actions.flatMap((action) => (action.kind === "quorumChanged" ? [action.quorum] : []));
const replies = (node: BusNode): ServiceAction[] =>
  node.actions.filter((action) => action.kind === "replied");

describe("votes", () => {
  test("nothing is published before the first synchronisation, whatever the votes say", () => {
    const bus = new OrderedBus();
    const node = bus.start(busSettings({ nodeid: 1, nodes: 1 }));
    expect(node.quorum.quorate).toBe(false);
    expect(views(node)).toHaveLength(0);
    bus.settle();
    expect(views(node)).toHaveLength(1);
    expect(node.quorum).toMatchObject({ quorate: true, quorum: 1, members: [1] });
  });

  test("during a synchronisation the old ring is shown, afterwards the new one, once", () => {
    const bus = cluster(3);
    const node = bus.node(1);
    node.clear();
    const { ring } = node.quorum;
    bus.kill(3);
    bus.form([1, 2]);
    bus.deliver(10);
    expect(node.quorum.ring).toEqual(ring);
    expect(views(node)).toHaveLength(0);
    bus.settle();
    expect(views(node)).toHaveLength(1);
    expect(node.quorum.ring).toEqual(node.ring);
    expect(node.logs).toContain("notice QUORUM Members[2]: 1 2");
  });

  test("a state message: own record first, then the device's, flags as the cluster knows them", () => {
    const bus = cluster(3);
    const since = bus.delivered.length;
    bus.join([1, 2, 3]);
    expect(spoken(bus, 2, since)).toEqual([
      info(2, { flags: voterFlags.quorate }),
      info(0, { votes: 0, expectedVotes: 0 }),
    ]);
  });

  test("FIRST is on the wire in a ring of one member only", () => {
    const bus = new OrderedBus();
    bus.start(busSettings({ nodeid: 1, nodes: 3 }));
    bus.settle();
    expect(spoken(bus, 1, 0)[0]).toEqual(info(1, { flags: voterFlags.first }));
    bus.start(busSettings({ nodeid: 2, nodes: 3 }));
    bus.join([1, 2]);
    bus.kill(2);
    const since = bus.delivered.length;
    bus.join([1]);
    // It was quorate with node 2 when it sent this; FIRST does not come back.
    expect(spoken(bus, 1, since)[0]).toEqual(info(1, { flags: voterFlags.quorate }));
  });

  test("a device record of an unknown sender is ignored", () => {
    const bus = cluster(2);
    hear(bus, 7, info(0, { votes: 9 }));
    expect(bus.node(1).quorum.deviceVotes).toBe(0);
  });

  test("a record about another node is nobody's to send", () => {
    const bus = cluster(3);
    hear(bus, 2, info(3, { votes: 100 }));
    expect(bus.node(1).quorum).toMatchObject({ totalVotes: 3, expectedVotes: 3 });
    expect(bus.node(1).logs).toContain("warning VOTEQ node 2 speaks for node 3: ignored");
  });

  test("an inquorate node adopts the expected votes of a quorate one and stops waiting", () => {
    const quorum = { waitForAll: true };
    const bus = cluster(3, quorum);
    kill(bus, [3], [1, 2]);
    bus.start(busSettings({ nodeid: 3, nodes: 5, quorum }));
    bus.settle();
    expect(bus.node(3).quorum).toMatchObject({ quorate: false, expectedVotes: 5 });
    bus.kill(2);
    bus.join([1, 3]);
    // 2 of 3: it would have to wait for the third, had not a quorate node said that all were there once.
    expect(bus.node(3).quorum).toMatchObject({ quorate: true, expectedVotes: 3, totalVotes: 2 });
  });

  test("more than 255 votes need more than 8 bits", () => {
    const bus = new OrderedBus();
    const nodes = { 1: 300, 2: 300, 3: 300 };
    for (const nodeid of [1, 2, 3]) bus.start(busSettings({ nodeid, nodes }));
    bus.join([1, 2, 3]);
    expect(bus.node(1).quorum).toMatchObject({ quorum: 451, quorate: true });
    kill(bus, [2, 3], [1]);
    expect(bus.node(1).quorum.quorate).toBe(false);
  });

  test("quorum lost and regained is said in corosync's words", () => {
    const bus = cluster(3);
    const node = bus.node(1);
    node.clear();
    bus.join([1], [2, 3]);
    const lost =
      "notice QUORUM This node is within the non-primary component and will NOT provide any services.";
    expect(node.logs).toContain(lost);
    bus.join([1, 2, 3]);
    expect(node.logs.filter((line) => line.includes("will provide service"))).toHaveLength(1);
  });

  test("expected votes: 3 to 5 are accepted by a healthy three-node cluster", () => {
    for (const [votes, isAccepted] of [
      [2, false],
      [3, true],
      [5, true],
      [6, false],
      [9, false],
      [0, false],
      [1.5, false],
    ] as const) {
      const bus = cluster(3);
      expected(bus, votes, 2);
      expect(replies(bus.node(2))).toMatchObject([{ kind: "replied", id: 1, ok: isAccepted }]);
      if (isAccepted) expect(bus.node(1).quorum.expectedVotes).toBe(votes);
      else expect(bus.node(1).quorum.expectedVotes).toBe(3);
    }
  });

  test("votes of a node: unknown node and a change that would cost quorum are refused", () => {
    const bus = cluster(3);
    bus.ask(1, { kind: "votesSet", id: 1, nodeid: 9, votes: 1 });
    bus.ask(1, { kind: "votesSet", id: 2, nodeid: 2, votes: 2 });
    bus.settle();
    bus.ask(1, { kind: "votesSet", id: 3, nodeid: 2, votes: 0 });
    bus.settle();
    expect(replies(bus.node(1))).toMatchObject([
      { id: 1, ok: false, reason: "node 9 is not known here" },
      { id: 2, ok: true },
      { id: 3, ok: false },
    ]);
    expect(bus.node(3).quorum).toMatchObject({ totalVotes: 4, expectedVotes: 4 });
  });

  test("what is asked while the ring forms anew is judged by that moment's votes; without quorum any larger number is taken, as by the original", () => {
    const bus = cluster(3);
    const node = bus.node(1);
    node.clear();
    bus.kill(3);
    bus.form([1, 2]);
    bus.ask(1, { kind: "expectedVotesSet", id: 1, votes: 9 });
    bus.deliver(5);
    bus.ask(1, { kind: "expectedVotesSet", id: 2, votes: 9 });
    bus.settle();
    bus.kill(2);
    bus.form([1]);
    bus.ask(1, { kind: "expectedVotesSet", id: 3, votes: 9 });
    bus.settle();
    expect(node.quorum.quorate).toBe(false);
    bus.ask(1, { kind: "expectedVotesSet", id: 4, votes: 9 });
    bus.settle();
    expect(replies(node).map((reply) => reply.kind === "replied" && [reply.id, reply.ok])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, true],
    ]);
    expect(node.quorum).toMatchObject({ quorate: false, expectedVotes: 9, quorum: 5 });
  });

  test("questions on their way are refused when the node stops", () => {
    const bus = cluster(2);
    bus.ask(1, { kind: "expectedVotesSet", id: 8, votes: 2 });
    bus.device(1, (node, out) => node.services.refusePending("this node is stopping", out));
    expect(replies(bus.node(1))).toEqual([
      { kind: "replied", id: 8, ok: false, reason: "this node is stopping" },
    ]);
    bus.settle();
    expect(replies(bus.node(1))).toHaveLength(1);
  });

  test("a reload tells the two records, and the changes only when there are any", () => {
    const bus = cluster(2);
    const since = bus.delivered.length;
    bus.reconfigure(busSettings({ nodeid: 2, nodes: 2 }));
    bus.settle();
    expect(spoken(bus, 2, since).map((message) => message.kind)).toEqual(["nodeInfo", "nodeInfo"]);
    bus.reconfigure(busSettings({ nodeid: 2, nodes: { 1: 1, 2: 3 } }));
    bus.settle();
    expect(spoken(bus, 2, since).slice(4)).toEqual([
      { kind: "reconfigure", nodeid: 2, value: 3, param: 2 },
      { kind: "reconfigure", nodeid: 2, value: 4, param: 1 },
    ]);
    expect(bus.node(1).quorum).toMatchObject({ totalVotes: 4, expectedVotes: 4 });
  });

  test("last man standing is switched off by a node with several votes", () => {
    const bus = new OrderedBus();
    const nodes = { 1: 1, 2: 1, 3: 2 };
    const quorum = { lastManStanding: true };
    for (const nodeid of [1, 2, 3]) bus.start(busSettings({ nodeid, nodes, quorum }));
    bus.join([1, 2, 3]);
    expect(bus.node(1).quorum.flags).not.toContain("LastManStanding");
    kill(bus, [3], [1, 2]);
    expect(bus.node(1).timers.has("lastManStanding")).toBe(false);
  });

  test("tracking: the floor is given to the host to keep, and holds after a restart", () => {
    const bus = new OrderedBus();
    const quorum = { expectedVotesTracking: true };
    for (const nodeid of [1, 2]) bus.start(busSettings({ nodeid, nodes: 2, quorum }));
    bus.join([1, 2]);
    expected(bus, 3);
    bus.ask(1, { kind: "votesSet", id: 2, nodeid: 2, votes: 4 });
    bus.settle();
    const kept = bus
      .node(1)
      .actions.flatMap((action) =>
        action.kind === "persistTracking" ? [action.expectedVotes] : [],
      );
    expect(kept).toEqual([2, 3, 5]);
  });

  test("tracking: expected votes that no cluster of such nodes has are not kept, and not used when they are stored", () => {
    const bus = new OrderedBus();
    const quorum = { expectedVotesTracking: true };
    for (const nodeid of [1, 2]) bus.start(busSettings({ nodeid, nodes: 2, quorum }));
    bus.join([1, 2]);
    hear(bus, 2, { kind: "reconfigure", nodeid: 2, value: 0xffff_ffff, param: 1 });
    expect(bus.node(1).quorum.expectedVotes).toBe(0xffff_ffff);
    const kept = bus
      .node(1)
      .actions.flatMap((action) =>
        action.kind === "persistTracking" ? [action.expectedVotes] : [],
      );
    expect(kept).toEqual([2]);
    const start = (trackingBarrier: number) => {
      const votes = new Votes({
        settings: busSettings({ nodeid: 1, nodes: 2, quorum }),
        trackingBarrier,
      });
      const out: ServiceAction[] = [];
      votes.start(out);
      const lines = out.flatMap((action) => (action.kind === "log" ? [action.text] : []));
      return { expectedVotes: votes.view().expectedVotes, lines: lines.join("") };
    };
    expect(start(384)).toEqual({ expectedVotes: 384, lines: "" });
    expect(start(0xffff_ffff).expectedVotes).toBe(2);
    expect(start(0xffff_ffff).lines).toContain(
      "the stored 4294967295 expected votes are more than",
    );
  });

  test("the leave message is sent with allow_downscale only", () => {
    const plain = cluster(2);
    expect(plain.node(1).services.votes?.leaveMessage()).toBeUndefined();
    const bus = cluster(2, { allowDownscale: true });
    const bytes = bus.node(1).services.votes?.leaveMessage();
    const decoded = decodeVoteMessage(bytes!.subarray(5));
    const flags = voterFlags.leaving | voterFlags.quorate;
    expect(decoded).toEqual({ ok: true, value: info(1, { expectedVotes: 2, flags }) });
  });

  test("votes heard in an aborted round stay, lists start over", () => {
    const bus = cluster(3);
    bus.form([1, 2]);
    bus.deliver(12);
    bus.form([1, 2, 3]);
    bus.deliver(5);
    bus.join([1, 2, 3]);
    for (const nodeid of [1, 2, 3]) {
      expect(bus.node(nodeid).quorum).toMatchObject({ totalVotes: 3, quorate: true, quorum: 2 });
    }
  });
});
