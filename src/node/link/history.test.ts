import { expect, test } from "bun:test";
import { changesMax, LinkHistory } from "./history.ts";
import { decodeTime, encodeTime } from "./packet.ts";

test("pings are lost when their answers are overdue, not before", () => {
  const history = new LinkHistory();
  for (const at of [1000, 1750, 2500.123_456_7]) history.pinged(at);
  const echoed = decodeTime(encodeTime(2500.123_456_7)) ?? 0;
  history.answered(1000, 1000.5);
  history.answered(1000, 9000);
  history.answered(echoed, 2503.5);
  history.answered(77, 80);
  expect(history.pings(3000, 1500)).toEqual({
    ...{ pings: 2, lost: 0, latencyUs: { min: 500, p50: 500, max: 3376 } },
  });
  expect(history.pings(3251, 1500)).toMatchObject({ pings: 3, lost: 1 });
  history.answered(1750, 3300);
  expect(history.pings(3301, 1500)).toMatchObject({ pings: 3, lost: 0 });
});

test("without an answer there is no latency", () => {
  const history = new LinkHistory();
  history.pinged(0);
  expect(history.pings(10, 1500)).toEqual({ pings: 0, lost: 0 });
  expect(history.pings(1501, 1500)).toEqual({ pings: 1, lost: 1 });
});

test("what was lost before the link came up does not count", () => {
  const history = new LinkHistory();
  for (let at = 0; at < 20; at += 1) history.pinged(at);
  history.changed(true, "", 20);
  expect(history.pings(5000, 10)).toEqual({ pings: 0, lost: 0 });
  history.pinged(5000);
  history.changed(false, "no answer", 6000);
  expect(history.pings(6000, 10)).toEqual({ pings: 1, lost: 1 });
});

test("only the last pings and changes are kept, the newest change first", () => {
  const history = new LinkHistory();
  for (let at = 0; at < 1000; at += 1) {
    history.changed(at % 2 === 0, at % 2 === 0 ? "" : `reason ${at}`, at);
  }
  for (let at = 0; at < 1000; at += 1) history.pinged(at);
  expect(history.pings(100_000, 10)).toEqual({ pings: 100, lost: 100 });
  const changes = history.changes(1009);
  expect(changes).toHaveLength(changesMax);
  expect(changes[0]).toEqual({ agoMs: 10, isUp: false, reason: "reason 999" });
  expect(changes[1]).toEqual({ agoMs: 11, isUp: true, reason: "" });
});
