import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type {
  Action,
  Disk,
  Event,
  NodeFacts,
  Observation,
  ServiceState,
  UpgradeRecord,
} from "./events.ts";
import { defaultPatience } from "./events.ts";
import { UpgradeCore } from "./upgrade-core.ts";

const from = { version: "0.1.0", sha256: "a".repeat(64) };
const to = { version: "0.1.1", sha256: "b".repeat(64) };

function nodeFacts(version: string): NodeFacts {
  return {
    role: "node",
    version,
    ringState: "operational",
    isSynchronising: false,
    members: [1, 2, 3],
    isQuorate: true,
    treeMode: "synced",
    treeVersion: 7,
    treeMembers: [1, 2, 3],
    isTreeDifferent: false,
  };
}

const staged: UpgradeRecord = {
  format: 1,
  from,
  to,
  phase: "staged",
  before: [nodeFacts(from.version)],
  isRestarted: false,
  attempts: 0,
  reason: "",
  patience: defaultPatience,
};

/** How the new version behaves once it is started. */
type Nature = "good" | "crashes" | "silent" | "lonely" | "falters";

/** A machine on paper: the files, the record, one service. It may be killed before any action. */
class PaperMachine {
  name: "from" | "to" = "from";
  next: "to" | "none" = "to";
  record: UpgradeRecord | undefined = staged;
  running: "from" | "to" = "from";
  bad: string[] = [];
  told: string[] = [];
  nowMs = 0;
  startedAtMs = 0;
  readonly nature: Nature;
  /** Actions that fail from now on. */
  broken: readonly Action["kind"][] = [];

  constructor(nature: Nature) {
    this.nature = nature;
  }

  get disk(): Disk {
    return { current: this.name, hasNext: this.next === "to", hasPrevious: true };
  }

  observation(): Observation {
    const answer = (facts: NodeFacts | undefined, service: ServiceState): Observation => ({
      role: "node",
      service,
      facts,
    });
    if (this.running === "from") return answer(nodeFacts(from.version), "running");
    const spentMs = this.nowMs - this.startedAtMs;
    switch (this.nature) {
      case "good":
        return answer(spentMs > 3000 ? nodeFacts(to.version) : undefined, "running");
      case "crashes":
        return answer(undefined, spentMs > 4000 ? "failed" : "starting");
      case "silent":
        return answer(undefined, "starting");
      case "lonely":
        return answer({ ...nodeFacts(to.version), members: [1], isQuorate: false }, "running");
      case "falters":
        // Well for half a minute, then not.
        return answer(spentMs % 40_000 < 30_000 ? nodeFacts(to.version) : undefined, "running");
    }
  }

  /** False: this action failed. */
  carryOut(action: Action): boolean {
    if (this.broken.includes(action.kind)) return false;
    switch (action.kind) {
      case "persist":
        this.record = action.record;
        return true;
      case "swapIn":
        expect(this.next).toBe("to");
        expect(this.record?.from.sha256).toBe(from.sha256);
        this.name = "to";
        this.next = "none";
        return true;
      case "swapBack":
        this.name = "from";
        return true;
      case "restart":
        // The record outlives a power cut before anything of the new version runs.
        if (this.name === "to") expect(this.record?.phase).toBe("probation");
        this.running = this.name;
        this.startedAtMs = this.nowMs;
        return true;
      case "markBad":
        this.bad.push(action.build.sha256);
        return true;
      case "forget":
        this.record = undefined;
        this.next = "none";
        return true;
      case "tell":
        this.told.push(action.event);
        return true;
      case "observe":
      case "finish":
        return true;
    }
  }
}

interface Run {
  readonly outcome: string;
  readonly actions: number;
}

/** Until the end, or until `killAt` actions were carried out. */
function run(machine: PaperMachine, killAt = Number.POSITIVE_INFINITY): Run {
  if (machine.record === undefined) return { outcome: "nothing", actions: 0 };
  const core = new UpgradeCore();
  let event: Event = { kind: "began", record: machine.record, disk: machine.disk };
  for (let actions = 0; ;) {
    const out: Action[] = [];
    core.step(event, machine.nowMs, out);
    let next: Event | undefined;
    for (const action of out) {
      if (actions >= killAt) return { outcome: "killed", actions };
      actions += 1;
      if (action.kind === "finish") return { outcome: action.outcome, actions };
      if (action.kind === "observe") {
        machine.nowMs += action.afterMs;
        next = { kind: "observed", observations: [machine.observation()] };
      } else if (!machine.carryOut(action)) {
        next = { kind: "failed", action: action.kind, reason: "no", disk: machine.disk };
        break;
      }
    }
    expect(next).toBeDefined();
    expect(machine.nowMs).toBeLessThan(1_000_000);
    event = next!;
  }
}

