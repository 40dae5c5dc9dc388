// Path MTU: the table of knet.md §4.1, and the search against networks of several sizes (§4.3).
import { describe, expect, test } from "bun:test";
import { decodePacket } from "./packet.ts";
import { type Overhead, PathMtu, dataMtu, dataMtuFloor, sealedBytes } from "./pmtud.ts";
import { Testbed, totemMessage } from "../../../test/double/link-network.ts";

const clear: Overhead = { cipher: false, hashBytes: 0 };
const aesSha256: Overhead = { cipher: true, hashBytes: 32 };
const overheads: readonly (readonly [string, Overhead, number])[] = [
  ["none", clear, 1446],
  ["sha1 only", { cipher: false, hashBytes: 20 }, 1426],
  ["aes + md5", { cipher: true, hashBytes: 16 }, 1413],
  ["aes + sha1", { cipher: true, hashBytes: 20 }, 1397],
  ["aes + sha256", aesSha256, 1397],
  ["aes + sha384", { cipher: true, hashBytes: 48 }, 1381],
  ["aes + sha512", { cipher: true, hashBytes: 64 }, 1365],
];

test.each(overheads)("data_mtu of 1500 with %s", (_name, overhead, size) => {
  expect(dataMtu(1500, false, overhead)).toBe(size);
});

test("starting values", () => {
  expect(dataMtu(576, false, clear)).toBe(522);
  expect(dataMtu(576, false, aesSha256)).toBe(469);
  expect(dataMtuFloor(clear)).toBe(482);
  expect(dataMtuFloor(aesSha256)).toBe(421);
});

test("sizes after protection, as captured", () => {
  expect(sealedBytes(26, aesSha256)).toBe(80);
  expect(sealedBytes(9, aesSha256)).toBe(64);
  expect(sealedBytes(1423, aesSha256)).toBe(1472);
});

/** Probes of node 1, as [size field, bytes of the clear packet]. */
function probes(bed: Testbed): number[][] {
  return bed.node(1).carried.flatMap(({ packet }) => {
    const decoded = decodePacket(packet);
    return decoded.ok && decoded.value.kind === "pmtud"
      ? [[decoded.value.size, packet.length]]
      : [];
  });
}

describe.each([
  ["clear", clear],
  ["aes256/sha256", aesSha256],
] as const)("search, %s", (_name, crypto) => {
  test("a usual network: one probe on the wire, each half minute", () => {
    const bed = new Testbed({ crypto });
    bed.run(5000);
    const probe = [1500, crypto === clear ? 1472 : 1423];
    expect(probes(bed)).toEqual([probe]);
    expect(bed.node(1).links.dataMtu).toBe(dataMtu(1500, false, crypto));
    const [link] = bed.node(1).links.snapshot(bed.now);
    expect(link?.path).toEqual({ state: "measured", mtu: 1500 });
    bed.run(30_000);
    expect(probes(bed)).toEqual([probe, probe]);
  });

  test.each([576, 1280, 1400, 9000, 65_535])("an interface of %i bytes", (interfaceMtu) => {
    const bed = new Testbed({ crypto });
    bed.everyPath({ interfaceMtu });
    bed.run(6000);
    expect(bed.node(1).links.dataMtu).toBe(dataMtu(interfaceMtu, false, crypto));
    expect(bed.node(1).links.snapshot(bed.now)[0]?.mtu).toBe(dataMtu(interfaceMtu, false, crypto));
  });

  test("a route that is narrower than both ends is found by silence", () => {
    const bed = new Testbed({ crypto });
    bed.everyPath({ routeMtu: 1420 });
    bed.run(60_000);
    const found = bed.node(1).links.dataMtu;
    expect(found).toBe(dataMtu(1420, false, crypto));
    const path = bed.node(1).links.snapshot(bed.now)[0]?.path;
    expect(path).toMatchObject({ state: "measured" });
    expect(path?.mtu).toBeLessThanOrEqual(1420);
    // One step above what passes: a byte, with a cipher a block.
    expect(path?.unanswered).toBe((path?.mtu ?? 0) + (crypto.cipher ? 16 : 1));
    bed.node(1).send(2, totemMessage(5000, 2, 1));
    bed.run(10);
    expect(bed.node(2).messages.length).toBe(1);
  });

  test("no answer to any probe but the smallest: no data either way, though the link is up, until one is answered", () => {
    const bed = new Testbed({ crypto });
    // Heartbeats just fit.
    bed.everyPath({ routeMtu: sealedBytes(26, crypto) + 28 });
    bed.run(2000);
    expect(bed.node(1).links.reachable()).toEqual([2]);
    bed.run(70_000);
    expect(bed.node(1).links.snapshot(bed.now)[0]?.connected).toBe(true);
    expect(bed.node(1).links.reachable()).toEqual([]);
    expect(bed.node(1).links.snapshot(bed.now)[0]?.path.state).toBe("failed");
    expect(bed.node(1).changes.at(-1)).toBe("host 2 gone");
    bed.everyPath({ routeMtu: 1500 });
    bed.run(60_000);
    expect(bed.node(1).links.reachable()).toEqual([2]);
  });
});

