// Two real nodes with real mounts append to one file in turns, as soon as the other's write is acknowledged: no line may be lost, even
// while the acknowledged bytes are still between the ring thread and the tree. Test doubles: test/fs/two-mounts.test.ts.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { umount2, unmountFlags } from "../../src/libc.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const canMount = process.getuid?.() === 0 && existsSync("/dev/fuse");
const mountTest = test.skipIf(!canMount && process.env["QUORATE_CI"] !== "1");
const pair = [1, 2];
const cluster = new ReloadCluster();
const mounts = pair.map((nodeid) => join(cluster.folder, `m${nodeid}`));

beforeAll(async () => {
  if (!canMount) return;
  for (const [i, nodeid] of pair.entries()) {
    cluster.start(nodeid, cluster.conf({ version: 1, nodes: pair }), mounts[i]);
  }
  await cluster.all(
    pair,
    ({ tree, mount }) => tree.writable && tree.members.length === 2 && mount.target !== "",
  );
}, 90_000);
afterAll(async () => {
  if (canMount) {
    await Promise.all(pair.map((nodeid) => cluster.stop(nodeid)));
    for (const mount of mounts) umount2(mount, unmountFlags.DETACH);
  }
  await cluster.close();
});

mountTest.each([
  ["opened anew for each line", "echo A$n >> $A/log; echo B$n >> $B/log"],
  ["kept open", "echo A$n >&3; echo B$n >&4"],
])(
  "in turns, %s",
  async (_, lines) => {
    const [A = "", B = ""] = mounts;
    const script = `rm -f $A/log; : > $A/log; exec 3>> $A/log 4>> $B/log; for n in {1..100}; do ${lines}; done; cat $B/log`;
    const child = Bun.spawn(["bash", "-euc", script], {
      env: { PATH: process.env["PATH"], A, B },
      stdout: "pipe",
      stderr: "inherit",
    });
    const text = await new Response(child.stdout).text();
    expect(await child.exited).toBe(0);
    expect(text).toBe(Array.from({ length: 100 }, (_each, n) => `A${n + 1}\nB${n + 1}\n`).join(""));
  },
  60_000,
);
