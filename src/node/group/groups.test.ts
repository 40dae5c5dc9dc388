import { describe, expect, test } from "bun:test";
import type { GroupEvent } from "../../world.ts";
import { busSettings, OrderedBus } from "../../../test/double/service-bus.ts";
import { encodeGroupMessage, fragmentBytesMax, type GroupMessage } from "./message.ts";

const group = "svgrp";
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
const text = (message: Uint8Array): string => new TextDecoder().decode(message);

function cluster(count: number): OrderedBus {
  const bus = new OrderedBus();
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  for (const nodeid of ids) bus.start(busSettings({ nodeid, nodes: count }));
  bus.join(ids);
  return bus;
}

/** Process `nodeid * 100` of each node joins. */
function joined(count: number): OrderedBus {
  const bus = cluster(count);
  for (const nodeid of bus.nodes.keys()) join(bus, nodeid, nodeid * 100);
  for (const node of bus.nodes.values()) node.clear();
  return bus;
}

function join(bus: OrderedBus, nodeid: number, pid: number, name = group): void {
  bus.request(nodeid, pid, { kind: "join", group: name });
  bus.settle();
}

function send(bus: OrderedBus, nodeid: number, pid: number, words: string): void {
  bus.request(nodeid, pid, { kind: "send", group, message: bytes(words) });
}

/** Puts a message of a node into the order by hand. */
function hear(bus: OrderedBus, nodeid: number, message: GroupMessage): void {
  const raw = encodeGroupMessage(message, "a");
  for (const { nodeid: to } of bus.nodes.values()) {
    bus.device(to, (node, out) => node.services.delivered(nodeid, raw, bus.now, out));
  }
}

/** "+1/100r1" joined, "-…" left, with the member list; messages as "1/100:text". */
function story(events: readonly GroupEvent[]): string[] {
  return events.map((event) => {
    if (event.kind === "delivered") {
      return `${event.nodeid}/${event.pid}:${text(event.message)}`;
    }
    const changes = [
      ...event.left.map((change) => `-${change.nodeid}/${change.pid}r${change.reason}`),
      ...event.joined.map((change) => `+${change.nodeid}/${change.pid}r${change.reason}`),
    ];
    return `${changes.join(" ")} [${event.members.map((m) => `${m.nodeid}/${m.pid}`).join(" ")}]`;
  });
}

const told = (bus: OrderedBus, nodeid: number): string[] => story(bus.node(nodeid).events);

