// Two and more link cores on a virtual clock: heartbeats, data, faults. Spec: knet.md §1.5–§2.6.
import { describe, expect, test } from "bun:test";
import { decodePacket } from "./packet.ts";
import {
  Testbed,
  addressOf,
  linkSettings,
  nodeEntries,
  totemMessage,
} from "../../../test/double/link-network.ts";

function pair(setup: ConstructorParameters<typeof Testbed>[0] = {}): Testbed {
  const bed = new Testbed(setup);
  expect(bed.runUntil(() => bed.node(1).links.reachable().length > 0, 3000)).toBe(true);
  bed.run(1000);
  return bed;
}

function sizes(messages: readonly Uint8Array[]): number[] {
  return messages.map((message) => message.length);
}

function kinds(bed: Testbed, nodeid: number): string[] {
  return bed.node(nodeid).carried.map(({ packet }) => {
    const decoded = decodePacket(packet);
    return decoded.ok ? decoded.value.kind : "malformed";
  });
}

describe("our own multicasts", () => {
  test("come back to us unless the ring has stored them, and are counted either way", () => {
    const bed = pair();
    const node = bed.node(1);
    const before = node.messages.length;
    const message = totemMessage(100, 0, 1);
    node.queue({ kind: "sent", nodeid: 0, message });
    expect(sizes(node.messages.slice(before))).toEqual([message.length]);
    node.queue({ kind: "sent", nodeid: 0, message, isStored: true });
    bed.run(10);
    expect(node.messages.length).toBe(before + 1);
    expect(node.links.traffic().loopback.packets).toBe(2);
    expect(sizes(bed.node(2).messages)).toEqual([message.length, message.length]);
  });
});

