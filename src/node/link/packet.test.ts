// The clear packets: round trips, answers, hostile bytes. Spec: knet.md §1.1–§1.4.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Packet,
  decodePacket,
  decodeTime,
  encodePacket,
  encodeTime,
  pongOf,
  probeReplyOf,
  targetOf,
} from "./packet.ts";

const nodeid = fc.integer({ min: 1, max: 65_535 });
const byte = fc.nat(255);
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });

const packets: fc.Arbitrary<Packet> = fc.oneof(
  fc
    .record({
      nodeid,
      seq: fc.integer({ min: 1, max: 65_535 }),
      method: byte,
      multicast: fc.boolean(),
      fragments: fc.integer({ min: 1, max: 255 }),
      channel: byte,
      data: bytes(1, 200),
    })
    .chain((data) =>
      fc.integer({ min: 1, max: data.fragments }).map((fragment): Packet => ({
        kind: "data",
        ...data,
        fragment: data.fragments === 1 ? 0 : fragment,
      })),
    ),
  fc.record({
    kind: fc.constantFrom("ping" as const, "pong" as const),
    nodeid,
    link: byte,
    time: bytes(16, 16),
    seq: fc.nat(65_535),
    timed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom("pmtud" as const, "pmtudReply" as const),
    nodeid,
    link: byte,
    size: fc.nat(65_535),
    fill: fc.nat(300),
  }),
);

test("decode(encode(packet)) is the packet", () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodePacket(encodePacket(packet))).toEqual({ ok: true, value: packet });
    }),
    { numRuns: 2000 },
  );
});

test("every cut of a packet is refused or is a shorter packet of the same kind", () => {
  fc.assert(
    fc.property(packets, fc.nat(400), (packet, at) => {
      const whole = encodePacket(packet);
      const cut = decodePacket(whole.subarray(0, Math.min(at, whole.length)));
      if (cut.ok) expect(cut.value.kind).toBe(packet.kind);
    }),
    { numRuns: 2000 },
  );
});

test("random bytes never throw, and what is accepted has its numbers in range", () => {
  const likely = fc
    .tuple(fc.constantFrom(0, 0x81, 0x82, 0x83, 0x84), bytes(0, 60))
    .map(([type, rest]) => Uint8Array.from([1, type, ...rest]));
  fc.assert(
    fc.property(fc.oneof(bytes(0, 80), likely), (input) => {
      const packet = decodePacket(input);
      if (!packet.ok || packet.value.kind !== "data") return;
      const { seq, fragments, fragment } = packet.value;
      expect(seq).toBeGreaterThan(0);
      expect(fragments).toBeGreaterThan(0);
      if (fragments > 1) expect(fragment >= 1 && fragment <= fragments).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test("refusals", () => {
  const reason = (...input: number[]) => {
    const packet = decodePacket(Uint8Array.from(input));
    return packet.ok ? "accepted" : packet.reason;
  };
  expect(reason(1, 0, 0, 1, 0, 0)).toBe("short packet");
  expect(reason(2, 0, 0, 1, 0, 0, 0)).toBe("unknown version");
  expect(reason(1, 0x85, 0, 1, 0, 0, 0)).toBe("unknown type");
  expect(reason(1, 0x81, 0, 0, 0, 0, 0)).toBe("node 0");
  expect(reason(1, 0x81, 0, 1, 0, 0, 0)).toBe("short ping");
  expect(reason(1, 0x84, 0, 1, 0, 0, 0)).toBe("short pmtudReply");
  expect(reason(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)).toBe("short data packet");
  expect(reason(1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 9)).toBe("data with sequence number 0");
  expect(reason(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9)).toBe("data of 0 fragments");
  expect(reason(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 3, 0, 9)).toBe("fragment number out of range");
});

test("answers echo everything but type and node, pad bytes too", () => {
  const ping = Uint8Array.from({ length: 40 }, (_, i) => i);
  ping.set([1, 0x81, 0x12, 0x34, 1, 2]);
  const pong = pongOf(ping, 0xabcd);
  expect([...pong]).toEqual([1, 0x82, 0xab, 0xcd, 1, 2, ...ping.subarray(6, 26)]);
  const reply = probeReplyOf(ping, 7);
  expect([...reply]).toEqual([1, 0x84, 0, 7, 1, 2, 6, 7, 8]);
});

test("time bytes carry milliseconds to the nanosecond", () => {
  expect(decodeTime(encodeTime(1_085_862.980289))).toBeCloseTo(1_085_862.980289, 5);
  expect(decodeTime(new Uint8Array(16).fill(255))).toBeUndefined();
});

test("the target of a totem message", () => {
  expect(targetOf(new Uint8Array(12))).toBeUndefined();
  const message = new Uint8Array(13);
  message.set([1, 2, 3, 0x84], 9);
  expect(targetOf(message)).toBe(0x84030201);
});
