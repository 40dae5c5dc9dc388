import { describe, expect, test } from "bun:test";
import { Reader } from "../../bytes.ts";
import type { MemberAction } from "./events.ts";
import type { RingAction } from "../ring/events.ts";
import { decodePrefix, readHeader } from "./service.ts";
import { leavingMsMax, Member } from "./member.ts";
import { MemberNet } from "../../../test/double/member-switch.ts";
import { busSettings } from "../../../test/double/service-bus.ts";
import type { QuorumSettings } from "../settings/settings.ts";

const group = "pve_dcdb_v1\0";

function start(net: MemberNet, count: number, quorum: Partial<QuorumSettings> = {}): number[] {
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  for (const nodeid of ids) {
    net.start({ settings: busSettings({ nodeid, nodes: count, quorum }) });
  }
  return ids;
}

/** All of them form one synchronised ring. */
function isWhole(net: MemberNet, ids: readonly number[]): boolean {
  const first = net.node(ids[0]!).member.snapshot();
  return ids.every((nodeid) => {
    const { ring, members, synchronising, state } = net.node(nodeid).member.snapshot();
    return (
      state === "operational" &&
      !synchronising &&
      ring.rep === first.ring.rep &&
      ring.seq === first.ring.seq &&
      members.join() === ids.join()
    );
  });
}

function cluster(count: number, quorum: Partial<QuorumSettings> = {}): MemberNet {
  const net = new MemberNet();
  const ids = start(net, count, quorum);
  expect(net.until(() => isWhole(net, ids))).toBe(true);
  return net;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);

function heard(net: MemberNet, nodeid: number): string[] {
  return net
    .node(nodeid)
    .events.flatMap((event) => (event.kind === "delivered" ? [text(event.message)] : []));
}

