import { beforeEach, expect, test } from "bun:test";
import { Acknowledgements } from "./acknowledgement.ts";

const held = (delivery: number) => ({ delivery, version: delivery, promised: "held" }) as const;
const majority = (delivery: number) => ({ ...held(delivery), promised: "durable" }) as const;

let results: string[] = [];
let acknowledgements = new Acknowledgements<string>(() => undefined);

beforeEach(() => {
  results = [];
  acknowledgements = new Acknowledgements<string>((answer, result) =>
    results.push(`${answer} ${result}`),
  );
  acknowledgements.quorate(true);
  acknowledgements.synced(true);
  acknowledgements.standing({ isAgreed: true, majority: 0 });
});

test("durable and stable, in either order", () => {
  const a = acknowledgements.executed("a", held(1));
  const b = acknowledgements.executed("b", held(2));
  a();
  expect(results).toEqual([]);
  acknowledgements.stable(2);
  expect(results).toEqual(["a acknowledged"]);
  b();
  expect(results).toEqual(["a acknowledged", "b acknowledged"]);
});

test("answers keep the order of the changes", () => {
  acknowledgements.stable(2);
  const a = acknowledgements.executed("a", held(1));
  acknowledgements.executed("b", held(2))();
  expect(results).toEqual([]);
  a();
  expect(results).toEqual(["a acknowledged", "b acknowledged"]);
});

test("nothing is acknowledged during a state exchange, and a replaced tree leaves it open", () => {
  acknowledgements.executed("a", held(1))();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  expect(results).toEqual([]);
  acknowledgements.replaced();
  acknowledgements.synced(true);
  expect(results).toEqual(["a unknown"]);
});

test("an exchange that kept our tree answers", () => {
  acknowledgements.executed("a", held(1))();
  acknowledgements.synced(false);
  acknowledgements.stable(1);
  acknowledgements.synced(true);
  expect(results).toEqual(["a acknowledged"]);
});

test("lost quorum leaves it open", () => {
  const durable = acknowledgements.executed("a", held(1));
  acknowledgements.quorate(false);
  durable();
  acknowledgements.stable(1);
  expect(results).toEqual(["a unknown"]);
  expect(acknowledgements.size).toBe(0);
});

test("what is promised to be on a majority's disks waits for them, what is promised less does not", () => {
  acknowledgements.stable(9);
  acknowledgements.executed("moved", majority(1))();
  acknowledgements.executed("written", held(2))();
  expect(results).toEqual(["written acknowledged"]);
  acknowledgements.standing({ isAgreed: true, majority: 1 });
  expect(results).toEqual(["written acknowledged", "moved acknowledged"]);
});

test("where not all members can say what their disks have, this disk and all members are enough", () => {
  acknowledgements.stable(1);
  acknowledgements.executed("moved", majority(1))();
  acknowledgements.standing({ isAgreed: true, majority: undefined });
  expect(results).toEqual(["moved acknowledged"]);
});

test("nothing is acknowledged before the epoch of the component is agreed on", () => {
  acknowledgements.standing({ isAgreed: false, majority: undefined });
  acknowledgements.stable(1);
  acknowledgements.executed("written", held(1))();
  expect(results).toEqual([]);
  acknowledgements.standing({ isAgreed: true, majority: 0 });
  expect(results).toEqual(["written acknowledged"]);
});
