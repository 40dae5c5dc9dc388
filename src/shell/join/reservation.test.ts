// The place of a joining node: who gets it, and which member confirms or removes it when.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  answerRequest,
  decodeReservation,
  encodeReservation,
  type JoinDecision,
  JoinKeeper,
  type JoinView,
  type Reservation,
  type ReservationRequest,
} from "./reservation.ts";

const reservation: Reservation = {
  node: "pve3",
  nodeid: 3,
  votes: 1,
  addresses: ["10.0.0.3"],
  secret: "aa".repeat(32),
  by: "root@pam",
  reservedAt: 1000,
  endsAt: 1300,
};

describe("a reservation's record", () => {
  test("comes back as it went", () => {
    const full = {
      ...reservation,
      token: "bb".repeat(32),

      replacedVotes: 2,
    };
    for (const each of [reservation, full]) {
      expect(decodeReservation(encodeReservation(each))).toEqual(each);
    }
  });

  test("that is damaged is none", () => {
    const text = (object: unknown) => new TextEncoder().encode(JSON.stringify(object));
    expect(decodeReservation(text({ ...reservation, node: "a/b" }))).toBeUndefined();
    expect(decodeReservation(text({ ...reservation, addresses: [] }))).toBeUndefined();
    expect(decodeReservation(text({ ...reservation, endsAt: 2 ** 40 }))).toBeUndefined();
    expect(decodeReservation(new Uint8Array(20_000))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeReservation(bytes) === undefined));
  });
});

describe("who asks for a place", () => {
  const request: ReservationRequest = {
    node: "pve3",
    nodeid: undefined,
    votes: 1,
    addresses: ["10.0.0.3"],
    secret: "aa".repeat(32),
    token: undefined,
  };
  const ask = (change: Partial<ReservationRequest>, members: readonly number[] = [1, 2]) =>
    answerRequest(reservation, { ...request, ...change }, members, 1100);

  test("gets it when nobody is joining", () => {
    expect(answerRequest(undefined, request, [1], 1100)).toEqual({ kind: "free" });
  });

  test("gets the same again with the same secret, and a new one when it asks for something else", () => {
    expect(ask({})).toEqual({ kind: "again" });
    expect(ask({ nodeid: 3 })).toEqual({ kind: "again" });
    expect(ask({ addresses: ["10.0.0.4"] })).toEqual({ kind: "replaced" });
    expect(ask({ votes: 0 })).toEqual({ kind: "replaced" });
    expect(ask({ nodeid: 4 })).toEqual({ kind: "replaced" });
  });

  test("replaces its own place of a first try, as long as that one is not in the ring", () => {
    expect(ask({ secret: "cc".repeat(32) })).toEqual({ kind: "replaced" });
    expect(ask({ secret: undefined })).toEqual({ kind: "replaced" });
    expect(ask({ secret: "cc".repeat(32) }, [1, 2, 3])).toMatchObject({ kind: "refused" });
  });

  test("waits while another node is joining, and is told for how long", () => {
    expect(ask({ node: "pve4" })).toEqual({
      kind: "queued",
      reason: "node 'pve3' is joining this cluster now, for 200 s more at the most; 'pve4' is next",
    });
    expect(ask({ node: "pve4" }, [1, 2, 3])).toMatchObject({
      reason: expect.stringContaining("for 500 s more"),
    });
  });

  test("waits while a machine of the same name, let in by somebody else, is joining", () => {
    expect(ask({ secret: "cc".repeat(32), token: "dd".repeat(32) })).toMatchObject({
      kind: "queued",
      reason: expect.stringContaining("a machine with the name 'pve3' is joining already"),
    });
  });
});

