import { beforeEach, expect, test } from "bun:test";
import { Acknowledgements } from "./acknowledgement.ts";

let told: string[] = [];
let acknowledgements = new Acknowledgements<string>(() => undefined);

beforeEach(() => {
  told = [];
  acknowledgements = new Acknowledgements<string>((answer, verdict) =>
    told.push(`${answer} ${verdict}`),
  );
  acknowledgements.quorate(true);
  acknowledgements.synced(true);
});

test("durable and stable, in either order", () => {
  const a = acknowledgements.executed("a", 1);
  const b = acknowledgements.executed("b", 2);
  a();
  expect(told).toEqual([]);
  acknowledgements.stable(2);
  expect(told).toEqual(["a held"]);
  b();
  expect(told).toEqual(["a held", "b held"]);
});

test("answers keep the order of the changes", () => {
  acknowledgements.stable(2);
  const a = acknowledgements.executed("a", 1);
  acknowledgements.executed("b", 2)();
  expect(told).toEqual([]);
  a();
  expect(told).toEqual(["a held", "b held"]);
});

test("nothing is held during a state exchange, and a replaced tree leaves it open", () => {
  acknowledgements.executed("a", 1)();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  expect(told).toEqual([]);
  acknowledgements.replaced();
  acknowledgements.synced(true);
  expect(told).toEqual(["a unknown"]);
});

test("an exchange that kept our tree answers", () => {
  acknowledgements.executed("a", 1)();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  acknowledgements.synced(true);
  expect(told).toEqual(["a held"]);
});

test("lost quorum leaves it open", () => {
  const durable = acknowledgements.executed("a", 1);
  acknowledgements.quorate(false);
  durable();
  acknowledgements.stable(1);
  expect(told).toEqual(["a unknown"]);
  expect(acknowledgements.size).toBe(0);
});
