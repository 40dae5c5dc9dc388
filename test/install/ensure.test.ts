// The first step of every npm script, in a small project with a pretended npm: when it installs, when it does not, and
// that the pinned Bun runs although no install script ran.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const base = mkdtempSync(join(tmpdir(), "quorate-ensure-"));
afterAll(() => rmSync(base, { recursive: true }));

const platform = `@oven/bun-linux-${process.arch === "x64" ? "x64" : "aarch64"}`;
const lock = {
  packages: {
    "": { name: "example" },
    "node_modules/bun": { version: "1.0.0" },
    [`node_modules/${platform}`]: {
      version: "1.0.0",
      optional: true,
      os: ["linux"],
      libc: ["glibc"],
    },
    "node_modules/elsewhere": { version: "3.0.0", optional: true, os: ["plan9"] },
    "node_modules/left": { version: "2.0.0" },
  },
};

let project = "";
let count = 0;
beforeEach(() => {
  count += 1;
  project = join(base, String(count));
  put("package-lock.json", JSON.stringify(lock));
  mkdirSync(join(project, "build"));
  copyFileSync(
    join(import.meta.dir, "../../build/ensure.mjs"),
    join(project, "build", "ensure.mjs"),
  );
  put("bin/npm", npm, 0o755);
});

const npm = `#!/bin/sh
echo "$@" >>npm-calls
rm -rf node_modules
for name in bun "${platform}" left; do
  case $name in left) version=2.0.0 ;; *) version=1.0.0 ;; esac
  mkdir -p "node_modules/$name/bin"
  echo "{\\"version\\":\\"$version\\"}" >"node_modules/$name/package.json"
done
echo "run the install script first" >node_modules/bun/bin/bun.exe
ln -s "${process.execPath}" "node_modules/${platform}/bin/bun"
`;

function put(name: string, text: string, mode = 0o644): void {
  const file = join(project, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

function calls(): string[] {
  const file = join(project, "npm-calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

const runtimes = [
  { name: "Node", program: Bun.which("node") },
  { name: "Bun", program: process.execPath },
].filter(({ program }) => program !== null || process.env["QUORATE_CI"] === "1");

describe.each(runtimes)("under $name", ({ program }) => {
  function ensure(path: string, ...args: string[]): { code: number; out: string; err: string } {
    const result = Bun.spawnSync([program!, join(project, "build", "ensure.mjs"), ...args], {
      cwd: base,
      env: { PATH: path },
      stdout: "pipe",
      stderr: "pipe",
    });
    return {
      code: result.exitCode,
      out: result.stdout.toString().trim(),
      err: result.stderr.toString(),
    };
  }
  const path = (): string => `${join(project, "bin")}:/usr/bin:/bin`;

  test("installs what is missing, without install scripts, and runs the pinned Bun", () => {
    expect(ensure(path(), "--version")).toMatchObject({ code: 0, out: Bun.version });
    expect(calls()).toEqual([expect.stringMatching(/^ci .*--ignore-scripts/)]);
  });

  test("installs nothing when all is there, and again when a version is stale", () => {
    ensure(path());
    expect(ensure(path(), "-e", "process.exit(7)")).toEqual({ code: 7, out: "", err: "" });
    expect(calls()).toHaveLength(1);
    put("node_modules/left/package.json", '{"version":"1.9.9"}');
    const stale = ensure(path(), "--version");
    expect(stale).toMatchObject({ code: 0, err: expect.stringContaining("left@2.0.0") });
    expect(calls()).toHaveLength(2);
    put("node_modules/left/package.json", '{"vers');
    expect(ensure(path()).code).toBe(0);
    expect(calls()).toHaveLength(3);
  });

  test("ends with a sentence when the installation fails or leaves something out", () => {
    put("bin/npm", "#!/bin/sh\nexit 3\n", 0o755);
    expect(ensure(path())).toMatchObject({ code: 1, err: expect.stringContaining("ended with 3") });
    put("bin/npm", "#!/bin/sh\nexit 0\n", 0o755);
    expect(ensure(path())).toMatchObject({ code: 1, err: expect.stringContaining("left out") });
  });

  test("ends with a sentence when the packages bring no executable for this machine", () => {
    put("bin/npm", npm.replace(/^ln .*$/m, ""), 0o755);
    expect(ensure(path())).toMatchObject({ code: 1, err: expect.stringContaining("no Bun") });
  });

  test("ends with a sentence when there is no package client", () => {
    if (program === process.execPath) return; // Bun is one.
    expect(ensure("/nowhere")).toMatchObject({
      code: 1,
      err: expect.stringContaining("neither npm nor bun"),
    });
  });
});
