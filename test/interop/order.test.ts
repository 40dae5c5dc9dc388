// The experiment's own instruments: a checker that cannot fail would prove nothing about a ring.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  compareOrders,
  messageBytes,
  messageBytesMax,
  Messages,
  type OrderRecord,
  OrderRecorder,
  planFromWords,
  planWords,
} from "./order.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-order-"));
afterAll(() => rmSync(directory, { recursive: true }));
const plan = { group: "g", seed: 7, members: 2, count: 3, deadlineMs: 1000, out: "" };

/** What a member sees when `order` names the senders of the messages one after another. */
function record(name: string, order: readonly number[], spoil?: (bytes: Uint8Array) => void) {
  const messages = new Messages(plan.seed);
  const out = join(directory, name);
  const recorder = new OrderRecorder({ ...plan, out }, messages);
  recorder.configured([1, 2], [], [2]);
  const counters = new Map<number, number>();
  const buffer = new Uint8Array(messageBytesMax);
  for (const sender of order) {
    const counter = counters.get(sender) ?? 0;
    counters.set(sender, counter + 1);
    const message = buffer.slice(0, messages.write(sender, counter, buffer));
    if (counter === 2) spoil?.(message);
    recorder.delivered(sender, message);
  }
  const summary = recorder.finish(1, recorder.complete ? "complete" : "deadline");
  const result: OrderRecord = { name, summary, log: readFileSync(`${out}.log`, "utf8") };
  return result;
}

describe("messages", () => {
  test("sizes reach from 1 byte to 200,000, most are small", () => {
    const sizes = Array.from({ length: 2000 }, (_, counter) => messageBytes(1, 2, counter));
    expect(Math.min(...sizes)).toBe(1);
    expect(Math.max(...sizes)).toBe(messageBytesMax);
    expect(sizes.filter((size) => size < 12).length).toBeGreaterThan(100);
    expect(sizes.filter((size) => size > 65_536).length).toBeGreaterThan(50);
  });

  test("a written message is right, and only as itself", () => {
    const messages = new Messages(3);
    const buffer = new Uint8Array(messageBytesMax);
    for (let counter = 0; counter < 40; counter += 1) {
      const message = buffer.slice(0, messages.write(2, counter, buffer));
      expect(messages.check(2, counter, message)).toBeUndefined();
      expect(messages.check(2, counter + 1, message)).toBeString();
      const last = message.length - 1;
      message[last] = (message[last] ?? 0) ^ 1;
      expect(messages.check(2, counter, message)).toBeString();
    }
  });
});

describe("compareOrders", () => {
  test("equal complete orders have no problems", () => {
    const order = [1, 2, 2, 1, 1, 2];
    expect(compareOrders(plan, [record("a", order), record("b", order)])).toEqual([]);
  });

  test("two messages in another order are found", () => {
    const records = [record("a", [1, 2, 2, 1, 1, 2]), record("b", [1, 2, 1, 2, 1, 2])];
    expect(compareOrders(plan, records)).toEqual([
      'order differs at event 2: a "d 2 1 ok", b "d 1 1 ok"',
    ]);
  });

  test("a lost message is found", () => {
    const records = [record("a", [1, 2, 2, 1, 1, 2]), record("b", [1, 2, 2, 1, 1])];
    const problems = compareOrders(plan, records).join("\n");
    expect(problems).toContain("b ended: deadline");
    expect(problems).toContain("b saw 5 of 6 messages");
  });

  test("the same message twice is found", () => {
    const records = [record("a", [1, 2, 2, 1, 1, 2]), record("b", [1, 2, 2, 1, 1, 1])];
    expect(compareOrders(plan, records).join("\n")).toContain("b: 4 messages of node 1, not 3");
  });

  test("a flipped bit is found", () => {
    const order = [1, 2, 2, 1, 1, 2];
    const flip = (bytes: Uint8Array): void => {
      bytes[0] = (bytes[0] ?? 0) ^ 1;
    };
    expect(compareOrders(plan, [record("a", order), record("b", order, flip)])[0]).toContain(
      "b saw 2 wrong",
    );
  });

  test("a configuration in the middle on one member only is found", () => {
    const order = [1, 2, 2, 1, 1, 2];
    const other = record("b", order);
    const log = other.log.replace("d 2 1 ok", "c members 1 left 2 joined \nd 2 1 ok");
    const problems = compareOrders(plan, [record("a", order), { ...other, log }]);
    expect(problems.join("\n")).toContain("order differs at event 2");
  });

  test("a missing record is found", () => {
    expect(compareOrders(plan, [record("a", [1, 2, 2, 1, 1, 2])])).toEqual([
      "1 records of 2 members",
    ]);
  });
});

test("a plan survives the command line", () => {
  const whole = { ...plan, out: "/x/y" };
  expect(planFromWords(planWords(whole))).toEqual(whole);
  expect(() => planFromWords(["g"])).toThrow("usage");
});
