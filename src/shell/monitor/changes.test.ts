// Events as differences of two looks.
import { expect, test } from "bun:test";
import type { LinkSnapshot } from "../../node/link/events.ts";
import type { QuorumView } from "../../node/member/events.ts";
import { deviceEvents, linkEvents, quorumEvents, upgradeEvents } from "./changes.ts";

const nameOf = (nodeid: number) => `pve${nodeid} (node ${nodeid})`;

function view(members: readonly number[], seq: number, more: Partial<QuorumView> = {}): QuorumView {
  return {
    quorate: members.length > 1,
    ring: { rep: 1, seq },
    members,
    expectedVotes: 3,
    totalVotes: members.length,
    quorum: 2,
    flags: members.length > 1 ? ["Quorate"] : [],
    voters: [],
    deviceVotes: 0,
    ...more,
  };
}

test("who left and who joined, and what the votes mean then", () => {
  expect(quorumEvents(view([1, 2, 3], 4), view([1], 8), nameOf, 5)).toEqual([
    {
      ...{ kind: "membership", at: 5 },
      text: "pve2 (node 2), pve3 (node 3) left: 1 in ring 1.8",
      facts: { ring: "1.8", members: [1], joined: [], left: [2, 3] },
    },
    {
      ...{ kind: "quorum", at: 5 },
      text: "not quorate: 1 of 3 votes present, 2 needed; 1 more is needed. Reading works, changes are refused",
      facts: { quorate: false, totalVotes: 1, expectedVotes: 3, quorum: 2 },
    },
  ]);
  expect(quorumEvents(undefined, view([1, 2], 4), nameOf, 1)[0]).toMatchObject({
    text: "pve1 (node 1), pve2 (node 2) joined: 2 in ring 1.4",
  });
});

test("the same look twice is no event; a ring of the same nodes is one, and so are other expected votes", () => {
  expect(quorumEvents(view([1, 2], 4), view([1, 2], 4), nameOf, 1)).toEqual([]);
  expect(quorumEvents(view([1, 2], 4), view([1, 2], 8), nameOf, 1)).toMatchObject([
    { kind: "membership", text: "the ring was formed anew: 2 in ring 1.8" },
  ]);
  const fewer = view([1, 2], 4, { expectedVotes: 2 });
  expect(quorumEvents(view([1, 2], 4), fewer, nameOf, 1)).toMatchObject([{ kind: "quorum" }]);
});

function link(
  nodeid: number,
  changes: readonly { readonly agoMs: number; readonly isUp: boolean }[],
  more: Partial<LinkSnapshot> = {},
): LinkSnapshot {
  const none = { packets: 0, bytes: 0 };
  const traffic = { data: none, ping: none, pong: none, pmtu: none };
  return {
    nodeid,
    link: 0,
    localAddress: "10.0.0.1",
    remoteAddress: `10.0.0.${nodeid}`,
    enabled: true,
    connected: changes[0]?.isUp ?? false,
    mtu: 1400,
    latencyUs: 100,
    latencySamples: 1,
    upCount: changes.filter(({ isUp }) => isUp).length,
    downCount: changes.filter(({ isUp }) => !isUp).length,
    packetsSent: 0,
    packetsReceived: 0,
    sent: traffic,
    received: traffic,
    recent: { pings: 0, lost: 0 },
    changes: changes.map((change) => ({ ...change, reason: change.isUp ? "" : "no answers" })),
    path: { state: "measured", mtu: 1500 },
    ...more,
  };
}

test("each up and down of a link since the look before, at its time, oldest first", () => {
  const before = [link(2, [{ agoMs: 0, isUp: true }]), link(3, [])];
  const after = [
    link(2, [
      { agoMs: 100, isUp: true },
      { agoMs: 700, isUp: false },
      { agoMs: 5000, isUp: true },
    ]),
    link(3, [{ agoMs: 300, isUp: true }]),
  ];
  expect(linkEvents(before, after, nameOf, 10_000).map(({ at, text }) => `${at} ${text}`)).toEqual([
    "9300 link 0 to pve2 (node 2) at 10.0.0.2 is down: no answers",
    "9700 link 0 to pve3 (node 3) at 10.0.0.3 is up",
    "9900 link 0 to pve2 (node 2) at 10.0.0.2 is up",
  ]);
  expect(linkEvents(after, after, nameOf, 11_000)).toEqual([]);
});

test("a link that was configured anew tells all of its own", () => {
  const before = [link(2, [], { upCount: 9, downCount: 8 })];
  const after = [link(2, [{ agoMs: 1, isUp: true }])];
  expect(linkEvents(before, after, nameOf, 2)).toMatchObject([{ at: 1, facts: { isUp: true } }]);
});

test("a device that comes, changes and goes; none is no event", () => {
  const device = (state: "Connected" | "Connect failed", vote?: "ack") => ({
    ...{ host: "10.0.0.9", port: 5403, state, vote },
    problem: state === "Connected" ? "" : "no route",
  });
  expect(deviceEvents(null, undefined, 1)).toEqual([]);
  expect(deviceEvents(undefined, undefined, 1)).toEqual([]);
  expect(deviceEvents(null, device("Connected", "ack"), 1)).toMatchObject([
    { text: "the quorum device at 10.0.0.9:5403 is connected, its vote is ACK" },
  ]);
  expect(deviceEvents(device("Connected", "ack"), device("Connect failed"), 1)).toMatchObject([
    { facts: { state: "Connect failed", vote: "", problem: "no route" } },
  ]);
  expect(deviceEvents(device("Connected"), undefined, 1)).toMatchObject([
    { facts: { state: "absent" } },
  ]);
});

test("the event of an upgrade that was there at the first look is no news", () => {
  const event = { at: "2026-11-30T00:00:00Z", event: "kept", text: "0.2.0 stays" };
  expect(upgradeEvents(null, event, 1)).toEqual([]);
  expect(upgradeEvents(event, event, 1)).toEqual([]);
  expect(upgradeEvents(undefined, event, 1)).toMatchObject([{ text: "kept: 0.2.0 stays" }]);
});