describe("an upgrade that nobody disturbs", () => {
  test("a good version is kept after a minute of health", () => {
    const machine = new PaperMachine("good");
    expect(run(machine).outcome).toBe("kept");
    expect(machine.told).toEqual(["swapped", "probation", "kept"]);
    expect([machine.name, machine.running, machine.record]).toEqual(["to", "to", undefined]);
    expect(machine.nowMs).toBeLessThan(defaultPatience.healthyMs + 6000);
    expect(machine.bad).toEqual([]);
  });

  test.each([
    ["crashes", 90_000],
    ["silent", 90_000],
    ["lonely", 180_000],
    ["falters", 180_000],
  ] as const)("a version that %s is rolled back within %d ms", (nature, limitMs) => {
    const machine = new PaperMachine(nature);
    expect(run(machine).outcome).toBe("rolledBack");
    expect(machine.told).toEqual(["swapped", "probation", "rolled back"]);
    expect([machine.name, machine.running, machine.record]).toEqual(["from", "from", undefined]);
    expect(machine.nowMs).toBeLessThan(limitMs);
    expect(machine.bad).toEqual([to.sha256]);
  });

  test("where nothing runs the file is swapped and kept", () => {
    const machine = new PaperMachine("good");
    machine.record = { ...staged, before: [] };
    expect(run(machine).outcome).toBe("kept");
    expect([machine.name, machine.running]).toEqual(["to", "from"]);
  });
});

describe("killed at every step", () => {
  test.each(["good", "crashes", "lonely"] as const)("a version that is %s", (nature) => {
    const whole = run(new PaperMachine(nature));
    expect(whole.actions).toBeGreaterThan(10);
    for (let killAt = 0; killAt < whole.actions; killAt += 1) {
      const machine = new PaperMachine(nature);
      expect(run(machine, killAt).outcome).toBe("killed");
      const isGood = nature === "good";
      // Killed after the record was removed: it had ended already.
      const expected = machine.record === undefined ? "nothing" : isGood ? "kept" : "rolledBack";
      expect([killAt, run(machine).outcome]).toEqual([killAt, expected]);
      expect(machine.name).toBe(isGood ? "to" : "from");
      expect(machine.running).toBe(machine.name);
      expect(machine.record).toBeUndefined();
    }
  });

  test("again and again, it still ends", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(40), { maxLength: 12 }),
        fc.constantFrom<Nature>("good", "crashes", "silent", "lonely", "falters"),
        (kills, nature) => {
          const machine = new PaperMachine(nature);
          for (const killAt of kills) run(machine, killAt);
          run(machine);
          expect(machine.record).toBeUndefined();
          expect(machine.running).toBe(machine.name);
          if (nature !== "good") expect(machine.name).toBe("from");
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("what goes wrong", () => {
  test("another file was installed meanwhile: it is left alone", () => {
    const core = new UpgradeCore();
    for (const phase of ["staged", "probation", "rollingBack"] as const) {
      const out: Action[] = [];
      const disk: Disk = { current: "other", hasNext: true, hasPrevious: true };
      core.step({ kind: "began", record: { ...staged, phase }, disk }, 0, out);
      expect(out.map(({ kind }) => kind)).toEqual(["tell", "forget", "finish"]);
      expect(out.at(-1)).toMatchObject({ outcome: "abandoned" });
    }
  });

  test.each([
    [{ current: "from", hasNext: false, hasPrevious: true }],
    [{ current: "from", hasNext: true, hasPrevious: false }],
  ] as const)("nothing is swapped without both files whole: %p", (disk) => {
    const out: Action[] = [];
    new UpgradeCore().step({ kind: "began", record: staged, disk }, 0, out);
    expect(out.at(-1)).toMatchObject({ kind: "finish", outcome: "abandoned" });
    expect(out.some(({ kind }) => kind === "swapIn")).toBe(false);
  });

  test("the swap fails: the old file stays, nothing is restarted", () => {
    const machine = new PaperMachine("good");
    machine.broken = ["swapIn"];
    expect(run(machine).outcome).toBe("failed");
    expect([machine.name, machine.running, machine.record]).toEqual(["from", "from", undefined]);
    expect(machine.bad).toEqual([]);
  });

  test("the record cannot be written after the swap: rolled back without one", () => {
    const machine = new PaperMachine("good");
    const carryOut = machine.carryOut.bind(machine);
    machine.carryOut = (action) => {
      if (action.kind === "swapIn") machine.broken = ["persist", "markBad"];
      return carryOut(action);
    };
    expect(run(machine).outcome).toBe("rolledBack");
    expect([machine.name, machine.running]).toEqual(["from", "from"]);
  });

  test("a service that cannot be restarted: rolled back, and said", () => {
    const machine = new PaperMachine("good");
    machine.broken = ["restart"];
    expect(run(machine).outcome).toBe("rolledBack");
    expect(machine.name).toBe("from");
  });

  test("the record cannot be removed: it ends, and the next one ends the same way", () => {
    const machine = new PaperMachine("good");
    machine.broken = ["forget"];
    expect(run(machine).outcome).toBe("failed");
    expect(machine.name).toBe("to");
    machine.broken = [];
    expect(run(machine).outcome).toBe("kept");
  });

  test("somebody put the old file back by hand: nothing is done", () => {
    const machine = new PaperMachine("good");
    machine.record = { ...staged, phase: "probation", isRestarted: true };
    expect(run(machine).outcome).toBe("abandoned");
    expect(machine.bad).toEqual([]);
  });
});
