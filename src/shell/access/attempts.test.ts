import { expect, test } from "bun:test";
import fc from "fast-check";
import { attemptLimits, LoginAttempts, networkOf } from "./attempts.ts";

test("an address waits longer after each failure, and a success ends it", () => {
  const attempts = new LoginAttempts();
  const waits: number[] = [];
  let now = 0;
  for (let at = 0; at < 12; at += 1) {
    now += attempts.waitMs("10.0.0.1", "root@pam", now);
    attempts.failed("10.0.0.1", "root@pam", now);
    waits.push(attempts.waitMs("10.0.0.1", "root@pam", now) / 1000);
  }
  expect(waits).toEqual([0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]);
  expect(attempts.waitMs("10.0.0.2", "root@pam", now)).toBe(0);
  attempts.succeeded("10.0.0.1", "root@pam");
  expect(attempts.waitMs("10.0.0.1", "root@pam", now)).toBe(0);
});

test("failures long ago are forgotten", () => {
  const attempts = new LoginAttempts();
  for (let at = 0; at < 6; at += 1) attempts.failed("10.0.0.1", "root@pam", 0);
  const later = attemptLimits.forgottenAfterMs + 1;
  attempts.failed("10.0.0.1", "root@pam", later);
  expect(attempts.waitMs("10.0.0.1", "root@pam", later)).toBe(0);
});

test("a user tried from everywhere is open only to addresses that have logged in", () => {
  const attempts = new LoginAttempts();
  attempts.succeeded("192.168.0.9", "root@pam");
  for (let at = 0; at < attemptLimits.userFailures; at += 1) {
    expect(attempts.waitMs(`10.0.1.${at}`, "root@pam", at)).toBe(0);
    attempts.failed(`10.0.1.${at}`, "root@pam", at);
  }
  expect(attempts.waitMs("10.0.2.1", "root@pam", 100)).toBe(attemptLimits.userWindowMs - 100);
  expect(attempts.waitMs("192.168.0.9", "root@pam", 100)).toBe(0);
  expect(attempts.waitMs("10.0.2.1", "eve@pve", 100)).toBe(0);
  expect(attempts.waitMs("10.0.2.1", "root@pam", attemptLimits.userWindowMs)).toBe(0);
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
        if (isRight) attempts.succeeded(from, `u${user}@pam`);
        else attempts.failed(from, `u${user}@pam`, now);
      }
      expect(attempts.size).toBeLessThanOrEqual(24);
    }),
  );
});
