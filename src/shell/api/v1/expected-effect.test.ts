// What an operator is told before the expected votes are overridden: what will be, and what helps where it does not.
import { expect, test } from "bun:test";
import { cluster, kill } from "../../../../test/double/vote-clusters.ts";
import { expectedEffect } from "./expected-effect.ts";

/** What node 1 shows, of `count` nodes of which 1 to `here` are left; a device with `votes` is away. */
function seen(count: number, here: number, votes = 0, quorum: Parameters<typeof cluster>[1] = {}) {
  const device = { model: "net", votes, timeoutMs: 10_000, syncTimeoutMs: 30_000, options: {} };
  const bus = cluster(count, { ...quorum, ...(votes === 0 ? {} : { device }) });
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  kill(bus, ids.slice(here), ids.slice(0, here));
  return bus.node(1).quorum;
}

test("without a device one of three becomes quorate", () => {
  const effect = expectedEffect(seen(3, 1), { nodeid: 1, votes: 1 });
  expect(effect).toMatchObject({ refusal: "", isQuorate: true, quorum: 1, advice: [] });
  expect(effect.text).toStartWith(
    "1 expected vote instead of 3: quorum would be 1 instead of 2, and this part with its 1 vote quorate. Nodes that run apart",
  );
});

test("with a device of two votes that is away it does not, and what helps is named", () => {
  const effect = expectedEffect(seen(3, 1, 2), { nodeid: 1, votes: 1 });
  expect(effect).toMatchObject({ refusal: "", isQuorate: false, quorum: 2 });
  expect(effect.text).toBe(
    "1 expected vote instead of 5, and 3 count all the same: quorum would be 2 instead of 3, and this part with its 1 vote not quorate",
  );
  const [why, back, more] = effect.advice;
  expect(why).toContain("A quorum device with 2 votes is configured and gives none here.");
  expect(back).toContain("is quorate without an override");
  expect(more).toContain("`corosync-quorumtool -v 3` on this node: it has 3 votes instead of 1");
  expect(more).not.toContain("wait_for_all");
  const two = expectedEffect(seen(3, 2, 2), { nodeid: 1, votes: 2 });
  expect(two).toMatchObject({ isQuorate: false, quorum: 3 });
  expect(two.advice.at(-1)).toContain("`corosync-quorumtool -v 2`");
});

test("of two nodes with one vote of a device: the same; of four with two here it is an override", () => {
  const half = expectedEffect(seen(2, 1, 1), { nodeid: 1, votes: 1 });
  expect(half).toMatchObject({ isQuorate: false, quorum: 2 });
  expect(half.advice.at(-1)).toContain("`corosync-quorumtool -v 2`");
  expect(expectedEffect(seen(4, 2, 1), { nodeid: 1, votes: 2 })).toMatchObject({
    ...{ isQuorate: true, quorum: 2, advice: [] },
  });
  // One of four: the device's vote alone would not be enough, and the override works once it is there.
  expect(expectedEffect(seen(4, 1, 1), { nodeid: 1, votes: 1 }).advice[1]).toContain(
    "the override works",
  );
});

test("wait_for_all is named with what ends it", () => {
  const lone = expectedEffect(seen(3, 1, 2, { waitForAll: true }), { nodeid: 1, votes: 1 });
  expect(lone.advice.at(-1)).toContain("quorum.cancel_wait_for_all u8 1`, as wait_for_all is set");
  const waits = expectedEffect(seen(4, 2, 1, { waitForAll: true }), { nodeid: 1, votes: 2 });
  expect(waits).toMatchObject({ isQuorate: false });
  expect(waits.text).toEndWith("waiting for all nodes");
  expect(waits.advice).toEqual([
    expect.stringContaining("give `corosync-quorumtool -e 2` and then"),
  ]);
});

test("too many expected votes: the number that helps is named", () => {
  expect(expectedEffect(seen(3, 1), { nodeid: 1, votes: 3 })).toMatchObject({
    ...{ isQuorate: false, advice: ["With 1 expected vote this part would be quorate"] },
  });
});

test("what votequorum refuses is refused before", () => {
  const all = seen(3, 3);
  expect(expectedEffect(all, { nodeid: 1, votes: 2 }).refusal).toContain("use at least 3");
  expect(expectedEffect(all, { nodeid: 1, votes: 6 }).refusal).toContain("use at most 5");
  expect(expectedEffect(all, { nodeid: 1, votes: 5 }).refusal).toBe("");
});
