// What every executable must show before it may be given away: it is for the machine its name says, small enough, runs
// in an empty root with nothing but libc, says what it is, and loads no database for verbs that need none.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type Elf, readElf } from "./elf.ts";
import type { Target } from "./targets.ts";

/** engineering.md §12. */
const fileBytesMax = 125_000_000;
const runMsMax = 60_000;

/** Verbs that must answer without loading the addon, as arguments. */
const lightCommands: readonly (readonly string[])[] = [
  ["--version"],
  ["--help"],
  ["status", "--help"],
];

export interface Check {
  readonly name: string;
  /** "skipped": something is not installed here. "impossible": no package can bring what it needs. */
  readonly outcome: "passed" | "failed" | "skipped" | "impossible";
  /** Why, unless it passed. */
  readonly reason: string;
}

/** Checks one built file; `expected` is the line `--version` must print. */
export function verify(file: string, target: Target, expected: string): Check[] {
  const checks: Check[] = [machine(readElf(file), target), size(file)];
  const machineRoot = EmptyRoot.make(file, target);
  if (typeof machineRoot === "string") {
    const outcome = isRunnable(target) ? "skipped" : "impossible";
    return [...checks, { name: "runs in an empty root", outcome, reason: machineRoot }];
  }
  try {
    const version = machineRoot.run(["--version"]);
    checks.push(compared("runs in an empty root", version.output.trim(), expected));
    for (const command of lightCommands) {
      const { code, files } = machineRoot.run(command);
      checks.push(
        compared(`${command.join(" ")} loads no database`, `${code} [${files.join(" ")}]`, "0 []"),
      );
    }
  } finally {
    machineRoot.remove();
  }
  return checks;
}

/** Debian packages a musl loader for a machine's own processor only. */
function isRunnable(target: Target): boolean {
  return target.libc === "glibc" || target.arch === process.arch;
}

function machine(elf: Elf | undefined, target: Target): Check {
  const loader = target.libc === "musl" ? "ld-musl" : "ld-linux";
  const got = elf === undefined ? "no ELF file" : `${elf.arch} ${basename(elf.loader)}`;
  const right = elf?.arch === target.arch && basename(elf.loader).startsWith(loader);
  return { name: "machine", outcome: right ? "passed" : "failed", reason: right ? "" : got };
}

function size(file: string): Check {
  const { size: bytes } = statSync(file);
  if (bytes <= fileBytesMax) return { name: "size", outcome: "passed", reason: "" };
  return { name: "size", outcome: "failed", reason: `${bytes} bytes, limit ${fileBytesMax}` };
}

function compared(name: string, got: string, expected: string): Check {
  if (got === expected) return { name, outcome: "passed", reason: "" };
  return { name, outcome: "failed", reason: `expected "${expected}", got "${got}"` };
}

interface Run {
  readonly code: number;
  readonly output: string;
  /** What the run left in its temporary directory: an embedded addon is written there before it is loaded. */
  readonly files: readonly string[];
}

/** A directory tree with one executable, its loader and its libraries, entered by chroot(8) with /proc mounted. */
export class EmptyRoot {
  readonly #directory: string;
  readonly #command: readonly string[];

  private constructor(directory: string, command: readonly string[]) {
    this.#directory = directory;
    this.#command = command;
  }

  /** A sentence instead of a root when this machine cannot make one. `more`: libraries beyond libc. */
  static make(file: string, target: Target, more: readonly string[] = []): EmptyRoot | string {
    if (process.getuid?.() !== 0) return "needs root for chroot";
    const loader = readElf(file)?.loader ?? "";
    const libraries = librariesOf(target, loader);
    if (typeof libraries === "string") return libraries;
    const native = process.arch === target.arch;
    if (!native && !existsSync(emulator)) return `needs ${emulator} (package qemu-user-static)`;
    const directory = mkdtempSync(join(tmpdir(), "quorate-root-"));
    const add = (source: string, place: string): void => {
      mkdirSync(dirname(join(directory, place)), { recursive: true });
      copyFileSync(source, join(directory, place));
      chmodSync(join(directory, place), 0o755);
    };
    mkdirSync(join(directory, "proc"));
    add(file, "/quorate");
    add(join(libraries.from, libraries.loader), loader);
    for (const name of [...libraries.names, ...more]) {
      const source = [libraries.from, ...libraries.beside]
        .map((folder) => join(folder, name))
        .find(existsSync);
      if (source === undefined) {
        rmSync(directory, { recursive: true });
        return `needs ${name}, which is not in ${[libraries.from, ...libraries.beside].join(" or ")}`;
      }
      add(source, join("/lib", name));
    }
    if (!native) add(emulator, "/emulator");
    return new EmptyRoot(directory, native ? ["/quorate"] : ["/emulator", "/quorate"]);
  }

