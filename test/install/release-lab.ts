// A small release for the tests of install.sh: the real release builder around programs that are shell scripts, and the shells and
// machines in which the installer is run. What the scripts answer is in `program`.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeRelease } from "../../build/release-files.ts";
import { newSeed, readSigner, type Signer } from "../../build/signer.ts";
import { fileName, targets } from "../../build/targets.ts";

export const sourceScript = join(import.meta.dir, "..", "..", "install.sh");

export interface TestRelease {
  readonly directory: string;
  /** The release's own install.sh. */
  readonly script: string;
  readonly signer: Signer;
}

export interface ReleaseWords {
  readonly version?: string;
  readonly base?: string;
  /** What the programs do; $1 is the verb. */
  readonly program?: (target: string, version: string) => string;
  /** Keys in install.sh, when not the signer's. */
  readonly keys?: readonly string[];
}

/** Answers --version, verifies as the environment says, and tells with what words it was called to install. */
export function program(target: string, version: string): string {
  return `#!/bin/sh
case $1 in
--version) echo "quorate ${version} ${target}" ;;
verify) exit "\${FAKE_VERIFY:-0}" ;;
install) case " $* " in *" --check "*) exit "\${FAKE_CHECK:-0}" ;; esac; echo "called: $*" ;;
uninstall) echo "called: $*"; exit "\${FAKE_UNINSTALL:-0}" ;;
esac
`;
}

/** Programs for all targets in `executables`, and a signed release of them in `directory`. */
export async function testRelease(
  directory: string,
  words: ReleaseWords = {},
): Promise<TestRelease> {
  const version = words.version ?? "1.0.0";
  const executables = join(directory, "..", "executables");
  mkdirSync(executables, { recursive: true });
  for (const target of targets) {
    put(
      join(executables, fileName(target)),
      (words.program ?? program)(target.name, version),
      0o755,
    );
  }
  const signer = readSigner(newSeed());
  await makeRelease({
    executables,
    out: directory,
    targets,
    version,
    commit: "c0ffee00",
    isDevelopment: false,
    keys: words.keys ?? [signer.publicKey],
    signer,
    base: words.base ?? "",
    installScript: readFileSync(sourceScript, "utf8"),
    isFast: true,
  });
  return { directory, script: join(directory, "install.sh"), signer };
}

export function put(file: string, text: string | Uint8Array, mode = 0o644): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function execute(
  command: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string } = {},
): Promise<Outcome> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", ...options.env },
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, out, err };
}

/** Each that is here; in CI all must be. By their paths: a test may take the others away. */
export const shells: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  ["dash"],
  ["bash"],
  ["busybox", "ash"],
].flatMap(([name = "", ...words]) => {
  const place = Bun.which(name) ?? (process.env["QUORATE_CI"] === "1" ? name : undefined);
  return place === undefined ? [] : [{ name, command: [place, ...words] }];
});

/** What install.sh may call on a machine that has nothing more. */
export const plainTools: readonly string[] = [
  ...[
    "sh",
    "uname",
    "od",
    "tr",
    "getconf",
    "grep",
    "id",
    "mkdir",
    "rmdir",
    "mktemp",
    "awk",
    "cut",
    "cp",
    "sed",
  ],
  ...[
    "rm",
    "chmod",
    "mv",
    "ln",
    "sync",
    "readlink",
    "sha256sum",
    "cat",
    "head",
    "tail",
    "sleep",
    "df",
    "sort",
    "gzip",
  ],
  ...["wc", "tar"],
];