test("data before the measurement is cut to fit 576 bytes", () => {
  const bed = new Testbed();
  bed.runUntil(() => bed.node(1).links.reachable().length > 0, 3000);
  expect(bed.node(1).links.dataMtu).toBe(482);
});

test("the least of all links counts, and a link that comes up starts from the floor again", () => {
  const bed = new Testbed({ links: 2 });
  bed.path(1, 2, 1).interfaceMtu = 1300;
  bed.run(5000);
  expect(
    bed
      .node(1)
      .links.snapshot(bed.now)
      .map((link) => link.mtu),
  ).toEqual([1446, 1246]);
  expect(bed.node(1).links.dataMtu).toBe(1246);
  bed.run(10_000);
  bed.path(2, 1, 1).isCut = true;
  bed.run(2500);
  expect(bed.node(1).links.dataMtu).toBe(1446);
  bed.path(2, 1, 1).isCut = false;
  expect(bed.runUntil(() => bed.node(1).links.dataMtu === 482, 5000)).toBe(true);
  bed.run(400);
  expect(bed.node(1).links.dataMtu).toBe(1246);
});

test("an interface that shrinks: the kernel's refusal starts a new search, the next message passes", () => {
  const bed = new Testbed();
  bed.run(5000);
  bed.everyPath({ interfaceMtu: 1200 });
  bed.node(1).send(2, totemMessage(20_000, 2, 1));
  bed.run(10);
  expect(bed.node(2).messages.length).toBe(0);
  bed.node(1).send(2, totemMessage(20_000, 2, 1));
  bed.run(10);
  expect(bed.node(2).messages.length).toBe(1);
  bed.run(500);
  expect(bed.node(1).links.dataMtu).toBe(1146);
});

test("a router's ICMP message about size starts a search at most every five seconds", () => {
  const bed = new Testbed();
  bed.run(12_000);
  bed.node(1).carried = [];
  const tick = () => {
    bed.node(1).queue({ kind: "refused", nodeid: 2, link: 0, why: "tooLarge" });
    bed.run(200);
  };
  for (let i = 0; i < 20; i += 1) tick();
  expect(probes(bed).length).toBe(1);
});

test("a changed key measures every path again", () => {
  const bed = new Testbed();
  bed.run(5000);
  bed.node(1).queue({ kind: "keyChanged" });
  expect(bed.node(1).links.dataMtu).toBe(482);
  bed.run(300);
  expect(bed.node(1).links.dataMtu).toBe(1446);
});

test("knet_mtu: no probes, that size for all", () => {
  const bed = new Testbed({ knetMtu: 1400 });
  bed.run(40_000);
  expect(probes(bed)).toEqual([]);
  expect(bed.node(1).links.dataMtu).toBe(dataMtu(1400, false, clear));
});

test("a kernel that refuses every size does not make us spin", () => {
  const path = new PathMtu({ ipv6: false, overhead: clear, intervalMs: 30_000, fixedMtu: 0 });
  let step = path.tick(0, 1500);
  let probed = 0;
  while (step.kind === "probe") {
    probed += 1;
    step = path.refused(0, 1500);
  }
  expect(step.kind).toBe("failed");
  expect(probed).toBeLessThan(80);
});

test("IPv6 starts at 1280 and reserves its larger header", () => {
  const path = new PathMtu({ ipv6: true, overhead: clear, intervalMs: 30_000, fixedMtu: 0 });
  expect(path.dataMtu).toBe(1280 - 48 - 26);
});
