// Each link name as a process of its own, with a wrong option or without arguments: it says something, of itself, and ends.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { linkNames } from "../../src/shell/tool/link-names.ts";

const main = join(import.meta.dir, "..", "..", "src", "main.ts");

function called(name: string, ...args: readonly string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, main, ...args], {
    argv0: name,
    timeout: 20_000,
  });
  return { code: exitCode, said: `${stdout.toString()}${stderr.toString()}` };
}

/** What a program does to nobody: without arguments some ask a node, and one writes a key. */
const calls: readonly (readonly [name: string, args: readonly string[], code: number])[] = [
  ["corosync-qnetd-certutil", [], 0],
  ["corosync-qnetd-tool", [], 1],
  ["corosync-qdevice-tool", [], 1],
  ["corosync-cmapctl", ["-x"], 1],
  ["corosync-cpgtool", ["-x"], 1],
  ["corosync-quorumtool", ["-x"], 1],
  ["corosync-cfgtool", [], 0],
  ["corosync-keygen", ["-x"], 1],
  ["pvecm", [], 255],
];

test.each(calls)(
  "%s says what it is for, and ends with the original's code",
  (name, args, code) => {
    const { code: ours, said } = called(name, ...args);
    expect(said).toMatch(/\[-|USAGE|usage|invalid option -- 'x'/);
    expect(said).not.toMatch(/\n\s+at /);
    expect(ours).toBe(code);
  },
);

test("no name is left out but that of the daemon, which would start", () => {
  const named = calls.map(([name]) => name);
  expect(linkNames.filter((name) => !named.includes(name))).toEqual(["corosync-qnetd"]);
});
