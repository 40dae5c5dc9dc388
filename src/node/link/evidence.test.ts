// What shows a death, and what does not: a pure core on a plain count of milliseconds.
import { describe, expect, test } from "bun:test";
import { Evidence, probeEveryMs } from "./evidence.ts";

/** Looks again and again from `fromMs`; at each, these links have refused since the last. Returns what was probed at each look. */
function looks(
  evidence: Evidence,
  fromMs: number,
  refused: readonly (readonly number[])[],
): (readonly number[])[] {
  return refused.map((links, at) => {
    for (const link of links) evidence.refused(link);
    return evidence.look(fromMs + (at + 1) * probeEveryMs);
  });
}

describe("evidence of a death", () => {
  test("refusals on every link, twice, the second 100 ms later, and silence", () => {
    const evidence = new Evidence();
    expect(evidence.hint([0, 1], 1000)).toBe(true);
    expect(evidence.hint([0, 1], 1001)).toBe(false);
    expect(looks(evidence, 1000, [[0, 1], []])).toEqual([[], [0, 1]]);
    expect(evidence.links).toBeUndefined();
    expect(looks(evidence, 1100, [[0, 1]])).toEqual([[]]);
    expect(evidence.links).toEqual([0, 1]);
    expect(evidence.isSearching).toBe(false);
  });

  test("one refusal on a link is not enough, nor one link of two", () => {
    for (const refused of [[[0, 1]], [[0, 1], [0]], [[0], [0], [0], [0]], [[0, 0, 1, 1, 1], [0]]]) {
      const evidence = new Evidence();
      evidence.hint([0, 1], 0);
      const rest = Array.from({ length: 60 }, () => []);
      const probed = looks(evidence, 0, [...refused, ...rest]);
      expect(evidence.links).toBeUndefined();
      // It gives up, and has probed the link that says nothing now and then only.
      expect(evidence.isSearching).toBe(false);
      expect(probed.flat().filter((link) => link === 1).length).toBeLessThan(12);
    }
  });

  test("a machine that says little is asked less often, and believed when it has said enough", () => {
    const evidence = new Evidence();
    evidence.hint([0], 0);
    const silent = Array.from({ length: 20 }, () => []);
    looks(evidence, 0, [[0], ...silent, [0]]);
    expect(evidence.links).toEqual([0]);
  });

  test("whoever is heard lives: the search ends, and what was found is withdrawn", () => {
    const evidence = new Evidence();
    evidence.hint([0], 0);
    looks(evidence, 0, [[0], []]);
    expect(evidence.heard()).toBe(false);
    looks(evidence, 100, [[0], [0]]);
    expect(evidence.links).toBeUndefined();
    evidence.hint([0], 1000);
    looks(evidence, 1000, [[0], [], [0]]);
    expect(evidence.links).toEqual([0]);
    expect(evidence.heard()).toBe(true);
    expect(evidence.links).toBeUndefined();
  });

  test("who stood still begins anew: the answers wait in our own sockets", () => {
    const evidence = new Evidence();
    evidence.hint([0], 0);
    looks(evidence, 0, [[0]]);
    evidence.refused(0);
    expect(evidence.look(1000)).toEqual([0]);
    expect(evidence.links).toBeUndefined();
    looks(evidence, 1000, [[0], [], [0]]);
    expect(evidence.links).toEqual([0]);
  });

  test("hints that come too fast begin no search at once, and the last is not forgotten", () => {
    const evidence = new Evidence();
    expect(evidence.hint([0], 0)).toBe(true);
    evidence.heard();
    expect(evidence.hint([0], 10)).toBe(false);
    expect(evidence.isSearching).toBe(true);
    expect(evidence.look(50)).toEqual([0]);
    evidence.heard();
    expect(evidence.hint([0], 60)).toBe(false);
    evidence.heard();
    expect(evidence.isSearching).toBe(false);
    expect(evidence.look(100)).toEqual([]);
  });

  test("links that were down before say nothing", () => {
    const evidence = new Evidence();
    expect(evidence.hint([], 0)).toBe(false);
    evidence.hint([1], 0);
    looks(evidence, 0, [[0, 1], [0], [0, 1]]);
    expect(evidence.links).toEqual([1]);
  });
});