describe("closed process groups", () => {
  test("joins in one order, lists by nodeid and pid, the joiner first hears of itself", () => {
    const bus = cluster(3);
    join(bus, 3, 31);
    join(bus, 1, 12);
    join(bus, 1, 11);
    expect(told(bus, 3)).toEqual([
      "+3/31r1 [3/31]",
      "+1/12r1 [1/12 3/31]",
      "+1/11r1 [1/11 1/12 3/31]",
    ]);
    expect(told(bus, 1)).toEqual(["+1/12r1 [1/12 3/31]", "+1/11r1 [1/11 1/12 3/31]"]);
    expect(told(bus, 2)).toEqual([]);
  });

  test("messages reach members only, the sender included, in one order", () => {
    const bus = joined(3);
    bus.request(2, 200, { kind: "leave", group });
    bus.settle();
    for (const node of bus.nodes.values()) node.clear();
    for (let round = 0; round < 3; round += 1) {
      send(bus, 3, 300, `c${round}`);
      send(bus, 1, 100, `a${round}`);
    }
    bus.settle();
    expect(told(bus, 1)).toHaveLength(6);
    expect(told(bus, 3)).toEqual(told(bus, 1));
    expect(told(bus, 2)).toEqual([]);
  });

  test("what is sent right after the join is delivered behind it", () => {
    const bus = cluster(2);
    bus.request(1, 10, { kind: "join", group });
    send(bus, 1, 10, "now");
    bus.settle();
    expect(told(bus, 1)).toEqual(["+1/10r1 [1/10]", "1/10:now"]);
  });

  test("the leaver hears of its leave, and may join again at once", () => {
    const bus = joined(2);
    bus.request(1, 100, { kind: "leave", group });
    bus.request(1, 100, { kind: "join", group });
    send(bus, 1, 100, "again");
    bus.settle();
    expect(told(bus, 1)).toEqual(["-1/100r2 [2/200]", "+1/100r1 [1/100 2/200]", "1/100:again"]);
    bus.request(1, 100, { kind: "leave", group });
    bus.settle();
    send(bus, 1, 100, "too late");
    bus.settle();
    expect(told(bus, 2).at(-1)).toBe("-1/100r2 [2/200]");
    expect(bus.node(1).logs.at(-1)).toContain("the process is not in the group");
  });

  test("two local processes in one group are both members and are told once", () => {
    const bus = joined(2);
    join(bus, 1, 101);
    send(bus, 1, 101, "hello");
    bus.settle();
    expect(told(bus, 1)).toEqual(["+1/101r1 [1/100 1/101 2/200]", "1/101:hello"]);
    bus.request(1, 100, { kind: "leave", group });
    bus.settle();
    send(bus, 2, 200, "still here");
    bus.settle();
    expect(told(bus, 1).slice(2)).toEqual(["-1/100r2 [1/101 2/200]", "2/200:still here"]);
  });

  test("groups do not mix, also when only a NUL tells them apart", () => {
    const bus = joined(2);
    join(bus, 2, 201, `${group}\0`);
    expect(told(bus, 1)).toEqual([]);
    bus.request(2, 201, { kind: "send", group: `${group}\0`, message: bytes("x") });
    bus.settle();
    expect(told(bus, 1)).toEqual([]);
    expect(told(bus, 2)).toHaveLength(2);
  });

  test("wrong requests are refused with a word and change nothing", () => {
    const bus = joined(2);
    bus.request(1, 100, { kind: "join", group });
    bus.request(1, 5, { kind: "leave", group });
    bus.request(1, 5, { kind: "join", group: "g".repeat(129) });
    bus.settle();
    expect(bus.node(1).logs.map((line) => line.split(": ")[1])).toEqual([
      "the process is in the group already",
      "the process is not in the group",
      "the name is longer than 128 bytes",
    ]);
    expect(told(bus, 2)).toEqual([]);
  });

  test("a node that dies is reported once a group, reason 3", () => {
    const bus = joined(3);
    join(bus, 3, 301);
    join(bus, 3, 302, "other");
    for (const node of bus.nodes.values()) node.clear();
    bus.kill(3);
    bus.join([1, 2]);
    expect(told(bus, 1)).toEqual(["-3/300r3 -3/301r3 [1/100 2/200]"]);
    expect(told(bus, 2)).toEqual(told(bus, 1));
  });

  test("a ring change that changes no group tells nobody", () => {
    const bus = joined(3);
    bus.join([1, 2, 3]);
    expect(told(bus, 1)).toEqual([]);
  });

  test("partition and merge: each side loses the other, then gains it with reason 4", () => {
    const bus = joined(4);
    bus.join([1, 2], [3, 4]);
    bus.join([1, 2, 3, 4]);
    expect(told(bus, 1)).toEqual([
      "-3/300r3 -4/400r3 [1/100 2/200]",
      "+3/300r4 +4/400r4 [1/100 2/200 3/300 4/400]",
    ]);
    expect(told(bus, 4)).toEqual([
      "-1/100r3 -2/200r3 [3/300 4/400]",
      "+1/100r4 +2/200r4 [1/100 2/200 3/300 4/400]",
    ]);
  });

  test("a node that is back before it was missed leaves and comes with its new process", () => {
    const bus = joined(3);
    bus.start(busSettings({ nodeid: 3, nodes: 3 }));
    join(bus, 3, 333);
    bus.node(3).clear();
    bus.join([1, 2, 3]);
    expect(told(bus, 1)).toEqual(["-3/300r3 [1/100 2/200]", "+3/333r4 [1/100 2/200 3/333]"]);
    expect(told(bus, 3)).toEqual(["+1/100r4 +2/200r4 [1/100 2/200 3/333]"]);
  });

  test("an aborted synchronisation changes nothing; the next one is computed afresh", () => {
    for (let cut = 1; cut < 40; cut += 1) {
      const bus = joined(3);
      bus.kill(3);
      bus.form([1, 2]);
      bus.deliver(cut);
      bus.start(busSettings({ nodeid: 3, nodes: 3 }));
      bus.form([1, 2, 3]);
      bus.settle();
      expect(told(bus, 1)).toEqual(["-3/300r3 [1/100 2/200]"]);
      expect(told(bus, 2)).toEqual(told(bus, 1));
      expect(bus.node(3).services.snapshot().groups).toHaveLength(2);
    }
  });

  test("a node that was apart in a ring that broke before it was synchronised counts as gone, though it is back", () => {
    for (let cut = 1; cut < 40; cut += 1) {
      const bus = joined(3);
      bus.form([1, 2]);
      bus.deliver(cut);
      // Both come along from the ring that never was, and so does node 3, which was in none of it.
      bus.form([1, 2, 3]);
      bus.deliver(1);
      bus.form([1, 2, 3]);
      bus.settle();
      expect(told(bus, 1)).toEqual(["-3/300r3 [1/100 2/200]", "+3/300r4 [1/100 2/200 3/300]"]);
      expect(told(bus, 2)).toEqual(told(bus, 1));
      // Synchronised once more it is no news.
      bus.node(1).clear();
      bus.form([1, 2, 3]);
      bus.settle();
      expect(told(bus, 1)).toEqual([]);
    }
  });

  test("messages accepted before a change are delivered after it, in the new ring", () => {
    const bus = joined(3);
    send(bus, 1, 100, "before");
    bus.kill(3);
    bus.form([1, 2]);
    send(bus, 2, 200, "during");
    bus.settle();
    expect(told(bus, 1)).toEqual(["-3/300r3 [1/100 2/200]", "1/100:before", "2/200:during"]);
    expect(told(bus, 2)).toEqual(told(bus, 1));
  });

  test("zombies: a process that left while we were apart is gone after the merge", () => {
    const bus = joined(2);
    // Node 1 believes in a process of node 2 that node 2 does not have any more.
    const ghost = encodeGroupMessage({ kind: "join", group, pid: 7 }, "a");
    bus.device(1, (node, out) => node.services.delivered(2, ghost, bus.now, out));
    bus.join([1, 2]);
    expect(told(bus, 1)).toEqual(["+2/7r1 [1/100 2/7 2/200]", "-2/7r5 [1/100 2/200]"]);
  });

  test("a message of a node without any process in the group is dropped", () => {
    const bus = joined(2);
    hear(bus, 9, { kind: "mcast", group, pid: 1, nodeid: 9, payload: bytes("who?") });
    expect(told(bus, 1)).toEqual([]);
    expect(bus.node(1).logs).toEqual(["warning CPG Unknown node -> we will not deliver message"]);
  });

  test("a joinlist of a late or foreign sender does not count", () => {
    const bus = joined(2);
    const entries = [{ group, pid: 66 }];
    hear(bus, 2, { kind: "joinlist", entries });
    hear(bus, 9, { kind: "joinlist", entries });
    bus.form([1, 2]);
    hear(bus, 9, { kind: "joinlist", entries });
    bus.settle();
    expect(told(bus, 1)).toEqual([]);
  });

  test("the last words of a stopping node: reason 5 for each process, and silence for itself", () => {
    const bus = joined(2);
    send(bus, 1, 100, "last");
    bus.stop(1);
    expect(told(bus, 2)).toEqual(["1/100:last", "-1/100r5 [2/200]"]);
  });
});

