// A machine for `quorate upgrade` in a directory: an installed program, releases signed by a key made here, and a service that an init script
// runs. The programs are shell scripts: what they say of themselves is their own, the rescuer and the rest are the sources'.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRelease } from "../../build/release-files.ts";
import { newSeed, readSigner, type Signer } from "../../build/signer.ts";
import { type Target, targets } from "../../build/targets.ts";
import type { UpgradeOptions } from "../../src/shell/command/upgrade.ts";
import { scriptTemplate } from "../release/signed-release.ts";

const main = join(import.meta.dir, "../../src/main.ts");
export const target: Target = targets[0]!;

/** A program that says it is this version; `doctor`: the exit code of its self-test. */
export function program(version: string, { doctor = 0 } = {}): string {
  return `#!/bin/sh
case $1 in
--version) echo "quorate ${version} (commit source, target ${target.name})" ;;
doctor) echo "self-test of ${version}"; exit ${doctor} ;;
*) exec "${process.execPath}" "${main}" "$@" ;;
esac
`;
}

export const signer: Signer = readSigner(newSeed());

/** A release directory that has this program for every target. */
export async function release(
  directory: string,
  version: string,
  { text = program(version), by = signer, into = "release" } = {},
): Promise<string> {
  const executables = join(directory, "executables");
  mkdirSync(executables, { recursive: true });
  writeFileSync(join(executables, `quorate-${target.name}`), text);
  const out = join(directory, into);
  await makeRelease({
    executables,
    out,
    targets: [target],
    version,
    commit: "0123456789ab",
    isDevelopment: false,
    keys: [by.publicKey],
    signer: by,
    base: "https://example.org/quorate",
    installScript: scriptTemplate,
    isFast: true,
  });
  copyFileSync(join(executables, `quorate-${target.name}`), join(directory, `${version}.program`));
  rmSync(executables, { recursive: true });
  return out;
}

export class UpgradeMachineFixture {
  readonly root: string;
  readonly bin: string;
  /** All that was said. */
  said = "";

  constructor(root: string, version: string) {
    this.root = root;
    this.bin = join(root, "bin/quorate");
    mkdirSync(join(root, "bin"), { recursive: true });
    writeFileSync(this.bin, program(version), { mode: 0o755 });
  }

  options(more: Partial<UpgradeOptions> = {}): UpgradeOptions {
    const say = (text: string): void => {
      this.said += text;
    };
    return {
      root: this.root,
      bin: undefined,
      self: this.bin,
      check: false,
      from: undefined,
      url: undefined,
      to: undefined,
      downgrade: false,
      force: false,
      isRestarting: true,
      isWaiting: true,
      healthySeconds: 1,
      patienceSeconds: 10,
      keys: [],
      releaseKeys: [signer.publicKey],
      version: this.version(),
      target: target.name,
      manager: undefined,
      write: say,
      note: say,
      ...more,
    };
  }

  /** Of the installed program, as it says itself. */
  version(): string {
    const done = Bun.spawnSync([this.bin, "--version"], { stdout: "pipe" });
    return /^quorate (\S+)/.exec(done.stdout.toString())?.[1] ?? "";
  }

  content(): string {
    return readFileSync(this.bin, "utf8");
  }
}
