import { expect, test } from "bun:test";
import { Rotation } from "./rotation.ts";

test("times between two visits, without those in which an idle token is held", () => {
  const rotation = new Rotation();
  expect(rotation.percentiles()).toEqual({ p50: 0, p99: 0 });
  rotation.visited(1000, false);
  rotation.visited(1002, true);
  rotation.visited(1688, true);
  rotation.visited(2374, false);
  rotation.visited(2376, false);
  expect(rotation.percentiles()).toEqual({ p50: 2000, p99: 2000 });
});