describe("messages larger than one totempg message", () => {
  const large = new Uint8Array(2 * fragmentBytesMax + 5).map((_, at) => at % 253);

  /** Node 3 sends; node 1 joins after `cut` fragments were delivered (it speaks before node 3 in each turn). */
  function joinedAfter(cut: number): OrderedBus {
    const bus = cluster(3);
    join(bus, 3, 300);
    join(bus, 2, 200);
    bus.request(3, 300, { kind: "send", group, message: large });
    send(bus, 3, 300, "next");
    bus.deliver(cut);
    bus.request(1, 100, { kind: "join", group });
    bus.settle();
    return bus;
  }

  function sizes(bus: OrderedBus, nodeid: number): number[] {
    return bus.node(nodeid).events.flatMap((event) => {
      if (event.kind === "configured") return [];
      if (event.message.length === large.length) {
        expect(Buffer.compare(event.message, large)).toBe(0);
      }
      return [event.message.length];
    });
  }

  test("arrive whole and in their place; a member who joins meanwhile gets all of it, too", () => {
    const bus = joinedAfter(1);
    for (const nodeid of [1, 2, 3]) expect(sizes(bus, nodeid)).toEqual([large.length, 4]);
  });

  test("a join between the last two fragments comes too late to start again: nobody gets it twice", () => {
    const bus = joinedAfter(2);
    expect(sizes(bus, 2)).toEqual([large.length, 4]);
    expect(sizes(bus, 3)).toEqual([large.length, 4]);
    expect(sizes(bus, 1)).toEqual([4]);
  });

  test("a ring change in the middle does not lose or double it", () => {
    for (const cut of [1, 2, 3]) {
      const bus = joined(3);
      bus.request(1, 100, { kind: "send", group, message: large });
      bus.deliver(cut);
      bus.kill(3);
      bus.join([1, 2]);
      expect(sizes(bus, 1)).toEqual([large.length]);
      expect(sizes(bus, 2)).toEqual([large.length]);
    }
  });

  test("half a message of a process that is gone is never delivered", () => {
    const bus = joined(2);
    const fragment = (pid: number, type: "first" | "last", payload: Uint8Array): GroupMessage => ({
      kind: "partial",
      group,
      pid,
      nodeid: 2,
      total: 6,
      type,
      payload,
    });
    hear(bus, 2, fragment(200, "first", bytes("abc")));
    hear(bus, 2, { kind: "leave", group, pid: 200, reason: 5 });
    hear(bus, 2, { kind: "join", group, pid: 200 });
    hear(bus, 2, fragment(200, "last", bytes("def")));
    hear(bus, 2, fragment(200, "first", bytes("ABC")));
    hear(bus, 2, fragment(200, "first", bytes("abc")));
    hear(bus, 2, fragment(200, "last", bytes("def")));
    const messages = told(bus, 1).filter((line) => line.includes(":"));
    expect(messages).toEqual(["2/200:abcdef"]);
  });
});