describe("member", () => {
  test("three nodes start, agree and are quorate", () => {
    const net = cluster(3);
    for (const nodeid of [1, 2, 3]) {
      const { quorum, configVersions } = net.node(nodeid).member.snapshot();
      expect(quorum).toMatchObject({ quorate: true, totalVotes: 3, expectedVotes: 3, quorum: 2 });
      expect(quorum.members).toEqual([1, 2, 3]);
      expect(configVersions).toEqual([1, 2, 3].map((id) => ({ nodeid: id, version: 1 })));
      const { logs } = net.node(nodeid);
      expect(logs).toContain(
        "notice MAIN Completed service synchronization, ready to provide service.",
      );
      expect(logs).toContain("notice QUORUM Members[3]: 1 2 3");
      const primary =
        "notice QUORUM This node is within the primary component and will provide service.";
      expect(logs.filter((line) => line === primary)).toHaveLength(1);
    }
  });

  test("messages of all nodes arrive in one order everywhere", () => {
    const net = cluster(3);
    for (const nodeid of [1, 2, 3]) net.request(nodeid, 100 + nodeid, { kind: "join", group });
    net.run(50);
    for (let round = 0; round < 30; round += 1) {
      for (const nodeid of [1, 2, 3]) {
        const message = bytes(`${nodeid}.${round}`.padEnd(round * 700, "x"));
        net.request(nodeid, 100 + nodeid, { kind: "send", group, message });
      }
      net.run(1);
    }
    expect(net.until(() => [1, 2, 3].every((id) => heard(net, id).length === 90))).toBe(true);
    expect(heard(net, 2)).toEqual(heard(net, 1));
    expect(heard(net, 3)).toEqual(heard(net, 1));
    const last = net.node(1).events.findLast((event) => event.kind === "configured");
    expect(last).toMatchObject({
      members: [
        { nodeid: 1, pid: 101 },
        { nodeid: 2, pid: 102 },
        { nodeid: 3, pid: 103 },
      ],
    });
  });

  test("every message told becomes stable, in order, never before all have it", () => {
    const net = cluster(3);
    for (const nodeid of [1, 2, 3]) net.request(nodeid, 7, { kind: "join", group });
    net.run(50);
    for (let round = 0; round < 20; round += 1) {
      net.request(2, 7, { kind: "send", group, message: bytes(`m${round}`) });
      net.run(1);
    }
    const stableOf = (nodeid: number): number[] =>
      net
        .node(nodeid)
        .actions.flatMap((action) => (action.kind === "stable" ? [action.deliveries] : []));
    expect(net.until(() => [1, 2, 3].every((id) => stableOf(id).at(-1) === 20), 2_000)).toBe(true);
    expect(stableOf(1)).toEqual(stableOf(1).toSorted((a, b) => a - b));
    // Alone, its own word is enough; what was told before the ring changed is stable when services agree.
    net.partition([1], [2, 3]);
    net.request(1, 7, { kind: "send", group, message: bytes("alone") });
    net.request(2, 7, { kind: "send", group, message: bytes("two") });
    expect(net.until(() => isWhole(net, [1]) && isWhole(net, [2, 3]))).toBe(true);
    expect(net.until(() => [1, 2, 3].every((id) => stableOf(id).at(-1) === 21), 2_000)).toBe(true);
  });

  test("a message of 3 MB goes in fragments and arrives whole, then there is room again", () => {
    const net = cluster(2);
    for (const nodeid of [1, 2]) net.request(nodeid, 7, { kind: "join", group });
    net.run(50);
    const message = new Uint8Array(3_000_000).map((_, at) => at % 251);
    net.request(1, 7, { kind: "send", group, message });
    net.request(1, 7, { kind: "send", group, message: bytes("after") });
    expect(net.node(1).member.hasRoom()).toBe(false);
    expect(net.until(() => heard(net, 2).length === 2)).toBe(true);
    const [large, small] = net.node(2).events.filter((event) => event.kind === "delivered");
    expect(large?.kind === "delivered" && Buffer.compare(large.message, message)).toBe(0);
    expect(small?.kind === "delivered" && text(small.message)).toBe("after");
    expect(net.node(1).member.hasRoom()).toBe(true);
  });

  test("requests made before and during a synchronisation are kept", () => {
    const net = new MemberNet();
    const settings = (nodeid: number) => busSettings({ nodeid, nodes: 2 });
    net.start({ settings: settings(1) });
    net.request(1, 9, { kind: "join", group });
    net.request(1, 9, { kind: "send", group, message: bytes("early") });
    net.start({ settings: settings(2) });
    net.request(2, 9, { kind: "join", group });
    expect(net.until(() => net.node(1).member.snapshot().synchronising)).toBe(true);
    net.request(1, 9, { kind: "send", group, message: bytes("during") });
    expect(net.until(() => isWhole(net, [1, 2]) && heard(net, 1).length === 2)).toBe(true);
    expect(heard(net, 1)).toEqual(["early", "during"]);
  });

  test("a killed member is missed, its processes are gone, the rest stays quorate", () => {
    const net = cluster(3);
    for (const nodeid of [1, 2, 3]) net.request(nodeid, 5, { kind: "join", group });
    net.run(100);
    net.kill(3);
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    const event = net.node(1).events.findLast((candidate) => candidate.kind === "configured");
    expect(event).toMatchObject({
      left: [{ nodeid: 3, pid: 5, reason: 3 }],
      joined: [],
      members: [
        { nodeid: 1, pid: 5 },
        { nodeid: 2, pid: 5 },
      ],
    });
    expect(net.node(1).member.snapshot().quorum).toMatchObject({ quorate: true, totalVotes: 2 });
  });

  test("a graceful stop tells the others at once, without a token timeout", () => {
    const net = cluster(3);
    for (const nodeid of [1, 3]) net.request(nodeid, 5, { kind: "join", group });
    net.run(100);
    const before = net.now;
    net.step(3, { kind: "stopped" });
    expect(net.until(() => net.node(3).isFinished)).toBe(true);
    expect(net.node(3).actions.at(-1)).toEqual({ kind: "finished", clean: true, reason: "" });
    net.kill(3);
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    expect(net.now - before).toBeLessThan(1000);
    const { logs, events } = net.node(1);
    expect(logs).toContain("notice CFG Node 3 was shut down by sysadmin");
    expect(logs.some((line) => line.includes("token timed out"))).toBe(false);
    expect(logs.some((line) => line.includes("Failed to receive the leave"))).toBe(false);
    expect(events.at(-1)).toMatchObject({ left: [{ nodeid: 3, pid: 5, reason: 5 }] });
  });

  test("a node that is killed ends at once and says LEAVE, so that nobody waits for it", () => {
    const net = cluster(3);
    const before = net.now;
    net.step(1, { kind: "killAsked", id: 1, nodeid: 3, reason: "test" });
    expect(net.until(() => net.node(3).isFinished)).toBe(true);
    const reason = "Killed by node 1 : test";
    expect(net.node(3).actions.at(-1)).toEqual({ kind: "finished", clean: false, reason });
    net.kill(3);
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    expect(net.now - before).toBeLessThan(1000);
    expect(net.node(1).logs.some((line) => line.includes("Failed to receive"))).toBe(false);
  });

  test("a stop whose words never come back is bounded by the leaving timer", () => {
    const net = cluster(2);
    const node = net.node(1);
    net.partition([1]);
    // Nothing reaches it any more, not even what it says itself.
    net.nodes.delete(1);
    net.nodes.set(9, node);
    net.step(9, { kind: "stopped" });
    expect(node.isFinished).toBe(false);
    const { now } = net;
    expect(net.until(() => node.isFinished)).toBe(true);
    expect(net.now - now).toBe(leavingMsMax);
    expect(node.actions.at(-1)).toMatchObject({ kind: "finished", clean: true });
  });

  test("a stop before the start ends at once, and later events are ignored", () => {
    const member = new Member({
      settings: busSettings({ nodeid: 1, nodes: 2 }),
      storedRingSeq: 0,
      random: { below: () => 0 },
    });
    const out: MemberAction[] = [];
    member.step({ kind: "stopped" }, 0, out);
    expect(out.at(-1)).toEqual({ kind: "finished", clean: true, reason: "" });
    expect(member.snapshot().state).toBe("stopped");
    out.length = 0;
    member.step({ kind: "started" }, 1, out);
    expect(out).toEqual([]);
  });

  test("partition and merge: the minority is not quorate, members come back with reason 4", () => {
    const net = cluster(3);
    for (const nodeid of [1, 2, 3]) net.request(nodeid, 5, { kind: "join", group });
    net.run(100);
    net.partition([1], [2, 3]);
    expect(net.until(() => isWhole(net, [1]) && isWhole(net, [2, 3]))).toBe(true);
    expect(net.node(1).member.snapshot().quorum.quorate).toBe(false);
    expect(net.node(2).member.snapshot().quorum.quorate).toBe(true);
    net.request(1, 5, { kind: "send", group, message: bytes("alone") });
    net.request(2, 5, { kind: "send", group, message: bytes("two") });
    net.run(2000);
    net.partition();
    expect(net.until(() => isWhole(net, [1, 2, 3]))).toBe(true);
    expect(heard(net, 1)).toEqual(["alone"]);
    expect(heard(net, 3)).toEqual(["two"]);
    const merged = net.node(1).events.findLast((event) => event.kind === "configured");
    expect(merged).toMatchObject({
      left: [],
      joined: [
        { nodeid: 2, pid: 5, reason: 4 },
        { nodeid: 3, pid: 5, reason: 4 },
      ],
    });
    for (const nodeid of [1, 2, 3]) {
      expect(net.node(nodeid).member.snapshot().quorum.quorate).toBe(true);
    }
  });

  test("a restarted member rejoins under a higher ring and with a new process", () => {
    const net = cluster(3);
    const seq = net.node(1).member.snapshot().ring.seq;
    for (const nodeid of [1, 3]) net.request(nodeid, 5, { kind: "join", group });
    net.run(100);
    net.kill(3);
    net.start({ settings: busSettings({ nodeid: 3, nodes: 3 }) });
    net.request(3, 6, { kind: "join", group });
    expect(net.until(() => isWhole(net, [1, 2, 3]))).toBe(true);
    net.run(200);
    expect(net.node(1).member.snapshot().ring.seq).toBeGreaterThan(seq);
    const { groups } = net.node(2).member.snapshot();
    expect(groups).toEqual([
      { group, nodeid: 1, pid: 5 },
      { group, nodeid: 3, pid: 6 },
    ]);
  });

  test("operator's expected votes: answered when in force, refused with a sentence", () => {
    const net = cluster(3);
    net.step(2, { kind: "expectedVotesSet", id: 4, votes: 5 });
    net.step(2, { kind: "expectedVotesSet", id: 5, votes: 9 });
    net.run(2000);
    const replies = net.node(2).actions.filter((action) => action.kind === "replied");
    expect(replies).toEqual([
      {
        kind: "replied",
        id: 5,
        ok: false,
        reason:
          "expected votes 9 refused: quorum would become 5 and the 3 votes present would not reach it, use at most 5",
      },
      { kind: "replied", id: 4, ok: true, reason: "" },
    ]);
    expect(net.node(1).member.snapshot().quorum).toMatchObject({ expectedVotes: 5, quorum: 3 });
  });

  /** Nodes 1 and 2 with configuration 7, and node 3, which was off, with 5. */
  function withOneBehind(): MemberNet {
    const net = new MemberNet();
    for (const nodeid of [1, 2]) {
      net.start({ settings: busSettings({ nodeid, nodes: 3, configVersion: 7 }) });
    }
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    net.start({ settings: busSettings({ nodeid: 3, nodes: 3, configVersion: 5 }) });
    expect(net.until(() => isWhole(net, [1, 2, 3]))).toBe(true);
    return net;
  }

  test("a node with an older corosync.conf than the others waits for the tree to bring the newer one", () => {
    const net = withOneBehind();
    net.run(25_000);
    const settings = busSettings({ nodeid: 3, nodes: 3, configVersion: 7 });
    net.step(3, { kind: "reconfigured", settings, changesKey: false });
    net.run(60_000);
    expect(net.node(3).isFinished).toBe(false);
    expect(isWhole(net, [1, 2, 3])).toBe(true);
  });

  test("one that gets a file which is still older leaves after the same time", () => {
    const net = withOneBehind();
    const settings = busSettings({ nodeid: 3, nodes: 3, configVersion: 6 });
    net.step(3, { kind: "reconfigured", settings, changesKey: false });
    net.run(31_000);
    expect(net.node(3).isFinished).toBe(true);
  });

  test("once nobody with a newer file is there any more it stays", () => {
    const net = withOneBehind();
    net.kill(1);
    net.kill(2);
    expect(net.until(() => isWhole(net, [3]))).toBe(true);
    net.run(60_000);
    expect(net.node(3).isFinished).toBe(false);
    net.start({ settings: busSettings({ nodeid: 1, nodes: 3, configVersion: 7 }) });
    expect(net.until(() => isWhole(net, [1, 3]))).toBe(true);
    net.run(31_000);
    expect(net.node(3).isFinished).toBe(true);
  });

  test("a node with an older corosync.conf, which no tree brings, leaves by itself", () => {
    const net = withOneBehind();
    net.run(20_000);
    expect(net.node(3).isFinished).toBe(false);
    expect(isWhole(net, [1, 2, 3])).toBe(true);
    net.run(11_000);
    expect(net.node(3).isFinished).toBe(true);
    const end = net.node(3).actions.at(-1);
    expect(end).toMatchObject({ kind: "finished", clean: false, isConfiguration: true });
    expect(end?.kind === "finished" && end.reason).toStartWith(
      "Received config version (7) is different than my config version (5)! Exiting",
    );
    net.kill(3);
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
  });

  test("without a quorum provider every synchronised ring is quorate", () => {
    const net = cluster(2, { provider: false });
    expect(net.node(1).member.snapshot().quorum).toMatchObject({ quorate: true, voters: [] });
    net.kill(2);
    expect(net.until(() => isWhole(net, [1]))).toBe(true);
    expect(net.node(1).member.snapshot().quorum).toMatchObject({ quorate: true, members: [1] });
    net.step(1, { kind: "expectedVotesSet", id: 1, votes: 1 });
    expect(net.node(1).actions.at(-1)).toMatchObject({ kind: "replied", ok: false });
  });
});

