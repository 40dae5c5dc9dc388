// The tree's certificate on this machine: follows, is root's alone, and goes only when the cluster's own tree has none.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Outcome, TreeStatus } from "../../fs/tree/files.ts";
import { DeviceFiles, localIdentity } from "./device-files.ts";
import { treeIdentity } from "../qdevice/device-identity.ts";

let folder = "";
let stored: Outcome<Uint8Array>;
let status: Pick<TreeStatus, "mode" | "writable">;
let device: DeviceFiles;
const log: string[] = [];
const absent: Outcome<Uint8Array> = { ok: false, errno: "ENOENT", reason: "not there" };
const file = (...content: number[]): Outcome<Uint8Array> => ({
  ok: true,
  value: Uint8Array.from(content),
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-files-"));
  [stored, status] = [absent, { mode: "synced", writable: true }];
  log.length = 0;
});
afterEach(() => {
  device.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(): string {
  const directory = join(folder, "qdevice/net");
  device = new DeviceFiles({
    files: { read: (path) => (path === treeIdentity ? stored : absent) },
    treeStatus: () => status,
    directory,
    log: ({ text }) => void log.push(text),
  });
  return join(directory, localIdentity);
}

test("written, changed, removed with the tree", () => {
  const path = start();
  expect(existsSync(path)).toBe(false);
  stored = file(1, 2, 3);
  device.follow();
  expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const { ino } = statSync(path);
  device.follow();
  expect(statSync(path).ino).toBe(ino);
  stored = file(4);
  device.follow();
  expect([...readFileSync(path)]).toEqual([4]);
  stored = absent;
  device.follow();
  expect(existsSync(path)).toBe(false);
  expect(log).toHaveLength(3);
});

test("a tree that is not the cluster's yet takes nothing away", () => {
  stored = file(1);
  const path = start();
  stored = absent;
  for (const other of [
    { mode: "starting", writable: false },
    { mode: "synced", writable: false },
    { mode: "local", writable: true },
  ] as const) {
    status = other;
    device.follow();
    expect(existsSync(path)).toBe(true);
  }
  stored = { ok: false, errno: "EIO", reason: "not now" };
  status = { mode: "synced", writable: true };
  device.follow();
  expect(existsSync(path)).toBe(true);
});

test("what the disk refuses is said once, and tried again", () => {
  mkdirSync(join(folder, "qdevice"));
  writeFileSync(join(folder, "qdevice/net"), "in the way");
  stored = file(1);
  const path = start();
  device.follow();
  expect(log).toEqual([expect.stringContaining("cannot be kept")]);
  rmSync(join(folder, "qdevice/net"));
  device.follow();
  expect(existsSync(path)).toBe(true);
});
