// The builder: a program that uses the database addon and a Worker is one file that runs on every target this machine can
// run, in a directory tree that holds nothing else; the same source gives the same bytes.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../build/compile.ts";
import { readElf } from "../../build/elf.ts";
import { fileHash } from "../../build/runtimes.ts";
import { fileName, targets } from "../../build/targets.ts";
import { EmptyRoot, verify } from "../../build/verify.ts";

const entrypoints = ["main.ts", "thread.ts"].map((name) => join(import.meta.dir, "embed", name));
const directory = mkdtempSync(join(tmpdir(), "quorate-build-"));
afterAll(() => rmSync(directory, { recursive: true }));
const buildMsMax = 120_000;

function outfile(name: string): string {
  return join(directory, name);
}

describe.each([...targets])("$name", (target) => {
  const file = outfile(fileName(target));

  test(
    "runs from one file, database and Worker included",
    async () => {
      await compile({ target, entrypoints, outfile: file, commit: "c0ffee" });
      expect(readElf(file)?.arch).toBe(target.arch);
      // libgcc_s comes with every distribution; the addon asks for it.
      const root = EmptyRoot.make(file, target, target.libc === "glibc" ? ["libgcc_s.so.1"] : []);
      if (typeof root === "string") {
        if (process.env["QUORATE_CI"] === "1" && target.name !== "linux-arm64-musl")
          expect(root).toBe("runnable");
        console.log(`not run: ${target.name} ${root}`);
        return;
      }
      try {
        const { code, output, files } = root.run([]);
        const line = `${target.name} worker=84 codeGeneration=refused\n`;
        expect({ code, output }).toEqual({ code: 0, output: line });
        // The control of verify()'s "loads no database": here the addon is loaded, and seen.
        expect(files).toEqual([expect.stringMatching(/\.node$/)]);
      } finally {
        root.remove();
      }
    },
    buildMsMax,
  );
});

test(
  "the same source gives the same bytes",
  async () => {
    const target = targets[0]!;
    const [first, second] = [outfile("first"), outfile("second")];
    await compile({ target, entrypoints, outfile: first, commit: "c0ffee" });
    await compile({ target, entrypoints, outfile: second, commit: "c0ffee" });
    expect(fileHash(second)).toBe(fileHash(first));
    await compile({ target, entrypoints, outfile: second, commit: "beef" });
    expect(fileHash(second)).not.toBe(fileHash(first));
  },
  buildMsMax,
);

test(
  "verify() sees a file for another machine and a wrong version",
  async () => {
    const file = outfile("wrong");
    const target = targets.find((each) => each.name === "linux-arm64")!;
    await compile({ target: targets[0]!, entrypoints, outfile: file, commit: "c0ffee" });
    expect(verify(file, target, "quorate 1.0.0").find((check) => check.name === "machine")).toEqual(
      {
        name: "machine",
        outcome: "failed",
        reason: "x64 ld-linux-x86-64.so.2",
      },
    );
    if (process.getuid?.() !== 0) return;
    const outcomes = new Map(
      verify(file, targets[0]!, "quorate 1.0.0").map((check) => [check.name, check.outcome]),
    );
    expect(outcomes.get("runs in an empty root")).toBe("failed");
    expect(outcomes.get("--version loads no database")).toBe("failed");
  },
  buildMsMax,
);
