import { beforeEach, expect, test } from "bun:test";
import { Acknowledgements } from "./acknowledgement.ts";

const needs = {
  nothing: { disk: false, stable: false, majority: false },
  members: { disk: false, stable: true, majority: false },
  disk: { disk: true, stable: false, majority: false },
  both: { disk: true, stable: true, majority: false },
  majority: { disk: true, stable: true, majority: true },
} as const;
const place = (delivery: number) => ({ delivery, version: delivery });
const ordered = (delivery: number) => ({ ...place(delivery), needs: needs.nothing });
const held = (delivery: number) => ({ ...place(delivery), needs: needs.members });
const both = (delivery: number) => ({ ...place(delivery), needs: needs.both });
const majority = (delivery: number) => ({ ...place(delivery), needs: needs.majority });

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
  const a = acknowledgements.executed("a", both(1));
  const b = acknowledgements.executed("b", both(2));
  a();
  expect(results).toEqual([]);
  acknowledgements.stable(2);
  expect(results).toEqual(["a acknowledged"]);
  b();
  expect(results).toEqual(["a acknowledged", "b acknowledged"]);
});

test("answers keep the order of the changes", () => {
  acknowledgements.stable(2);
  const a = acknowledgements.executed("a", both(1));
  acknowledgements.executed("b", both(2))();
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
  const durable = acknowledgements.executed("a", both(1));
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
  acknowledgements.executed("written", both(1))();
  acknowledgements.executed("made", ordered(1));
  expect(results).toEqual([]);
  acknowledgements.standing({ isAgreed: true, majority: 0 });
  expect(results).toEqual(["written acknowledged", "made acknowledged"]);
});

test("what was promised to be ordered is answered when it is carried out, whatever disk and members have", () => {
  acknowledgements.executed("moved", majority(1));
  acknowledgements.executed("made", ordered(2));
  expect(results).toEqual(["made acknowledged"]);
});

test("ordered is still nothing without quorum, in a state exchange, or in a tree that is replaced", () => {
  acknowledgements.synced(false);
  acknowledgements.executed("a", ordered(1));
  acknowledgements.replaced();
  acknowledgements.synced(true);
  acknowledgements.quorate(false);
  acknowledgements.executed("b", ordered(2));
  expect(results).toEqual(["a unknown"]);
  acknowledgements.quorate(true);
  expect(results).toEqual(["a unknown", "b acknowledged"]);
});

test("held waits for the members and for no disk", () => {
  acknowledgements.executed("a", held(3));
  acknowledgements.stable(2);
  expect(results).toEqual([]);
  acknowledgements.stable(3);
  expect(results).toEqual(["a acknowledged"]);
});

test("as the original: this disk, whoever else has it", () => {
  const a = acknowledgements.executed("a", { ...place(3), needs: needs.disk });
  expect(results).toEqual([]);
  a();
  expect(results).toEqual(["a acknowledged"]);
});
