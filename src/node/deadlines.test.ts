import { expect, test } from "bun:test";
import { Deadlines } from "./deadlines.ts";

test("fires in order of deadlines, never a re-armed or disarmed one early", async () => {
  const fired: string[] = [];
  const done = Promise.withResolvers<void>();
  const start = performance.now();
  const deadlines = new Deadlines<"a" | "b" | "c" | "d">({
    now: () => performance.now(),
    fire: (timer) => {
      fired.push(timer);
      if (timer === "a") done.resolve();
    },
  });
  deadlines.arm("a", start + 5);
  deadlines.arm("b", start + 10);
  deadlines.arm("c", start + 8);
  deadlines.arm("d", start + 2);
  deadlines.arm("a", start + 30);
  deadlines.disarm("c");
  await done.promise;
  expect(fired).toEqual(["d", "b", "a"]);
  expect(performance.now() - start).toBeGreaterThanOrEqual(30);
  deadlines.arm("b", start);
  deadlines.stop();
});
