import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findConflicts } from "./conflicts.ts";

const proc = mkdtempSync(join(tmpdir(), "quorate-proc-"));
afterAll(() => rmSync(proc, { recursive: true }));

function process(pid: number, comm: string, exe: string): void {
  mkdirSync(join(proc, String(pid)));
  writeFileSync(join(proc, String(pid), "comm"), `${comm}\n`);
  symlinkSync(exe, join(proc, String(pid), "exe"));
}

test("finds the originals and what would start them, and not ourselves under their names", async () => {
  process(1, "systemd", "/usr/lib/systemd/systemd");
  process(20, "corosync", "/usr/sbin/corosync");
  process(21, "pmxcfs", "/usr/bin/pmxcfs");
  process(22, "corosync-qnetd", "/usr/local/bin/quorate");
  process(23, "corosync-qnetd", "/usr/bin/corosync-qnetd");
  process(24, "corosync-qnetd", "/usr/local/bin/quorate.prev (deleted)");
  mkdirSync(join(proc, "30")); // It ends while we look.
  mkdirSync(join(proc, "self"));
  expect(await findConflicts("node", undefined, proc)).toEqual([
    "corosync runs (process 20)",
    "pmxcfs runs (process 21)",
  ]);
  expect(await findConflicts("qnetd", undefined, proc)).toEqual([
    "corosync-qnetd runs (process 23)",
  ]);
  expect(await findConflicts("node", async (unit) => unit === "pve-cluster", proc)).toContain(
    "pve-cluster.service is enabled",
  );
});