  run(args: readonly string[]): Run {
    const temporary = join(this.#directory, "tmp");
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary);
    const inside = ["sh", "-euc", enterRoot, "sh", this.#directory, ...this.#command, ...args];
    const result = Bun.spawnSync(["unshare", "--mount", ...inside], {
      env: { PATH: systemPath, TMPDIR: "/tmp", LD_LIBRARY_PATH: "/lib" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: runMsMax,
    });
    const output = result.exitCode === 0 ? result.stdout : result.stderr;
    return { code: result.exitCode, output: output.toString(), files: readdirSync(temporary) };
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

// glibc finds the main thread's stack in /proc. The mount lives in a namespace of its own and ends with the program.
const enterRoot = 'mount -t proc proc "$1/proc"; exec chroot "$@"';
const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";
const emulator = "/usr/bin/qemu-aarch64-static";

interface Libraries {
  /** Where this machine keeps them, and further places. */
  readonly from: string;
  readonly beside: readonly string[];
  readonly loader: string;
  readonly names: readonly string[];
}

function librariesOf(target: Target, loader: string): Libraries | string {
  if (target.libc === "musl") return muslLibraries(target);
  const here = target.arch === process.arch;
  const triple = target.arch === "x64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  const from = here ? `/lib/${triple}` : `/usr/${triple}/lib`;
  if (!existsSync(join(from, basename(loader)))) {
    return `needs an ${target.arch} libc in ${from}${here ? "" : " (package libc6-arm64-cross)"}`;
  }
  const names = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"];
  return { from, beside: [], loader: basename(loader), names };
}

/** Debian has musl but no C++ library for it; build/musl-bridge.c lets its glibc one stand in. */
function muslLibraries(target: Target): Libraries | string {
  if (target.arch !== process.arch)
    return `no ${target.arch} musl loader is packaged for this machine`;
  const from = target.arch === "x64" ? "/usr/lib/x86_64-linux-musl" : "/usr/lib/aarch64-linux-musl";
  const triple = target.arch === "x64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  if (!existsSync(join(from, "libc.so"))) return "needs a musl loader (package musl)";
  const bridge = muslBridge();
  if (bridge === undefined) return "needs musl-gcc for build/musl-bridge.c (package musl-tools)";
  return {
    from,
    beside: [dirname(bridge), `/lib/${triple}`, `/usr/lib/${triple}`],
    loader: "libc.so",
    names: ["libstdc++.so.6", "libgcc_s.so.1", basename(bridge)],
  };
}

/** Compiles the bridge under the name of the glibc loader, which Debian's libstdc++ asks for. */
function muslBridge(): string | undefined {
  if (Bun.which("musl-gcc") === null) return undefined;
  const directory = join(import.meta.dir, "..", "node_modules", ".cache", "musl-bridge");
  const file = join(
    directory,
    process.arch === "x64" ? "ld-linux-x86-64.so.2" : "ld-linux-aarch64.so.1",
  );
  mkdirSync(directory, { recursive: true });
  const source = join(import.meta.dir, "musl-bridge.c");
  const result = Bun.spawnSync(["musl-gcc", "-shared", "-fPIC", "-O1", "-o", file, source], {
    stdout: "ignore",
    stderr: "inherit",
  });
  return result.exitCode === 0 ? file : undefined;
}