describe("a member that looks after a reservation", () => {
  const view: JoinView = {
    reservation,
    entry: { nodeid: 3, votes: 0 },
    self: 1,
    isQuorate: true,
    members: [1, 2],
    synced: [1, 2],
    wallS: 1000,
    nowMs: 50_000,
  };
  const first = (change: Partial<JoinView>): JoinDecision =>
    new JoinKeeper().decide({ ...view, ...change });

  test("does nothing without one, and nothing without quorum", () => {
    expect(first({ reservation: undefined })).toEqual({ kind: "nothing" });
    expect(first({ isQuorate: false, members: [1], wallS: 9000 })).toEqual({ kind: "nothing" });
  });

  test("confirms as soon as the joiner is in the ring and has the tree, not before", () => {
    expect(first({ members: [1, 2, 3] })).toMatchObject({ kind: "wait" });
    expect(first({ members: [1, 2, 3], synced: [] })).toMatchObject({ kind: "wait" });
    expect(first({ members: [1, 2, 3], synced: [1, 2, 3] })).toEqual({
      kind: "confirm",
      reservation,
    });
  });

  test("waits exactly as long as the place is kept", () => {
    expect(first({ wallS: 1100 })).toEqual({ kind: "wait", untilMs: 50_000 + 300_000 });
    const keeper = new JoinKeeper();
    expect(keeper.decide(view)).toEqual({ kind: "wait", untilMs: 350_000 });
    expect(keeper.decide({ ...view, wallS: 1299, nowMs: 349_000 })).toEqual({
      kind: "wait",
      untilMs: 350_000,
    });
    expect(keeper.decide({ ...view, wallS: 1300, nowMs: 350_000 })).toEqual({
      kind: "remove",
      reservation,
      reason: "node 'pve3' did not come into the ring in its time",
    });
  });

  test("gives a joiner that is in the ring the time to receive the tree", () => {
    const keeper = new JoinKeeper();
    const joining = { ...view, members: [1, 2, 3], synced: [] };
    expect(keeper.decide(joining)).toEqual({ kind: "wait", untilMs: 650_000 });
    expect(keeper.decide({ ...joining, wallS: 1600, nowMs: 650_000 })).toMatchObject({
      kind: "remove",
      reason: expect.stringContaining("never got the whole tree"),
    });
  });

  test("takes a machine without a tree, added by an original's tool, once it has stayed in the ring", () => {
    const { secret: _, ...original } = reservation;
    const keeper = new JoinKeeper();
    const inRing = { ...view, reservation: original, members: [1, 2, 3] };
    expect(keeper.decide(inRing)).toEqual({ kind: "wait", untilMs: 80_000 });
    expect(keeper.decide({ ...view, reservation: original, nowMs: 70_000 })).toMatchObject({
      untilMs: 370_000,
    });
    expect(keeper.decide({ ...inRing, nowMs: 80_000 })).toEqual({ kind: "wait", untilMs: 110_000 });
    expect(keeper.decide({ ...inRing, nowMs: 110_000 })).toMatchObject({ kind: "confirm" });
  });

  test("does not trust a clock that is ahead", () => {
    expect(first({ wallS: 9_999_999 })).toEqual({ kind: "wait", untilMs: 350_000 });
  });

  test("keeps no place for longer because it was made by a clock that is ahead", () => {
    const keeper = new JoinKeeper();
    const early = { ...view, wallS: 1000 - 86_400 };
    expect(keeper.decide(early)).toEqual({ kind: "wait", untilMs: 350_000 });
    const over = { ...early, wallS: early.wallS + 300, nowMs: 350_000 };
    expect(keeper.decide(over)).toMatchObject({ kind: "remove" });
    const joining = { ...early, members: [1, 2, 3], synced: [] };
    expect(first(joining)).toEqual({ kind: "wait", untilMs: 650_000 });
  });

  test("goes by rank, so that a dead or foreign first member holds nothing up, and the joiner does not count", () => {
    const keeper = new JoinKeeper();
    const third = { ...view, self: 5, members: [1, 2, 3, 5], synced: [1, 2, 3, 5] };
    expect(keeper.decide(third)).toEqual({ kind: "wait", untilMs: 56_000 });
    expect(keeper.decide({ ...third, nowMs: 55_999 })).toEqual({ kind: "wait", untilMs: 56_000 });
    expect(keeper.decide({ ...third, nowMs: 56_000 })).toEqual({ kind: "confirm", reservation });
  });

  test("begins to wait anew when the joiner was gone in between", () => {
    const keeper = new JoinKeeper();
    const second = { ...view, self: 2, members: [1, 2, 3], synced: [1, 2, 3] };
    expect(keeper.decide(second)).toEqual({ kind: "wait", untilMs: 53_000 });
    expect(keeper.decide({ ...view, self: 2, nowMs: 51_000 })).toMatchObject({ kind: "wait" });
    expect(keeper.decide({ ...second, nowMs: 54_000 })).toEqual({ kind: "wait", untilMs: 57_000 });
  });

  test("forgets what is done, or was never begun", () => {
    expect(first({ entry: { nodeid: 3, votes: 1 } })).toEqual({
      kind: "forget",
      reservation,
      isConfirmed: true,
    });
    const begun = { kind: "forget", reservation, isConfirmed: false } as const;
    expect(first({ entry: undefined })).toEqual(begun);
    expect(first({ entry: { nodeid: 4, votes: 0 } })).toEqual(begun);
  });

  test("any order of views ends with the joiner confirmed or removed, never both", () => {
    const step = fc.record({
      isIn: fc.boolean(),
      isSynced: fc.boolean(),
      isQuorate: fc.boolean(),
      passedS: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const keeper = new JoinKeeper();
        let seconds = 0;
        for (const { isIn, isSynced, isQuorate, passedS } of steps) {
          seconds += passedS;
          const members = isIn ? [1, 2, 3] : [1, 2];
          const synced = isSynced ? members : [];
          const now = { wallS: 1000 + seconds, nowMs: 50_000 + seconds * 1000 };
          const decision = keeper.decide({ ...view, members, synced, isQuorate, ...now });
          if (decision.kind === "confirm") expect(isQuorate && isIn && isSynced).toBe(true);
          if (decision.kind === "remove") {
            expect(isQuorate && !(isIn && isSynced)).toBe(true);
            expect(seconds).toBeGreaterThanOrEqual(isIn ? 600 : 300);
          }
        }
      }),
    );
  });
});
