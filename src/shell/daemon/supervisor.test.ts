import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = join(import.meta.dir, "../../main.ts");

/** What a parent called `name` says after its child, this program with `words`, has ended. */
function parentSays(name: string, words: string, environment: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), "quorate-supervisor-"));
  try {
    copyFileSync("/bin/sh", join(directory, name));
    const script = `trap 'echo told' TERM; "${process.execPath}" "${main}" ${words}; echo code $?`;
    const done = Bun.spawnSync([join(directory, name), "-c", script], {
      env: { ...process.env, ...environment },
      stdout: "pipe",
      stderr: "ignore",
      timeout: 30_000,
    });
    return done.stdout.toString();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("OpenRC's supervisor is told that another start would end in the same way; nobody else is", () => {
  const openrc = { RC_SVCNAME: "quorate-node" };
  const root = mkdtempSync(join(tmpdir(), "quorate-supervised-"));
  mkdirSync(join(root, "etc/corosync"), { recursive: true });
  writeFileSync(join(root, "etc/corosync/corosync.conf"), "totem {");
  const badFile = `node --root ${root} --no-mount`;
  expect(parentSays("supervise-daemon", badFile, openrc)).toBe("told\ncode 8\n");
  expect(parentSays("supervise-daemon", "node --no-such-option", openrc)).toBe("told\ncode 2\n");
  expect(parentSays("supervise-daemon", "status --root /nonexistent", openrc)).toBe("code 3\n");
  expect(parentSays("supervise-daemon", badFile, {})).toBe("code 8\n");
  expect(parentSays("sh", badFile, openrc)).toBe("code 8\n");
  rmSync(root, { recursive: true });
});
