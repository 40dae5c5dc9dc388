import { expect, test } from "bun:test";
import { PostCount } from "./post-count.ts";

/** A thread that posts once, as soon as it is told to. */
const poster = `
  self.onmessage = ({ data }) => {
    const count = new Int32Array(data);
    self.postMessage("ready");
    Atomics.wait(count, 1, 0, 10_000);
    Atomics.add(count, 0, 1);
    Atomics.notify(count, 0);
  };`;

test("waiting ends with the next post, at once for one that was not taken, else with its time", async () => {
  const posts = new PostCount();
  const receiver = new PostCount(posts.shared);
  const waitedMs = (waitMs: number): number => {
    const begin = performance.now();
    receiver.wait(waitMs);
    return performance.now() - begin;
  };
  expect(waitedMs(0.3)).toBeGreaterThanOrEqual(0.3);
  posts.posted();
  posts.posted();
  expect(waitedMs(10_000)).toBeLessThan(5000);
  receiver.taken();
  expect(waitedMs(10_000)).toBeLessThan(5000);
  receiver.taken();
  expect(waitedMs(0.3)).toBeGreaterThanOrEqual(0.3);
});

test("a post of another thread wakes it", async () => {
  const shared = new SharedArrayBuffer(8);
  const worker = new Worker(URL.createObjectURL(new Blob([poster])));
  try {
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.addEventListener("message", () => resolve());
    worker.postMessage(shared);
    await promise;
    const begin = performance.now();
    const count = new Int32Array(shared);
    Atomics.store(count, 1, 1);
    Atomics.notify(count, 1);
    new PostCount(shared).wait(10_000);
    expect(performance.now() - begin).toBeLessThan(5000);
    expect(Atomics.load(count, 0)).toBe(1);
  } finally {
    worker.terminate();
  }
});
