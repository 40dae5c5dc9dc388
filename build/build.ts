// The one builder: `bun build/build.ts [--here] [--twice] [--out DIR] [TARGET…]` makes dist/quorate-* for all targets (or
// for this machine, or the named ones), checks each and writes SHA256SUMS. Ends with "N passed, N failed".
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json" with { type: "json" };
import { compile } from "./compile.ts";
import { readElf } from "./elf.ts";
import { fileHash } from "./runtimes.ts";
import { fileName, type Target, targets } from "./targets.ts";
import { type Check, verify } from "./verify.ts";

const root = join(import.meta.dir, "..");
const entrypoints = ["src/main.ts", "src/node/thread.ts"].map((file) => join(root, file));
const mayNotSkip = process.env["QUORATE_CI"] === "1";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      here: { type: "boolean", default: false },
      twice: { type: "boolean", default: false },
      out: { type: "string", default: join(root, "dist") },
    },
  });
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  const commit = commitId();
  const count = { passed: 0, failed: 0 };
  for (const target of chosen(values.here, positionals)) {
    const file = join(out, fileName(target));
    const started = performance.now();
    await compile({ target, entrypoints, outfile: file, commit });
    const line = `quorate ${version} (commit ${commit}, target ${target.name}, Bun ${Bun.version})`;
    const checks = verify(file, target, line);
    if (values.twice) checks.push(await sameBytes(file, target, commit));
    report(target, file, checks, performance.now() - started);
    for (const check of checks) {
      if (isFailure(check)) count.failed += 1;
      else if (check.outcome === "passed") count.passed += 1;
    }
  }
  writeSums(out);
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 ? 0 : 1;
}

function chosen(here: boolean, names: readonly string[]): readonly Target[] {
  if (here) return [thisMachine()];
  if (names.length === 0) return targets;
  return names.map((name) => {
    const target = targets.find((each) => each.name === name);
    if (target !== undefined) return target;
    throw new Error(`no target ${name}; there are ${targets.map((each) => each.name).join(", ")}`);
  });
}

/** The target whose processor and libc are those of the Bun that runs us. */
function thisMachine(): Target {
  const elf = process.platform === "linux" ? readElf(process.execPath) : undefined;
  const libc = elf?.loader.includes("musl") === true ? "musl" : "glibc";
  const target = targets.find((each) => each.arch === elf?.arch && each.libc === libc);
  if (target !== undefined) return target;
  throw new Error(
    `quorate runs on Linux x64 and arm64; this machine is ${process.platform} ${process.arch}. ` +
      "Name a target to build for another machine: npm run build -- linux-x64",
  );
}

/** Short id of the commit, "-dirty" when tracked files differ from it, "unknown" outside a repository. */
function commitId(): string {
  const git = (...args: string[]): string | undefined => {
    if (Bun.which("git") === null) return undefined;
    const result = Bun.spawnSync(["git", "-C", root, ...args], {
      stdout: "pipe",
      stderr: "ignore",
    });
    return result.exitCode === 0 ? result.stdout.toString().trim() : undefined;
  };
  const id = git("rev-parse", "--short=12", "HEAD");
  if (id === undefined || id === "") return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? id : `${id}-dirty`;
}

async function sameBytes(file: string, target: Target, commit: string): Promise<Check> {
  const again = `${file}.again`;
  try {
    await compile({ target, entrypoints, outfile: again, commit });
    const same = fileHash(again) === fileHash(file);
    const reason = same ? "" : "a second build of the same source has other bytes";
    return { name: "same bytes twice", outcome: same ? "passed" : "failed", reason };
  } finally {
    rmSync(again, { force: true });
  }
}

function report(target: Target, file: string, checks: readonly Check[], ms: number): void {
  const megabytes = (statSync(file).size / 1e6).toFixed(1);
  process.stdout.write(`${target.name.padEnd(18)} ${megabytes} MB  ${(ms / 1000).toFixed(1)} s\n`);
  for (const { name, outcome, reason } of checks) {
    process.stdout.write(`  ${outcome.padEnd(10)} ${name}${reason === "" ? "" : `: ${reason}`}\n`);
  }
}

/** Where everything was to be installed, a skipped check is a failure. */
function isFailure(check: Check): boolean {
  return check.outcome === "failed" || (check.outcome === "skipped" && mayNotSkip);
}

/** In the form of sha256sum(1), of every executable in the directory: install.sh checks against it. */
function writeSums(directory: string): void {
  const files = readdirSync(directory).filter((name) => /^quorate-[a-z0-9-]+$/.test(name));
  const lines = files.toSorted().map((name) => `${fileHash(join(directory, name))}  ${name}\n`);
  writeFileSync(join(directory, "SHA256SUMS"), lines.join(""));
}

try {
  process.exitCode = await main();
} catch (error) {
  // What is thrown above is a sentence for the person who builds; anything else shows its place.
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
