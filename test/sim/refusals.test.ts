// Refusals, true and forged, in CI: some seeds of half an hour each. A day by hand: refusals.ts.
import { expect, test } from "bun:test";
import { runRefusals } from "./refusals.ts";

const halfHourMs = 1_800_000;
/** For the machine: simulated time is no stopwatch. */
const testMsMax = 600_000;

test.each([1, 2, 3, 4])(
  "deaths are known at once and nobody who lives is taken for dead, seed %i",
  async (seed) => {
    const result = await runRefusals({ seed, durationMs: halfHourMs });
    expect([result.failure, result.ok]).toEqual(["", true]);
    expect(result.deaths).toBeGreaterThan(10);
    expect(result.forged).toBeGreaterThan(100);
  },
  testMsMax,
);
