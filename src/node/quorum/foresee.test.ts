// What is foretold of an operator's votes is what votequorum does then; and with a device that is away, what helps helps.
import { describe, expect, test } from "bun:test";
import { cluster, expected, kill, withDevice } from "../../../test/double/vote-clusters.ts";
import type { OrderedBus } from "../../../test/double/service-bus.ts";
import { foreseeExpected, foreseeVotes, votesInPlaceOfDevice } from "./foresee.ts";

const device = (votes: number) => ({
  device: { model: "net", votes, timeoutMs: 10_000, syncTimeoutMs: 30_000, options: {} },
});

/** Nodes 1 to `here` of `count`, after the others are gone. */
function rest(count: number, here: number, quorum: Parameters<typeof cluster>[1]): OrderedBus {
  const bus = cluster(count, quorum);
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  kill(bus, ids.slice(here), ids.slice(0, here));
  return bus;
}

const outcome = (bus: OrderedBus) => {
  const { quorate, quorum, expectedVotes, totalVotes } = bus.node(1).quorum;
  return { isQuorate: quorate, quorum, expectedVotes, totalVotes };
};

const rules = [{}, { waitForAll: true }, { twoNode: true }, { lastManStanding: true }] as const;

test("expected votes: every count, part, device and rule", () => {
  let tried = 0;
  for (const more of rules)
    for (let count = 2; count <= 5; count += 1)
      for (let here = 1; here <= count; here += 1)
        for (let votes = 0; votes < count; votes += 1)
          for (let wanted = here; wanted <= count; wanted += 1) {
            if ("twoNode" in more && count !== 2) continue;
            const bus = rest(count, here, { ...more, ...(votes === 0 ? {} : device(votes)) });
            const told = foreseeExpected(bus.node(1).quorum, { nodeid: 1, votes: wanted });
            bus.node(1).clear();
            expected(bus, wanted);
            const [reply] = bus.node(1).actions.filter(({ kind }) => kind === "replied");
            if (reply?.kind !== "replied" || !reply.ok) continue;
            tried += 1;
            const { isWaiting: _, ...numbers } = told;
            expect({ more, count, here, votes, wanted, ...outcome(bus) }).toEqual({
              ...{ more, count, here, votes, wanted, ...numbers },
            });
          }
  expect(tried).toBeGreaterThan(200);
});

test("a floor that expected_votes_tracking keeps is counted", () => {
  const bus = rest(3, 1, { expectedVotesTracking: true });
  const told = foreseeExpected(bus.node(1).quorum, { nodeid: 1, votes: 1, floor: 3 });
  expect(told).toMatchObject({ isQuorate: false, quorum: 2, expectedVotes: 3 });
  expected(bus, 1);
  expect(outcome(bus)).toMatchObject({ isQuorate: false, quorum: 2, expectedVotes: 3 });
});

describe("a device that is away", () => {
  test.each([
    ["three nodes and lms", 3, 1, 2],
    ["the same, two are left", 3, 2, 2],
    ["two nodes and ffsplit", 2, 1, 1],
    ["five nodes and lms", 5, 2, 4],
  ])("%s: no override helps, more votes of a node do", (_, count, here, votes) => {
    const bus = rest(count, here, device(votes));
    expected(bus, here);
    expect(bus.node(1).quorum.quorate).toBe(false);
    const wanted = votesInPlaceOfDevice(bus.node(1).quorum, 1);
    expect(wanted).toBe(
      Math.max(votes + 1, Math.floor(bus.node(1).quorum.expectedVotes / 2) + 1) - here + 1,
    );
    // One less would not do.
    const less = { nodeid: 1, of: 1, votes: (wanted ?? 0) - 1 };
    expect(foreseeVotes(bus.node(1).quorum, less).isQuorate).toBe(false);
    bus.ask(1, { kind: "votesSet", id: 2, nodeid: 1, votes: wanted ?? 0 });
    bus.settle();
    for (let nodeid = 1; nodeid <= here; nodeid += 1)
      expect(bus.node(nodeid).quorum.quorate).toBe(true);
  });

  test("that its client is stopped changes nothing: its votes are expected while it is configured", () => {
    const bus = withDevice();
    kill(bus, [2, 3, 4], [1]);
    bus.device(1, (node, out) => {
      const { votes } = node.services;
      if (votes !== undefined) votes.device.unregister("SvDev", votes.deviceCall(bus.now, out));
    });
    bus.settle();
    expect(foreseeExpected(bus.node(1).quorum, { nodeid: 1, votes: 1 }).isQuorate).toBe(false);
    expected(bus, 1);
    expect(outcome(bus)).toMatchObject({ isQuorate: false, quorum: 3, totalVotes: 1 });
  });

  test("with wait_for_all it waits still, until that is cancelled", () => {
    const bus = rest(4, 2, { waitForAll: true, ...device(1) });
    const seen = bus.node(1).quorum;
    expect(foreseeExpected(seen, { nodeid: 1, votes: 2 })).toMatchObject({
      ...{ isQuorate: false, isWaiting: true, quorum: 2 },
    });
    expected(bus, 2);
    expect(bus.node(1).quorum.quorate).toBe(false);
    bus.ask(1, { kind: "waitForAllCancelled", id: 3 });
    bus.settle();
    expect(bus.node(1).quorum.quorate).toBe(true);
  });

  test("the same where a node's votes stand in for the device's", () => {
    const bus = rest(3, 1, { waitForAll: true, ...device(2) });
    const votes = votesInPlaceOfDevice(bus.node(1).quorum, 1) ?? 0;
    expect(votes).toBe(3);
    bus.ask(1, { kind: "votesSet", id: 2, nodeid: 1, votes });
    bus.settle();
    expect(bus.node(1).quorum.quorate).toBe(false);
    bus.ask(1, { kind: "waitForAllCancelled", id: 3 });
    bus.settle();
    expect(bus.node(1).quorum.quorate).toBe(true);
  });

  test("there is none, or it gives its votes: nothing stands in for it", () => {
    expect(votesInPlaceOfDevice(rest(3, 1, {}).node(1).quorum, 1)).toBeUndefined();
    expect(votesInPlaceOfDevice(withDevice().node(1).quorum, 1)).toBeUndefined();
  });
});
