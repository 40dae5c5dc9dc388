import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { killEverywhere, type PaperWorld } from "../../../test/double/plan-kills.ts";
import { OperationFiles } from "./operation-store.ts";
import { Operations, type OperationsOptions, type RunOptions } from "./operations.ts";
import { bindPlan, type Plan, type Step } from "./plan.ts";
import { resumptionsMax } from "./plan-core.ts";

const facts = v.object({ want: v.string(), chosen: v.optional(v.string()) });
type Facts = v.InferOutput<typeof facts>;

/** A house: things that stand in it. Building and removing takes two calls, so that there is a middle. */
interface House {
  choose(): Promise<string>;
  has(name: string): Promise<boolean>;
  carry(name: string): Promise<void>;
  place(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

interface Ports {
  readonly house: House;
}

class PaperHouse implements House {
  readonly things = new Map<string, "carried" | "placed">();
  choices = 0;
  /** Calls that fail, by "carry wall". */
  readonly broken = new Set<string>();

  async choose(): Promise<string> {
    this.choices += 1;
    return `colour ${this.choices}`;
  }
  async has(name: string): Promise<boolean> {
    return this.things.get(name) === "placed";
  }
  async carry(name: string): Promise<void> {
    this.#ifWell("carry", name);
    this.things.set(name, "carried");
  }
  async place(name: string): Promise<void> {
    this.#ifWell("place", name);
    if (!this.things.has(name)) throw new Error(`there is no ${name} to be placed`);
    this.things.set(name, "placed");
  }
  async remove(name: string): Promise<void> {
    this.#ifWell("remove", name);
    this.things.delete(name);
  }
  #ifWell(call: string, name: string): void {
    if (this.broken.has(`${call} ${name}`)) throw new Error(`cannot ${call} ${name}`);
  }
}

function thing(name: (known: Facts) => string): Pick<Step<Facts, Ports>, "text" | "run" | "undo"> {
  return {
    text: (known) => `build ${name(known)}`,
    run: async (known, { house }) => {
      if (await house.has(name(known))) return;
      await house.carry(name(known));
      await house.place(name(known));
    },
    undo: async (known, { house }) => house.remove(name(known)),
  };
}

const choose: Step<Facts, Ports> = {
  name: "choose",
  text: () => "choose a colour",
  run: async (known, { house }) => ({ ...known, chosen: await house.choose() }),
};
const wall: Step<Facts, Ports> = { name: "wall", ...thing(({ want }) => want) };
const paint: Step<Facts, Ports> = { name: "paint", ...thing(({ chosen = "" }) => chosen) };
const roof: Step<Facts, Ports> = { name: "roof", ...thing(() => "roof") };

function planOf(...steps: Step<Facts, Ports>[]): Plan<Facts, Ports> {
  return { kind: "build", facts, timeMsMax: 60_000, retryPausesMs: [1000, 2000], steps };
}

const undoable = planOf(choose, wall, paint, roof);
const committing = planOf(choose, wall, { ...paint, commits: true }, roof);

function paperWorld(): PaperWorld<Facts, Ports> & { readonly house: PaperHouse } {
  const house = new PaperHouse();
  return {
    house,
    ports: { house },
    facts: { want: "wall" },
    done: () => {
      const placed = [...house.things].filter(([, how]) => how === "placed").map(([name]) => name);
      const isDone = house.things.size === 3 && placed.length === 3;
      return isDone ? "" : `there are ${JSON.stringify([...house.things])}`;
    },
    before: () =>
      house.things.size === 0 ? "" : `there are still ${JSON.stringify([...house.things])}`,
  };
}

describe("killed everywhere, a plan is done or as before", () => {
  test("one that can be undone to its end", async () => {
    const tally = await killEverywhere({ plan: undoable, world: paperWorld, twice: true });
    expect(tally.completed).toBeGreaterThan(50);
    expect(tally.undone).toBeGreaterThan(50);
  });

  test("one that commits", async () => {
    const tally = await killEverywhere({ plan: committing, world: paperWorld, twice: true });
    expect(tally.completed).toBeGreaterThan(50);
    expect(tally.undone).toBeGreaterThan(50);
  });

  test("the harness sees a step that cannot be repeated, an undo that is missing, and a choice that is made twice", async () => {
    const { undo: _, ...withoutUndo } = wall;
    const once: Step<Facts, Ports> = {
      ...wall,
      run: async ({ want }, { house }) => {
        if (await house.has(want)) throw new Error("there already");
        await house.carry(want);
        await house.place(want);
      },
      undo: async ({ want }, { house }) => {
        if (!(await house.has(want))) throw new Error("not there");
        await house.remove(want);
      },
    };
    const hasty: Step<Facts, Ports> = {
      ...paint,
      run: async (known, { house }) => {
        const chosen = await house.choose();
        await house.carry(chosen);
        await house.place(chosen);
        return { ...known, chosen };
      },
    };
    for (const steps of [
      [choose, withoutUndo, roof],
      [choose, once, roof],
      [wall, hasty],
    ]) {
      const outcome = await killEverywhere({
        plan: planOf(...steps),
        world: () => {
          const world = paperWorld();
          return { ...world, done: () => (world.before() === "" ? "nothing is there" : "") };
        },
      }).then(
        () => "not seen",
        (error: unknown) => String(error),
      );
      expect(outcome).toMatch(/^Error: (?:killed|failed) at /);
    }
  });
});

let directory = "";
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "quorate-operation-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Site {
  readonly house: PaperHouse;
  readonly ports: Ports;
  readonly told: string[];
  readonly files: OperationFiles;
  readonly operations: Operations;
  readonly how: RunOptions;
}