describe("heartbeats", () => {
  test("the third pong brings the link up, 1.6 s after the first ping", () => {
    const bed = new Testbed();
    bed.run(1590);
    expect(bed.node(1).changes).toEqual([]);
    bed.run(20);
    expect(bed.node(1).changes).toEqual(["link 2.0 up", "host 2 reachable"]);
    expect(kinds(bed, 1).filter((kind) => kind === "ping").length).toBe(3);
  });

  test("750 ms become 800 ms because of the tick, and the first pings carry number 0", () => {
    const bed = new Testbed();
    bed.run(8100);
    const pings = bed.node(1).carried.flatMap(({ packet }) => {
      const decoded = decodePacket(packet);
      return decoded.ok && decoded.value.kind === "ping" ? [decoded.value] : [];
    });
    expect(pings.length).toBe(11);
    expect(pings.every((ping) => ping.seq === 0 && ping.timed)).toBe(true);
  });

  test("a young link is given seconds, an old one 1.5 s and the rest of a tick", () => {
    const young = pair();
    young.everyPath({ isCut: true });
    young.run(4000);
    expect(young.node(1).links.reachable()).toEqual([2]);
    young.run(2500);
    expect(young.node(1).links.reachable()).toEqual([]);
    const old = pair();
    old.run(12_000);
    old.everyPath({ isCut: true });
    const cutAt = old.now;
    expect(old.runUntil(() => old.node(1).links.reachable().length === 0, 5000)).toBe(true);
    expect(old.now - cutAt).toBeGreaterThan(700);
    expect(old.now - cutAt).toBeLessThan(1800);
    expect(old.node(1).log.some((line) => line.includes("is down: no answer from 10.9.0.2"))).toBe(
      true,
    );
    const [link] = old.node(1).links.snapshot(old.now);
    expect(link?.downCount).toBe(2);
    const [down, up, ...others] = link?.changes ?? [];
    expect(down).toMatchObject({ agoMs: 0, isUp: false });
    expect(down?.reason).toStartWith("no answer from 10.9.0.2");
    expect(up).toMatchObject({ isUp: true, reason: "" });
    expect(others).toEqual([]);
    expect(link?.recent).toMatchObject({ lost: 0 });
    old.run(3000);
    const { recent } = old.node(1).links.snapshot(old.now)[0] ?? {};
    expect(recent?.lost).toBeGreaterThan(1);
    expect(recent?.latencyUs?.p50).toBeGreaterThan(0);
  });

  test("a closed port is noticed within two ticks, and the link comes back", () => {
    const bed = pair();
    bed.run(10_000);
    bed.path(1, 2).isClosed = true;
    bed.path(2, 1).isCut = true;
    bed.node(1).send(2, totemMessage(100, 2, 1));
    bed.run(450);
    expect(bed.node(1).changes).toContain("link 2.0 down");
    expect(bed.node(1).log.some((line) => line.includes("nothing listens on 10.9.0.2"))).toBe(true);
    bed.path(1, 2).isClosed = false;
    bed.path(2, 1).isCut = false;
    expect(bed.runUntil(() => bed.node(1).links.reachable().length === 1, 3000)).toBe(true);
  });

  test("an error about one node does not take down another that answers", () => {
    const bed = new Testbed({ nodes: 3 });
    bed.run(12_000);
    bed.path(1, 3).isClosed = true;
    bed.path(3, 1).isCut = true;
    // The host cannot tell whose port was closed, so it names both.
    bed.node(1).queue({ kind: "refused", nodeid: 2, link: 0, why: "unreachable" });
    bed.node(1).queue({ kind: "refused", nodeid: 3, link: 0, why: "unreachable" });
    bed.run(650);
    expect(bed.node(1).links.reachable()).toEqual([2]);
    // From now on every ping to node 3 earns another error, which node 3 explains.
    bed.path(2, 1).isCut = true;
    bed.node(1).queue({ kind: "refused", nodeid: 2, link: 0, why: "unreachable" });
    bed.run(500);
    expect(bed.node(1).links.reachable()).toEqual([2]);
  });

  test("a node that slept reads what has arrived before it takes links down", () => {
    const bed = pair();
    bed.run(12_000);
    const node = bed.node(1);
    const sleeping = bed.now + 4000;
    const out: never[] = [];
    node.links.step({ kind: "timedOut", timer: "tick" }, sleeping, out);
    expect(node.links.reachable()).toEqual([2]);
    node.links.step({ kind: "timedOut", timer: "tick" }, sleeping + 800, out);
    expect(node.links.reachable()).toEqual([]);
  });

  test("latency is the running mean in microseconds", () => {
    const bed = new Testbed();
    bed.everyPath({ delayMs: 2.5 });
    bed.run(10);
    bed.boot(1);
    bed.run(5000);
    expect(bed.node(1).links.snapshot(bed.now)[0]?.latencyUs).toBeGreaterThanOrEqual(4999);
    expect(bed.node(1).links.snapshot(bed.now)[0]?.latencyUs).toBeLessThanOrEqual(5001);
  });

  test("pongs slower than the timeout do not bring a link up", () => {
    const bed = new Testbed();
    bed.everyPath({ delayMs: 800 });
    bed.run(20_000);
    expect(bed.node(1).changes).toEqual([]);
  });
});

