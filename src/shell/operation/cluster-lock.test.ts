import { expect, test } from "bun:test";
import { ClusterLock } from "./cluster-lock.ts";

function lockOf() {
  let ms = 0;
  const held = new Set<string>();
  const client = {
    mkdir: async (path: string) => {
      if (held.has(path)) throw new Error("EEXIST");
      held.add(path);
    },
    remove: async (path: string) => void held.delete(path),
    setMtime: async () => undefined,
    status: () => Promise.reject(new Error("not asked")),
  };
  const clock = { now: () => ms, wait: async (waitMs: number) => void (ms += waitMs) };
  const lock = new ClusterLock({ client, name: "x", note: () => undefined, clock });
  return { lock, held, passes: (passMs: number) => void (ms += passMs) };
}

test("a lock whose minute is over is given back as long as no other node can have it", async () => {
  const { lock, held, passes } = lockOf();
  await lock.hold();
  expect(lock.aborted).toBe(false);
  passes(60_000);
  expect(lock.aborted).toBe(true);
  await lock.release();
  expect(held.has("priv/lock/x")).toBe(false);
});

test("later it may be another node's, and is left to it", async () => {
  const { lock, held, passes } = lockOf();
  await lock.hold();
  passes(100_000);
  await lock.release();
  expect(held.has("priv/lock/x")).toBe(true);
});
