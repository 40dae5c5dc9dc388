import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf } from "../../bytes.ts";
import type { LostTree } from "../epoch/lost-changes.ts";
import { lostSentence, LostTrees, lostTreesMax } from "./lost-trees.ts";

let root = "";
let nowS = 1_800_000_000;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-lost-"));
  nowS = 1_800_000_000;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const trees = () => new LostTrees({ directory: join(root, "lost"), wallS: () => nowS });
const lost = (version: number): LostTree => ({
  version,
  leaderVersion: 900,
  paths: ["priv/token\xff", "storage.cfg"],
  entries: [
    {
      ...{ inode: 0, parent: 0, version, writer: 1, mtime: 1, type: 4, name: "" },
      data: new Uint8Array(0),
    },
    {
      ...{ inode: 9, parent: 0, version, writer: 1, mtime: 1, type: 8, name: "storage.cfg" },
      data: bytesOf("zfs"),
    },
  ],
});

test("kept whole, for root alone, and read back", () => {
  const kept = trees().keep(lost(123));
  expect(kept).toEqual({ ok: true, value: { name: "20270115T080000Z-v123", dropped: [] } });
  expect(trees().read("20270115T080000Z-v123")).toEqual({ ok: true, value: lost(123) });
  expect(statSync(join(root, "lost")).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, "lost", "20270115T080000Z-v123")).mode & 0o777).toBe(0o600);
});

test("none yet, and names that are none", () => {
  expect(trees().list()).toEqual([]);
  expect(trees().read("../config.db")).toMatchObject({ ok: false });
  expect(trees().read("20270115T080000Z-v1")).toMatchObject({
    reason: "there is no kept tree 20270115T080000Z-v1 on this node",
  });
});

test("the oldest go, and it is said", () => {
  for (let i = 0; i < lostTreesMax; i += 1) {
    expect(trees().keep(lost(i))).toMatchObject({ value: { dropped: [] } });
    nowS += 60;
  }
  expect(trees().keep(lost(99))).toMatchObject({ value: { dropped: ["20270115T080000Z-v0"] } });
  expect(trees().list().length).toBe(lostTreesMax);
});

test("a damaged file says so: cut anywhere, or with other bytes", () => {
  const kept = trees().keep(lost(1));
  if (!kept.ok) throw new Error(kept.reason);
  const path = join(root, "lost", kept.value.name);
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += 1) {
    writeFileSync(path, bytes.subarray(0, at));
    expect(trees().read(kept.value.name)).toMatchObject({ ok: false });
    writeFileSync(
      path,
      Buffer.concat([bytes.subarray(0, at), Buffer.from([255]), bytes.subarray(at + 1)]),
    );
    trees().read(kept.value.name);
  }
});

test("a disk that takes no more is told, with what is gone", () => {
  writeFileSync(join(root, "lost"), "a file where the directory belongs");
  const kept = trees().keep(lost(5));
  expect(kept.ok).toBe(false);
  expect(lostSentence(lost(5), kept)).toStartWith(
    "the tree of this node (version 5) had what the cluster's (version 900) lacks: priv/token�, storage.cfg; it is gone: ",
  );
  expect(readdirSync(root)).toEqual(["lost"]);
});