/** On a real disk. */
function site(options: Partial<OperationsOptions> = {}): Site {
  const { house, ports } = paperWorld();
  const told: string[] = [];
  const files = new OperationFiles(directory);
  const pause = async (): Promise<void> => undefined;
  const operations = new Operations({ store: files, pause, ...options });
  return { house, ports, told, files, operations, how: { tell: (text) => void told.push(text) } };
}

const left = (): string[] => readdirSync(directory).filter((name) => name.endsWith(".json"));

describe("a plan that nobody kills", () => {
  test("is completed, tells its steps, and leaves no record", async () => {
    const { operations, ports, how, told } = site();
    const end = await operations.run(undoable, ports, { want: "wall" }, how);
    expect(end).toEqual({ kind: "completed", facts: { want: "wall", chosen: "colour 1" } });
    expect(told).toEqual(["choose a colour", "build wall", "build colour 1", "build roof"]);
    expect(left()).toEqual([]);
  });

  test("each step is on disk, for our eyes only, before it begins", async () => {
    const seen: string[] = [];
    const watched: Step<Facts, Ports> = {
      ...wall,
      run: async () => {
        const path = join(directory, "operation.json");
        const { at, phase, facts: known, id } = JSON.parse(readFileSync(path, "utf8"));
        seen.push(`${id} ${phase} ${at} ${JSON.stringify(known)}`);
      },
    };
    const { operations, ports, how } = site();
    await operations.run(
      planOf(choose, watched),
      ports,
      { want: "wall" },
      { ...how, id: "UPID:1" },
    );
    expect(seen).toEqual(['UPID:1 forward wall {"want":"wall","chosen":"colour 1"}']);
  });

  test("a step that fails: the steps before are undone in reverse, and it itself; the cause is told and kept", async () => {
    const { operations, ports, how, told, house } = site();
    house.broken.add("place roof");
    const end = await operations.run(undoable, ports, { want: "wall" }, how);
    expect(end).toMatchObject({ kind: "undone", reason: "cannot place roof" });
    expect(end.kind === "undone" && end.cause).toBeInstanceOf(Error);
    expect(told.slice(4)).toEqual([
      "cannot place roof; what was done is undone",
      "undo: build roof",
      "undo: build colour 1",
      "undo: build wall",
    ]);
    expect(house.things.size).toBe(0);
    expect(left()).toEqual([]);
  });

  test("an undo that keeps failing: tried again, then what is left to do is on disk, and nothing is blocked", async () => {
    const { operations, ports, how, house, files, told } = site();
    house.broken.add("place roof").add("remove wall");
    const byHand = { ...wall, byHand: ({ want }: Facts) => `tear the ${want} down` };
    const plan = planOf(choose, byHand, paint, roof);
    const end = await operations.run(plan, ports, { want: "wall" }, how);
    expect(end).toMatchObject({
      kind: "byHand",
      leftover: {
        reason: "cannot place roof",
        obstacle: "cannot remove wall",
        left: ["tear the wall down"],
      },
    });
    expect(told.filter((text) => text.includes("tried again"))).toHaveLength(2);
    expect(left()).toEqual(["operation-by-hand.json"]);
    const stored = files.leftover();
    expect(stored.ok && stored.value?.left).toEqual(["tear the wall down"]);
    house.broken.delete("remove wall");
    expect((await operations.run(plan, ports, { want: "wall" }, how)).kind).toBe("undone");
    expect(left()).toEqual(["operation-by-hand.json"]);
    house.broken.clear();
    expect((await operations.run(plan, ports, { want: "wall" }, how)).kind).toBe("completed");
    expect(left()).toEqual([]);
  });

  test("after the commit nothing is undone: what fails is tried again, then left to be done by hand", async () => {
    const { operations, ports, how, house } = site();
    house.broken.add("carry roof");
    const end = await operations.run(committing, ports, { want: "wall" }, how);
    expect(end).toMatchObject({
      kind: "byHand",
      leftover: { reason: "", obstacle: "cannot carry roof", left: ["unfinished: build roof"] },
    });
    expect(house.things.size).toBe(2);
  });

  test("a failure after the commit that passes is waited for", async () => {
    const { ports, how, house } = site();
    house.broken.add("carry roof");
    const pause = async (): Promise<void> => house.broken.clear();
    const operations = new Operations({ store: new OperationFiles(directory), pause });
    const end = await operations.run(committing, ports, { want: "wall" }, how);
    expect(end.kind).toBe("completed");
  });
});

