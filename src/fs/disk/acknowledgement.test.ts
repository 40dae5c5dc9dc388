import { beforeEach, expect, test } from "bun:test";
import { Acknowledgements } from "./acknowledgement.ts";

let results: string[] = [];
let acknowledgements = new Acknowledgements<string>(() => undefined);

beforeEach(() => {
  results = [];
  acknowledgements = new Acknowledgements<string>((answer, result) =>
    results.push(`${answer} ${result}`),
  );
  acknowledgements.quorate(true);
  acknowledgements.synced(true);
});

test("durable and stable, in either order", () => {
  const a = acknowledgements.executed("a", 1);
  const b = acknowledgements.executed("b", 2);
  a();
  expect(results).toEqual([]);
  acknowledgements.stable(2);
  expect(results).toEqual(["a acknowledged"]);
  b();
  expect(results).toEqual(["a acknowledged", "b acknowledged"]);
});

test("answers keep the order of the changes", () => {
  acknowledgements.stable(2);
  const a = acknowledgements.executed("a", 1);
  acknowledgements.executed("b", 2)();
  expect(results).toEqual([]);
  a();
  expect(results).toEqual(["a acknowledged", "b acknowledged"]);
});

test("nothing is acknowledged during a state exchange, and a replaced tree leaves it open", () => {
  acknowledgements.executed("a", 1)();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  expect(results).toEqual([]);
  acknowledgements.replaced();
  acknowledgements.synced(true);
  expect(results).toEqual(["a unknown"]);
});

test("an exchange that kept our tree answers", () => {
  acknowledgements.executed("a", 1)();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  acknowledgements.synced(true);
  expect(results).toEqual(["a acknowledged"]);
});

test("lost quorum leaves it open", () => {
  const durable = acknowledgements.executed("a", 1);
  acknowledgements.quorate(false);
  durable();
  acknowledgements.stable(1);
  expect(results).toEqual(["a unknown"]);
  expect(acknowledgements.size).toBe(0);
});
