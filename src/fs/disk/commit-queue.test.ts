// Group commit: order, batching, one commit at a time, and silence after a failure.
import { expect, test } from "bun:test";
import { decoded, type Decoded, malformed } from "../../bytes.ts";
import type { Clock } from "../../world.ts";
import type { JournalChange } from "./batch.ts";
import { CommitQueue } from "./commit-queue.ts";

const change = (inode: number): JournalChange => ({ stored: [], deleted: [inode] });

/** A disk whose commits end when the test says so, and a clock that passes when it does. */
function slowDisk() {
  const batches: number[][] = [];
  const running: ((result: Decoded<undefined>) => void)[] = [];
  const failures: string[] = [];
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly act: () => void }>();
  const clock: Clock = {
    now: () => now,
    after: (delayMs, act) => {
      const timer = { at: now + delayMs, act };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const queue = new CommitQueue({
    commit: (changes) => {
      batches.push(changes.flatMap(({ deleted }) => deleted));
      return new Promise((resolve) => running.push(resolve));
    },
    onFailed: (reason) => failures.push(reason),
    clock,
  });
  const turns = async () => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  const finish = (result: Decoded<undefined> = decoded(undefined)) => {
    running.shift()?.(result);
    return turns();
  };
  const pass = (ms: number) => {
    now += ms;
    for (const timer of timers) {
      if (timer.at <= now && timers.delete(timer)) timer.act();
    }
    return turns();
  };
  return { queue, batches, running, failures, timers, finish, pass };
}

test("changes of one turn are one batch; later ones wait for it and are the next", async () => {
  const { queue, batches, running, finish } = slowDisk();
  const settled: number[] = [];
  for (const inode of [1, 2, 3]) queue.add(change(inode), () => settled.push(inode));
  await Promise.resolve();
  expect(batches).toEqual([[1, 2, 3]]);
  for (const inode of [4, 5]) queue.add(change(inode), () => settled.push(inode));
  await Promise.resolve();
  // One commit in flight at a time, and nobody is answered before the disk.
  expect([batches.length, running.length, settled]).toEqual([1, 1, []]);
  await finish();
  expect(settled).toEqual([1, 2, 3]);
  expect(batches).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
  await finish();
  expect(settled).toEqual([1, 2, 3, 4, 5]);
  expect(queue.counts.commits).toBe(2);
});

test("an answer without a change waits for the changes before it, and for nothing else", async () => {
  const { queue, finish } = slowDisk();
  const settled: string[] = [];
  queue.add(undefined, () => settled.push("at once"));
  expect(settled).toEqual(["at once"]);
  queue.add(change(1), () => settled.push("stored"));
  queue.add(undefined, () => settled.push("after"));
  await Promise.resolve();
  expect(settled).toEqual(["at once"]);
  await finish();
  expect(settled).toEqual(["at once", "stored", "after"]);
});

test("after a failure nothing is settled, nothing is committed, and it is told once", async () => {
  const { queue, batches, failures, finish } = slowDisk();
  const settled: number[] = [];
  queue.add(change(1), () => settled.push(1));
  await Promise.resolve();
  queue.add(change(2), () => settled.push(2));
  const drained = queue.drained();
  await finish(malformed("disk full"));
  queue.add(change(3), () => settled.push(3));
  await drained;
  expect(failures).toEqual(["disk full"]);
  expect([batches, settled]).toEqual([[[1]], []]);
});

test("drained waits for everything that was added", async () => {
  const { queue, finish } = slowDisk();
  await queue.drained();
  let isDrained = false;
  queue.add(change(1));
  const drained = queue.drained().then(() => (isDrained = true));
  await Promise.resolve();
  expect(isDrained).toBe(false);
  await finish();
  await drained;
  expect(isDrained).toBe(true);
});

test("what nobody waits for goes together, 20 ms after the first of it", async () => {
  const { queue, batches, running, timers, finish, pass } = slowDisk();
  queue.add(change(1));
  await pass(19);
  queue.add(change(2));
  expect([batches, queue.counts.waiting]).toEqual([[], 2]);
  await pass(1);
  expect([batches, queue.counts.waiting]).toEqual([[[1, 2]], 0]);
  // One that comes while the disk works has its own 20 ms.
  queue.add(change(3));
  await finish();
  expect([batches.length, running.length]).toEqual([1, 0]);
  await pass(20);
  expect(batches).toEqual([[1, 2], [3]]);
  await finish();
  expect(timers.size).toBe(0);
});

test("who waits takes all before it along, at once, also behind a commit", async () => {
  const { queue, batches, timers, finish } = slowDisk();
  const settled: string[] = [];
  queue.add(change(1));
  queue.add(change(2), () => settled.push("answered"));
  await Promise.resolve();
  expect(batches).toEqual([[1, 2]]);
  queue.add(change(3));
  queue.hurry();
  queue.add(change(4));
  await finish();
  expect([batches, settled]).toEqual([
    [
      [1, 2],
      [3, 4],
    ],
    ["answered"],
  ]);
  queue.add(change(5));
  await finish();
  // Nobody waits for the fifth.
  expect([batches.length, queue.counts.waiting, timers.size]).toEqual([2, 1, 1]);
  let isDrained = false;
  const drained = queue.drained().then(() => (isDrained = true));
  await finish();
  expect([batches.at(-1), isDrained]).toEqual([[5], false]);
  await finish();
  await drained;
  expect([isDrained, timers.size]).toEqual([true, 0]);
});

test("what waits is bounded: much of it goes at once", async () => {
  const { queue, batches, finish } = slowDisk();
  const row = { parent: 0, version: 1, writer: 1, mtime: 1, type: 8, name: "f" } as const;
  const data = new Uint8Array(3 * 1024 * 1024);
  const store = (inode: number) =>
    queue.add({ stored: [{ inode, ...row, data }], deleted: [inode + 100] });
  // The same file over and over is one file.
  for (let times = 0; times < 10; times += 1) store(2);
  await Promise.resolve();
  expect(batches).toEqual([]);
  store(3);
  await finish();
  expect(batches).toEqual([[102, 103]]);
  await finish();
  for (let inode = 1000; inode < 1501; inode += 1) {
    queue.add({ stored: [], deleted: [inode, inode + 1000] });
  }
  await finish();
  expect(batches[1]?.length).toBe(1002);
});
