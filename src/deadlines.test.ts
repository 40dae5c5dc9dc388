// Named deadlines on a clock of the test's own: order, re-arming, and what an action that throws leaves behind.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Deadlines, systemClock } from "./deadlines.ts";
import { HandClock } from "../test/double/hand-clock.ts";

test("fires in order of deadlines, never a re-armed or disarmed one early", () => {
  const clock = new HandClock();
  const fired: string[] = [];
  const deadlines = new Deadlines<string>({
    clock,
    fire: (timer) => fired.push(`${timer}@${clock.now()}`),
  });
  deadlines.arm("a", 5);
  deadlines.arm("b", 10);
  deadlines.arm("c", 8);
  deadlines.arm("d", 2);
  deadlines.arm("a", 30);
  deadlines.disarm("c");
  clock.advanceTo(29);
  expect(fired).toEqual(["d@2", "b@10"]);
  clock.advanceTo(30);
  expect(fired).toEqual(["d@2", "b@10", "a@30"]);
});

test("whatever is armed and disarmed, each name fires once, at its last deadline", () => {
  const step = fc.record({
    at: fc.nat(20),
    timer: fc.constantFrom("a", "b", "c", "d"),
    deadline: fc.option(fc.nat(30), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const clock = new HandClock();
      const armed = new Map<string, number>();
      const deadlines = new Deadlines<string>({
        clock,
        fire: (timer) => {
          expect(armed.get(timer)).toBe(clock.now());
          armed.delete(timer);
        },
      });
      for (const { at, timer, deadline } of steps.toSorted((a, b) => a.at - b.at)) {
        clock.advanceTo(at);
        if (deadline === undefined) {
          armed.delete(timer);
          deadlines.disarm(timer);
        } else {
          armed.set(timer, at + deadline);
          deadlines.arm(timer, at + deadline);
        }
      }
      clock.advanceTo(100);
      expect([...armed]).toEqual([]);
    }),
  );
});

test("an action that throws does not take the other names their turn", () => {
  const clock = new HandClock();
  const fired: string[] = [];
  const deadlines = new Deadlines<string>({
    clock,
    fire: (timer) => {
      fired.push(timer);
      if (timer === "a") throw new Error("a failed");
    },
  });
  for (const timer of ["a", "b"]) deadlines.arm(timer, 5);
  deadlines.arm("c", 9);
  expect(() => clock.advanceTo(20)).toThrow("a failed");
  clock.advanceTo(20);
  expect(fired).toEqual(["a", "b", "c"]);
});

test("after a stop nothing fires and nothing waits", () => {
  const clock = new HandClock();
  const deadlines = new Deadlines<string>({ clock, fire: () => expect.unreachable() });
  deadlines.arm("a", 5);
  deadlines.stop();
  expect(clock.waiting).toBe(0);
  clock.advanceTo(10);
});

test("this process's clock fires no deadline early", async () => {
  const done = Promise.withResolvers<number>();
  const start = systemClock.now();
  const deadlines = new Deadlines<string>({
    clock: systemClock,
    fire: () => done.resolve(systemClock.now()),
  });
  deadlines.arm("a", start + 10.4);
  expect(await done.promise).toBeGreaterThanOrEqual(start + 10.4);
});