describe("data", () => {
  test("a multicast reaches us first, then everybody; a unicast only its target", () => {
    const bed = new Testbed({ nodes: 3 });
    bed.run(3000);
    bed.node(1).send(0, totemMessage(60, 0, 1));
    expect(sizes(bed.node(1).messages)).toEqual([60]);
    bed.node(1).send(2, totemMessage(70, 2, 2));
    bed.node(1).send(1, totemMessage(80, 1, 3));
    bed.run(10);
    expect(sizes(bed.node(1).messages)).toEqual([60, 80]);
    expect(sizes(bed.node(2).messages)).toEqual([60, 70]);
    expect(sizes(bed.node(3).messages)).toEqual([60]);
  });

  test("target_nodeid decides, whatever the packet says", () => {
    const bed = pair();
    bed.node(1).send(0, totemMessage(60, 7, 1));
    bed.node(1).send(0, totemMessage(12, 0, 1));
    bed.run(10);
    expect(bed.node(2).messages).toEqual([]);
    expect(bed.node(2).links.dropped()).toEqual({ notForUs: 1, noTarget: 1 });
  });

  test("nothing is sent to a host that is not reachable, and no number is used", () => {
    const bed = new Testbed();
    bed.node(1).send(2, totemMessage(60, 2, 1));
    bed.node(1).send(0, totemMessage(60, 0, 1));
    expect(sizes(bed.node(1).messages)).toEqual([60]);
    expect(kinds(bed, 1)).toEqual(["ping"]);
    bed.run(3000);
    bed.node(1).send(2, totemMessage(60, 2, 1));
    const last = decodePacket(bed.node(1).carried.at(-1)!.packet);
    expect(last.ok && last.value.kind === "data" && last.value.seq).toBe(1);
  });

  test("the largest message of corosync goes through in 46 fragments, intact", () => {
    const bed = pair();
    expect(bed.node(1).links.dataMtu).toBe(1446);
    const message = totemMessage(65_491, 0, 5);
    bed.node(1).carried = [];
    bed.node(1).send(0, message);
    expect(kinds(bed, 1).length).toBe(46);
    bed.run(10);
    expect(bed.node(2).messages.length).toBe(1);
    expect(Buffer.compare(bed.node(2).messages[0]!, message)).toBe(0);
  });

  test("fragments in any order, repeated, mixed with other messages", () => {
    const bed = pair({ seed: 7 });
    bed.everyPath({ jitterMs: 30, duplicates: 0.5 });
    const wanted: Uint8Array[] = [];
    for (let i = 0; i < 20; i += 1) {
      const message = totemMessage(1000 + i * 3000, 0, i);
      wanted.push(message);
      bed.node(1).send(0, message);
      bed.run(2);
    }
    bed.run(200);
    const hashes = (list: readonly Uint8Array[]) =>
      list.map((message) => String(Bun.hash(message))).toSorted((a, b) => a.localeCompare(b));
    expect(hashes(bed.node(2).messages)).toEqual(hashes(wanted));
    expect(bed.node(2).links.dropped()["duplicate"]).toBeGreaterThan(50);
  });

  test("with loss every message arrives once or not at all", () => {
    const bed = pair({ seed: 3 });
    bed.everyPath({ loss: 0.2, duplicates: 0.3, jitterMs: 5 });
    for (let i = 0; i < 500; i += 1) {
      bed.node(1).send(2, totemMessage(200 + i, 2, i));
      bed.run(1);
    }
    bed.run(100);
    const got = sizes(bed.node(2).messages);
    expect(new Set(got).size).toBe(got.length);
    expect(got.length).toBeGreaterThan(350);
    expect(got.length).toBeLessThan(450);
  });

  test("70,000 messages: 0 is skipped at the wrap, nothing is lost or repeated, untimed pings on multiples of 8191", () => {
    const bed = pair();
    const message = totemMessage(40, 2, 0);
    const seqs = new Set<number>();
    let untimed: number[] = [];
    for (let i = 0; i < 70_000; i += 1) {
      bed.node(1).send(2, message);
      if (i % 16 === 0) bed.run(0.5);
      for (const { packet } of bed.node(1).carried) {
        const decoded = decodePacket(packet);
        if (!decoded.ok) continue;
        if (decoded.value.kind === "data") seqs.add(decoded.value.seq);
        if (decoded.value.kind === "ping" && !decoded.value.timed) untimed.push(decoded.value.seq);
      }
      bed.node(1).carried = [];
    }
    bed.run(50);
    expect(bed.node(2).messages.length).toBe(70_000);
    expect(seqs.size).toBe(65_535);
    expect(seqs.has(0)).toBe(false);
    expect(untimed).toEqual([8191, 16_382, 24_573, 32_764, 40_955, 49_146, 57_337, 65_528]);
  });

  test("one pong is enough when data comes: data of a host that finds us reachable brings our side up", () => {
    const bed = new Testbed();
    bed.run(790);
    bed.path(1, 2).isCut = true;
    bed.run(1000);
    bed.path(1, 2).isCut = false;
    expect(bed.node(1).changes).toEqual([]);
    const packet = new Uint8Array(14 + 60);
    packet.set([1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0]);
    packet.set(totemMessage(60, 0, 1), 14);
    const arrived = { kind: "received", link: 0, address: addressOf(2, 0) } as const;
    bed.node(1).queue({ ...arrived, packet: packet.slice() });
    expect(bed.node(1).changes).toEqual(["link 2.0 up", "host 2 reachable"]);
    expect(bed.node(1).messages.length).toBe(1);
    const fresh = new Testbed();
    fresh.node(1).queue({ ...arrived, packet: packet.slice() });
    expect(fresh.node(1).links.dropped()).toEqual({ notReachable: 1 });
  });

  test("a restart within the timeout announces itself by pings with number 0", () => {
    const bed = pair();
    for (let i = 0; i < 50; i += 1) bed.node(1).send(2, totemMessage(100, 2, i));
    bed.run(1000);
    expect(bed.node(2).messages.length).toBe(50);
    const restarted = bed.boot(1);
    expect(bed.runUntil(() => restarted.links.reachable().length === 1, 3000)).toBe(true);
    expect(bed.node(2).changes).toEqual(["link 1.0 up", "host 1 reachable"]);
    for (let i = 0; i < 50; i += 1) restarted.send(2, totemMessage(200, 2, i));
    bed.run(100);
    expect(bed.node(2).messages.length).toBe(100);
  });

  test("compressed data is opened before its target is looked at", () => {
    const bed = pair({
      inflate: (method, bytes) =>
        method === 1 && bytes[0] === 0x78 ? totemMessage(300, 2, 1) : "compressed with lzma, but …",
    });
    const packet = new Uint8Array(20);
    packet.set([1, 0, 0, 1, 0, 0, 0, 9, 1, 0, 1, 1, 0, 0, 0x78]);
    const arrived = { kind: "received", link: 0, address: addressOf(1, 0) } as const;
    bed.node(2).queue({ ...arrived, packet: packet.slice() });
    expect(sizes(bed.node(2).messages)).toEqual([300]);
    for (const seq of [10, 11]) {
      packet.set([seq, 5], 7);
      bed.node(2).queue({ ...arrived, packet: packet.slice() });
    }
    expect(bed.node(2).links.dropped()).toEqual({ notInflated: 2 });
    expect(bed.node(2).log.filter((text) => text.includes("cannot be opened"))).toEqual([
      "warning: rx: host: 1 sent data that cannot be opened here: compressed with lzma, but …",
    ]);
  });
});

