import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keygen } from "./keygen.ts";

function run(args: readonly string[], keyFile: string) {
  let output = "";
  let errors = "";
  const code = keygen({
    ...{ args, keyFile },
    write: (text) => void (output += text),
    writeError: (text) => void (errors += text),
  });
  return { code, output, errors };
}

function inDirectory(act: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "quorate-keygen-"));
  try {
    act(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("a key as the original makes it: texts, size, mode, and another one the next time", () =>
  inDirectory((directory) => {
    const file = join(directory, "authkey");
    const text = (bits: number, source: string) =>
      `Corosync Cluster Engine Authentication key generator.\nGathering ${bits} bits for key from ${source}.\nWriting corosync key to ${file}.\n`;
    expect(run([], file)).toEqual({ code: 0, output: text(2048, "/dev/urandom"), errors: "" });
    expect(statSync(file).mode & 0o777).toBe(0o400);
    const first = readFileSync(file);
    expect(first).toHaveLength(256);
    expect(run(["--size=1024", "foo", "--less"], file).output).toBe(text(8192, "/dev/urandom"));
    const second = readFileSync(file);
    expect(second).toHaveLength(1024);
    expect(second.subarray(0, 256).equals(first)).toBeFalse();
    const zeros = run(["-r", "/dev/zero", "-k", file, "-ls", "128"], "/nonexistent");
    expect(zeros).toEqual({ code: 0, output: text(1024, "/dev/zero"), errors: "" });
    expect(readFileSync(file).equals(Buffer.alloc(128))).toBeTrue();
  }));

test("a name that leads to the key keeps leading to it", () =>
  inDirectory((directory) => {
    const file = join(directory, "key");
    const link = join(directory, "authkey");
    writeFileSync(file, "old");
    chmodSync(file, 0o644);
    symlinkSync("key", link);
    expect(run([], link).code).toBe(0);
    expect(readlinkSync(link)).toBe("key");
    expect(readFileSync(file)).toHaveLength(256);
    expect(statSync(file).mode & 0o777).toBe(0o400);
  }));

test("what is refused, in the original's words, with nothing written", () =>
  inDirectory((directory) => {
    const file = join(directory, "authkey");
    const size = "corosync-keygen: Unsupported key size (supported <128,4096>)\n\n";
    for (const word of ["127", "4097", "x", "128x", "-5", ""]) {
      expect(run(["-s", word], file)).toEqual({ code: 1, output: "", errors: size });
    }
    const parsing = "Error parsing command line options.\n";
    const complaints: readonly (readonly [readonly string[], string])[] = [
      [["-Z"], "invalid option -- 'Z'"],
      [["-m", "x"], "invalid option -- 'm'"],
      [["-k"], "option requires an argument -- 'k'"],
      [["--key-file"], "option '--key-file' requires an argument"],
      [["--help=x"], "option '--help' doesn't allow an argument"],
      [["--foo"], "unrecognized option '--foo'"],
    ];
    for (const [args, complaint] of complaints) {
      const errors = `corosync-keygen: ${complaint}\n`;
      expect(run(args, file)).toEqual({ code: 1, output: parsing, errors });
    }
    expect(run(["-r", "/nonexistent"], file)).toMatchObject({
      code: 1,
      errors: "corosync-keygen: Failed to open random source: No such file or directory\n",
    });
    expect(run(["-r", "/dev/null"], file)).toMatchObject({
      code: 1,
      errors: "corosync-keygen: Could not read /dev/null: it ends after 0 of 256 bytes\n",
    });
    expect(run(["-k", directory], file)).toMatchObject({
      code: 2,
      errors: `corosync-keygen: Could not create ${directory}: Is a directory\n`,
    });
    expect(run(["-k", `${file}/x/y`], file)).toMatchObject({
      code: 2,
      errors: `corosync-keygen: Could not create ${file}/x/y: No such file or directory\n`,
    });
    expect(run(["--h"], file)).toMatchObject({ code: 0, errors: "" });
    expect(existsSync(file)).toBeFalse();
  }));
