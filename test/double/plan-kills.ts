// Kills an operation everywhere: before each action of its driver, and before and after each call of a port, which is in the middle of a
// step. A killed process does nothing more, not even its `finally`: the call that it made never returns. Then another process resumes,
// and the world must be all done or all as before. A port that fails once is tried everywhere too.
//
//   await killEverywhere({ plan, world: () => { …; return { ports, facts, done: () => "", before: () => "" }; } });
import {
  type OperationEnd,
  Operations,
  type OperationsOptions,
} from "../../src/shell/operation/operations.ts";
import {
  decodeLeftover,
  decodeOperation,
  encodeJson,
  type Leftover,
  type OperationRecord,
} from "../../src/shell/operation/operation-record.ts";
import type { OperationStore } from "../../src/shell/operation/operation-store.ts";
import { bindPlan, type Plan } from "../../src/shell/operation/plan.ts";
import { type Result, success } from "../../src/result.ts";

/** A world on paper, made anew for each run. The predicates answer "" or what is wrong. */
export interface PaperWorld<Facts, Ports> {
  /** Objects of functions, nested as they like. Asynchronous ones are killed exactly; a synchronous one that is killed answers nonsense. */
  readonly ports: Ports;
  /** Instead of `ports` where a process keeps something of its own: called for each process; `doomed` makes a port die with it. */
  readonly perProcess?: (doomed: <T>(port: T, name: string) => T) => Ports;
  readonly facts: Facts;
  readonly done: () => string;
  readonly before: () => string;
  /** Time passes between a kill and what follows it, and in each pause, milliseconds. */
  readonly passes?: (ms: number) => void;
}

export interface KillTest<Facts, Ports> {
  readonly plan: Plan<Facts, Ports>;
  readonly world: () => PaperWorld<Facts, Ports>;
  /** What comes of it when nobody disturbs it; else it completes. */
  readonly isUndone?: boolean;
  /** Kill the one that resumes everywhere as well: takes the square of the time. */
  readonly twice?: boolean;
}

/** How often what came of it. */
export interface Tally {
  completed: number;
  undone: number;
}

/** Long enough for every plan's time to be over. */
const lateMs = 7 * 24 * 3_600_000;
const begunAtMs = 1_000_000_000_000;

/** Rejects with the first place of a kill or failure after which the world is neither done nor as before. */
export async function killEverywhere<Facts, Ports>(test: KillTest<Facts, Ports>): Promise<Tally> {
  const tally: Tally = { completed: 0, undone: 0 };
  const whole = await new Life(test).run({});
  whole.check("nobody disturbs it", tally);
  if (whole.end?.kind !== (test.isUndone === true ? "undone" : "completed")) {
    throw new Error(`undisturbed, the plan ends otherwise: ${JSON.stringify(whole.end)}`);
  }
  for (let first = 0; first < whole.moments; first += 1) {
    for (const pauseMs of [1000, lateMs]) {
      const where = `killed at ${whole.names[first]} (${first}), resumed ${pauseMs === lateMs ? "late" : "soon"}`;
      const life = new Life(test);
      await life.run({ killAt: first });
      life.pass(pauseMs);
      const second = await life.run({});
      second.check(where, tally);
      if (test.twice !== true) continue;
      for (let again = 0; again < second.moments; again += 1) {
        const other = new Life(test);
        await other.run({ killAt: first });
        other.pass(pauseMs);
        await other.run({ killAt: again });
        (await other.run({})).check(`${where}, killed again at ${second.names[again]}`, tally);
      }
    }
  }
  for (let failAt = 0; failAt < whole.moments; failAt += 1) {
    const run = await new Life(test).run({ failAt });
    run.check(`failed at ${whole.names[failAt]} (${failAt})`, tally);
  }
  return tally;
}

interface Disturbance {
  readonly killAt?: number;
  /** A port's call of this number throws, once. */
  readonly failAt?: number;
}

interface Run {
  /** Undefined: nothing was left to resume, or the process was killed. */
  readonly end: OperationEnd<unknown> | undefined;
  readonly moments: number;
  readonly names: readonly string[];
  readonly check: (where: string, tally: Tally) => void;
}

/** One world with its disk, and the processes that follow each other in it. */
class Life<Facts, Ports> {
  readonly #plan: Plan<Facts, Ports>;
  readonly #world: PaperWorld<Facts, Ports>;
  readonly #disk = new MemoryDisk();
  #nowMs = begunAtMs;
  #hasBegun = false;

  constructor({ plan, world }: KillTest<Facts, Ports>) {
    this.#plan = plan;
    this.#world = world();
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    this.#world.passes?.(ms);
  }