describe("cancelled, late, suspended", () => {
  test.each([
    ["wall", "undone", 0],
    ["paint", "completed", 3],
    ["roof", "completed", 3],
  ] as const)("cancelled in %s: %s", async (name, kind, things) => {
    const { operations, ports, how, house } = site();
    const cancel = new AbortController();
    const steps = committing.steps.map((step) => ({
      ...step,
      run: async (...words: Parameters<typeof step.run>) => {
        if (step.name === name) cancel.abort(new Error("somebody pressed Ctrl-C"));
        return step.run(...words);
      },
    }));
    const options = { ...how, signal: cancel.signal };
    const end = await operations.run({ ...committing, steps }, ports, { want: "wall" }, options);
    expect(end.kind).toBe(kind);
    if (end.kind === "undone") expect(end.reason).toBe("somebody pressed Ctrl-C");
    expect(house.things.size).toBe(things);
  });

  test("a step that waits ends with the plan's time, and the plan is undone", async () => {
    const waiting: Step<Facts, Ports> = {
      ...roof,
      run: (_known, _ports, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("aborted"))),
        ),
    };
    const { operations, ports, how, house } = site();
    const plan = { ...planOf(choose, wall, waiting), timeMsMax: 30 };
    const end = await operations.run(plan, ports, { want: "wall" }, how);
    expect(end).toMatchObject({ kind: "undone", reason: "not done in 0.03 s" });
    expect(house.things.size).toBe(0);
  });

  test("a process that ends leaves the operation to the next", async () => {
    const ending = new AbortController();
    const first = site({ ending: ending.signal });
    const stops: Step<Facts, Ports> = {
      ...paint,
      run: async (_known, _ports, { signal }) => {
        ending.abort();
        signal.throwIfAborted();
      },
    };
    const plan = planOf(choose, wall, stops, roof);
    const end = await first.operations.run(plan, first.ports, { want: "wall" }, first.how);
    expect(end.kind).toBe("suspended");
    expect(first.operations.underway()).toMatchObject({
      ok: true,
      value: { kind: "build", step: "paint", isGoingBack: false },
    });
    const second = site();
    const resumed = await second.operations.resume([bindPlan(undoable, first.ports)], second.how);
    expect(resumed?.kind).toBe("completed");
    expect(first.house.things.size).toBe(3);
    expect(await second.operations.resume([], second.how)).toBeUndefined();
  });

  test("killed again and again in one step: undone; in an undo or after the commit: left to be done by hand", async () => {
    for (const [plan, killIn, expected] of [
      [undoable, "run paint", "undone"],
      [committing, "run roof", "byHand"],
      [undoable, "undo paint", "byHand"],
    ] as const) {
      const { house, ports, how, files } = site();
      if (killIn === "undo paint") house.broken.add("place roof");
      const operations = new Operations({
        store: files,
        before: (action) => {
          const name = "step" in action ? `${action.kind} ${action.step.name}` : "";
          if (name === killIn) throw new Error("killed");
        },
      });
      await expect(operations.run(plan, ports, { want: "wall" }, how)).rejects.toThrow("killed");
      for (let count = 0; count < resumptionsMax; count += 1) {
        await expect(operations.resume([bindPlan(plan, ports)], how)).rejects.toThrow("killed");
      }
      const end = await operations.resume([bindPlan(plan, ports)], how);
      expect(end?.kind).toBe(expected);
      if (expected === "undone") expect(house.things.size).toBe(0);
    }
  });
});

