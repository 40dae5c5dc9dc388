// One checked executable for one target, as build.ts and release.ts make it, and what both must know first: the targets
// asked for, this machine's own, the commit.
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { versionLine } from "../src/shell/version.ts";
import { compile } from "./compile.ts";
import { readElf } from "./elf.ts";
import { fileHash } from "./runtimes.ts";
import { fileName, type Target, targets } from "./targets.ts";
import { type Check, verify } from "./verify.ts";

export const root = join(import.meta.dir, "..");
const entrypoints = [
  "src/main.ts",
  "src/node/thread/thread.ts",
  "src/shell/access/password-worker.ts",
].map((file) => join(root, file));
const mayNotSkip = process.env["QUORATE_CI"] === "1";

/** What is compiled into an executable beside its source. */
export interface Stamp {
  readonly version: string;
  readonly commit: string;
  readonly isDevelopment: boolean;
  /** Public keys, base64. */
  readonly keys: readonly string[];
}

export interface Count {
  passed: number;
  failed: number;
}

/** Builds and checks `directory`/quorate-TARGET, tells how it went, adds to `count`. `isTwice`: compares a second build. */
export async function makeExecutable(
  target: Target,
  directory: string,
  stamp: Stamp,
  options: { readonly isTwice: boolean; readonly count: Count },
): Promise<void> {
  const file = join(directory, fileName(target));
  const started = performance.now();
  await compile({ target, entrypoints, outfile: file, ...stamp });
  const line = versionLine({ ...stamp, target: target.name, bun: Bun.version });
  const checks = verify(file, target, line);
  if (options.isTwice) checks.push(await sameBytes(file, target, stamp));
  report(target, file, checks, performance.now() - started);
  for (const check of checks) {
    if (isFailure(check)) options.count.failed += 1;
    else if (check.outcome === "passed") options.count.passed += 1;
  }
}

/** The targets of these names, all when there are none. Throws a sentence about an unknown one. */
export function targetsOf(names: readonly string[]): readonly Target[] {
  if (names.length === 0) return targets;
  return names.map((name) => {
    const target = targets.find((each) => each.name === name);
    if (target !== undefined) return target;
    throw new Error(`no target ${name}; there are ${targets.map((each) => each.name).join(", ")}`);
  });
}

/** The target whose processor and libc are those of the Bun that runs us. */
export function thisMachine(): Target {
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
export function commitId(): string {
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

async function sameBytes(file: string, target: Target, stamp: Stamp): Promise<Check> {
  const again = `${file}.again`;
  try {
    await compile({ target, entrypoints, outfile: again, ...stamp });
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
