// Whose refusals mean something, from groups and rings.
import { expect, test } from "bun:test";
import { Announced } from "./announced.ts";

const processes = (...nodeids: number[]) => nodeids.map((nodeid) => ({ nodeid, pid: 7 }));

test("members are watched once all of the ring are in the group, and no longer than that", () => {
  const announced = new Announced(1);
  announced.ringChanged([1]);
  announced.groupChanged(processes(1));
  announced.sought([], false);
  // Alone there is nobody to watch.
  expect([announced.isAll, announced.news()]).toEqual([false, undefined]);
  announced.ringChanged([1, 2, 3]);
  announced.sought([2], false);
  expect(announced.news()).toBeUndefined();
  announced.groupChanged(processes(1, 3));
  expect([announced.isAll, announced.news()]).toEqual([false, undefined]);
  announced.groupChanged(processes(1, 2, 3));
  expect(announced.isAll).toBe(true);
  expect(announced.news()).toEqual({
    kind: "watched",
    nodeids: [2, 3],
    sought: [2],
    isForming: false,
  });
  expect(announced.news()).toBeUndefined();
  announced.sought([2, 3], false);
  expect(announced.news()).toEqual({
    kind: "watched",
    nodeids: [2, 3],
    sought: [2, 3],
    isForming: false,
  });
  announced.sought([2, 3], true);
  expect(announced.news()).toEqual({
    kind: "watched",
    nodeids: [2, 3],
    sought: [2, 3],
    isForming: true,
  });
  // Who leaves the ring takes nothing from the others; an original among them takes all.
  announced.ringChanged([1, 3]);
  announced.sought([3], false);
  expect(announced.news()).toEqual({
    kind: "watched",
    nodeids: [3],
    sought: [3],
    isForming: false,
  });
  announced.ringChanged([1, 3, 4]);
  expect(announced.news()).toEqual({ kind: "watched", nodeids: [], sought: [], isForming: false });
});
