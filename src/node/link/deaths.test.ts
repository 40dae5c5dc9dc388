// Processes that end, seen over links that a virtual network carries: when that is found, and what it costs those who live.
import { expect, test } from "bun:test";
import { Testbed, totemMessage } from "../../../test/double/link-network.ts";
import { decodePacket } from "./packet.ts";

function grown(links: number): Testbed {
  const bed = new Testbed({ nodes: 3, links });
  bed.run(12_000);
  bed.node(1).queue({ kind: "watched", nodeids: [2, 3], sought: [2], isForming: false });
  return bed;
}

/** The process of a node is gone, on all its links; its machine says so. */
function end(bed: Testbed, nodeid: number, links: number): void {
  for (const other of [1, 2, 3]) {
    for (let link = 0; link < links; link += 1) {
      bed.path(other, nodeid, link).isClosed = true;
      bed.path(nodeid, other, link).isCut = true;
    }
  }
}

/** Somebody's port on the link is closed: the host names everybody. */
function hint(bed: Testbed, link: number): void {
  for (const nodeid of [2, 3]) {
    bed.node(1).queue({ kind: "refused", nodeid, link, why: "unreachable" });
  }
}

test("a sought peer is found within two ticks, without any traffic", () => {
  const bed = grown(2);
  end(bed, 2, 2);
  const beganAt = bed.now;
  expect(bed.runUntil(() => bed.node(1).ended.length > 0, 1000)).toBe(true);
  expect(bed.now - beganAt).toBeLessThan(400);
  expect(bed.node(1).ended).toEqual([{ nodeid: 2, links: [0, 1] }]);
  // Heard again, on one link: it is another process, or it was never gone.
  bed.path(2, 1, 0).isCut = false;
  expect(bed.runUntil(() => bed.node(1).ended.length === 0, 2000)).toBe(true);
});

test("a peer that is not sought is found by traffic, and the other, that answers, is not", () => {
  const bed = grown(2);
  end(bed, 3, 2);
  bed.node(1).send(0, totemMessage(100, 0, 1));
  hint(bed, 0);
  expect(bed.runUntil(() => bed.node(1).ended.length > 0, 300)).toBe(true);
  expect(bed.node(1).ended).toEqual([{ nodeid: 3, links: [0, 1] }]);
});

test("refusals on one of two links, or of a peer that is heard, show nothing", () => {
  const oneLink = grown(2);
  oneLink.path(1, 3, 0).isClosed = true;
  for (const link of [0, 1]) oneLink.path(3, 1, link).isCut = true;
  hint(oneLink, 0);
  oneLink.run(1000);
  expect(oneLink.node(1).ended).toEqual([]);

  const heard = grown(1);
  heard.path(1, 3).isClosed = true;
  for (let at = 0; at < 20; at += 1) {
    hint(heard, 0);
    heard.node(3).send(1, totemMessage(100, 1, 1));
    heard.run(40);
  }
  expect(heard.node(1).ended).toEqual([]);
});

test("nobody is watched, nobody is asked and nothing is found", () => {
  const bed = grown(1);
  end(bed, 3, 1);
  bed.node(1).queue({ kind: "watched", nodeids: [2], sought: [2], isForming: false });
  hint(bed, 0);
  bed.run(1000);
  expect(bed.node(1).ended).toEqual([]);
  const before = bed.node(2).carried.length;
  bed.node(1).queue({ kind: "watched", nodeids: [], sought: [], isForming: false });
  bed.run(10_000);
  // Node 2 answers some ten pings and sends as many: none of a search.
  expect(bed.node(2).carried.length - before).toBeLessThan(80);
});

test("a peer that has gone from the watch is no longer told", () => {
  const bed = grown(1);
  end(bed, 2, 1);
  expect(bed.runUntil(() => bed.node(1).ended.length > 0, 1000)).toBe(true);
  bed.node(1).queue({ kind: "watched", nodeids: [3], sought: [3], isForming: false });
  expect(bed.node(1).ended).toEqual([]);
});

test("forged hints cost those who live one ping each time, at most every look", () => {
  const bed = grown(1);
  bed.node(1).carried = [];
  const seconds = 1;
  for (let at = 0; at < seconds * 500; at += 1) {
    hint(bed, 0);
    bed.run(2);
  }
  const pings = bed.node(1).carried.filter(({ packet }) => {
    const decoded = decodePacket(packet);
    return decoded.ok && decoded.value.kind === "ping";
  });
  expect(bed.node(1).ended).toEqual([]);
  expect(pings.length).toBeLessThan(seconds * 2 * (1000 / 50) + 30);
});
