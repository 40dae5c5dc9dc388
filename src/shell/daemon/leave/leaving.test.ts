import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type NodePaths, nodePaths } from "../../paths.ts";
import { Leaving } from "./leaving.ts";

let root = "";
let paths: NodePaths;
let told: string[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-leaving-"));
  paths = nodePaths(root);
  told = [];
  mkdirSync(dirname(paths.conf), { recursive: true });
  writeFileSync(paths.authkey, "key");
  confNames("n1", "n2");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function confNames(...names: readonly string[]): void {
  const nodes = names.map(
    (name, at) => `node {\nname: ${name}\nnodeid: ${at + 1}\nring0_addr: 10.0.0.${at + 1}\n}\n`,
  );
  writeFileSync(
    paths.conf,
    `totem {\nversion: 2\ncluster_name: c\nconfig_version: 1\n}\nnodelist {\n${nodes.join("")}}\nquorum {\nprovider: corosync_votequorum\n}\n`,
  );
}

/** A start of the node. `isUnderway`: its leave is still to be completed or taken back. */
const starts = (isUnderway = true): Promise<boolean> =>
  new Leaving(paths).apply((text) => {
    told.push(text);
  }, isUnderway);
const order = { name: "n2", stamp: 7 };

test("nothing is noted: a start is as ever", async () => {
  expect(await starts()).toBe(false);
  expect([existsSync(paths.conf), told]).toEqual([true, []]);
});

test("ready to leave: a member as long as corosync.conf names it, or cannot be read", async () => {
  new Leaving(paths).order(order);
  expect(await starts()).toBe(false);
  writeFileSync(paths.conf, "junk {");
  expect(await starts()).toBe(false);
  rmSync(paths.conf);
  expect(await starts()).toBe(false);
  expect(existsSync(paths.authkey)).toBe(true);
});

test("not named any more: standalone at this start and at every one until it is settled", async () => {
  new Leaving(paths).order(order);
  confNames("n1");
  expect(await starts()).toBe(true);
  const kept = [`${paths.authkey}.7.bak`, `${paths.conf}.7.bak`];
  expect(kept.map(existsSync)).toEqual([true, true]);
  expect([existsSync(paths.conf), existsSync(paths.authkey)]).toEqual([false, false]);
  const backup = join(paths.treeDir, "backup/config-7.sql.gz");
  expect(told[0]).toBe(`backup old database to '${backup}'`);
  expect(await starts()).toBe(true);
  expect(told).toHaveLength(3);
  new Leaving(paths).order({ name: "other", stamp: 8 });
  expect(await starts()).toBe(true);
  expect(new Leaving(paths).settle()).toBe(backup);
  expect(await starts()).toBe(false);
  expect(readdirSync(paths.operationDir)).toEqual([]);
});

test("the only node of its cluster goes although corosync.conf names it; a cancelled one does not", async () => {
  const leaving = new Leaving(paths);
  leaving.order(order);
  leaving.cancel();
  leaving.cancel();
  expect(await starts()).toBe(false);
  expect(() => leaving.go()).toThrow("invariant");
  leaving.order(order);
  leaving.go();
  expect(await starts()).toBe(true);
});

test("a leave whose clean-up was left to be done by hand does not end the node's next membership", async () => {
  const leaving = new Leaving(paths);
  leaving.arrived();
  leaving.order(order);
  leaving.arrived();
  confNames("n1");
  expect(await starts()).toBe(true);
  // Killed before its tree was without a corosync.conf.
  expect(await starts()).toBe(true);
  new Leaving(paths).arrived();
  const backup = new Leaving(paths).backup();
  expect(backup).toEndWith("config-7.sql.gz");
  // It joins again, and leaves once more.
  confNames("n1", "n2");
  writeFileSync(paths.authkey, "key");
  expect(await starts(false)).toBe(false);
  expect([existsSync(paths.conf), existsSync(paths.authkey)]).toEqual([true, true]);
  leaving.order({ name: "n2", stamp: 8 });
  expect(await starts()).toBe(false);
  leaving.go();
  expect(await starts()).toBe(true);
  expect(existsSync(`${paths.conf}.8.bak`)).toBe(true);
});

test("ready to leave, and nothing of a leave under way: forgotten, whatever the node is called now", async () => {
  new Leaving(paths).order(order);
  confNames("n1", "renamed");
  expect(await starts(false)).toBe(false);
  expect([existsSync(paths.conf), told]).toEqual([
    true,
    ["a leave that was neither completed nor taken back is forgotten"],
  ]);
  expect(await starts()).toBe(false);
});

test("a backup that cannot be made is said, and is no reason to stay", async () => {
  mkdirSync(paths.treeDir, { recursive: true });
  writeFileSync(join(paths.treeDir, "config.db"), "junk");
  new Leaving(paths).order(order);
  confNames("n1");
  expect(await starts()).toBe(true);
  expect(told[0]).toStartWith("failed to create backup of the cluster's database - ");
  expect(new Leaving(paths).settle()).toBe("");
});

test("a damaged record is not taken for none", async () => {
  mkdirSync(paths.operationDir, { recursive: true });
  for (const junk of ["", "{", '{"format":2}']) {
    writeFileSync(join(paths.operationDir, "leaving.json"), junk);
    await expect(starts()).rejects.toThrow("leaving.json is damaged");
  }
});
