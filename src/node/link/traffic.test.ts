import { expect, test } from "bun:test";
import { encodePacket } from "./packet.ts";
import { Traffic } from "./traffic.ts";

test("packets are counted by kind, probes with their answers", () => {
  const traffic = new Traffic();
  const probe = encodePacket({ kind: "pmtud", nodeid: 1, link: 0, size: 1000, fill: 100 });
  const reply = encodePacket({ kind: "pmtudReply", nodeid: 1, link: 0, size: 1000, fill: 0 });
  const ping = { kind: "ping", nodeid: 1, link: 0, time: new Uint8Array(16), seq: 1 } as const;
  traffic.count(probe);
  traffic.count(reply);
  traffic.count(encodePacket({ ...ping, timed: true }));
  traffic.count(Uint8Array.of(1, 0x99, 0, 1, 0, 0));
  expect(traffic.counts()).toEqual({
    data: { packets: 0, bytes: 0 },
    ping: { packets: 1, bytes: 26 },
    pong: { packets: 0, bytes: 0 },
    pmtu: { packets: 2, bytes: probe.length + reply.length },
  });
  expect(traffic.packets).toBe(3);
});
