// Runs a command as an ordinary user in a copy of the project that belongs to that user: `bun build/ordinary-user.ts
// COMMAND…`. For CI, which is root: what a person without root meets must work too. Needs root to become somebody else.
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Debian's user `nobody`. */
const userId = 65_534;
const root = join(import.meta.dir, "..");
const notCopied = new Set([".git", "dist", "demo"]);

function main(command: readonly string[]): number {
  if (process.getuid?.() !== 0) {
    process.stderr.write("ordinary-user: not root already; run the command itself\n");
    return 2;
  }
  const home = mkdtempSync(join(tmpdir(), "quorate-user-"));
  const copy = join(home, "quorate");
  try {
    for (const name of readdirSync(root)) {
      if (notCopied.has(name)) continue;
      cpSync(join(root, name), join(copy, name), { recursive: true, verbatimSymlinks: true });
    }
    run(["chown", "-R", `${userId}:${userId}`, home], "/");
    const ids = [`--reuid=${userId}`, `--regid=${userId}`, "--clear-groups"];
    // Without root some checks cannot be made; that they say so is right there.
    const environment = ["env", "-u", "QUORATE_CI", `HOME=${home}`];
    return run(["setpriv", ...ids, "--", ...environment, ...command], copy);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function run(command: string[], cwd: string): number {
  const { exitCode } = Bun.spawnSync(command, { cwd, stdio: ["ignore", "inherit", "inherit"] });
  return exitCode;
}

process.exitCode = main(process.argv.slice(2));
