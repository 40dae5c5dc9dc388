// Real UDP sockets on loopback: the descriptor made by libc reaches Bun, refusals come back, problems are sentences.
import { afterEach, expect, test } from "bun:test";
import { bindUdpSocket, closeFd, socketOptions as option } from "../../libc.ts";
import type { LogAction } from "../../world.ts";
import type { NodeEntry } from "../settings/settings.ts";
import type { LinksEvent } from "../link/events.ts";
import { type LinkSockets, openLinkSockets } from "./socket.ts";
import { linkSettings } from "../../../test/double/link-network.ts";

type Refused = LinksEvent & { readonly kind: "refused" };
interface Got {
  readonly address: string;
  readonly datagram: Uint8Array;
}

const open: LinkSockets[] = [];
afterEach(() => {
  for (const sockets of open.splice(0)) sockets.close();
});

/** A port that nobody has on 127.0.0.1 to .4 at this moment. */
async function freePort(): Promise<number> {
  const probe = await Bun.udpSocket({ hostname: "0.0.0.0", port: 0 });
  const port = probe.port;
  probe.close();
  return port;
}

function entries(...addresses: string[]): NodeEntry[] {
  return addresses.map((address, i) => ({
    nodeid: i + 1,
    name: `n${i + 1}`,
    votes: 1,
    addresses: [address],
  }));
}

/** A list that can be waited on. */
class Arrivals<T> {
  readonly items: T[] = [];
  #wake: (() => void) | undefined;
  readonly push = (item: T) => {
    this.items.push(item);
    this.#wake?.();
  };
  async reach(count: number): Promise<readonly T[]> {
    while (this.items.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.items;
  }
}

async function start(nodeid: number, nodes: readonly NodeEntry[], port: number) {
  const got = new Arrivals<Got>();
  const refused = new Arrivals<Refused>();
  const log: LogAction[] = [];
  const opened = await openLinkSockets({
    nodeid,
    nodes,
    links: [{ ...linkSettings(0), port }],
    received: (_link, address, datagram) => got.push({ address, datagram }),
    refused: refused.push,
    log: (line) => log.push(line),
  });
  if (opened.ok) open.push(opened.sockets);
  return { opened, got, refused, log };
}

async function started(nodeid: number, nodes: readonly NodeEntry[], port: number) {
  const node = await start(nodeid, nodes, port);
  if (!node.opened.ok) throw new Error(node.opened.problem);
  return { ...node, sockets: node.opened.sockets };
}

const outgoing = (nodeid: number, size: number, fill = 0) => ({
  nodeid,
  link: 0,
  datagram: new Uint8Array(size).fill(fill),
});

test("datagrams arrive in order, with the sender's configured address", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2");
  const one = await started(1, nodes, port);
  const two = await started(2, nodes, port);
  one.sockets.sendMany(Array.from({ length: 200 }, (_, i) => outgoing(2, 1400, i)));
  const got = await two.got.reach(200);
  expect(got.map(({ datagram }) => datagram[7])).toEqual(
    Array.from({ length: 200 }, (_, i) => i & 255),
  );
  expect(new Set(got.map(({ address }) => address))).toEqual(new Set(["127.0.0.1"]));
});

test("IPv6 loopback carries both ways", async () => {
  const port = await freePort();
  // Both nodes have the same address and port here, so the socket talks to itself.
  const node = await started(1, entries("::1", "0:0:0:0:0:0:0:1"), port);
  node.sockets.sendMany([outgoing(2, 60_000, 5)]);
  const [got] = await node.got.reach(1);
  expect(got?.datagram.length).toBe(60_000);
  expect(got?.address).toBe("::1");
});

test("a datagram beyond the MTU is refused by size, those around it arrive", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2");
  const one = await started(1, nodes, port);
  const two = await started(2, nodes, port);
  one.sockets.sendMany([outgoing(2, 10, 1), outgoing(2, 65_508, 2), outgoing(2, 11, 3)]);
  const got = await two.got.reach(2);
  expect(got.map(({ datagram }) => datagram.length)).toEqual([10, 11]);
  expect(one.refused.items[0]).toEqual({
    kind: "refused",
    nodeid: 2,
    link: 0,
    why: "tooLarge",
    bytes: 65_508,
  });
});

