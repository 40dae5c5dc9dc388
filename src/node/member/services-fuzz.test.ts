// Hostile bytes against every decoder of the services and against the whole stack: captured messages of real nodes, mutated,
// cut and put into the order from any node at any time.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { decodeGroupMessage, encodeGroupMessage, type GroupMessage } from "../group/message.ts";
import { decodeCfgMessage, encodeCfgMessage } from "../quorum/cfg.ts";
import { decodeMapMessage, encodeMapMessage } from "../quorum/config-version-message.ts";
import { decodeVoteMessage, encodeVoteMessage, type VoteMessage } from "../quorum/message.ts";
import { decodeSyncMessage, encodeSyncMessage, type SyncMessage } from "../quorum/sync-message.ts";
import { decodePrefix, withPrefix } from "./service.ts";
import { busSettings, OrderedBus } from "../../../test/double/service-bus.ts";

const golden = `${import.meta.dir}/../../../test/golden`;
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const name = (max: number) =>
  fc.uint8Array({ maxLength: max }).map((bytes) => String.fromCharCode(...bytes));
const pid = u32;
const group = name(128);
const payload = fc.uint8Array({ maxLength: 300 });

const groupMessage: fc.Arbitrary<GroupMessage> = fc.oneof(
  fc.record({ kind: fc.constant("join" as const), group, pid }),
  fc.record({
    kind: fc.constant("leave" as const),
    group,
    pid,
    reason: fc.constantFrom(2 as const, 5 as const),
  }),
  fc.record({
    kind: fc.constant("joinlist" as const),
    entries: fc.array(fc.record({ group, pid }), { maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant("mcast" as const), group, pid, nodeid: u32, payload }),
  fc.record({
    kind: fc.constant("downlist" as const),
    oldMembers: u32,
    left: fc.array(u32, { maxLength: 384 }),
  }),
  fc.record({
    kind: fc.constant("partial" as const),
    group,
    pid,
    nodeid: u32,
    total: fc.integer({ min: 300, max: 0xffff_ffff }),
    type: fc.constantFrom("first" as const, "continued" as const, "last" as const),
    payload,
  }),
);

const deviceName = name(254).map((text) => text.replaceAll("\0", ""));
const voteMessage: fc.Arbitrary<VoteMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("nodeInfo" as const),
    nodeid: u32,
    votes: u32,
    expectedVotes: u32,
    flags: u32,
  }),
  fc.record({
    kind: fc.constant("reconfigure" as const),
    nodeid: u32,
    value: u32,
    param: fc.integer({ min: 0, max: 255 }),
  }),
  fc.record({
    kind: fc.constant("deviceRegister" as const),
    isRegistered: fc.boolean(),
    name: deviceName,
  }),
  fc.record({
    kind: fc.constant("deviceRename" as const),
    oldName: deviceName,
    newName: deviceName,
  }),
);

const ring = fc.record({ rep: u32, seq: fc.maxSafeNat() });
const syncMessage: fc.Arbitrary<SyncMessage> = fc.oneof(
  fc.record({ kind: fc.constant("barrier" as const), ring }),
  fc.record({
    kind: fc.constant("serviceBuild" as const),
    ring,
    services: fc.array(fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), { maxLength: 128 }),
  }),
);

describe("round trips", () => {
  test("groups", () => {
    fc.assert(
      fc.property(groupMessage, (message) => {
        expect(decodeGroupMessage(encodeGroupMessage(message))).toEqual({
          ok: true,
          value: message,
        });
      }),
    );
  });
  test("votes", () => {
    fc.assert(
      fc.property(voteMessage, (message) => {
        expect(decodeVoteMessage(encodeVoteMessage(message))).toEqual({
          ok: true,
          value: message,
        });
      }),
    );
  });
  test("synchronisation", () => {
    fc.assert(
      fc.property(syncMessage, (message) => {
        expect(decodeSyncMessage(encodeSyncMessage(message))).toEqual({
          ok: true,
          value: message,
        });
      }),
    );
  });
  test("configuration map and configuration service", () => {
    const item = fc.record({
      key: name(256),
      type: fc.integer({ min: 0, max: 255 }),
      value: payload,
    });
    const map = fc.record({
      reason: fc.constantFrom("sync" as const, "newConfigVersion" as const),
      items: fc.array(item, { maxLength: 5 }),
    });
    fc.assert(
      fc.property(map, (message) => {
        expect(decodeMapMessage(encodeMapMessage(message))).toEqual({ ok: true, value: message });
      }),
    );
    const kill = fc.record({
      kind: fc.constant("killNode" as const),
      nodeid: u32,
      reason: name(256),
    });
    fc.assert(
      fc.property(kill, (message) => {
        expect(decodeCfgMessage(encodeCfgMessage(message))).toEqual({ ok: true, value: message });
      }),
    );
  });
});

