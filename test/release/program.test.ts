// `npm run release` as a person runs it, with one real executable: the same bytes twice, what the program says of itself,
// what it refuses, and a download of everything from its mirror.
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisMachine } from "../../build/executable.ts";
import { fileHash } from "../../build/runtimes.ts";
import { newSeed, readSigner } from "../../build/signer.ts";
import { fileName } from "../../build/targets.ts";
import { verifyRelease } from "../../src/shell/release/verify.ts";

const program = join(import.meta.dir, "..", "..", "build", "release.ts");
const base = mkdtempSync(join(tmpdir(), "quorate-release-program-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const target = thisMachine();
const name = fileName(target);
const seed = newSeed();
const buildMsMax = 180_000;

function start(args: readonly string[], releaseKey: string | undefined) {
  return Bun.spawn([process.execPath, program, ...args], {
    env: {
      PATH: process.env["PATH"],
      ...(releaseKey === undefined ? {} : { QUORATE_RELEASE_KEY: releaseKey }),
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function release(
  args: readonly string[],
  releaseKey: string | undefined = seed,
): Promise<{ code: number; out: string; err: string }> {
  const child = start(args, releaseKey);
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

function places(folder: string): string[] {
  const out = ["--out", join(base, folder, "release")];
  return [...out, "--executables", join(base, folder, "executables")];
}

const quick = ["--fast", "--development", "--only", target.name];

test(
  "the same commit and key give the same bytes, and the program says that it is a development release",
  async () => {
    for (const folder of ["first", "second"]) {
      const { code, out, err } = await release([...quick, ...places(folder)]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toContain("DEVELOPMENT release");
      expect(out).not.toContain(seed);
      expect(out.trim().split("\n").at(-1)).toMatch(/^\d+ passed, 0 failed$/);
    }
    const [first, second] = ["first", "second"].map((folder) => join(base, folder, "release"));
    const hashes = (directory = ""): string[] =>
      readdirSync(directory)
        .toSorted()
        .map((file) => `${file} ${fileHash(join(directory, file))}`);
    expect(hashes(first)).toEqual(hashes(second));
    const executable = join(base, "first", "executables", name);
    expect(fileHash(executable)).toBe(fileHash(join(base, "second", "executables", name)));
    const said = Bun.spawnSync([executable, "--version"], { stdout: "pipe" }).stdout.toString();
    expect(said).toMatch(
      /^quorate \d+\.\d+\.\d+-dev\+\S+ \(commit \S+, target \S+, Bun \S+, development\)\n$/,
    );
    const bytes = readFileSync(executable);
    expect(bytes.includes(readSigner(seed).publicKey)).toBe(true);
    expect(bytes.includes(seed)).toBe(false);
  },
  buildMsMax,
);

test(
  "--skip-build takes executables of this key only",
  async () => {
    const again = ["--skip-build", ...quick, ...places("first")];
    const good = await release(again);
    expect({ code: good.code, err: good.err }).toEqual({ code: 0, err: "" });
    const other = await release(again, newSeed());
    expect(other.code).toBe(1);
    expect(other.err).toContain("was not built as this release");
  },
  buildMsMax,
);

test(
  "--serve carries its address in install.sh, serves a release that verifies, and ends with a signal",
  async () => {
    const options = [...quick, ...places("first")];
    const child = start(["--skip-build", ...options, "--serve", "0"], seed);
    try {
      const url = await addressOf(child.stdout);
      const get = async (file: string): Promise<Uint8Array> =>
        new Uint8Array(await (await fetch(`${url}/${file}`)).arrayBuffer());
      expect(Buffer.from(await get("install.sh")).toString()).toContain(`base='${url}'\n`);
      const key = readSigner(seed).publicKey;
      const manifest = verifyRelease(
        await get("manifest.json"),
        await get("manifest.json.minisig"),
        [key],
      );
      if (!manifest.ok) throw new Error(manifest.reason);
      expect(manifest.value).toMatchObject({ development: true, files: [{ name }] });
      const packed = await get(`${name}.zst`);
      const hash = new Bun.CryptoHasher("sha256").update(Bun.zstdDecompressSync(packed));
      expect(hash.digest("hex")).toBe(manifest.value.files[0]!.sha256);
    } finally {
      child.kill("SIGTERM");
    }
    expect(await child.exited).toBe(0);
  },
  buildMsMax,
);

test(
  "--only-serve serves what is there, untouched, and says how to use it",
  async () => {
    const out = join(base, "first", "release");
    const before = fileHash(join(out, "install.sh"));
    const child = start(["--only-serve", "--out", out, "--serve", "0"], undefined);
    try {
      const url = await addressOf(child.stdout, "QUORATE_MIRROR=\\S+ ");
      const script = await (await fetch(`${url}/install.sh`)).arrayBuffer();
      expect(new Bun.CryptoHasher("sha256").update(script).digest("hex")).toBe(before);
    } finally {
      child.kill("SIGINT");
    }
    expect(await child.exited).toBe(0);
  },
  buildMsMax,
);

test(
  "ends, and does not go on serving, when the release fails",
  async () => {
    const folder = places("fails");
    mkdirSync(join(base, "fails", "release", "manifest.json.new"), { recursive: true });
    const { code, err } = await release([...quick, ...folder, "--serve", "0"]);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/^release: /) });
  },
  buildMsMax,
);

/** What the program prints when it serves; fails when it ends without. */
async function addressOf(output: ReadableStream<Uint8Array>, told = ""): Promise<string> {
  const line = new RegExp(`curl -fsSL (http:\\S+)/install\\.sh \\| ${told}sh -s -- qnetd`);
  let text = "";
  for await (const piece of output) {
    text += Buffer.from(piece).toString();
    const url = line.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`it ended without serving: ${text}`);
}

describe("what it refuses, before it builds anything", () => {
  const cases: Readonly<Record<string, readonly [readonly string[], string, string]>> = {
    "a key that no quorate knows": [["--only", target.name], seed, "is not in build/keys"],
    "what is no key": [quick, "secret words", "neither a minisign secret key"],
    "an unknown target": [["--only", "plan9"], seed, "no target plan9"],
    "a word too many": [["linux-x64"], seed, "name targets after --only"],
    "plain http": [["--base", "http://example.org"], seed, "https address"],
    "two ports": [["--serve", "1", "2"], seed, "one port"],
    "to serve nothing": [["--only-serve"], seed, "there is no release in"],
    "an unknown option": [["--quick"], seed, "--quick"],
  };
  test.each(Object.entries(cases))("%s", async (_what, [args, key, words]) => {
    const folder = `refused-${Bun.hash(_what)}`;
    const { code, out, err } = await release([...args, ...places(folder)], key);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(words);
    expect(err).not.toContain(key);
    expect(existsSync(join(base, folder, "executables"))).toBe(false);
  });

  test("executables that are not there, or are of another version, with --skip-build", async () => {
    const missing = await release(["--skip-build", ...quick, ...places("none")]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("ENOENT") });
    const folder = join(base, "foreign", "executables");
    mkdirSync(folder, { recursive: true });
    copyFileSync(process.execPath, join(folder, name));
    const foreign = await release(["--skip-build", ...quick, ...places("foreign")]);
    expect(foreign).toMatchObject({ code: 1, err: expect.stringContaining("leave --skip-build") });
  });
});
