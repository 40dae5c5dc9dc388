// The foreign parts of a build: Bun's runtime and the database addon of each target, out of npm packages of exactly the
// pinned versions. A package that is not installed here is fetched by Bun's own package client, which knows the
// registry; the client checks the package's integrity, we check the file's SHA-256 each time it is used.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import pinned from "./runtimes.json" with { type: "json" };

interface Part {
  readonly version: string;
  /** Of the package, as the registry states it. */
  readonly integrity: string;
  /** The one file we take out of it, and its hash. */
  readonly file: string;
  readonly sha256: string;
}

const parts: Readonly<Record<string, Part>> = pinned;
const root = join(import.meta.dir, "..");

/** Path of the file that `name` carries; fetches the package when no right copy of it is on this machine. */
export function runtimeFile(name: string): string {
  const part = parts[name];
  if (part === undefined) throw new Error(`build/runtimes.json does not list ${name}`);
  if (name.startsWith("@oven/") && part.version !== Bun.version) {
    throw new Error(
      `build/runtimes.json pins ${name} ${part.version}, but package.json pins Bun ${Bun.version}`,
    );
  }
  // Inside the project, so that no path of this machine becomes part of the bytes.
  const cache = join(
    root,
    "node_modules",
    ".cache",
    "runtimes",
    `${name.replace("/", "+")}@${part.version}`,
  );
  const cached = join(cache, "node_modules", name, part.file);
  if (hasHash(cached, part.sha256)) return cached;
  const installed = [join(root, "node_modules", name, part.file), process.execPath];
  const source = installed.find((file) => hasHash(file, part.sha256));
  // Always used from the same place: the path of an embedded file may become part of the bytes.
  if (source === undefined) fetchPackage(cache, name, part);
  else adopt(source, cached);
  if (hasHash(cached, part.sha256)) return cached;
  throw new Error(`${cached} has not the SHA-256 that build/runtimes.json states; it was not used`);
}

function hasHash(file: string, sha256: string): boolean {
  return existsSync(file) && fileHash(file) === sha256;
}

/** SHA-256 of a file, hexadecimal. */
export function fileHash(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function adopt(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, `${target}.new`);
  renameSync(`${target}.new`, target);
}

function fetchPackage(directory: string, name: string, part: Part): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const workspace = { name: "runtime", dependencies: { [name]: part.version } };
  writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true, ...workspace }));
  const lock = {
    lockfileVersion: 1,
    workspaces: { "": workspace },
    // No os and no cpu: the package is wanted although it is for another machine.
    packages: { [name]: [`${name}@${part.version}`, "", {}, part.integrity] },
  };
  writeFileSync(join(directory, "bun.lock"), JSON.stringify(lock));
  process.stdout.write(`Fetching ${name}@${part.version} …\n`);
  const result = Bun.spawnSync(
    [process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"],
    { cwd: directory, stdout: "ignore", stderr: "pipe" },
  );
  if (result.exitCode === 0) return;
  throw new Error(`fetching ${name}@${part.version} failed:\n${result.stderr.toString().trim()}`);
}
