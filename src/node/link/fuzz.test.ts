// Storms of damaged and invented packets and events at Links.step, from somebody who has the key. Nothing throws, answers go to
// configured nodes only, one packet never causes many, and the links work again afterwards.
import { expect, test } from "bun:test";
import fc from "fast-check";
import golden from "../../../test/golden/knet-vectors.json";
import type { LinksAction, LinksEvent } from "./events.ts";
import { inflate } from "../compression/inflate.ts";
import { Links } from "./links.ts";

import { Testbed, addressOf, totemMessage } from "../../../test/double/link-network.ts";

const frames = golden.vectors.map((vector) =>
  Buffer.from("plaintext" in vector && vector.plaintext ? vector.plaintext : vector.wire, "hex"),
);

const damaged = fc
  .record({
    frame: fc.constantFrom(...frames),
    // Mostly in the header, where the meaning is.
    changes: fc.array(fc.tuple(fc.oneof(fc.nat(16), fc.nat(1500)), fc.nat(255)), { maxLength: 4 }),
    cut: fc.option(fc.nat(1500), { freq: 4 }),
  })
  .map(({ frame, changes, cut }) => {
    const packet = new Uint8Array(frame);
    for (const [at, value] of changes) if (at < packet.length) packet[at] = value;
    return cut === null ? packet : packet.subarray(0, cut);
  });

const address = fc.constantFrom(addressOf(1, 0), addressOf(3, 0), addressOf(1, 1), "::1", "x");
const nodeid = fc.constantFrom(0, 1, 2, 3, 4, 65_535, -1, 2 ** 40);
const link = fc.constantFrom(0, 1, 7, 8, 255, -1);

const events: fc.Arbitrary<LinksEvent> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("received" as const),
      link,
      address,
      packet: fc.oneof({ weight: 5, arbitrary: damaged }, fc.uint8Array({ maxLength: 60 })),
    }),
  },
  fc.constant({ kind: "timedOut", timer: "tick" } as const),
  fc.record({
    kind: fc.constant("sent" as const),
    nodeid,
    message: fc.constantFrom(0, 1, 13, 700, 65_536, 65_537).map((n) => new Uint8Array(n)),
  }),
  fc.record({
    kind: fc.constant("refused" as const),
    nodeid,
    link,
    why: fc.constantFrom("tooLarge" as const, "unreachable" as const),
    bytes: fc.nat(65_535),
  }),
);

const steps = fc.array(fc.tuple(events, fc.nat(400)), { minLength: 20, maxLength: 120 });
/** 173 fragments at the lowest working MTU, to two nodes, and pings. */
const ACTIONS_MAX = 400;

test("any events in any order", () => {
  const bed = new Testbed({ nodes: 3, links: 2, inflate });
  const options = bed.options(2);
  fc.assert(
    fc.property(steps, (list) => {
      const links = new Links(options);
      let now = 1000;
      for (const [event, waitMs] of list) {
        now += waitMs;
        const out: LinksAction[] = [];
        links.step(event, now, out);
        expect(out.length).toBeLessThan(ACTIONS_MAX);
        for (const action of out) {
          if (action.kind === "transmit") expect([1, 3]).toContain(action.nodeid);
          if (event.kind !== "received" || action.kind !== "received") continue;
          const view = new DataView(action.message.buffer, action.message.byteOffset);
          expect([0, 2]).toContain(view.getUint32(9, true));
        }
      }
      expect(links.dataMtu).toBeGreaterThan(250);
      expect(links.snapshot(0).length).toBe(4);
    }),
    { numRuns: 300 },
  );
});

test("after the storm the links carry messages again", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const bed = new Testbed({ inflate });
      bed.run(3000);
      const node = bed.node(2);
      for (const [event, waitMs] of list) {
        if (event.kind === "received") node.queue({ ...event, packet: event.packet.slice() });
        bed.run(waitMs / 10);
      }
      bed.run(60_000);
      expect(node.links.reachable()).toEqual([1]);
      expect(node.links.dataMtu).toBe(1446);
      const before = bed.node(1).messages.length;
      for (let i = 0; i < 3; i += 1) node.send(1, totemMessage(3000, 1, i));
      bed.run(10);
      expect(bed.node(1).messages.length).toBe(before + 3);
    }),
    { numRuns: 25 },
  );
});