describe("a reload", () => {
  const requests = (net: MemberNet, nodeid: number) =>
    net.node(nodeid).actions.filter((action) => action.kind === "reloadRequested");

  test("reaches every node in its place, the asker with its question", () => {
    const net = cluster(3);
    net.step(2, { kind: "reloadAsked", id: 9 });
    expect(net.until(() => [1, 2, 3].every((nodeid) => requests(net, nodeid).length > 0))).toBe(
      true,
    );
    expect(requests(net, 1)).toEqual([{ kind: "reloadRequested", nodeid: 2, id: undefined }]);
    expect(requests(net, 2)).toEqual([{ kind: "reloadRequested", nodeid: 2, id: 9 }]);
  });

  test("asked of a node that stops is refused", () => {
    const net = cluster(1);
    net.step(1, { kind: "stopped" });
    net.step(1, { kind: "reloadAsked", id: 4 });
    expect(net.node(1).actions).toContainEqual({
      kind: "replied",
      id: 4,
      ok: false,
      reason: "this node is stopping",
    });
  });

  test("that takes a member out ends its membership at once, with the votes of those who stay", () => {
    const net = cluster(3);
    const before = net.now;
    // They send to it no more, and hear nothing of it.
    net.partition([1, 2], [3]);
    for (const nodeid of [1, 2]) {
      const settings = busSettings({ nodeid, nodes: 2, configVersion: 2 });
      net.step(nodeid, { kind: "reconfigured", settings, changesKey: false });
    }
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    expect(net.now - before).toBeLessThan(100);
    expect(net.until(() => net.node(2).member.snapshot().quorum.expectedVotes === 2)).toBe(true);
    const { quorum } = net.node(1).member.snapshot();
    expect(quorum).toMatchObject({ quorate: true, totalVotes: 2, expectedVotes: 2, quorum: 2 });
    // The next reload has nothing new to say of it.
    const { ring } = net.node(1).member.snapshot();
    const settings = busSettings({ nodeid: 1, nodes: 2, configVersion: 3 });
    net.step(1, { kind: "reconfigured", settings, changesKey: false });
    net.run(100);
    expect(net.node(1).member.snapshot()).toMatchObject({ state: "operational", ring });
  });

  test("that takes this node out leaves it alone at once, and without quorum", () => {
    const net = cluster(3);
    const before = net.now;
    // The others have read it, too: they hear it no more.
    net.partition([1], [2, 3]);
    net.step(1, { kind: "notListed" });
    expect(net.until(() => isWhole(net, [1]))).toBe(true);
    expect(net.now - before).toBeLessThan(100);
    expect(net.node(1).member.snapshot().quorum).toMatchObject({ quorate: false, totalVotes: 1 });
  });

  test("version, votes and key are told in the original's order", () => {
    const told: string[] = [];
    const observe = (action: RingAction): void => {
      if (action.kind !== "delivered" || action.nodeid !== 1) return;
      const prefixed = decodePrefix(action.message);
      if (!prefixed.ok || prefixed.value.group !== "a") return;
      const header = readHeader(new Reader(prefixed.value.message));
      if (header.ok) told.push(`${header.value.service}.${header.value.fn}`);
    };
    const net = new MemberNet();
    net.start({ settings: busSettings({ nodeid: 1, nodes: 2 }) });
    net.start({ settings: busSettings({ nodeid: 2, nodes: 2 }), observe });
    expect(net.until(() => isWhole(net, [1, 2]))).toBe(true);
    told.length = 0;
    const settings = busSettings({ nodeid: 1, nodes: 3, configVersion: 2 });
    net.step(1, { kind: "reconfigured", settings, changesKey: true });
    expect(net.until(() => told.length === 6)).toBe(true);
    // cmap version, nodeinfo of the node and of the device, expected votes, the new key's phases.
    expect(told).toEqual(["0.0", "5.0", "5.0", "5.1", "1.4", "1.4"]);
    const { configVersions, quorum } = net.node(2).member.snapshot();
    expect(configVersions).toContainEqual({ nodeid: 1, version: 2 });
    expect(quorum.voters.find(({ nodeid }) => nodeid === 1)?.expectedVotes).toBe(3);
  });

  test("a new key is taken in two phases, each once all hold the word on it", () => {
    const net = cluster(3);
    const phases = (nodeid: number): number[] =>
      net
        .node(nodeid)
        .actions.flatMap((action) => (action.kind === "keyPhase" ? [action.phase] : []));
    for (const nodeid of [1, 2, 3]) {
      const settings = busSettings({ nodeid, nodes: 3 });
      net.step(nodeid, { kind: "reconfigured", settings, changesKey: true });
      expect(phases(nodeid)).toEqual([]);
    }
    expect(net.until(() => [1, 2, 3].every((nodeid) => phases(nodeid).length === 2))).toBe(true);
    for (const nodeid of [1, 2, 3]) expect(phases(nodeid)).toEqual([1, 2]);
  });

  test("a phase that a ring change overtakes is over when the next ring is synchronised", () => {
    const net = cluster(2);
    const settings = busSettings({ nodeid: 1, nodes: 2 });
    net.step(1, { kind: "reconfigured", settings, changesKey: true });
    net.kill(2);
    const isDone = () =>
      net.node(1).actions.filter((action) => action.kind === "keyPhase").length === 2;
    expect(net.until(isDone)).toBe(true);
    expect(net.node(1).member.snapshot().members).toEqual([1]);
  });
});
