import { expect, test } from "bun:test";
import { MemberHistory } from "./member-history.ts";
import { ServiceCounters } from "./service-counters.ts";
import { openMessage, serviceIds, withPrefix } from "./service.ts";

const ring = { rep: 1, seq: 4 };
const nodes = [1, 2].map((nodeid) => ({
  nodeid,
  name: `n${nodeid}`,
  votes: 1,
  addresses: [`10.0.0.${nodeid}`],
}));

test("who leaves stays known, who returns is counted again", () => {
  const history = new MemberHistory();
  const change = (type: "transitional" | "regular", members: readonly number[]): void =>
    history.configured({ type, ring, members }, nodes);
  change("regular", [1, 2]);
  history.heardVersions([
    { nodeid: 1, version: 3 },
    { nodeid: 2, version: 0 },
    { nodeid: 9, version: 1 },
  ]);
  change("transitional", [1]);
  change("regular", [1]);
  const two = { nodeid: 2, joinCount: 1, addresses: ["10.0.0.2"], configVersion: 0 };
  expect(history.all()).toEqual([
    { nodeid: 1, joinCount: 1, addresses: ["10.0.0.1"], configVersion: 3, isJoined: true },
    { ...two, isJoined: false },
  ]);
  change("transitional", [1]);
  change("regular", [1, 2]);
  expect(history.all()[1]).toEqual({ ...two, joinCount: 2, isJoined: true });
});

test("who is gone and back within one change of the ring has joined twice", () => {
  const history = new MemberHistory();
  history.configured({ type: "regular", ring, members: [1, 2] }, nodes);
  history.configured({ type: "transitional", ring, members: [1] }, nodes);
  history.configured({ type: "regular", ring, members: [1, 2] }, nodes);
  expect(history.all().map(({ joinCount }) => joinCount)).toEqual([1, 2]);
});

test("messages are counted by service and kind, both ways", () => {
  const counters = new ServiceCounters();
  const message = openMessage(serviceIds.groups, 3, 16).finish();
  counters.received(message);
  counters.received(message);
  counters.sent(withPrefix("a", message));
  counters.sent(withPrefix("sync", message));
  counters.received(openMessage(serviceIds.load, 0, 16).finish());
  counters.received(new Uint8Array(3));
  const counted = counters.all().filter(({ received, sent }) => received + sent > 0);
  expect(counted).toEqual([{ service: "cpg", fn: 3, received: 2, sent: 1 }]);
  expect(counters.all().length).toBe(17);
});
