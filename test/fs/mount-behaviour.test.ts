// All rows of pmxcfs/behaviour.tsv through the kernel: one mount for each state, and every row by the system calls that it was
// recorded with, in file order (mount-behaviour.py). What the kernel answers by itself is so held too.
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FuseMount } from "../../src/fs/fuse/mount.ts";
import { umount2, unmountFlags } from "../../src/libc.ts";
import {
  matches,
  me,
  openTree,
  other,
  oursOf,
  rowsOf,
  states,
  type State,
} from "../golden/behaviour-tree.ts";

const missing =
  process.getuid?.() !== 0
    ? "needs root"
    : !existsSync("/dev/fuse")
      ? "needs /dev/fuse"
      : Bun.which("python3") === null
        ? "needs python3"
        : "";
const mountTest = test.skipIf(missing !== "" && process.env["QUORATE_CI"] !== "1");
const base = mkdtempSync(join(tmpdir(), "quorate-mount-behaviour-"));
// www-data and nobody go through it.
chmodSync(base, 0o755);

afterAll(() => {
  for (const state of states) umount2(join(base, state, "mount"), unmountFlags.DETACH);
  rmSync(base, { recursive: true });
});

/** Rows that need a second node or another clock: behaviour.test.ts runs them. */
const elsewhere = /^next state exchange|removed by another node$|^utime\(0,0\) on a lock dir older/;

/** What the rows of one state give on a mount of their own. */
async function run(state: State, operations: readonly string[]): Promise<string[]> {
  const directory = join(base, state);
  const target = join(directory, "mount");
  mkdirSync(target, { recursive: true });
  const wallS = (): number => Math.floor(Date.now() / 1000);
  const { tree, stop } = await openTree(state, directory, { wallS });
  const mounted = await FuseMount.mount({ target, files: tree, gid: 33, log: () => undefined });
  if (!mounted.ok) throw new Error(mounted.reason);
  tree.onChanged((paths, isOwn) => mounted.value.changed(paths, isOwn));
  try {
    const script = join(import.meta.dir, "mount-behaviour.py");
    const child = Bun.spawn(["python3", script, target, me, other], {
      stdin: new Blob([operations.map((operation) => `${operation}\n`).join("")]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([await child.exited, errors]).toEqual([0, ""]);
    return out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as string);
  } finally {
    await mounted.value.unmount();
    await stop();
  }
}

for (const state of states) {
  mountTest(
    `${state}: every row through the mount${missing === "" ? "" : ` (${missing})`}`,
    async () => {
      const rows = rowsOf(state).filter(({ operation }) => !elsewhere.test(operation));
      expect(rows.length).toBeGreaterThan(200);
      const got = await run(
        state,
        rows.map(({ operation }) => operation),
      );
      expect(got.length).toBe(rows.length);
      const wrong = rows.flatMap((row, at) => {
        const wanted = oursOf(state, row);
        return matches(got[at]!, wanted) ? [] : [`${row.operation}: ${got[at]}, not ${wanted}`];
      });
      expect(wrong).toEqual([]);
    },
    120_000,
  );
}
