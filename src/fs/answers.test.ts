import { expect, test } from "bun:test";
import { Answers, needsOf } from "./answers.ts";
import type { Outcome } from "./tree/files.ts";
import type { Durability } from "./tree-options.ts";

const nothing = { disk: false, stable: false, majority: false };
const members = { ...nothing, stable: true };
const ownDisk = { ...nothing, disk: true };
const both = { ...members, disk: true };
const majority = { ...both, majority: true };

test("what an answer waits for, by class and durability", () => {
  const classes = (durability: Durability) =>
    (["ordered", "held", "durable"] as const).map((promised) => needsOf(promised, durability));
  expect(classes("full")).toEqual([nothing, members, majority]);
  expect(classes("strict")).toEqual([majority, majority, majority]);
  // The original has made its transaction, without a flush, before it answers; pieces do not wait for ours.
  expect(classes("normal")).toEqual([nothing, ownDisk, ownDisk]);
});

test("a refusal shows what others did: it waits as long as that takes here, and for no majority", () => {
  expect(needsOf("durable", "full", true)).toEqual(both);
  expect(needsOf("durable", "strict", true)).toEqual(both);
  expect(needsOf("ordered", "full", true)).toEqual(nothing);
});

/** In a primary component; what was asked of its owner. */
function started(durability: Durability = "full") {
  const state = { refusal: undefined as Outcome<never> | undefined };
  const asked: string[] = [];
  const stored: (() => void)[] = [];
  const answers = new Answers({
    durability,
    whenStored: (settled) => void stored.push(settled),
    askOthers: () => void asked.push("others"),
    version: () => 9,
    refusal: () => state.refusal,
  });
  answers.synced(true);
  answers.quorate(true);
  answers.standing({ isAgreed: true, majority: 1 });
  const ordered = (version: number) => {
    const { token, outcome } = answers.add("ordered");
    answers.executed(token, false, { delivery: version, version })?.answer({ ok: true, value: 0 });
    return outcome;
  };
  return { answers, asked, stored, ordered, state };
}

test("what was only ordered is owed until a majority's disks have it, asked for or not", async () => {
  const { answers, asked, stored, ordered } = started();
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: true });
  expect(await ordered(5)).toMatchObject({ ok: true });
  const held = answers.sync("held", 0);
  const durable = answers.sync("durable", undefined);
  expect([asked.length, stored.length]).toEqual([1, 1]);
  answers.stable(5);
  expect(await held).toMatchObject({ ok: true });
  stored[0]?.();
  answers.standing({ isAgreed: true, majority: 9 });
  expect(await durable).toMatchObject({ ok: true });
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: true });
  expect(asked.length).toBe(1);
  await ordered(10);
  answers.stable(10);
  answers.standing({ isAgreed: true, majority: 10 });
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: true });
  expect(asked.length).toBe(1);
});

test("a majority's disks are not enough before every member has it", async () => {
  const { answers, asked, ordered } = started();
  await ordered(5);
  answers.standing({ isAgreed: true, majority: 5 });
  void answers.sync("durable", undefined);
  expect(asked.length).toBe(1);
});

test("a loss is told to each writer from before it, and once for the node", async () => {
  const { answers, ordered } = started();
  await ordered(5);
  answers.replaced(true);
  expect(await answers.sync("held", 0)).toMatchObject({ ok: false, errno: "EIO" });
  expect(await answers.sync("held", 0)).toMatchObject({ ok: false, errno: "EIO" });
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: false, errno: "EIO" });
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: true });
  await ordered(6);
  answers.stable(6);
  answers.replaced(false);
  expect(await answers.sync("held", 1)).toMatchObject({ ok: true });
});

test("that the node was told of a doubt takes nothing from a writer, who asks for his own", async () => {
  const { answers, ordered, state } = started();
  await ordered(5);
  state.refusal = { ok: false, errno: "EACCES", reason: "no quorum" };
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: false, errno: "EACCES" });
  expect(await answers.sync("durable", undefined)).toMatchObject({ ok: true });
  state.refusal = undefined;
  let isHeld = false;
  const held = answers.sync("held", 0).then(({ ok }) => (isHeld = ok));
  await Promise.resolve();
  expect(isHeld).toBe(false);
  answers.stable(5);
  expect(await held).toBe(true);
});

test("of a tree that was taken over without a loss all is asked for, whatever number a change has there", async () => {
  const { answers, asked, ordered } = started();
  await ordered(5);
  answers.stable(5);
  answers.replaced(false);
  answers.standing({ isAgreed: true, majority: 8 });
  void answers.sync("durable", undefined);
  expect(asked.length).toBe(1);
});
