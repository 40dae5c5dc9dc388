// The loop around every core: order, no re-entrance, and what an action that throws leaves behind.
import { expect, test } from "bun:test";
import { Turns } from "./turns.ts";

interface Numbered {
  readonly n: number;
}

/** Turns over numbered events; `act` is what one causes. */
function record(act: (n: number, add: (...next: number[]) => void) => void, settle?: () => void) {
  const seen: string[] = [];
  const turns = new Turns<Numbered>({
    take: ({ n }) => {
      seen.push(String(n));
      act(n, add);
      seen.push(`${n} done`);
    },
    ...(settle === undefined ? {} : { settle }),
  });
  const add = (...next: number[]): void => {
    for (const n of next) turns.add({ n });
  };
  return { seen, turns, add };
}

test("an event that is caused by another waits until that one is taken", () => {
  const { seen, add } = record((n, next) => {
    if (n === 1) next(2, 3);
    if (n === 2) next(4);
  });
  add(1);
  expect(seen).toEqual([1, 2, 3, 4].flatMap((n) => [String(n), `${n} done`]));
});

test("settle comes when nothing waits, and what it adds is taken too", () => {
  let settled = 0;
  const { seen, add } = record(
    (n, next) => {
      if (n === 1) next(2);
    },
    () => {
      seen.push("settled");
      settled += 1;
      if (settled === 1) add(3);
    },
  );
  add(1);
  expect(seen).toEqual(["1", "1 done", "2", "2 done", "settled", "3", "3 done", "settled"]);
});

test("an action that throws: the others are taken, nothing twice, the first error is told, the next add works", () => {
  const { seen, add } = record((n, next) => {
    if (n === 1) next(2, 3, 4);
    if (n === 2 || n === 3) throw new Error(`action of ${n}`);
  });
  expect(() => add(1)).toThrow("action of 2");
  expect(seen).toEqual(["1", "1 done", "2", "3", "4", "4 done"]);
  add(5);
  expect(seen.slice(6)).toEqual(["5", "5 done"]);
});

test("a settle that throws is not tried again by itself, and its error is told", () => {
  let settled = 0;
  const { add } = record(
    () => undefined,
    () => {
      settled += 1;
      throw new Error(`no socket, ${settled}`);
    },
  );
  expect(() => add(1)).toThrow("no socket, 1");
  expect(() => add(2)).toThrow("no socket, 2");
});

test("the last event that throws is settled like every other", () => {
  let settled = 0;
  const { add } = record(
    () => {
      throw new Error("action");
    },
    () => void (settled += 1),
  );
  expect(() => add(1)).toThrow("action");
  expect(settled).toBe(1);
});

test("clear forgets what waits, also from within an event", () => {
  const { seen, turns, add } = record((n, next) => {
    if (n !== 1) return;
    next(2);
    turns.clear();
    next(3);
  });
  add(1);
  expect(seen).toEqual(["1", "1 done", "3", "3 done"]);
});
