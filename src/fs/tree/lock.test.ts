// Ages of locks. Spec: pmxcfs.md §2.9. With real trees and members: test/fs/replication.test.ts.
import { expect, test } from "bun:test";
import { lockExpiryMs, LockTimers } from "./lock.ts";

const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);
const path = "priv/lock/x";

test("expired only strictly after 120 s", () => {
  const locks = new LockTimers();
  locks.start(path, one, 1000);
  expect(locks.requested(path, one, 1000 + lockExpiryMs)).toBe("running");
  expect(locks.requested(path, one, 1001 + lockExpiryMs)).toBe("expired");
  // As long as nobody frees it, each request is granted.
  expect(locks.requested(path, one, 9_999_999)).toBe("expired");
});

test("a request without a timer starts one; with another checksum it begins anew", () => {
  const locks = new LockTimers();
  expect(locks.requested(path, one, 0)).toBe("started");
  expect(locks.requested(path, two, 500_000)).toBe("restarted");
  expect(locks.requested(path, two, 500_000 + lockExpiryMs)).toBe("running");
});

test("a timer belongs to the path, however it is written; nothing is kept of a lock that is gone", () => {
  const locks = new LockTimers();
  locks.start(`${path}/`, one, 0);
  expect(locks.requested(path, one, 200_000)).toBe("expired");
  locks.stop(`${path}//`);
  expect(locks.size).toBe(0);
  locks.start(path, one, 0);
  locks.clear();
  expect(locks.size).toBe(0);
});
