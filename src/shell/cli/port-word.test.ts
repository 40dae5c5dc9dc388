import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portOfWord } from "./port-word.ts";

test("1 to 65535, and the option's name for anything else", () => {
  expect(portOfWord(undefined)).toBeUndefined();
  for (const word of ["1", "5403", "65535"]) expect(portOfWord(word)).toBe(Number(word));
  for (const word of ["", "0", "65536", "-1", "abc", "5403x", "1e3"]) {
    expect(() => portOfWord(word)).toThrow(`--port is a number from 1 to 65535, not "${word}"`);
  }
});

test("every verb with --port says so, before it does anything", () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-port-"));
  try {
    for (const verb of [["qnetd"], ["qnetd", "invite", "c"], ["qdevice", "setup", "10.0.0.9"]]) {
      const root = join(directory, "root");
      const words = [...verb, "--port", "abc", "--root", root];
      const done = Bun.spawnSync([
        process.execPath,
        join(import.meta.dir, "../../main.ts"),
        ...words,
      ]);
      expect(done.stderr.toString()).toContain('--port is a number from 1 to 65535, not "abc"');
      expect(done.exitCode).toBe(2);
      expect(existsSync(root)).toBe(false);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
