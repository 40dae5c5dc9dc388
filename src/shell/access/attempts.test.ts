import { expect, test } from "bun:test";
import fc from "fast-check";
import { attemptLimits, LoginAttempts, networkOf } from "./attempts.ts";

test("an address waits longer after each failure, and a success ends it", () => {
  const attempts = new LoginAttempts();
  const waits: number[] = [];
  let now = 0;
  for (let at = 0; at < 12; at += 1) {
    now += attempts.waitMs("10.0.0.1", "root@pam", now);
    attempts.begin("10.0.0.1", "root@pam", now);
    waits.push(attempts.waitMs("10.0.0.1", "root@pam", now) / 1000);
  }
  expect(waits).toEqual([0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]);
  expect(attempts.waitMs("10.0.0.2", "root@pam", now)).toBe(0);
  attempts.begin("10.0.0.1", "root@pam", now).succeeded();
  expect(attempts.waitMs("10.0.0.1", "root@pam", now)).toBe(0);
});

test("failures long ago are forgotten", () => {
  const attempts = new LoginAttempts();
  for (let at = 0; at < 6; at += 1) attempts.begin("10.0.0.1", "root@pam", 0);
  const later = attemptLimits.forgottenAfterMs + 1;
  attempts.begin("10.0.0.1", "root@pam", later);
  expect(attempts.waitMs("10.0.0.1", "root@pam", later)).toBe(0);
});

test("a user tried from everywhere is open only to addresses that have logged in", () => {
  const attempts = new LoginAttempts();
  attempts.begin("192.168.0.9", "root@pam", 0).succeeded();
  for (let at = 0; at < attemptLimits.userFailures; at += 1) {
    expect(attempts.waitMs(`10.0.1.${at}`, "root@pam", at)).toBe(0);
    attempts.begin(`10.0.1.${at}`, "root@pam", at);
  }
  expect(attempts.waitMs("10.0.2.1", "root@pam", 100)).toBe(attemptLimits.userWindowMs - 100);
  expect(attempts.waitMs("192.168.0.9", "root@pam", 100)).toBe(0);
  expect(attempts.waitMs("10.0.2.1", "eve@pve", 100)).toBe(0);
  expect(attempts.waitMs("10.0.2.1", "root@pam", attemptLimits.userWindowMs)).toBe(0);
});

test("attempts at the same moment are counted before the first of them is decided", () => {
  const attempts = new LoginAttempts();
  const begun = [];
  while (attempts.waitMs("10.0.0.1", "root@pam", 0) === 0) {
    begun.push(attempts.begin("10.0.0.1", "root@pam", 0));
  }
  expect(begun).toHaveLength(attemptLimits.freeFailures + 1);
  let all = begun.length;
  for (; attempts.waitMs(`10.1.0.${all}`, "root@pam", 0) === 0; all += 1) {
    attempts.begin(`10.1.0.${all}`, "root@pam", 0);
  }
  expect(all).toBe(attemptLimits.userFailures);
});

test("what was not about the password is taken back, once, with the pause that it made", () => {
  const attempts = new LoginAttempts();
  for (let at = 0; at < 5; at += 1) attempts.begin("10.0.0.1", "root@pam", 0);
  const busy = attempts.begin("10.0.0.1", "root@pam", 0);
  expect(attempts.waitMs("10.0.0.1", "root@pam", 0)).toBe(2000);
  busy.takeBack();
  busy.takeBack();
  expect(attempts.waitMs("10.0.0.1", "root@pam", 0)).toBe(0);
  attempts.begin("10.0.0.1", "root@pam", 0);
  expect(attempts.waitMs("10.0.0.1", "root@pam", 0)).toBe(2000);
  const alone = new LoginAttempts();
  alone.begin("10.0.0.1", "root@pam", 0).takeBack();
  expect(alone.size).toBe(0);
});

test("names that nobody has do not make it forget how often a user was tried", () => {
  const attempts = new LoginAttempts(attemptLimits, "salt");
  for (let at = 0; at < attemptLimits.userFailures; at += 1) {
    attempts.begin(`10.0.1.${at}`, "root@pam", 0);
  }
  for (let at = 0; at < 3 * attemptLimits.entriesMax; at += 1) {
    attempts.begin(`2001:db8:${(at % 4096).toString(16)}:${at.toString(16)}::1`, `u${at}@pam`, 1);
  }
  expect(attempts.waitMs("10.0.9.9", "root@pam", 2)).toBe(attemptLimits.userWindowMs - 2);
});

test("many IPv6 networks of one site pause together, and forget nobody else's failures", () => {
  const attempts = new LoginAttempts();
  for (let at = 0; at < 8; at += 1) attempts.begin("10.0.0.1", `u${at}@pam`, 0);
  const closed = attempts.waitMs("10.0.0.1", "root@pam", 0);
  expect(closed).toBe(8000);
  let heard = 0;
  for (let at = 0; at < 2 * attemptLimits.entriesMax; at += 1) {
    const address = `2001:db8:1:${at.toString(16)}::1`;
    if (attempts.waitMs(address, `x${at}@pam`, 1) > 0) continue;
    attempts.begin(address, `x${at}@pam`, 1);
    heard += 1;
  }
  expect(heard).toBe(attemptLimits.siteFreeFailures + 1);
  // One who has a thousand sites.
  for (let at = 0; at < 2 * attemptLimits.entriesMax; at += 1) {
    attempts.begin(`2001:${at.toString(16)}:1:1::1`, `y${at}@pam`, 1);
  }
  expect(attempts.waitMs("10.0.0.1", "root@pam", 1)).toBe(closed - 1);
});

test("a neighbour in the same site who has logged in before is let in", () => {
  const attempts = new LoginAttempts();
  attempts.begin("2001:db8:1:ffff::1", "root@pam", 0).succeeded();
  for (let at = 0; at < 40; at += 1) {
    attempts.begin(`2001:db8:1:${at.toString(16)}::1`, "root@pam", 0);
  }
  expect(attempts.waitMs("2001:db8:1:fffe::1", "root@pam", 0)).toBe(60_000);
  expect(attempts.waitMs("2001:db8:1:ffff::2", "root@pam", 0)).toBe(0);
});

test("an IPv6 network counts as one address, an IPv4 address in IPv6 as itself", () => {
  expect(networkOf("::ffff:10.0.0.1")).toBe("10.0.0.1");
  const same = [
    "2001:db8::1",
    "2001:DB8:0:0::2",
    "2001:0db8:0:0:ffff:1:2:3",
    "2001:db8:0:0:1::%eth0",
  ];
  expect(new Set(same.map(networkOf)).size).toBe(1);
  expect(networkOf("2001:db8:0:1::1")).not.toBe(networkOf("2001:db8::1"));
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
});

test("property: the tables stay bounded, and no pause is above its limit", () => {
  const limits = { ...attemptLimits, entriesMax: 8 };
  const step = fc.record({
    address: fc.integer({ min: 0, max: 40 }),
    user: fc.integer({ min: 0, max: 20 }),
    ms: fc.nat({ max: 100_000 }),
    isRight: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const attempts = new LoginAttempts(limits);
      let now = 0;
      for (const { address, user, ms, isRight } of steps) {
        now += ms;
        const from = `10.0.0.${address}`;
        const waitMs = attempts.waitMs(from, `u${user}@pam`, now);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(60_000);
        const attempt = attempts.begin(from, `u${user}@pam`, now);
        if (isRight) attempt.succeeded();
      }
      expect(attempts.size).toBeLessThanOrEqual(24);
    }),
  );
});