  /** Begins the plan, or resumes it. */
  async run(disturbance: Disturbance): Promise<Run> {
    const process = new DoomedProcess(disturbance);
    const options: OperationsOptions = {
      store: new MemoryStore(this.#disk),
      now: () => this.#nowMs,
      pause: async (pauseMs) => this.pass(pauseMs),
      before: ({ kind }) => process.momentNow(kind),
    };
    const operations = new Operations(options);
    const { ports: shared, perProcess } = this.#world;
    const doomed = <T>(port: T, name: string): T => process.doomed(port, `${name}.`);
    const ports = perProcess?.(doomed) ?? process.doomed(shared, "");
    const tell = (): void => undefined;
    const begun = this.#hasBegun
      ? operations.resume([bindPlan(this.#plan, ports)], { tell })
      : operations.run(this.#plan, ports, this.#world.facts, { tell });
    this.#hasBegun = true;
    const end = await Promise.race([
      begun.catch((error: unknown) => {
        if (error instanceof Killed) return undefined;
        throw error;
      }),
      process.death,
    ]);
    return {
      end,
      moments: process.names.length,
      names: process.names,
      check: (where, tally) => this.#check(end, where, tally),
    };
  }

  #check(end: OperationEnd<unknown> | undefined, where: string, tally: Tally): void {
    const { done, before } = this.#world;
    const problem = ((): string => {
      switch (end?.kind) {
        case "completed":
          return done();
        case "undone":
          return before();
        case undefined:
          // Killed before the first record, or after the last.
          return before() === "" || done() === "" ? "" : `${before()}; ${done()}`;
        default:
          return "neither completed nor undone";
      }
    })();
    if (this.#disk.record !== undefined) throw new Error(`${where}: the record is still there`);
    if (problem !== "") throw new Error(`${where}: ${problem} (${JSON.stringify(end)})`);
    tally[before() === "" ? "undone" : "completed"] += 1;
  }
}

class Killed extends Error {}

class DoomedProcess {
  readonly names: string[] = [];
  readonly death: Promise<undefined>;
  readonly #disturbance: Disturbance;
  #die: () => void = () => undefined;
  #isDead = false;

  constructor(disturbance: Disturbance) {
    this.#disturbance = disturbance;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.death = promise;
    this.#die = () => resolve(undefined);
  }

  /** Throws where the process ends here. */
  momentNow(name: string): void {
    if (this.#isOver(name)) throw new Killed();
  }

  /** The same ports, whose calls never return once the process is dead. */
  doomed<T>(value: T, path: string): T {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    return new Proxy(value, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        const name = `${path}${String(key)}`;
        if (typeof member !== "function") return this.doomed(member, `${name}.`);
        return (...words: unknown[]): unknown => {
          if (this.#isOver(name)) return never();
          if (this.#disturbance.failAt === this.names.length - 1) {
            return Promise.reject(new Error(`${name} fails`));
          }
          const answer: unknown = Reflect.apply(member, target, words);
          return answer instanceof Promise
            ? answer.finally(() => (this.#isOver(`the end of ${name}`) ? never() : undefined))
            : answer;
        };
      },
    });
  }

  #isOver(name: string): boolean {
    if (this.#isDead) return true;
    this.names.push(name);
    if (this.#disturbance.killAt !== this.names.length - 1) return false;
    this.#isDead = true;
    this.#die();
    return true;
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** What outlives a process, as bytes. */
class MemoryDisk {
  record: Uint8Array | undefined;
  leftover: Uint8Array | undefined;
}

/** An operation's record in memory, with one process's lock. */
class MemoryStore implements OperationStore {
  readonly #disk: MemoryDisk;
  #isLocked = false;

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.#disk = disk;
  }

  lock(): Result<Disposable | undefined> {
    if (this.#isLocked) return success(undefined);
    this.#isLocked = true;
    return success({ [Symbol.dispose]: () => void (this.#isLocked = false) });
  }

  record(): Result<OperationRecord | undefined> {
    const { record } = this.#disk;
    return record === undefined
      ? success(undefined)
      : decodeOperation(new TextDecoder().decode(record));
  }

  persist(record: OperationRecord): void {
    this.#disk.record = encodeJson(record);
  }

  forget(): void {
    this.#disk.record = undefined;
  }

  setAside(leftover: Leftover): void {
    this.#disk.leftover = encodeJson(leftover);
    this.forget();
  }

  leftover(): Result<Leftover | undefined> {
    const { leftover } = this.#disk;
    return leftover === undefined
      ? success(undefined)
      : decodeLeftover(new TextDecoder().decode(leftover));
  }

  dismissLeftover(): void {
    this.#disk.leftover = undefined;
  }
}