describe("several links", () => {
  test("passive: the highest priority, then the lowest number; fail-over and back", () => {
    const bed = pair({ links: 3, priorities: [1, 5, 5] });
    bed.run(12_000);
    const used = () => {
      bed.node(1).carried = [];
      bed.node(1).send(2, totemMessage(50, 2, 0));
      return bed.node(1).carried.map(({ link }) => link);
    };
    expect(used()).toEqual([1]);
    bed.path(2, 1, 1).isCut = true;
    bed.run(2000);
    expect(used()).toEqual([2]);
    bed.path(2, 1, 2).isCut = true;
    bed.run(2000);
    expect(used()).toEqual([0]);
    bed.path(2, 1, 1).isCut = false;
    bed.run(4000);
    expect(used()).toEqual([1]);
    expect(bed.node(1).changes.filter((change) => change.startsWith("host"))).toEqual([
      "host 2 reachable",
    ]);
  });

  test("active: every link carries it with one number, the receiver keeps one", () => {
    const bed = pair({ links: 2, linkMode: "active" });
    bed.node(1).carried = [];
    bed.node(1).send(2, totemMessage(3000, 2, 0));
    expect(bed.node(1).carried.map(({ link }) => link)).toEqual([0, 1, 0, 1, 0, 1]);
    bed.run(10);
    expect(sizes(bed.node(2).messages)).toEqual([3000]);
  });

  test("rr: each message with all its fragments on the next link", () => {
    const bed = pair({ links: 2, linkMode: "rr" });
    bed.node(1).carried = [];
    for (let i = 0; i < 3; i += 1) bed.node(1).send(2, totemMessage(3000, 2, i));
    expect(bed.node(1).carried.map(({ link }) => link)).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0]);
    bed.run(10);
    expect(bed.node(2).messages.length).toBe(3);
  });
});

