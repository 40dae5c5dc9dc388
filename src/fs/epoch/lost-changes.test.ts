import { expect, test } from "bun:test";
import type { TreeEntry } from "../tree/entry.ts";
import { bytesOf } from "../../bytes.ts";
import type { Beginning } from "./lineage.ts";
import { lostChanges } from "./lost-changes.ts";

/** Version and content by name; the tree's version is the highest, or what `version` says. */
function tree(files: Record<string, readonly [number, string]>, version?: number): TreeEntry[] {
  const entries = Object.entries(files).map(([name, [changed, content]], at) => ({
    ...{
      inode: 100 + at,
      parent: 0,
      version: changed,
      writer: 1,
      mtime: 1,
      type: 8 as const,
      name,
    },
    data: bytesOf(content),
  }));
  const top = version ?? Math.max(...entries.map((entry) => entry.version));
  const root = { inode: 0, parent: 0, version: top, writer: 1, mtime: 1, type: 4 as const };
  return [{ ...root, name: "", data: new Uint8Array(0) }, ...entries];
}

/** Epochs with the versions at which they began. */
const history = (...epochs: readonly (readonly [number, number])[]): readonly Beginning[] =>
  epochs.map(([number, version]) => ({
    ...{ number, version },
    exchange: { epoch: number, time: number, nodeid: 1, pid: 1 },
  }));

const all = Number.POSITIVE_INFINITY;

test("a tree that has fallen behind loses nothing, though its files are other ones now", () => {
  const before = tree({ a: [5, "old"], gone: [6, "x"] });
  const after = tree({ a: [9, "new"] }, 12);
  const adopted = history([1, 1], [2, 8]);
  expect(lostChanges({ before, after, own: history([1, 1]), adopted, held: all })).toBeUndefined();
});

test("what came behind the beginning of the leader's next epoch is lost", () => {
  const before = tree({ a: [5, "same"], mine: [9, "x"] });
  const after = tree({ a: [5, "same"], theirs: [20, "y"] });
  const adopted = history([1, 1], [2, 8]);
  const lost = lostChanges({ before, after, own: history([1, 1]), adopted, held: all });
  expect(lost).toEqual({ entries: before, version: 9, leaderVersion: 20, paths: ["mine"] });
});

test("what came in an epoch that only we knew is lost, also where nothing of the leader's contradicts it any more", () => {
  const before = tree({ a: [5, "same"], mine: [6, "x"] });
  const after = tree({ a: [5, "same"], theirs: [20, "y"] });
  const exchange = { before, after, adopted: history([1, 1]), held: all };
  expect(lostChanges({ ...exchange, own: history([1, 1], [2, 5]) })?.paths).toEqual(["mine"]);
  expect(lostChanges({ ...exchange, own: history([1, 1], [2, 6]) })).toBeUndefined();
  expect(lostChanges({ ...exchange, own: history([1, 1]) })).toBeUndefined();
});

test("a higher version that lost says what only it had", () => {
  const before = tree({ a: [5, "same"], mine: [50, "x"] });
  const after = tree({ a: [5, "same"] });
  const adopted = history([1, 1], [2, 5]);
  const { paths } = lostChanges({
    before,
    after,
    own: history([1, 1]),
    adopted,
    held: all,
  })!;
  expect(paths).toEqual(["mine"]);
});

test("an own change that nobody else may have received, when the ring broke", () => {
  const before = tree({ a: [5, "same"], mine: [6, "x"] });
  const after = tree({ a: [5, "same"], b: [8, "y"] }, 9);
  const exchange = {
    before,
    after,
    own: history([1, 1]),
    adopted: history([1, 1], [2, 8]),
  };
  expect(lostChanges({ ...exchange, held: 6 })).toBeUndefined();
  expect(lostChanges({ ...exchange, held: 5 })?.paths).toEqual(["mine"]);
});

test("without epochs (an original leads): what is not there, and what was of another content already", () => {
  const before = tree({ a: [5, "same"], mine: [7, "x"] });
  const exchange = { before, own: history([1, 1]), adopted: [], held: all };
  const newer = tree({ a: [9, "newer"], mine: [8, "newer"] });
  expect(lostChanges({ ...exchange, after: newer })).toBeUndefined();
  const without = lostChanges({ ...exchange, after: tree({ a: [9, "newer"] }) });
  expect(without?.paths).toEqual(["mine"]);
  const apart = lostChanges({
    ...exchange,
    after: tree({ a: [5, "same"], mine: [6, "theirs"] }, 9),
  });
  expect(apart?.paths).toEqual(["mine"]);
});

test("a newcomer's corosync.conf is nothing that anybody misses", () => {
  const before = tree({ "corosync.conf": [3, "one"] });
  const after = tree({ "corosync.conf": [2, "two"] }, 400);
  const exchange = { before, after, own: [], adopted: history([7, 100]), held: all };
  expect(lostChanges(exchange)).toBeUndefined();
});
