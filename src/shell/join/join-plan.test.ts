// The join as a plan, killed at every step on paper, on either side of the cluster's decision: the node is a member that its cluster has
// confirmed, or everything is as before.
import { describe, expect, test } from "bun:test";
import { killEverywhere, type PaperWorld } from "../../../test/double/plan-kills.ts";
import type { ChangeoverState } from "./changeover-state.ts";
import { type JoinFacts, joinPlan, type JoinPorts } from "./join-plan.ts";

const facts: JoinFacts = {
  cluster: "prod",
  hosts: ["10.0.0.1"],
  trust: { kind: "authority", fingerprint: "00" },
  isOriginal: false,
  node: "pve3",
  votes: 1,
  isForced: false,
  links: { "0": "10.0.0.3" },
  secret: "aa".repeat(16),
  stamp: 1000,
};

const placeMs = 300_000;

interface World {
  /** The cluster is on the way, and answers. */
  readonly isReachable?: boolean;
  /** Packets of the ring arrive. */
  readonly hasRing?: boolean;
  /** Joins that are before this one. */
  readonly queued?: number;
  /** A start as a member fails. */
  readonly cannotStart?: boolean;
}

function paper({ isReachable = true, hasRing = true, queued = 0, cannotStart = false }: World) {
  return (): PaperWorld<JoinFacts, JoinPorts> => {
    let nowMs = 1_000_000_000_000;
    let place: "none" | "reserved" | "confirmed" = "none";
    let endsAtMs = 0;
    let state: ChangeoverState = { kind: "none" };
    let isMember = false;
    let before = queued;
    const passes = (ms: number) => {
      nowMs += ms;
      if (place === "reserved" && nowMs >= endsAtMs) place = "none";
    };
    /** A member confirms who is in its ring. */
    const ring = () => {
      if (isMember && hasRing && place === "reserved") place = "confirmed";
    };
    const unreachable = { ok: false, kind: "unreachable", reason: "no way" } as const;
    const ports: JoinPorts = {
      check: async (known) => known,
      cluster: {
        reserve: async () => {
          if (before > 0) {
            before -= 1;
            return { ok: false, kind: "refused", status: 503, reason: "queued", message: "queued" };
          }
          if (place !== "confirmed") place = "reserved";
          endsAtMs = nowMs + placeMs;
          return {
            ok: true,
            value: { conf: "", key: "", nodeid: 3, leftS: placeMs / 1000, notes: [] },
          };
        },
        cancel: async () => {
          if (!isReachable) return unreachable;
          if (place === "reserved") place = "none";
          return { ok: true, value: { state: place } };
        },
      },
      changeover: {
        state: async () => state,
        order: async () => {
          state = { kind: "ordered" };
        },
        orderBack: async (reason) => {
          state = { kind: "back", reason, isDone: false };
        },
        settle: async () => {
          state = { kind: "none" };
        },
        backup: async () => "/backup",
      },
      restart: async () => {
        if (state.kind === "ordered" && cannotStart)
          state = { kind: "back", reason: "port in use", isDone: true };
        else if (state.kind === "ordered") {
          isMember = true;
          state = { kind: "onTrial" };
        } else if (state.kind === "back") {
          isMember = false;
          state = { ...state, isDone: true };
        }
      },
      isEnding: async () => false,
      progress: async () => ({
        hasMet: isMember && hasRing,
        isQuorate: isMember && hasRing,
        isSynced: isMember && hasRing,
        isConfirmed: isMember && hasRing && place === "confirmed",
      }),
      changed: async (waitMs) => {
        passes(waitMs);
        ring();
      },
      finish: async () => undefined,
      wallMs: async () => nowMs,
    };
    const what = () => `place ${place}, changeover ${state.kind}, member ${isMember}`;
    return {
      ports,
      facts,
      passes,
      done: () => (place === "confirmed" && isMember && state.kind === "none" ? "" : what()),
      before: () => {
        // What the cluster was not told it removes itself.
        if (!isReachable) passes(placeMs);
        return place === "none" && !isMember && state.kind === "none" ? "" : what();
      },
    };
  };
}

describe("the join, killed at each step", () => {
  test("ends as a confirmed member or as before", async () => {
    const tally = await killEverywhere({ plan: joinPlan, world: paper({}) });
    expect(tally.completed).toBeGreaterThan(20);
    expect(tally.undone).toBeGreaterThan(10);
  }, 60_000);

  test("also when the one that resumes is killed", async () => {
    await killEverywhere({ plan: joinPlan, world: paper({}), twice: true });
  }, 120_000);

  test("waits for its turn behind another join", async () => {
    await killEverywhere({ plan: joinPlan, world: paper({ queued: 2 }) });
  }, 60_000);

  test("is as before when no packet of the ring arrives", async () => {
    const world = paper({ hasRing: false });
    const tally = await killEverywhere({ plan: joinPlan, world, isUndone: true });
    expect(tally.completed).toBe(0);
  }, 60_000);

  test("is as before when the node cannot start as a member", async () => {
    const tally = await killEverywhere({
      plan: joinPlan,
      world: paper({ cannotStart: true }),
      isUndone: true,
    });
    expect(tally.completed).toBe(0);
  }, 60_000);
});

describe("a cluster that cannot be asked any more", () => {
  const wait = joinPlan.steps.find(({ name }) => name === "wait");
  /** Runs the step for so many looks. */
  async function waits(world: World, isRepeated: boolean, looks: number): Promise<string> {
    const { ports } = paper(world)();
    await ports.changeover.order({ conf: "", key: "", nodeid: 3, stamp: 1 });
    await ports.restart("");
    let count = 0;
    const stop = { ...Promise.withResolvers<string>(), never: new Promise<void>(() => undefined) };
    const changed: JoinPorts["changed"] = async (waitMs, signal) => {
      count += 1;
      if (count > looks) stop.resolve("it still waits");
      await (count > looks ? stop.never : ports.changed(waitMs, signal));
    };
    const place = { conf: "", key: "", nodeid: 3, endsAtMs: (await ports.wallMs()) + placeMs };
    const context = { signal: new AbortController().signal, tell: () => undefined, isRepeated };
    const ran = wait?.run({ ...facts, place }, { ...ports, changed }, context).then(
      () => "confirmed",
      (error: Error) => error.message,
    );
    return Promise.race([stop.promise, ran ?? "no step"]);
  }

  test("cannot have confirmed a node that was never in its ring: it goes back after its time", async () => {
    const reason = await waits({ hasRing: false, isReachable: false }, false, 1000);
    expect(reason).toContain("did not become a member of 'prod' in its time");
    expect(reason).toContain("UDP ports 5405 to 5412");
  });

  test("may have confirmed one that was in its ring, or that does not know: it waits on", async () => {
    expect(await waits({ hasRing: false, isReachable: false }, true, 1000)).toBe("it still waits");
    expect(await waits({ hasRing: true, isReachable: false }, false, 1000)).toBe("it still waits");
  });
});