describe("what is refused, and what the disk does", () => {
  test("a second operation: with what runs and since when", async () => {
    const { operations, ports, how } = site({ now: () => 0 });
    const other = site();
    let second: unknown;
    const asks: Step<Facts, Ports> = {
      ...wall,
      run: async () => {
        second = await other.operations.run(undoable, other.ports, { want: "wall" }, other.how);
      },
    };
    await operations.run(planOf(asks), ports, { want: "wall" }, how);
    expect(second).toEqual({
      kind: "refused",
      reason:
        'the operation build is under way since 1970-01-01T00:00:00.000Z (at "wall") on this node: try again when it has ended',
    });
    expect(other.house.things.size).toBe(0);
  });

  test("an interrupted one is not overwritten, nor resumed by who does not know it", async () => {
    const { files, ports, how, operations } = site();
    const killed = new Operations({
      store: files,
      before: ({ kind }) => {
        if (kind === "run") throw new Error("killed");
      },
    });
    await expect(killed.run(undoable, ports, { want: "wall" }, how)).rejects.toThrow("killed");
    const refused = await operations.run(undoable, ports, { want: "wall" }, how);
    expect(refused).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("interrupted"),
    });
    const stranger = await operations.resume([], how);
    expect(stranger).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("cannot be resumed here"),
    });
    const renamed = planOf({ ...choose, name: "pick" }, roof);
    const unknown = await operations.resume([bindPlan(renamed, ports)], how);
    expect(unknown).toMatchObject({
      kind: "byHand",
      leftover: { obstacle: 'this version of quorate does not know the step "choose"' },
    });
  });

  test.each([
    ["junk", "cannot be read"],
    ["{}", "format"],
  ])("a record that is %s is refused and stays", async (content, reason) => {
    const { operations, ports, how } = site();
    writeFileSync(join(directory, "operation.json"), content, { mode: 0o600 });
    const end = await operations.run(undoable, ports, { want: "wall" }, how);
    expect(end).toMatchObject({ kind: "refused", reason: expect.stringContaining(reason) });
    expect(await operations.resume([], how)).toMatchObject({ kind: "refused" });
    expect(left()).toEqual(["operation.json"]);
  });

  test("a record that others may write is not carried out", async () => {
    const { operations, how } = site();
    writeFileSync(join(directory, "operation.json"), "{}");
    chmodSync(join(directory, "operation.json"), 0o666);
    expect(await operations.resume([], how)).toMatchObject({
      reason: expect.stringContaining("can be written by others"),
    });
  });

  test("facts that are wrong are refused before anything", async () => {
    const { operations, ports, how } = site();
    const wrong = JSON.parse('{"want": 5}');
    expect(await operations.run(undoable, ports, wrong, how)).toMatchObject({ kind: "refused" });
    expect(left()).toEqual([]);
  });

  test("a disk that becomes full: undone before the commit, completed after it", async () => {
    for (const [plan, full, kind] of [
      [undoable, 0, "undone"],
      [undoable, 2, "undone"],
      [committing, 3, "completed"],
    ] as const) {
      const { ports, how, house, files } = site();
      let writes = 0;
      const persist = files.persist.bind(files);
      files.persist = (record) => {
        writes += 1;
        if (writes > full) throw new Error("ENOSPC");
        persist(record);
      };
      const end = await new Operations({ store: files }).run(plan, ports, { want: "wall" }, how);
      expect(end.kind).toBe(kind);
      expect(house.things.size).toBe(kind === "completed" ? 3 : 0);
      expect(left()).toEqual([]);
    }
  });

  test("a record that cannot be removed is told, and who finds it comes to the same end", async () => {
    const { operations, ports, how, files, told, house } = site();
    const forget = files.forget.bind(files);
    files.forget = () => {
      throw new Error("EROFS");
    };
    expect((await operations.run(undoable, ports, { want: "wall" }, how)).kind).toBe("completed");
    expect(told.at(-1)).toBe("the record of this operation stays: EROFS");
    files.forget = forget;
    const again = await operations.resume([bindPlan(undoable, ports)], how);
    expect([again?.kind, house.things.size]).toEqual(["completed", 3]);
  });
});
