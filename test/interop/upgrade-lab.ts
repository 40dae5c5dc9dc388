// What upgrades in a laboratory need: two versions of the executable that are built here and trust one key, releases of them and of programs
// that do not work, and a machine whose service is run by the script that `quorate unit … --rc` prints.
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../../build/compile.ts";
import { makeRelease } from "../../build/release-files.ts";
import { newSeed, readSigner } from "../../build/signer.ts";
import { fileName, type Target } from "../../build/targets.ts";
import type { Role } from "../../src/shell/upgrade/events.ts";
import { unitText } from "../../src/shell/unit/unit-text.ts";
import { scriptTemplate } from "../release/signed-release.ts";
import type { Finished, LabNode } from "./lab.ts";

const project = join(import.meta.dir, "../..");
const entrypoints = ["src/main.ts", "src/node/thread/thread.ts"].map((file) => join(project, file));
const commit = "0123456789ab";

export const oldVersion = "0.1.0";
export const newVersion = "0.1.1";

/** Programs that pass their self-test and then do not work. */
const broken = {
  crashing: { version: "0.1.2", serve: "exit 1" },
  hanging: { version: "0.1.3", serve: "exec sleep 1000" },
} as const;

export interface Releases {
  readonly old: string;
  readonly new: string;
  readonly crashing: string;
  readonly hanging: string;
  /** The executable of the old version, to be installed. */
  readonly oldFile: string;
}

/** Builds into `directory`. */
export async function makeReleases(directory: string, target: Target): Promise<Releases> {
  const signer = readSigner(newSeed());
  const keys = [signer.publicKey];
  const release = async (name: string, version: string): Promise<string> => {
    const out = join(directory, name);
    await makeRelease({
      executables: join(directory, `${name}-executables`),
      ...{ out, targets: [target], version, commit, keys, signer, isFast: true },
      isDevelopment: false,
      base: "https://example.org/quorate",
      installScript: scriptTemplate,
    });
    return out;
  };
  const file = (name: string): string => {
    mkdirSync(join(directory, `${name}-executables`), { recursive: true });
    return join(directory, `${name}-executables`, fileName(target));
  };
  for (const [name, version] of [
    ["old", oldVersion],
    ["new", newVersion],
  ] as const) {
    const stamp = { version, commit, isDevelopment: false, keys };
    await compile({ target, entrypoints, outfile: file(name), ...stamp });
  }
  for (const [name, { version, serve }] of Object.entries(broken)) {
    const said = `quorate ${version} (commit ${commit}, target ${target.name})`;
    const text = `#!/bin/sh\ncase $1 in\n--version) echo "${said}" ;;\ndoctor) ;;\n*) ${serve} ;;\nesac\n`;
    writeFileSync(file(name), text);
  }
  return {
    old: await release("old", oldVersion),
    new: await release("new", newVersion),
    crashing: await release("crashing", broken.crashing.version),
    hanging: await release("hanging", broken.hanging.version),
    oldFile: file("old"),
  };
}

/** A machine of a laboratory with quorate installed as a service. */
export class InstalledMachine {
  readonly machine: LabNode;
  readonly bin: string;
  readonly #script: string;

  constructor(machine: LabNode, role: Role, file: string) {
    this.machine = machine;
    const { root } = machine;
    this.bin = join(root, "bin/quorate");
    this.#script = join(root, `etc/init.d/quorate-${role}`);
    for (const part of ["bin", "etc/init.d", "etc/pve", "var/lib/quorate", "var/log"]) {
      mkdirSync(join(root, part), { recursive: true });
    }
    // What the machine sees as /run is <root>/run: so do the original's tools.
    symlinkSync("../run", join(root, "var/run"));
    copyFileSync(file, this.bin);
    chmodSync(this.bin, 0o755);
    const unit = unitText({ service: role, form: "rc", bin: this.bin, root, isUser: false });
    if ("reason" in unit) throw new Error(unit.reason);
    writeFileSync(this.#script, unit.text, { mode: 0o755 });
  }

  async service(word: "start" | "stop" | "status"): Promise<number | undefined> {
    const { code } = await this.machine.exec([this.#script, word], { deadlineMs: 90_000 });
    return code;
  }

  /** `quorate upgrade`, waited for to its end. */
  upgrade(...words: readonly string[]): Promise<Finished> {
    const { root } = this.machine;
    return this.machine.exec([this.bin, "upgrade", "--root", root, ...words], {
      deadlineMs: 280_000,
    });
  }

  /** Of the installed file. */
  async version(): Promise<string> {
    const { stdout } = await this.machine.exec([this.bin, "--version"]);
    return /^quorate (\S+)/.exec(stdout)?.[1] ?? "";
  }
}