describe("who may talk to us", () => {
  const ping = Uint8Array.from([
    1,
    0x81,
    0,
    1,
    0,
    0,
    0,
    ...Array.from({ length: 16 }, () => 1),
    0,
    0,
    1,
  ]);

  test("unknown nodes, foreign addresses and unknown links are refused and counted", () => {
    const bed = pair();
    const node = bed.node(2);
    node.carried = [];
    const from = (address: string, packet: Uint8Array) =>
      node.queue({ kind: "received", link: 0, address, packet: packet.slice() });
    from("10.9.0.77", ping);
    from(addressOf(1, 0), Uint8Array.from(ping).fill(9, 3, 4));
    from(addressOf(1, 0), Uint8Array.from(ping).fill(5, 6, 7));
    expect(node.links.dropped()).toEqual({ unlistedAddress: 1, unknownNode: 1, unknownLink: 1 });
    expect(node.carried).toEqual([]);
    expect(node.log.filter((line) => line.includes("Packet rejected")).length).toBe(2);
    from(`::ffff:${addressOf(1, 0)}`, ping);
    expect(node.carried.length).toBe(1);
  });

  test("without access lists control packets are answered to the configured address", () => {
    const bed = pair({ blockUnlistedIps: false });
    const node = bed.node(2);
    node.carried = [];
    node.queue({ kind: "received", link: 0, address: "10.9.0.77", packet: ping.slice() });
    expect(node.carried.map(({ nodeid, link }) => [nodeid, link])).toEqual([[1, 0]]);
  });
});

describe("reconfiguration", () => {
  test("a removed node is gone at once, an added one comes up, the others notice nothing", () => {
    const bed = new Testbed({ nodes: 3 });
    bed.run(3000);
    const node = bed.node(1);
    const options = bed.options(1);
    const configuration = { ...options, nodes: nodeEntries(2, 1) };
    node.queue({ kind: "reconfigured", configuration });
    expect(node.changes.slice(-2)).toEqual(["link 3.0 down", "host 3 gone"]);
    expect(node.links.reachable()).toEqual([2]);
    node.queue({ kind: "reconfigured", configuration: options });
    expect(bed.runUntil(() => node.links.reachable().length === 2, 3000)).toBe(true);
    expect(node.changes.filter((change) => change === "link 2.0 down")).toEqual([]);
  });

  test("another port is another link; another timer is not", () => {
    const bed = pair();
    const node = bed.node(1);
    const options = bed.options(1);
    const timers = { ...options, links: [{ ...linkSettings(0), pingTimeoutMs: 9000 }] };
    node.queue({ kind: "reconfigured", configuration: timers });
    expect(node.links.reachable()).toEqual([2]);
    const configuration = { ...options, links: [{ ...linkSettings(0), port: 9999 }] };
    node.queue({ kind: "reconfigured", configuration });
    expect(node.links.reachable()).toEqual([]);
    expect(node.links.snapshot(bed.now)[0]?.connected).toBe(false);
  });

  test("outgoing compression is not done, and that is said", () => {
    const bed = new Testbed({ compression: { model: "zlib", threshold: 100, level: 1 } });
    expect(bed.node(1).log[0]).toContain("knet_compression_model zlib");
  });
});
