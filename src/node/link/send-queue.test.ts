// Order, batches and the kernel's refusals, with a kernel that answers as told.
import { expect, test } from "bun:test";
import { BATCH_MAX, type Datagram, SendQueue, type Sent, WAITING_MAX } from "./send-queue.ts";

const to = { nodeid: 2, link: 0, address: "10.0.0.2", port: 5405 };

class Kernel {
  readonly taken: number[] = [];
  readonly refused: number[] = [];
  readonly batches: number[] = [];
  readonly answers: ((batch: readonly Datagram[]) => Sent)[] = [];
  limit = 1500;
  /** Linux: a local refusal is told again at the next send. */
  pending = false;

  readonly queue = new SendQueue({
    send: (batch) => this.answers.shift()?.(batch) ?? this.#send(batch),
    refused: ({ bytes }) => this.refused.push(bytes.length),
  });

  #send(batch: readonly Datagram[]): Sent {
    if (this.pending) {
      this.pending = false;
      return { count: 0, stop: "tooLarge" };
    }
    this.batches.push(batch.length);
    let count = 0;
    for (const { bytes } of batch) {
      if (bytes.length > this.limit) break;
      this.taken.push(bytes.length);
      count += 1;
    }
    if (count > 0) return { count, stop: "none" };
    this.pending = true;
    return { count, stop: "tooLarge" };
  }

  push(...sizes: number[]): void {
    for (const size of sizes) this.queue.push({ to, bytes: new Uint8Array(size) });
  }
}

test("all in order, in batches", () => {
  const kernel = new Kernel();
  const sizes = Array.from({ length: 150 }, (_, i) => i + 1);
  kernel.push(...sizes);
  expect(kernel.queue.flush()).toBe(true);
  expect(kernel.taken).toEqual(sizes);
  expect(kernel.batches).toEqual([BATCH_MAX, BATCH_MAX, 150 - 2 * BATCH_MAX]);
});

test.each([[[9000, 1, 2]], [[1, 9000, 9001, 2]], [[1, 2, 9000]], [[9000, 9001, 1, 9002, 9003]]])(
  "too large ones of %p are refused, each once, and nobody else",
  (sizes) => {
    for (const pending of [false, true]) {
      const kernel = new Kernel();
      kernel.pending = pending;
      kernel.push(...sizes);
      expect(kernel.queue.flush()).toBe(true);
      expect(kernel.taken).toEqual(sizes.filter((size) => size <= 1500));
      expect(kernel.refused).toEqual(sizes.filter((size) => size > 1500));
    }
  },
);

test("a full socket keeps the rest in order until there is room", () => {
  const kernel = new Kernel();
  kernel.push(1, 2, 3);
  kernel.answers.push(
    () => {
      kernel.taken.push(1);
      return { count: 1, stop: "none" };
    },
    () => ({ count: 0, stop: "full" }),
  );
  expect(kernel.queue.flush()).toBe(false);
  expect(kernel.queue.waiting).toBe(2);
  kernel.push(4);
  expect(kernel.queue.flush()).toBe(true);
  expect(kernel.taken).toEqual([1, 2, 3, 4]);
});

test("an error that belongs to an earlier packet costs nothing, one that stays costs one datagram", () => {
  const kernel = new Kernel();
  const failed = () => ({ count: 0, stop: "failed" }) as const;
  kernel.push(1, 2);
  kernel.answers.push(failed);
  kernel.queue.flush();
  expect(kernel.taken).toEqual([1, 2]);
  kernel.push(3, 4);
  kernel.answers.push(failed, failed, failed);
  kernel.queue.flush();
  expect(kernel.taken).toEqual([1, 2, 4]);
  expect(kernel.queue.dropped).toBe(1);
});

test("what waits is bounded: the oldest go", () => {
  const kernel = new Kernel();
  for (let i = 1; i <= WAITING_MAX + 10; i += 1) kernel.push(i % 1400);
  expect(kernel.queue.waiting).toBe(WAITING_MAX);
  expect(kernel.queue.dropped).toBe(10);
  kernel.queue.flush();
  expect(kernel.taken[0]).toBe(11);
  expect(kernel.taken.length).toBe(WAITING_MAX);
});
