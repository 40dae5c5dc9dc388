// Order and limits of the queues of a state exchange. Spec: pmxcfs.md §4.7.
import { expect, test } from "bun:test";
import { MessageQueue, queueBytesMax, queueMessagesMax } from "./message-queue.ts";

function message(nodeid: number, count: number, body = new Uint8Array(0)) {
  const head = { kind: "normal", protocol: 1, timeS: 0, subtype: 1 } as const;
  return { sender: { nodeid, pid: 1 }, message: { ...head, count, body } };
}

test("taken by count over all senders, equal counts as they arrived", () => {
  const queue = new MessageQueue();
  for (const [nodeid, count] of [
    [1, 9],
    [2, 4],
    [3, 9],
    [1, 10],
    [3, 4],
  ] as const) {
    queue.add(message(nodeid, count));
  }
  expect(queue.size).toBe(5);
  const order = queue.take().map(({ sender, message: { count } }) => [sender.nodeid, count]);
  expect(order).toEqual([
    [2, 4],
    [3, 4],
    [1, 9],
    [3, 9],
    [1, 10],
  ]);
  expect(queue.size).toBe(0);
});

test("taken as they arrived", () => {
  const queue = new MessageQueue();
  for (const count of [3, 1, 2]) queue.add(message(1, count));
  expect(queue.takeArrived().map(({ message: { count } }) => count)).toEqual([3, 1, 2]);
});

test("bounded in messages and in bytes", () => {
  const queue = new MessageQueue();
  for (let i = 0; i < queueMessagesMax; i += 1) expect(queue.add(message(1, i))).toBe(true);
  expect(queue.add(message(1, 1))).toBe(false);
  queue.clear();
  const large = new Uint8Array(queueBytesMax / 4);
  for (let i = 0; i < 4; i += 1) expect(queue.add(message(1, i, large))).toBe(true);
  expect(queue.add(message(1, 5, new Uint8Array(1)))).toBe(false);
  expect(queue.add(message(1, 6))).toBe(true);
});
