// The ring of events: what a reader that comes back gets, and what it is told of what is gone.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EventKind, NodeEvent } from "./event.ts";
import { eventKinds } from "./event-kinds.ts";
import { EventRing } from "./event-ring.ts";

function event(kind: EventKind, at: number): NodeEvent {
  switch (kind) {
    case "membership":
      return { kind, at, text: "", facts: { ring: "1.1", members: [], joined: [], left: [] } };
    case "quorum":
      return {
        ...{ kind, at, text: "" },
        facts: { quorate: true, totalVotes: 1, expectedVotes: 1, quorum: 1 },
      };
    case "link":
      return { kind, at, text: "", facts: { nodeid: 2, link: 0, isUp: true, reason: "" } };
    case "device":
      return { kind, at, text: "", facts: { state: "Connected", vote: "ack", problem: "" } };
    case "tree":
      return { kind, at, text: "", facts: { paths: ["a"], isAll: false } };
    case "upgrade":
      return { kind, at, text: "", facts: { event: "kept" } };
  }
}

const everything = 1_000_000;

test("goes on behind an id, and from the newest on without one", () => {
  const ring = new EventRing("r1");
  expect(ring.newestId).toBe("r1-0");
  const ids = [1, 2, 3].map((at) => ring.append(event("link", at)).id);
  expect(ids).toEqual(["r1-1", "r1-2", "r1-3"]);
  expect(ring.resume("r1-1", eventKinds)).toEqual({ after: 1, gap: "" });
  expect(ring.after(1, ["link"], everything).events.map(({ at }) => at)).toEqual([2, 3]);
  expect(ring.after(1, ["quorum"], everything)).toEqual({ events: [], to: 3 });
  expect(ring.resume(undefined, eventKinds)).toEqual({ after: 3, gap: "" });
});

test("an id of another run, of the future or of no form is answered with what to do", () => {
  const ring = new EventRing("r2");
  ring.append(event("quorum", 1));
  for (const id of ["r1-1", "r2-2"]) {
    expect(ring.resume(id, eventKinds)).toMatchObject({
      after: 0,
      gap: expect.stringContaining("begun anew"),
    });
  }
  for (const id of ["", "-1", "r2-", "r2-1.5", "r2-99999999999999999", "__proto__", "r2-1\n"]) {
    expect(ring.resume(id, eventKinds)).toMatchObject({
      after: 1,
      gap: expect.stringContaining("no id"),
    });
  }
});

test("many changes of the tree push out no other event", () => {
  const ring = new EventRing("r", { treeMax: 10, othersMax: 10 });
  ring.append(event("membership", 1));
  for (let at = 2; at < 1000; at += 1) ring.append(event("tree", at));
  const others = ["membership", "quorum"] as const;
  expect(ring.after(0, others, everything).events).toMatchObject([{ kind: "membership" }]);
  expect(ring.goneTo(others)).toBe(0);
  expect(ring.resume("r-0", others)).toEqual({ after: 0, gap: "" });
  expect(ring.after(0, ["tree"], everything).events.length).toBe(10);
  expect(ring.goneTo(["tree"])).toBe(989);
  expect(ring.resume("r-988", ["tree"]).gap).toContain("not kept any more");
  expect(ring.resume("r-989", ["tree"])).toEqual({ after: 989, gap: "" });
});

test("property: whoever reads on in pieces gets each event once and in order, or is told that some are gone", () => {
  const kinds = fc.constantFrom(...eventKinds);
  fc.assert(
    fc.property(
      fc.array(kinds, { maxLength: 200 }),
      fc.subarray([...eventKinds], { minLength: 1 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 0, max: 200 }),
      (appended, wanted, piece, kept, start) => {
        const ring = new EventRing("p", { treeMax: kept, othersMax: kept });
        const all = appended.map((kind, at) => ring.append(event(kind, at)));
        const isWanted = (number: number) =>
          wanted.includes(all[number - 1]?.kind ?? "tree") && number > start;
        const expected = all.filter((_, index) => isWanted(index + 1));
        const got: string[] = [];
        let from = start;
        for (;;) {
          const read = ring.after(from, wanted, piece);
          got.push(...read.events.map(({ id }) => id));
          if (read.events.length === 0) break;
          expect(read.events.length).toBeLessThanOrEqual(piece);
          expect(read.to).toBeGreaterThan(from);
          from = read.to;
        }
        const missing = expected.length - got.length;
        expect(got).toEqual(expected.filter(({ id }) => got.includes(id)).map(({ id }) => id));
        if (missing > 0) expect(ring.goneTo(wanted)).toBeGreaterThan(start);
        // At most `kept` of each shelf.
        expect(got.length).toBeLessThanOrEqual(2 * kept);
      },
    ),
  );
});
