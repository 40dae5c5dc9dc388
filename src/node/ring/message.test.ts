import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeMessage,
  encodeMessage,
  nodesMax,
  ringSeqMax,
  type TotemMessage,
} from "./message.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const nodeid = fc.integer({ min: 1, max: 0xffff_ffff });
const ring = fc.record({ rep: u32, seq: fc.integer({ min: 0, max: ringSeqMax }) });
const header = { nodeid, target: u32 };

const message: fc.Arbitrary<TotemMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("token" as const),
    ...header,
    seq: u32,
    tokenSeq: u32,
    aru: u32,
    aruNode: u32,
    ring,
    backlog: u32,
    fcc: u32,
    retransFlag: u32,
    retransmits: fc.array(fc.record({ ring, seq: u32 }), { maxLength: 30 }),
  }),
  fc.record({
    kind: fc.constant("mcast" as const),
    ...header,
    encapsulated: fc.constantFrom(1, 2),
    from: nodeid,
    seq: u32,
    thisSeqno: u32,
    ring,
    unused: u32,
    guarantee: u32,
    body: fc.uint8Array({ maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant("mergeDetect" as const), ...header, from: nodeid, ring }),
  fc.record({
    kind: fc.constant("join" as const),
    ...header,
    nodeid: u32,
    from: nodeid,
    ringSeq: fc.integer({ min: 0, max: ringSeqMax }),
    proc: fc.array(nodeid, { maxLength: 10 }),
    failed: fc.array(nodeid, { maxLength: 10 }),
  }),
  fc
    .uniqueArray(fc.record({ nodeid, ring, aru: u32, highDelivered: u32, received: u32 }), {
      minLength: 1,
      maxLength: 8,
      selector: (item) => item.nodeid,
    })
    .chain((list) => {
      const sorted = list.toSorted((a, b) => a.nodeid - b.nodeid);
      return fc.record({
        kind: fc.constant("commit" as const),
        ...header,
        tokenSeq: u32,
        ring: fc.record({
          rep: fc.constant(sorted[0]!.nodeid),
          seq: fc.integer({ min: 0, max: ringSeqMax }),
        }),
        retransFlag: u32,
        index: fc.integer({ min: 0, max: sorted.length }),
        members: fc.constant(sorted.map((item) => item.nodeid)),
        entries: fc.constant(
          sorted.map(({ ring: oldRing, aru, highDelivered, received }) => ({
            ring: oldRing,
            aru,
            highDelivered,
            received,
          })),
        ),
      });
    }),
  fc.record({ kind: fc.constant("holdCancel" as const), ...header, ring }),
);

/** One honest frame of each kind, to be spoiled. */
const honest = {
  token: encodeMessage({
    kind: "token",
    nodeid: 1,
    target: 2,
    seq: 5,
    tokenSeq: 9,
    aru: 5,
    aruNode: 0,
    ring: { rep: 1, seq: 9 },
    backlog: 0,
    fcc: 0,
    retransFlag: 0,
    retransmits: [{ ring: { rep: 1, seq: 9 }, seq: 4 }],
  }),
  commit: encodeMessage({
    kind: "commit",
    nodeid: 1,
    target: 2,
    tokenSeq: 1,
    ring: { rep: 1, seq: 9 },
    retransFlag: 0,
    index: 1,
    members: [1, 2],
    entries: [
      { ring: { rep: 1, seq: 5 }, aru: 1, highDelivered: 1, received: 1 },
      { ring: { rep: 0, seq: 0 }, aru: 0, highDelivered: 0, received: 0 },
    ],
  }),
  join: encodeMessage({
    kind: "join",
    nodeid: 1,
    target: 0,
    from: 1,
    ringSeq: 9,
    proc: [1, 2],
    failed: [],
  }),
  mcast: encodeMessage({
    kind: "mcast",
    nodeid: 1,
    target: 0,
    encapsulated: 2,
    from: 1,
    seq: 1,
    thisSeqno: 0,
    ring: { rep: 1, seq: 9 },
    unused: 0,
    guarantee: 0,
    body: Uint8Array.of(1),
  }),
};

function reasonFor(bytes: Uint8Array, at: number, value: number): string {
  const spoiled = bytes.slice();
  new DataView(spoiled.buffer).setUint32(at, value, true);
  const decoded = decodeMessage(spoiled);
  return decoded.ok ? "accepted" : decoded.reason;
}

describe("totem messages", () => {
  test("decode(encode(m)) is m", () => {
    fc.assert(
      fc.property(message, (m) => {
        const decoded = decodeMessage(encodeMessage(m));
        expect(decoded).toEqual({ ok: true, value: m });
      }),
      { numRuns: 1000 },
    );
  });

  test("every frame cut short is refused, and none throws", () => {
    fc.assert(
      fc.property(message, fc.nat(), (m, cut) => {
        const bytes = encodeMessage(m);
        const least = m.kind === "mcast" ? 45 : bytes.length;
        expect(decodeMessage(bytes.subarray(0, cut % least)).ok).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test("random bytes behind a right header never throw and are encoded to the same bytes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 2, 3, 4, 5, 6),
        fc.uint8Array({ maxLength: 120 }),
        (type, rest) => {
          const bytes = Uint8Array.of(0x70, 0xc0, 3, type, type === 1 ? 2 : 0, ...rest);
          const decoded = decodeMessage(bytes);
          if (decoded.ok && decoded.value.kind !== "token") {
            expect(encodeMessage(decoded.value)).toEqual(bytes);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("headers of others are refused with corosync's guess at the sender", () => {
    const withMagic = (low: number, high: number): string => {
      const bytes = honest.token.slice();
      bytes[0] = low;
      bytes[1] = high;
      const decoded = decodeMessage(bytes);
      return decoded.ok ? "accepted" : decoded.reason;
    };
    expect(withMagic(0xff, 0xff)).toContain("probably sent by Corosync 2.2)");
    expect(withMagic(0xfe, 0xfe)).toContain("Corosync 2.3+");
    expect(withMagic(1, 9)).toContain("unencrypted Kronosnet");
    expect(withMagic(3, 9)).toContain("unencrypted Corosync 2.0/2.1/1.x/OpenAIS");
    expect(withMagic(77, 9)).toContain(
      "encrypted Kronosnet/Corosync 2.0/2.1/1.x/OpenAIS or unknown",
    );
    expect(withMagic(0xc0, 0x70)).toContain("byte order");
    const version = honest.token.slice();
    version[2] = 4;
    expect(decodeMessage(version)).toMatchObject({
      reason: "Message received has unsupported version 4... Ignoring",
    });
    const type = honest.token.slice();
    type[3] = 6;
    expect(decodeMessage(type)).toMatchObject({
      reason: "Message received has wrong type 6... Ignoring",
    });
  });

  test("what would trip an assertion of an original node is refused", () => {
    expect(reasonFor(honest.token, 53, 31)).toContain("rtr_entries is corrupted");
    expect(reasonFor(honest.token, 53, 2)).toBe(
      "Received orf_token message is too short...  ignoring.",
    );
    expect(reasonFor(honest.commit, 33, 3)).toContain("memb_index is corrupted");
    expect(reasonFor(honest.commit, 33, 2)).toBe("accepted");
    expect(reasonFor(honest.commit, 37, nodesMax + 1)).toContain("addr_entries");
    expect(reasonFor(honest.commit, 37, 0)).toContain("addr_entries");
    expect(reasonFor(honest.commit, 45, 1)).toContain("impossible ring");
    expect(reasonFor(honest.commit, 17, 2)).toContain("impossible ring");
    expect(reasonFor(honest.join, 17, nodesMax + 1)).toContain("exceeds the maximum");
    expect(reasonFor(honest.join, 17, 0xffff_ffff)).toContain("exceeds the maximum");
    expect(reasonFor(honest.join, 21, nodesMax + 1)).toContain("exceeds the maximum");
    expect(reasonFor(honest.join, 33, 0)).toContain("impossible");
    expect(reasonFor(honest.mcast, 13, 0)).toContain("names no sender");
    const long = new Uint8Array(65_537);
    long.set(honest.mcast);
    expect(decodeMessage(long)).toMatchObject({
      reason: "Received mcast message is too long...  ignoring.",
    });
  });

  test("only a token may have bytes behind its end", () => {
    const longer = (bytes: Uint8Array): Uint8Array => Uint8Array.of(...bytes, 0);
    expect(decodeMessage(longer(honest.token)).ok).toBe(true);
    expect(decodeMessage(longer(honest.join)).ok).toBe(false);
    expect(decodeMessage(longer(honest.commit)).ok).toBe(false);
  });
});
