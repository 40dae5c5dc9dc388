// Probes over the loopback: what comes back, to whom, and what does not.
import { afterEach, expect, test } from "bun:test";
import { probeLinks } from "./probe-client.ts";
import { decodeProbe, encodeProbe, headBytes, packetBytesMax, payloadOf } from "./probe-packet.ts";
import { ProbeServer } from "./probe-server.ts";

const open: ProbeServer[] = [];
const serverOn = (...own: [number, string][]) => {
  const server = new ProbeServer(() => new Map(own));
  open.push(server);
  return server;
};
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

const [member, joiner, stranger] = ["127.83.0.1", "127.83.0.3", "127.83.0.9"];
const port = () => 0;

test("a packet is known by its nonce alone, and is as long as it was asked to be", () => {
  const [one, other] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
  const packet = encodeProbe(one, 7, 1472);
  expect(packet.length).toBe(1472);
  expect(decodeProbe(packet, one)).toBe(7);
  expect(decodeProbe(packet, other)).toBeUndefined();
  expect(decodeProbe(packet.subarray(0, headBytes - 1), one)).toBeUndefined();
  expect(decodeProbe(new Uint8Array(0), one)).toBeUndefined();
  expect(payloadOf(1500, false)).toBe(1472);
  expect(payloadOf(1500, true)).toBe(1452);
  expect(payloadOf(65_536, false)).toBe(packetBytesMax);
});

test("packets of full size come back on a link that carries them", async () => {
  const offer = await serverOn([0, member]).open({ "0": joiner });
  const [outcome] = await probeLinks(offer, new Map([[0, joiner]]), port);
  expect(outcome).toMatchObject({ link: 0, own: joiner, member, result: "whole" });
  expect(outcome?.fullBytes).toBeGreaterThan(60_000);
});

test("nothing comes back to another address than the one that was announced", async () => {
  const offer = await serverOn([0, member]).open({ "0": joiner });
  const [outcome] = await probeLinks(offer, new Map([[0, stranger]]), port);
  expect(outcome?.result).toBe("nothing");
});

test("nothing comes back for another nonce", async () => {
  const offer = await serverOn([0, member]).open({ "0": joiner });
  const forged = { ...offer, ask: "00".repeat(16) };
  const [outcome] = await probeLinks(forged, new Map([[0, joiner]]), port);
  expect(outcome?.result).toBe("nothing");
});

test("packets of strangers use up nothing", async () => {
  const offer = await serverOn([0, member]).open({ "0": joiner });
  const noise = await Bun.udpSocket({ hostname: stranger });
  for (let count = 0; count < 100; count += 1) {
    noise.send("noise", offer.links[0]?.port ?? 0, member);
  }
  noise.close();
  const [outcome] = await probeLinks(offer, new Map([[0, joiner]]), port);
  expect(outcome?.result).toBe("whole");
});

test("a link that the member has not, and an address that this machine has not, are said so", async () => {
  const offer = await serverOn([0, member]).open({ "0": joiner, "1": "127.83.1.3" });
  const links = new Map([
    [0, "203.0.113.7"],
    [1, "127.83.1.3"],
  ]);
  const [absent, foreign] = await probeLinks(offer, links, port);
  expect(absent).toMatchObject({
    result: "not tried",
    reason: expect.stringContaining("203.0.113.7"),
  });
  expect(foreign).toMatchObject({
    result: "not tried",
    reason: expect.stringContaining("no link 1"),
  });
});

test("only so many sockets are open at once, and each answers only so often", async () => {
  const server = serverOn([0, member]);
  const offers = [];
  for (let at = 0; at < 20; at += 1) offers.push(await server.open({ "0": joiner }));
  expect(offers.filter(({ links }) => links[0]?.fault === "").length).toBeLessThanOrEqual(16);
  const fault = offers.at(-1)?.links[0]?.fault ?? "";
  expect(fault).not.toBe("");
});
