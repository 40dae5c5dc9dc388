// install.sh with real executables in machines to throw away: `bun test/install/roots.ts [--release DIR] [NAME…]`. Each scenario is one
// machine: what is installed runs, says so in its closing lines, a second run changes nothing, and what is removed leaves no trace.
// Without --release it makes a development release first. Ends with "N passed, N failed".
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { targets } from "../../build/targets.ts";
import { bootedScenarios, restartScenarios } from "./booted-scenarios.ts";
import { bootFault } from "./root-boot.ts";
import { requirements, scenarios } from "./root-scenarios.ts";

const project = join(import.meta.dir, "..", "..");

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { release: { type: "string" } },
  });
  if (process.getuid?.() !== 0) {
    process.stdout.write("skipped: needs root for namespaces\n");
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), "quorate-roots-"));
  const count = { passed: 0, failed: 0 };
  try {
    const release = published(values.release ?? (await build(directory)), directory);
    const noBoot = await bootFault();
    if (noBoot !== undefined) {
      const names = Object.keys(bootedScenarios).join(", ");
      process.stdout.write(`not played: ${names}: this machine boots no systemd: ${noBoot}\n`);
    }
    const all = {
      ...scenarios,
      ...restartScenarios,
      ...(noBoot === undefined ? bootedScenarios : {}),
    };
    for (const [name, scenario] of Object.entries(all)) {
      if (positionals.length > 0 && !positionals.includes(name)) continue;
      const [program = "sh", packageName = ""] = requirements[name] ?? [];
      if (Bun.which(program) === null) {
        if (process.env["QUORATE_CI"] === "1") count.failed += 1;
        process.stdout.write(`not played: ${name} needs ${program} (package ${packageName})\n`);
        continue;
      }
      const begun = performance.now();
      try {
        await scenario(release);
        count.passed += 1;
        process.stdout.write(`passed ${name} ${Math.round(performance.now() - begun)} ms\n`);
      } catch (error) {
        count.failed += 1;
        process.stdout.write(
          `FAIL  ${name}: ${error instanceof Error ? error.stack : String(error)}\n`,
        );
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 ? 0 : 1;
}

/** Both C libraries of this processor, and arm64. Compressed badly but at once. */
async function build(directory: string): Promise<string> {
  const out = join(directory, "made");
  const words = [
    "--development",
    "--fast",
    "--executables",
    join(directory, "executables"),
    "--out",
    out,
  ];
  const own = ["", "-baseline", "-musl"].map((end) => `linux-${process.arch}${end}`);
  const wanted = new Set([...own, "linux-arm64"]);
  const only = targets.map(({ name }) => name).filter((name) => wanted.has(name));
  const child = Bun.spawn([process.execPath, "build/release.ts", ...words, "--only", ...only], {
    cwd: project,
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`no release: ${said}`);
  return out;
}

/** A copy whose install.sh knows the address of the scenarios' mirror, as that of a published release does. */
function published(release: string, directory: string): string {
  const copy = join(directory, "release");
  cpSync(release, copy, { recursive: true });
  const script = join(copy, "install.sh");
  const text = readFileSync(script, "utf8").replace(/^base='.*'$/m, "base='http://127.0.0.1:8080'");
  writeFileSync(script, text);
  return copy;
}

process.exitCode = await main();
