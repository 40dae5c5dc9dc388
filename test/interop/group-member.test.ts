// The member on a bus that is ordered by construction: all records must agree; on a bus that is not, they must not.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GroupEvent, GroupPort, GroupRequest } from "../../src/world.ts";
import { takePart } from "./group-member.ts";
import { compareOrders } from "./order.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-member-"));
afterAll(() => rmSync(directory, { recursive: true }));

type Listener = (events: readonly GroupEvent[]) => void;

/** Members 1 … count on one queue. `spoil` may change the order in which one of them hears a batch. */
class Bus {
  readonly #listeners = new Map<number, Listener>();
  readonly #joined: number[] = [];
  readonly #wantRoom: (() => void)[] = [];
  #queue: { readonly from: number; readonly request: GroupRequest }[] = [];
  readonly #spoil: (nodeid: number, batch: GroupEvent[]) => GroupEvent[];
  refusals = 0;

  constructor(spoil: (nodeid: number, batch: GroupEvent[]) => GroupEvent[] = (_, batch) => batch) {
    this.#spoil = spoil;
  }

  port(nodeid: number): GroupPort {
    return {
      self: { nodeid, pid: 100 + nodeid },
      request: (request) => {
        if (this.#queue.length >= 16) {
          this.refusals += 1;
          return false;
        }
        if (this.#queue.push({ from: nodeid, request }) === 1) setImmediate(() => this.#flush());
        return true;
      },
      whenRoom: (act) => void this.#wantRoom.push(act),
      caughtUp: () => Promise.resolve(),
      listen: (listener) => void this.#listeners.set(nodeid, listener),
    };
  }

  #flush(): void {
    const batch = this.#queue.flatMap(({ from, request }) => this.#event(from, request));
    this.#queue = [];
    for (const [nodeid, listener] of this.#listeners) listener(this.#spoil(nodeid, batch));
    for (const act of this.#wantRoom.splice(0)) act();
  }

  #event(from: number, request: GroupRequest): GroupEvent[] {
    const self = { nodeid: from, pid: 100 + from };
    if (request.kind === "send") {
      return [{ kind: "delivered", group: request.group, ...self, message: request.message }];
    }
    this.#joined.push(from);
    const members = this.#joined.toSorted((a, b) => a - b).map((nodeid) => ({ nodeid, pid: 0 }));
    const joined = [{ ...self, reason: 1 as const }];
    return [{ kind: "configured", group: request.group, members, left: [], joined }];
  }
}

async function experiment(bus: Bus, name: string, count: number) {
  const plan = { group: "g", seed: 5, members: 3, count, deadlineMs: 5000 };
  const finished = new Promise<never>(() => {});
  const records = await Promise.all(
    [1, 2, 3].map(async (nodeid) => {
      const out = join(directory, `${name}-${nodeid}`);
      const summary = await takePart({ groups: bus.port(nodeid), finished }, { ...plan, out });
      return { name: `n${nodeid}`, summary, log: readFileSync(`${out}.log`, "utf8") };
    }),
  );
  return compareOrders(plan, records);
}

test("three members on an ordered bus agree, refused requests are tried again", async () => {
  const bus = new Bus();
  expect(await experiment(bus, "ordered", 60)).toEqual([]);
  expect(bus.refusals).toBeGreaterThan(0);
});

test("a member that hears two senders the other way round is found", async () => {
  const swap = (nodeid: number, batch: GroupEvent[]): GroupEvent[] =>
    nodeid === 2
      ? batch.toSorted(
          (a, b) =>
            Number(b.kind === "delivered" && b.nodeid === 3) -
            Number(a.kind === "delivered" && a.nodeid === 3),
        )
      : batch;
  const problems = await experiment(new Bus(swap), "swapped", 20);
  expect(problems.join("\n")).toContain("order differs");
});
