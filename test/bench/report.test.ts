import { expect, test } from "bun:test";
import { guard, median, readFigures, readRatios, readTable, rowOf, table } from "./report.ts";

const measured = { name: "replaces", unit: "/s", better: "more" } as const;
const figures = readFigures("replaces\t/s\t400\t100\ta table\nsize\tMB\t2\t4\ta table\n");

test("medians, of an even number between the two in the middle", () => {
  expect(median([5])).toBe(5);
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 6])).toBe(5.5);
  expect(() => median([])).toThrow();
});

test("the original of the same run goes before its figure", () => {
  const alone = rowOf({ ...measured, ours: [100, 300, 200], theirs: [] }, figures);
  expect(alone).toMatchObject({ median: 200, reference: 400, ratio: 0.5, source: "a table" });
  const beside = rowOf({ ...measured, ours: [200], theirs: [100, 100, 500] }, figures);
  expect(beside).toMatchObject({ reference: 100, ratio: 2, source: "same run" });
  const unknown = rowOf({ ...measured, name: "else", ours: [200], theirs: [] }, figures);
  expect(unknown).toMatchObject({ median: 200, reference: undefined, ratio: undefined });
});

test("of what should be little, half is twice as good", () => {
  const size = { name: "size", unit: "MB", better: "less", ours: [1], theirs: [] } as const;
  expect(rowOf(size, figures).ratio).toBe(2);
  expect(() => rowOf({ ...size, unit: "kB" }, figures)).toThrow("size is measured in kB");
});

test("the guard: a third may be lost, more may not, and nothing may go unmeasured", () => {
  const rows = [rowOf({ ...measured, ours: [400], theirs: [] }, figures)];
  const verdict = (recorded: number) => guard(rows, new Map([["replaces", recorded]]));
  expect(verdict(1)).toEqual({ passed: 1, failed: [] });
  expect(verdict(1.49)).toEqual({ passed: 1, failed: [] });
  expect(verdict(1.51).passed).toBe(0);
  expect(verdict(1.51).failed).toEqual([expect.stringMatching(/^replaces: 1\.00 × as good/)]);
  expect(guard(rows, new Map([["gone", 1]]))).toEqual({
    passed: 0,
    failed: ["gone: was not measured"],
  });
});

test("tables: comments are none of it, a line with a column too few is named", () => {
  expect(readTable("# a\n\nb\tc\n", 2)).toEqual([["b", "c"]]);
  expect(() => readTable("b\n", 2)).toThrow("a line has 1 columns, not 2: b");
  expect(() => readRatios("b", "b\tc\t-1\n")).toThrow('"-1" is no figure above 0');
});

test("the tables of this folder can be read", () => {
  expect(readFigures().size).toBeGreaterThan(10);
  for (const bench of ["ring", "tree"]) expect(readRatios(bench).size).toBeGreaterThan(0);
});

test("a line of the report", () => {
  const row = rowOf({ ...measured, ours: [800], theirs: [], notes: ["more"] }, figures);
  expect(table([row])).toEqual([
    "replaces       800 /s   original       400 /s     2.00 × as good (a table)",
    "    more",
  ]);
});
