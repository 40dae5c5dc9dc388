import { expect, test } from "bun:test";
import type { MembershipAnswer } from "../../answers/membership.ts";
import { RemovalWatch, removedText } from "./removal-watch.ts";

const removed: MembershipAnswer = {
  ...{ node: "pve1", isCertain: true, isMember: false },
  former: { at: 1_800_000_000, by: "root@pam", how: "removed" },
};

/** Its timer fires when the test says so. */
function watched() {
  const state = {
    lacksOthers: true,
    answer: undefined as MembershipAnswer | undefined,
    asked: 0,
    told: [] as string[],
    armed: [] as number[],
  };
  let fire: () => void = () => undefined;
  const watch = new RemovalWatch({
    lacksOthers: () => state.lacksOthers,
    ask: async () => {
      state.asked += 1;
      return state.answer;
    },
    after: (waitMs, then) => {
      state.armed.push(waitMs);
      fire = then;
      return () => void (fire = () => undefined);
    },
    tell: (text) => void state.told.push(text),
  });
  const look = async (): Promise<void> => {
    const before = state.armed.length;
    fire();
    for (let turn = 0; turn < 10 && state.armed.length === before; turn += 1) {
      await Promise.resolve();
    }
  };
  return { state, watch, look };
}

test("a node that lacks others asks, says what it is told once, and takes it back when others are there", async () => {
  const { state, watch, look } = watched();
  await look();
  expect([state.asked, watch.problem, state.told]).toEqual([1, "", []]);
  state.answer = removed;
  await look();
  await look();
  const text = removedText(removed);
  expect(text).toStartWith(
    "this node is no member of its cluster any more, says pve1: it was removed on 2027-01-15 08:00:00 UTC by root@pam. ",
  );
  expect(text).toContain("`quorate leave --local`");
  expect([state.asked, watch.problem, state.told]).toEqual([3, text, [text]]);
  // Nobody answers: what was known stays.
  state.answer = undefined;
  await look();
  expect(watch.problem).toBe(text);
  state.lacksOthers = false;
  expect(watch.problem).toBe("");
  await look();
  state.lacksOthers = true;
  expect([state.asked, watch.problem]).toEqual([4, ""]);
  expect(state.armed).toEqual([20_000, ...Array<number>(5).fill(60_000)]);
});

test("a member that is cut off is told that it is one; without a date it is said what is known", async () => {
  const { state, watch, look } = watched();
  state.answer = { ...removed, isMember: true };
  await look();
  expect([watch.problem, state.told]).toEqual(["", []]);
  expect(removedText({ node: "pve1", isCertain: true, isMember: false })).toContain(
    "says pve1: it was removed while it was off. ",
  );
});

test("stopped, it asks no more", async () => {
  const { state, watch, look } = watched();
  watch.stop();
  await look();
  expect([state.asked, state.armed]).toEqual([0, [20_000]]);
});
