import { expect, test } from "bun:test";
import fc from "fast-check";
import type { GroupRequest, PortEvent } from "../../world.ts";
import { packEvents, packRequests, unpackEvents, unpackRequests } from "./batch.ts";

const id = fc.nat({ max: 0xffff_ffff });
const group = fc.constantFrom("pve_dcdb_v1\0", "pve_kvstore_v1\0", "quorate_v1", "");
const message = fc.uint8Array({ maxLength: 300 });
const member = fc.record({ nodeid: id, pid: id });

const event: fc.Arbitrary<PortEvent> = fc.oneof(
  fc.record({
    kind: fc.constant("delivered" as const),
    ...{ group, nodeid: id, pid: id, message },
  }),
  fc.record({ kind: fc.constant("stable" as const), deliveries: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant("configured" as const),
    group,
    members: fc.array(member, { maxLength: 3 }),
    left: fc.constant([]),
    joined: fc.array(fc.record({ nodeid: id, pid: id, reason: fc.constant(1 as const) }), {
      maxLength: 2,
    }),
  }),
);

const request: fc.Arbitrary<GroupRequest> = fc.oneof(
  fc.record({ kind: fc.constantFrom("join" as const, "leave" as const), group }),
  fc.record({ kind: fc.constant("send" as const), group, message }),
  fc.record({
    ...{ kind: fc.constant("send" as const), group, message },
    answered: fc.constantFrom("delivered" as const, "stable" as const, "stored" as const),
  }),
);

/** As it comes out on the other side of postMessage. */
function crossed<Item extends { readonly bytes: ArrayBuffer }>(batch: Item): Item {
  return structuredClone(batch, { transfer: [batch.bytes] });
}

test("events come out as they went in, in their order", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      expect(unpackEvents(crossed(packEvents(events)))).toEqual(events);
    }),
  );
});

test("requests come out as they went in, with when they are answered", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 20 }), (requests) => {
      expect(unpackRequests(crossed(packRequests(requests)))).toEqual(requests);
    }),
  );
});

test("a message that is made when it is asked for is made once", () => {
  let made = 0;
  const update: GroupRequest = {
    kind: "send",
    group: "g",
    get message() {
      made += 1;
      return new Uint8Array([made]);
    },
  };
  expect(unpackRequests(packRequests([update]))).toEqual([
    { kind: "send", group: "g", message: new Uint8Array([1]) },
  ]);
  expect(made).toBe(1);
});

test("who keeps a small message does not keep the whole batch, a large one is not copied", () => {
  const send = (size: number): GroupRequest => ({
    kind: "send",
    group: "g",
    message: new Uint8Array(size).fill(7),
  });
  const batch = packRequests([send(10), send(100_000)]);
  const [small, large] = unpackRequests(batch);
  expect(small?.kind === "send" && small.message.buffer.byteLength).toBe(10);
  expect(large?.kind === "send" && large.message.buffer).toBe(batch.bytes);
});
