// Group commit: order, batching, one commit at a time, and silence after a failure.
import { expect, test } from "bun:test";
import { decoded, type Decoded, malformed } from "../../bytes.ts";
import { CommitQueue, type JournalChange } from "./commit-queue.ts";

const change = (inode: number): JournalChange => ({ stored: [], deleted: [inode] });

/** A disk whose commits end when the test says so. */
function slowDisk() {
  const batches: number[][] = [];
  const running: ((result: Decoded<undefined>) => void)[] = [];
  const failures: string[] = [];
  const queue = new CommitQueue({
    commit: (changes) => {
      batches.push(changes.flatMap(({ deleted }) => deleted));
      return new Promise((resolve) => running.push(resolve));
    },
    onFailed: (reason) => failures.push(reason),
  });
  const finish = async (result: Decoded<undefined> = decoded(undefined)) => {
    running.shift()?.(result);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  return { queue, batches, running, failures, finish };
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
  expect(queue.commits).toBe(2);
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
