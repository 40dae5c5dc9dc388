import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SortQueue, windowMax, type StoredMcast } from "./queue.ts";

function mcast(seq: number): StoredMcast {
  return { bytes: Uint8Array.of(seq & 0xff), from: 1, source: 1 };
}

describe("SortQueue", () => {
  test("aru stops at a hole and jumps over what was behind it", () => {
    const queue = new SortQueue();
    queue.put(1, mcast(1));
    queue.put(3, mcast(3));
    queue.put(4, mcast(4));
    expect([queue.aru, queue.highest]).toEqual([1, 4]);
    queue.put(2, mcast(2));
    expect([queue.aru, queue.highest]).toEqual([4, 4]);
  });

  test("the window moves with what is released", () => {
    const queue = new SortQueue();
    expect(queue.isInWindow(0)).toBe(false);
    expect(queue.isInWindow(1)).toBe(true);
    expect(queue.isInWindow(windowMax)).toBe(true);
    expect(queue.isInWindow(windowMax + 1)).toBe(false);
    queue.put(1, mcast(1));
    queue.releaseTo(1);
    expect(queue.isInWindow(1)).toBe(false);
    expect(queue.isInWindow(windowMax + 1)).toBe(true);
    expect(queue.get(windowMax + 1)).toBeUndefined();
    expect(() => queue.put(windowMax + 2, mcast(0))).toThrow("inside the window");
  });

  test("misses are counted per message and forgotten with it", () => {
    const queue = new SortQueue();
    expect([queue.miss(7), queue.miss(7), queue.miss(8)]).toEqual([1, 2, 1]);
    queue.put(7, mcast(7));
    expect(queue.miss(7)).toBe(1);
  });

  test("what lies behind a hole can be dropped", () => {
    const queue = new SortQueue();
    for (const seq of [1, 2, 5, 900]) queue.put(seq, mcast(seq));
    queue.dropAboveAru();
    expect([queue.aru, queue.highest, queue.get(5), queue.get(900)]).toEqual([
      2,
      2,
      undefined,
      undefined,
    ]);
    expect(queue.get(2)).toBeDefined();
  });

  test("behaves like a map with a lower bound, also far up", () => {
    const command = fc.record({
      kind: fc.constantFrom("put", "release"),
      step: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const queue = new SortQueue();
        const model = new Map<number, StoredMcast>();
        let released = 0;
        for (const { kind, step } of commands) {
          if (kind === "put") {
            const seq = released + step;
            const item = mcast(seq);
            queue.put(seq, item);
            model.set(seq, item);
          } else {
            const to = Math.min(released + step, queue.aru);
            queue.releaseTo(to);
            for (let seq = released; seq <= to; seq += 1) model.delete(seq);
            released = Math.max(released, to);
          }
          let aru = released;
          while (model.has(aru + 1)) aru += 1;
          expect([queue.released, queue.aru]).toEqual([released, aru]);
          for (let seq = released; seq < released + 42; seq += 1) {
            expect(queue.get(seq)).toBe(model.get(seq));
          }
        }
      }),
    );
  });
});
