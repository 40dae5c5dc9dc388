// What becomes history of a look at a node: every value that charts show.
import { expect, test } from "bun:test";
import { StandaloneCluster } from "../daemon/node/standalone.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import { History } from "./history.ts";
import { historyValues } from "./history-values.ts";

type Link = RingSnapshot["links"][number];

const none = { packets: 0, bytes: 0 };
const traffic = { data: none, ping: none, pong: none, pmtu: none };

function linkTo(nodeid: number, link: number, more: Partial<Link> = {}): Link {
  return {
    ...{ nodeid, link, localAddress: "10.0.0.1", remoteAddress: `10.0.0.${nodeid}` },
    ...{ enabled: true, connected: true, mtu: 1400, latencyUs: 5, latencySamples: 4 },
    ...{ downCount: 0, upCount: 1, packetsSent: 7, packetsReceived: 8 },
    ...{ sent: traffic, received: traffic, changes: [] },
    recent: { pings: 100, lost: 25, latencyUs: { min: 100, p50: 1500, max: 9000 } },
    path: { state: "measured", mtu: 1500 },
    ...more,
  };
}

async function snapshotOf(links: readonly Link[]): Promise<RingSnapshot> {
  const snapshot = await new StandaloneCluster("pve1", () => 0).snapshot();
  const { member } = snapshot;
  const quorum = { ...member.quorum, quorate: true, totalVotes: 3, quorum: 2, members: [1, 2, 3] };
  return { ...snapshot, links: [...links], member: { ...member, quorum } };
}

test("votes, members, writes a second, and of each link latency and loss", async () => {
  const snapshot = await snapshotOf([
    linkTo(2, 0),
    linkTo(3, 0, { connected: false }),
    linkTo(2, 1, { recent: { pings: 0, lost: 0 } }),
  ]);
  const values = historyValues(
    { ...snapshot, rotationUs: { p50: 200, p99: 700 } },
    { writes: 10, at: 1000 },
    { writes: 30, at: 11_000 },
  );
  expect(Object.fromEntries(values)).toEqual({
    ...{ quorate: 1, votes: 3, votesNeeded: 2, members: 3, tokenUs: 700, writesPerSecond: 2 },
    "link/2/0/latencyUs": { min: 100, mean: 1500, max: 9000 },
    "link/2/0/loss": 0.25,
    // What is down loses all; what has not been asked yet, nothing that is known.
    "link/3/0/loss": 1,
  });
});

test("the first look has no writes a second, and a count that began anew has none below zero", async () => {
  const snapshot = await snapshotOf([]);
  const after = { writes: 5, at: 2000 };
  expect(historyValues(snapshot, undefined, after).has("writesPerSecond")).toBe(false);
  const before = { writes: 50, at: 1000 };
  expect(historyValues(snapshot, before, after).get("writesPerSecond")).toBe(0);
});

test("of more links than there is room for, those of low numbers are kept, and all else", async () => {
  const links = Array.from({ length: 30 }, (_, node) => node + 2).flatMap((nodeid) =>
    Array.from({ length: 8 }, (_, link) => linkTo(nodeid, link)),
  );
  const history = new History();
  const snapshot = await snapshotOf(links);
  const before = { writes: 0, at: 0 };
  history.record(1_700_000_000, historyValues(snapshot, undefined, before));
  history.record(1_700_000_010, historyValues(snapshot, before, { writes: 1, at: 10_000 }));
  const kept = [...history.archives.day.series.keys()];
  for (const name of [
    "votes",
    "members",
    "writesPerSecond",
    "link/31/0/loss",
    "link/31/2/latencyUs",
  ]) {
    expect(kept).toContain(name);
  }
  expect(kept).not.toContain("link/2/7/loss");
});
