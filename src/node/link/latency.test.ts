// The heartbeat of one link, step by step. Spec: knet.md §2.5.
import { expect, test } from "bun:test";
import { Heartbeat } from "./latency.ts";

const tuning = { pingIntervalMs: 750, pingTimeoutMs: 1500, pingPrecision: 4, pongCount: 2 };

function raised(): Heartbeat {
  const heartbeat = new Heartbeat(tuning);
  for (let i = 0; i < 3; i += 1) heartbeat.pong(i * 800, i * 800 + 1);
  return heartbeat;
}

test("up at pong_count + 1, and again so after it went down", () => {
  const heartbeat = new Heartbeat(tuning);
  expect([0, 1, 2].map((i) => heartbeat.pong(i, i + 1))).toEqual(["counted", "counted", "up"]);
  expect(heartbeat.down()).toBe(true);
  expect(heartbeat.down()).toBe(false);
  expect([3, 4, 5].map((i) => heartbeat.pong(i, i + 1))).toEqual(["counted", "counted", "up"]);
});

test("the mean is integer and remembers pingPrecision samples", () => {
  const heartbeat = new Heartbeat(tuning);
  heartbeat.pong(0, 1);
  expect(heartbeat.latencyUs).toBe(1000);
  heartbeat.pong(1, 3);
  expect(heartbeat.latencyUs).toBe(1500);
  for (let i = 2; i < 5; i += 1) heartbeat.pong(i, i + 3);
  // (1500*2+3000)/3 = 2000, (2000*3+3000)/4 = 2250, (2250*3+3000)/4 = 2437
  expect(heartbeat.latencyUs).toBe(2437);
});

test("a pong from the future is nonsense, a slow one counts only as a sign of life", () => {
  const heartbeat = raised();
  expect(heartbeat.pong(5000, 4999)).toBe("nonsense");
  expect(heartbeat.pong(Number.NaN, 4999)).toBe("nonsense");
  expect(heartbeat.pong(1700, 3300)).toBe("slow");
  expect(heartbeat.latencyUs).toBe(1000);
});

test("a pong that came already is no sign of life", () => {
  const heartbeat = raised();
  for (let now = 1602; now < 20_000; now += 100) {
    expect(heartbeat.pong(now % 1600, now)).toBe("repeated");
  }
  expect(heartbeat.downReason(20_000, 200)).toBe("silent");
});

test("the timeout shrinks from ten times to once, one step a second, and is stretched again after a fall", () => {
  const heartbeat = raised();
  expect(heartbeat.timeoutMs).toBe(15_000);
  const seen: number[] = [];
  for (let now = 0; now <= 12_000; now += 200) {
    heartbeat.adjust(now);
    if (now % 1000 === 0) seen.push(heartbeat.timeoutMs);
  }
  expect(seen.slice(0, 4)).toEqual([15_000, 13_502, 12_002, 10_502]);
  expect(seen.slice(9)).toEqual([1502, 1502, 1502, 1502]);
  heartbeat.down();
  heartbeat.adjust(13_000);
  expect(heartbeat.timeoutMs).toBe(1500 * 9 + 2);
});

test("silence, counted from the last pong", () => {
  const heartbeat = raised();
  expect(heartbeat.downReason(1601 + 15_000, 200)).toBeUndefined();
  expect(heartbeat.downReason(1601 + 15_001, 200)).toBe("silent");
  expect(new Heartbeat(tuning).downReason(1e9, 200)).toBeUndefined();
});

test("a suspected link that answers stays up, one that does not goes down after the grace", () => {
  const heartbeat = raised();
  expect(heartbeat.suspect(2000)).toBe(true);
  expect(heartbeat.suspect(2001)).toBe(false);
  heartbeat.pong(2000, 2001);
  expect(heartbeat.downReason(2200, 200)).toBeUndefined();
  expect(heartbeat.isSuspected).toBe(false);
  heartbeat.suspect(2300);
  expect(heartbeat.downReason(2400, 200)).toBeUndefined();
  expect(heartbeat.downReason(2500, 200)).toBe("refused");
  expect(new Heartbeat(tuning).suspect(1)).toBe(false);
});

test("data brings a link up after one pong, not before", () => {
  const heartbeat = new Heartbeat(tuning);
  expect(heartbeat.dataSeen()).toBe(false);
  heartbeat.pong(0, 1);
  expect(heartbeat.dataSeen()).toBe(true);
  expect(heartbeat.dataSeen()).toBe(false);
  expect(heartbeat.isUp).toBe(true);
});

test("pings: at once, then each interval", () => {
  const heartbeat = new Heartbeat(tuning);
  const due = [0, 200, 400, 600, 800, 1000, 1550].map((now) => heartbeat.pingDue(now));
  expect(due).toEqual([true, false, false, false, true, false, true]);
});