test("a closed port is reported for every node of the socket, and sending goes on", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2", "127.0.0.3");
  const one = await started(1, nodes, port);
  const three = await started(3, nodes, port);
  one.sockets.sendMany([outgoing(2, 10)]);
  const refused = await one.refused.reach(2);
  expect(refused.slice(0, 2).map(({ nodeid, why }) => [nodeid, why])).toEqual([
    [2, "unreachable"],
    [3, "unreachable"],
  ]);
  one.sockets.sendMany([outgoing(2, 10), outgoing(3, 12), outgoing(2, 10), outgoing(3, 13)]);
  const got = await three.got.reach(2);
  expect(got.map(({ datagram }) => datagram.length)).toEqual([12, 13]);
});

test("a taken port is explained", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2");
  await started(1, nodes, port);
  const again = await start(1, nodes, port);
  expect(again.opened).toEqual({
    ok: false,
    problem: `127.0.0.1 port ${port}/udp (link 0) is used by another program: stop it (is corosync running?) or choose another mcastport for this link on all nodes`,
  });
  const nowhere = await start(7, nodes, port);
  expect(nowhere.opened.ok).toBe(false);
});

test("a link whose address is not there yet waits for it, be it the only one", async () => {
  const port = await freePort();
  for (const addresses of [["127.0.0.1", "192.0.2.77"], ["192.0.2.78"]]) {
    const nodes = [{ nodeid: 1, name: "n1", votes: 1, addresses }];
    const log: LogAction[] = [];
    const opened = await openLinkSockets({
      nodeid: 1,
      nodes,
      links: addresses.map((_, link) => ({ ...linkSettings(link), port })),
      received: () => undefined,
      refused: () => undefined,
      log: (line) => log.push(line),
    });
    if (!opened.ok) throw new Error(opened.problem);
    open.push(opened.sockets);
    const link = addresses.length - 1;
    expect(log.map(({ text }) => text)).toEqual([
      `${addresses[link]} port ${port}/udp (link ${link}): no interface of this machine has that address, the link waits for it: add it, or correct ring${link}_addr of this node in corosync.conf`,
    ]);
  }
});

test("a reconfiguration that cannot be had leaves everything as it was", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2");
  const one = await started(1, nodes, port);
  const two = await started(2, nodes, port);
  let taken = await freePort();
  while (taken === port) taken = await freePort();
  const other = await started(1, nodes, taken);
  const links = [
    { ...linkSettings(0), port },
    { ...linkSettings(1), port: taken },
  ];
  const doubled = nodes.map((node) => ({
    ...node,
    addresses: [node.addresses[0], node.addresses[0]],
  }));
  expect(await one.sockets.reconfigure({ nodes: doubled, links })).toContain(
    "is used by another program",
  );
  one.sockets.sendMany([outgoing(2, 34)]);
  expect(await two.got.reach(1)).toHaveLength(1);
  other.sockets.close();
  expect(await one.sockets.reconfigure({ nodes: doubled, links })).toBeUndefined();
});

test("reconfigure opens the new port and frees the old one", async () => {
  const port = await freePort();
  const nodes = entries("127.0.0.1", "127.0.0.2");
  const one = await started(1, nodes, port);
  let next = await freePort();
  while (next === port) next = await freePort();
  const links = [{ ...linkSettings(0), port: next }];
  expect(await one.sockets.reconfigure({ nodes, links })).toBeUndefined();
  const two = await started(2, nodes, next);
  one.sockets.sendMany([outgoing(2, 33), outgoing(9, 33)]);
  await two.got.reach(1);
  expect(one.sockets.dropped).toBe(1);
  const freed = bindUdpSocket({
    address: "127.0.0.1",
    port,
    options: [[option.SOL_SOCKET, option.SO_PRIORITY, 1]],
  });
  expect(freed.ok).toBe(true);
  if (freed.ok) closeFd(freed.fd);
});