/** Distinct messages of the captures, short ones only: there is nothing to learn from a long payload. */
const captured: Uint8Array[] = [];
const seen = new Set<string>();
for (const file of readdirSync(golden).filter((each) => /^services-.*\.jsonl$/.test(each))) {
  for (const text of readFileSync(`${golden}/${file}`, "utf8").split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text);
    if (seen.has(line.kind + line.hex.slice(0, 64))) continue;
    seen.add(line.kind + line.hex.slice(0, 64));
    captured.push(withPrefix(line.group, Uint8Array.from(Buffer.from(line.hex, "hex"))));
  }
}

interface Mutation {
  readonly index: number;
  readonly cut: number;
  readonly grow: number;
  readonly pokes: readonly (readonly [number, number])[];
  readonly from: number;
  readonly deliver: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  index: fc.nat(captured.length - 1),
  cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(600)),
  grow: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(40)),
  pokes: fc.array(fc.tuple(fc.nat(240), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
  from: fc.integer({ min: 1, max: 5 }),
  deliver: fc.nat(6),
});

function mutate({ index, cut, grow, pokes }: Mutation): Uint8Array {
  const bytes = captured[index]!;
  const mutated = new Uint8Array(Math.max(0, bytes.length - cut) + grow);
  mutated.set(bytes.subarray(0, mutated.length));
  for (const [at, value] of pokes) if (at < mutated.length) mutated[at] = value;
  // Half of the time the size field is put right, so that more than the first check is reached.
  const header = mutated[2] === 1 ? 5 : 8;
  if (index % 2 === 0 && mutated.length >= header + 12) {
    new DataView(mutated.buffer).setUint32(header + 8, mutated.length - header, true);
  }
  return mutated;
}

describe("hostile bytes", () => {
  test("no decoder throws or reads what is not there", () => {
    const decoders = [
      decodePrefix,
      decodeSyncMessage,
      decodeMapMessage,
      decodeCfgMessage,
      decodeGroupMessage,
      decodeVoteMessage,
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        for (const decode of decoders) expect(typeof decode(bytes).ok).toBe("boolean");
      }),
    );
    fc.assert(
      fc.property(mutation, (each) => {
        const bytes = mutate(each);
        for (const decode of decoders) {
          decode(bytes);
          decode(bytes.subarray(5));
          decode(bytes.subarray(8));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("the whole stack survives any message of anybody at any time, and still synchronises", () => {
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 12 }), (mutations) => {
        const bus = new OrderedBus();
        for (const nodeid of [1, 2, 3]) bus.start(busSettings({ nodeid, nodes: 3 }));
        bus.join([1, 2, 3]);
        bus.request(1, 16299, { kind: "join", group: "svgrp" });
        bus.form([1, 2, 3]);
        for (const each of mutations) {
          const bytes = mutate(each);
          for (const nodeid of [1, 2, 3]) {
            bus.device(nodeid, (node, out) =>
              node.services.delivered(each.from, bytes, bus.now, out),
            );
          }
          bus.deliver(each.deliver);
        }
        bus.join([1, 2, 3]);
        for (const nodeid of [1, 2, 3]) {
          expect(bus.node(nodeid).services.synchronising).toBe(false);
          expect(bus.node(nodeid).quorum.members).toEqual([1, 2, 3]);
        }
        // Votes may differ after this: a forged word of a node about itself or the device counts as its own (services.md §4.3).
      }),
      { numRuns: 150 },
    );
  });
});
