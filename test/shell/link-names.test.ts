// Each link name as a process of its own, without arguments or with a wrong one: it says something, of itself, and ends. Names whose
// program is not written yet name what quorate has in their place.
import { describe, expect, test } from "bun:test";
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

// The daemon would start; what it says to a wrong option is its business.
const tools = linkNames.filter((name) => name !== "corosync-qnetd");

/** Where the original has one of its own for its usage. */
const codes: Readonly<Record<string, number>> = {
  "corosync-qnetd-certutil": 0,
  "corosync-qnetd-tool": 1,
  "corosync-qdevice-tool": 1,
  pvecm: 255,
};

describe.each(tools.map((name) => [name]))("%s without arguments", (name) => {
  test("says what it is for, and ends with the original's code", () => {
    const { code, said } = called(name);
    expect(code).toBe(codes[name] ?? 2);
    expect(said).toMatch(/\[-|use "|USAGE|make the key/);
    expect(said).not.toMatch(/\n\s+at /);
  });
});

test("a name that is not a part yet names what there is", () => {
  expect(called("corosync-quorumtool", "-s")).toMatchObject({
    code: 2,
    said: expect.stringContaining('use "quorate status"'),
  });
});
