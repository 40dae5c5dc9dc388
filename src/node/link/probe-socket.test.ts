// Refusals by real sockets: whose they are, and what does not count as one.
import { afterEach, expect, test } from "bun:test";
import { bindUdpSocket, closeFd } from "../../libc.ts";
import { ProbeSockets, type ProbeDestination } from "./probe-socket.ts";

const probes: ProbeSockets[] = [];
const descriptors: number[] = [];

afterEach(() => {
  for (const each of probes.splice(0)) each.close();
  for (const fd of descriptors.splice(0)) closeFd(fd);
});

function open(): ProbeSockets {
  const sockets = new ProbeSockets();
  probes.push(sockets);
  return sockets;
}

/** A port of this address that is taken, and what takes it. */
function taken(address: string): { readonly port: number; readonly fd: number } {
  for (let port = 20_000 + Math.floor(Math.random() * 20_000); ; port += 1) {
    const bound = bindUdpSocket({ address, port, options: [] });
    if (!bound.ok) continue;
    descriptors.push(bound.fd);
    return { port, fd: bound.fd };
  }
}

function destination(
  nodeid: number,
  port: number,
  address = `127.0.0.${nodeid}`,
): ProbeDestination {
  const localAddress = address.includes(":") ? "::1" : "127.0.0.1";
  return { nodeid, link: 0, localAddress, address, port };
}

/** On the loopback interface a refusal is there when the send returns. */
function refused(sockets: ProbeSockets): (readonly [number, number])[] {
  return sockets.refusals().map(({ nodeid, link }) => [nodeid, link]);
}

test("of two nodes the one whose port is closed is named, each time", () => {
  const sockets = open();
  const live = taken("127.0.0.2").port;
  const dead = taken("127.0.0.3");
  closeFd(dead.fd);
  descriptors.splice(descriptors.indexOf(dead.fd), 1);
  for (let round = 0; round < 3; round += 1) {
    sockets.send(destination(2, live), new Uint8Array(90).fill(round + 1));
    sockets.send(destination(3, dead.port), new Uint8Array(90).fill(round + 11));
    sockets.send(destination(2, live), new Uint8Array(90).fill(round + 21));
    expect(refused(sockets)).toEqual([[3, 0]]);
  }
  expect(refused(sockets)).toEqual([]);
});

test("IPv6", () => {
  const sockets = open();
  const dead = taken("::1");
  closeFd(dead.fd);
  descriptors.splice(descriptors.indexOf(dead.fd), 1);
  sockets.send(destination(4, dead.port, "::1"), new Uint8Array(90).fill(7));
  expect(refused(sockets)).toEqual([[4, 0]]);
});

test("what was sent too long ago, or to a place that is no longer asked, tells nothing", () => {
  const sockets = open();
  const dead = taken("127.0.0.3");
  closeFd(dead.fd);
  descriptors.splice(descriptors.indexOf(dead.fd), 1);
  for (let at = 0; at < 6; at += 1) {
    sockets.send(destination(3, dead.port), new Uint8Array(90).fill(at + 1));
  }
  // Of six packets the last four are remembered.
  expect(refused(sockets)).toHaveLength(4);
  sockets.send(destination(3, dead.port), new Uint8Array(90).fill(99));
  const moved = taken("127.0.0.3").port;
  sockets.send(destination(3, moved), new Uint8Array(90).fill(98));
  expect(refused(sockets)).toEqual([]);
});

test("an address that is not here is no reason to fail", () => {
  const sockets = open();
  sockets.send({ ...destination(2, 9), localAddress: "192.0.2.55" }, new Uint8Array(40));
  sockets.send({ ...destination(2, 9), address: "no address" }, new Uint8Array(40));
  expect(refused(sockets)).toEqual([]);
});
