// install.sh in every shell it may meet: what it chooses, what it refuses, and that a failure leaves nothing behind. The programs it
// installs here are small scripts in a real release; real ones in whole machines are roots.ts's business.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveMirror } from "../../build/mirror.ts";
import { fileName, targets } from "../../build/targets.ts";
import {
  execute,
  type Outcome,
  plainTools,
  program,
  put,
  type ReleaseWords,
  shells,
  sourceScript,
  testRelease,
} from "./release-lab.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-install-"));
/** A release is packed before each test, and all are removed in the end, also when others use the processors. */
const hookMsMax = 60_000;
afterAll(() => rmSync(base, { recursive: true, force: true }), hookMsMax);

const unsupported = 1;
const usage = 2;
const downloadFailed = 3;
const verificationFailed = 4;
const serviceFailed = 5;
/** Two pauses of a second between the three tries of a download. */
const retryMsMax = 30_000;
const isCi = process.env["QUORATE_CI"] === "1";

let count = 0;
let home = "";
let dist = "";
let bin = "";
beforeEach(async () => {
  count += 1;
  home = join(base, String(count));
  dist = join(home, "release");
  bin = join(home, "bin");
  mkdirSync(bin, { recursive: true });
  await release();
}, hookMsMax);

const release = (words: ReleaseWords = {}) => testRelease(dist, words);
const script = (): string => join(dist, "install.sh");

/** PATH with `programs` in front of everything: a machine that answers differently. */
function pretend(programs: Readonly<Record<string, string>>): Record<string, string> {
  const directory = join(home, "fake");
  for (const [name, body] of Object.entries(programs)) {
    put(join(directory, name), `#!/bin/sh\n${body}\n`, 0o755);
  }
  return { PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}

function processor(name: string): Record<string, string> {
  return pretend({ uname: `if [ "$1" = -m ]; then echo ${name}; else echo Linux; fi` });
}

/** PATH with nothing but these: a machine that lacks the others. */
function only(...names: readonly string[]): Record<string, string> {
  const directory = join(home, "tools");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  for (const name of names) {
    const place = Bun.which(name);
    if (place !== null) symlinkSync(place, join(directory, name));
  }
  return { PATH: directory };
}

/** A machine whose service manager is a user's: without one nothing is loaded. */
function managed(env: Record<string, string> = {}, answer = 0): Record<string, string> {
  const directory = join(home, `managed-${answer}`);
  if (!existsSync(directory)) {
    put(join(directory, "id"), "#!/bin/sh\necho 1000\n", 0o755);
    put(join(directory, "systemctl"), `#!/bin/sh\nexit ${answer}\n`, 0o755);
  }
  return { ...env, PATH: `${directory}:${env["PATH"] ?? process.env["PATH"] ?? ""}` };
}

/** An image with the given files, for --root. */
function image(files: Readonly<Record<string, string>>): string {
  const directory = join(home, "image");
  for (const [name, text] of Object.entries(files)) put(join(directory, name), text);
  return directory;
}

/** What a machine that ran a complete script would have. */
function installed(): string {
  return existsSync(join(bin, "quorate")) ? readFileSync(join(bin, "quorate"), "utf8") : "";
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  put(file, bytes);
}

describe.each([...shells])("$name", ({ command }) => {
  const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
    execute([...command, script(), ...args], { env: { HOME: home, ...env } });
  const fromDist = (env: Record<string, string> = {}, ...more: string[]): Promise<Outcome> =>
    run(["qnetd", "--from", dist, "--bin-dir", bin, ...more], env);

  test("installs the program for this machine and lets it set up the rest", async () => {
    const result = await fromDist();
    expect(result).toMatchObject({ code: 0, err: "" });
    expect(result.out).toEndWith(`called: install qnetd --bin ${join(bin, "quorate")}\n`);
    expect(installed()).toMatch(new RegExp(`quorate 1\\.0\\.0 linux-${process.arch}`));
    expect(readdirSync(bin)).toEqual(["quorate"]);
  });

  test("says what is there already; replaces another version and keeps that", async () => {
    await fromDist();
    expect(await fromDist()).toMatchObject({
      code: 0,
      out: expect.stringContaining("is this version already"),
    });
    expect(readdirSync(bin)).toEqual(["quorate"]);
    await release({ version: "1.1.0" });
    expect(await fromDist()).toMatchObject({
      code: 0,
      out: expect.stringContaining("--replaced"),
    });
    expect(readFileSync(join(bin, "quorate.prev"), "utf8")).toContain("1.0.0");
    expect(installed()).toContain("1.1.0");
  });

  test("passes its words on", async () => {
    const result = await run([
      "--from",
      dist,
      "--bin-dir",
      join(bin, "new"),
      "--no-service",
      "--no-links",
    ]);
    expect(result.out).toEndWith(
      `called: install --bin ${bin}/new/quorate --no-service --no-links --made ${bin}/new/\n\n`,
    );
    const removal = await run([
      "--uninstall",
      "--purge",
      "--force",
      "--yes",
      "--bin-dir",
      join(bin, "new"),
    ]);
    expect(removal).toEqual({
      code: 0,
      out: "called: uninstall --purge --force --yes\n",
      err: "",
    });
    const refused = await run(["--uninstall", "--bin-dir", join(bin, "new")], {
      FAKE_UNINSTALL: "1",
    });
    expect(refused.code).toBe(serviceFailed);
    expect(await run(["--uninstall", "--bin-dir", bin])).toMatchObject({
      code: serviceFailed,
      out: "",
    });
  });

  test("changes nothing when the program says that it cannot be a service here", async () => {
    expect(await fromDist({ FAKE_CHECK: "5" })).toMatchObject({ code: serviceFailed });
    expect(readdirSync(bin)).toEqual([]);
    const inside = join(bin, "a/b");
    await run(["qnetd", "--from", dist, "--bin-dir", inside], { FAKE_CHECK: "5" });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("--dry-run checks everything and changes nothing", async () => {
    const result = await fromDist({}, "--dry-run");
    expect(result).toMatchObject({ code: 0, err: "" });
    expect(result.out).toContain(`would make quorate-linux-${process.arch}`);
    expect(result.out).toEndWith(`called: install qnetd --bin ${join(bin, "quorate")} --dry-run\n`);
    expect(readdirSync(bin)).toEqual([]);
    flip(join(dist, "manifest.json"), 20);
    expect(await fromDist({}, "--dry-run")).toMatchObject({ code: verificationFailed });
  });

  test("takes a tar file", async () => {
    const tar = join(home, "release.tar");
    expect((await execute(["tar", "-cf", tar, "-C", home, "release"])).code).toBe(0);
    expect(await run(["qnetd", "--from", tar, "--bin-dir", bin])).toMatchObject({
      code: 0,
      err: "",
    });
    expect(installed()).toContain("1.0.0");
  });

  test("from the source tree: what `npm run build` made, and a release for damage only", async () => {
    const files = targets.map((target) => join(home, "executables", fileName(target)));
    const sums = files.map((file) => `${sha256(file)}  ${file.slice(file.lastIndexOf("/") + 1)}\n`);
    put(join(home, "executables/SHA256SUMS"), sums.join(""));
    const source = (from: string): Promise<Outcome> =>
      execute([...command, sourceScript, "--no-service", "--from", from, "--bin-dir", bin], {
        env: { HOME: home },
      });
    expect(await source(join(home, "executables"))).toMatchObject({ code: 0, err: "" });
    expect(installed()).toContain("1.0.0");
    await release({ version: "1.1.0" });
    expect(await source(dist)).toMatchObject({
      code: 0,
      out: expect.stringContaining("damage only"),
    });
    expect(installed()).toContain("1.1.0");
    put(files[0]!, "#!/bin/sh\necho evil\n");
    put(files[1]!, "#!/bin/sh\necho evil\n");
    if (process.arch === "x64")
      expect(await source(join(home, "executables"))).toMatchObject({ code: verificationFailed });
    const online = await execute([
      ...command,
      sourceScript,
      "--no-service",
      "--url",
      "http://127.0.0.1:1",
    ]);
    expect(online).toMatchObject({ code: usage, err: expect.stringContaining("--from DIR") });
  });

  test.each(["armv7l", "i686", "riscv64"])("refuses %s", async (name) => {
    const result = await fromDist(processor(name));
    expect(result).toMatchObject({
      code: unsupported,
      out: "",
      err: expect.stringContaining(name),
    });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("refuses another system, an old libc and a 32-bit system on a 64-bit kernel", async () => {
    const refused = (words: string) => ({
      code: unsupported,
      err: expect.stringContaining(words),
    });
    expect(await fromDist(pretend({ od: "echo '   1'" }))).toMatchObject(refused("32 bit"));
    rmSync(join(home, "fake"), { recursive: true });
    for (const old of ["2.16", "2.9", "2.12.2"]) {
      const getconf = pretend({ getconf: `echo glibc ${old}` });
      expect(await fromDist(getconf)).toMatchObject(refused(`this is glibc ${old}`));
    }
    expect((await fromDist(pretend({ getconf: "echo glibc 2.17" }))).code).toBe(0);
    expect(await fromDist(pretend({ uname: "echo FreeBSD" }))).toMatchObject(refused("FreeBSD"));
  });

  test("does not replace a working program by one that cannot start", async () => {
    await fromDist();
    await release({
      version: "1.1.0",
      program: () => "#!/bin/sh\necho no libfoo >&2; exit 127\n",
    });
    expect(await fromDist()).toMatchObject({
      code: unsupported,
      err: expect.stringContaining("no libfoo"),
    });
    expect(installed()).toContain("1.0.0");
    expect(readdirSync(bin)).toEqual(["quorate"]);
  });

  test("a script that was cut off does nothing", async () => {
    const text = readFileSync(script(), "utf8").trimEnd();
    const cuts = new Set<number>();
    for (let length = 0; length < text.length; length += 100) cuts.add(length);
    for (let length = text.length - 60; length < text.length; length += 1) cuts.add(length);
    const args = ["-s", "--", "qnetd", "--from", dist, "--bin-dir", bin];
    for (const length of cuts) {
      await execute([...command, ...args], { stdin: text.slice(0, length), env: { HOME: home } });
      expect([length, readdirSync(bin)]).toEqual([length, []]);
    }
    const whole = await execute([...command, ...args], { stdin: text, env: { HOME: home } });
    expect(whole.code).toBe(0);
    expect(installed()).not.toBe("");
  }, 60_000);

  test("takes usage errors apart", async () => {
    for (const args of [
      ["qnetd", "--from"],
      ["--from", ""],
      ["server"],
      ["qnetd", "--url", "ftp://127.0.0.1/"],
    ]) {
      expect([args, (await run(args)).code]).toEqual([args, usage]);
    }
    for (const url of [
      "http://127.0.0.1:80@quorate.invalid/",
      "http://localhost:80@quorate.invalid",
      "http://[::1]:80@quorate.invalid/",
      "http://[::1].quorate.invalid/",
      "https://user:secret@quorate.invalid/",
      "https://quorate.invalid\\@other.invalid/",
      "https://",
      "https://quorate.invalid/?a",
    ]) {
      const refused = await run(["qnetd", "--url", url]);
      expect([url, refused.code, refused.out]).toEqual([url, usage, ""]);
      expect(refused.err).toContain("https");
    }
    const plain = await run(["qnetd", "--url", "http://quorate.invalid/"]);
    expect(plain).toMatchObject({ code: usage, err: expect.stringContaining("not https") });
    const file = put(join(home, "file"), "");
    const unwritable = await run(["qnetd", "--from", dist, "--bin-dir", file]);
    expect(unwritable).toMatchObject({
      code: unsupported,
      err: expect.stringContaining("--bin-dir"),
    });
    const help = await run(["--help"]);
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining("usage:") });
  });

  test("without a role and a terminal it shows its usage; with one it asks there", async () => {
    const apart = ["setsid", ...command, script(), "--from", dist, "--bin-dir", bin];
    expect(await execute(apart, { env: { HOME: home } })).toMatchObject({
      code: usage,
      err: expect.stringContaining("usage:"),
    });
    const line = [...command, script(), "--from", dist, "--bin-dir", bin].join(" ");
    const onTerminal = (answer: string) =>
      execute(["script", "-qec", line, "/dev/null"], { env: { HOME: home }, stdin: answer });
    expect(await onTerminal("3\n")).toMatchObject({ code: usage });
    expect(readdirSync(bin)).toEqual([]);
    expect(await onTerminal("1\n")).toMatchObject({
      code: 0,
      out: expect.stringContaining("install qnetd"),
    });
  });

  test("without root it installs below the home directory, and no node", async () => {
    const user = pretend({ id: "echo 1000" });
    expect(await run(["qnetd", "--from", dist], user)).toMatchObject({ code: 0, err: "" });
    expect(existsSync(join(home, ".local/bin/quorate"))).toBe(true);
    const node = await run(["node", "--from", dist], user);
    expect(node).toMatchObject({ code: unsupported, err: expect.stringContaining("needs root") });
  });

  test("one at a time; what a killed one left is cleaned", async () => {
    put(join(bin, ".quorate-install/pid"), `${process.pid}\n`);
    expect(await fromDist()).toMatchObject({
      code: unsupported,
      err: expect.stringContaining(`${process.pid}`),
    });
    expect(existsSync(join(bin, ".quorate-install/pid"))).toBe(true);
    const gone = Bun.spawnSync(["true"]).pid;
    put(join(bin, ".quorate-install/pid"), `${gone}\n`);
    put(join(bin, ".quorate-install/program"), "half");
    expect(await fromDist()).toMatchObject({ code: 0 });
    expect(readdirSync(bin)).toEqual(["quorate"]);
  });

  // Each word of a step, and when the script is killed: before it is done, or right after.
  const steps = ["sync", "ln", "mv"].flatMap((step) => [
    { step, when: "before", body: "kill -9 $PPID" },
    { step, when: "after", body: `PATH=/usr/bin:/bin; ${step} "$@"; kill -9 $PPID` },
  ]);
  test.each(steps)(
    "killed $when $step it leaves a whole program, and the next run ends it",
    async ({ step, body }) => {
      await fromDist();
      await release({ version: "1.1.0" });
      expect((await fromDist(pretend({ [step]: body }))).code).not.toBe(0);
      expect(installed()).toMatch(/quorate 1\.[01]\.0 .*\n(?:.*\n)*esac\n$/);
      expect((await execute([join(bin, "quorate"), "--version"])).code).toBe(0);
      rmSync(join(home, "fake"), { recursive: true });
      expect(await fromDist()).toMatchObject({ code: 0, err: "" });
      expect(installed()).toContain("1.1.0");
      expect(readdirSync(bin).toSorted()).toEqual(["quorate", "quorate.prev"]);
    },
  );

  const glibc = { "lib64/ld-linux-x86-64.so.2": "" };
  const musl = { "lib/ld-musl-x86_64.so.1": "" };
  test.each([
    {
      name: "glibc with AVX2",
      files: { ...glibc, "proc/cpuinfo": "flags : fpu avx avx2\n" },
      takes: "linux-x64",
    },
    {
      name: "glibc without AVX2",
      files: { ...glibc, "proc/cpuinfo": "flags : fpu avx\n" },
      takes: "linux-x64-baseline",
    },
    { name: "glibc and musl", files: { ...glibc, ...musl }, takes: "linux-x64-baseline" },
    { name: "musl", files: { ...musl, "usr/lib/libstdc++.so.6": "" }, takes: "linux-x64-musl" },
    { name: "musl without C++ library", files: musl, says: "apk add libstdc++" },
    { name: "no C library", files: { "lib/other": "" }, says: "neither glibc" },
  ])("chooses for an x64 image: $name", async ({ files, takes, says }) => {
    const root = image(files);
    const result = await run(["--from", dist, "--root", root], processor("x86_64"));
    if (says !== undefined)
      expect(result).toMatchObject({ code: unsupported, err: expect.stringContaining(says) });
    else {
      expect(result).toMatchObject({ code: 0, err: "" });
      expect(readFileSync(join(root, "usr/local/bin/quorate"), "utf8")).toContain(` ${takes}"`);
    }
  });

  test.each([
    { name: "glibc", files: { "lib/ld-linux-aarch64.so.1": "" }, takes: "linux-arm64" },
    {
      name: "musl",
      files: { "lib/ld-musl-aarch64.so.1": "", "usr/lib/libstdc++.so.6": "" },
      takes: "linux-arm64-musl",
    },
  ])("chooses for an arm64 image: $name", async ({ files, takes }) => {
    const root = image(files);
    const result = await run(["--from", dist, "--root", root], processor("aarch64"));
    expect(result).toMatchObject({ code: 0 });
    expect(readFileSync(join(root, "usr/local/bin/quorate"), "utf8")).toContain(` ${takes}"`);
  });

  const names = ["manifest.json", "manifest.json.minisig", "the file"] as const;
  test.each(names)("a flipped bit in %s ends with 4 and changes nothing", async (name) => {
    await fromDist();
    await release({ version: "1.1.0" });
    const file =
      name === "the file" ? readdirSync(dist).filter((each) => /(?:gz|zst)$/.test(each)) : [name];
    for (const each of file) {
      const length = readFileSync(join(dist, each)).length;
      // In the signature file: not in the first comment, which nobody signed.
      flip(join(dist, each), name.endsWith("minisig") ? 90 : Math.floor(length / 2));
    }
    expect(await fromDist()).toMatchObject({ code: verificationFailed });
    expect(installed()).toContain("1.0.0");
    expect(readdirSync(bin)).toEqual(["quorate"]);
  });

  test("a wrong key, no key and no signature end with 4", async () => {
    const other = await testRelease(join(home, "other", "release"));
    const refused = {
      code: verificationFailed,
      err: expect.stringContaining("not signed by a release key"),
    };
    await release({ keys: [other.signer.publicKey] });
    expect(await fromDist()).toMatchObject(refused);
    await release({ keys: [] });
    expect(await fromDist()).toMatchObject(refused);
    await release();
    rmSync(join(dist, "manifest.json.minisig"));
    expect(await fromDist()).toMatchObject({
      code: verificationFailed,
      err: expect.stringContaining("no manifest.json.minisig"),
    });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("either of two keys does", async () => {
    const other = await testRelease(join(home, "other", "release"));
    const { signer } = other;
    await release();
    const text = readFileSync(script(), "utf8");
    const own = /^keys='(.*)'$/m.exec(text)![1]!;
    put(script(), text.replace(`keys='${own}'`, `keys='${signer.publicKey} ${own}'`));
    expect(await fromDist()).toMatchObject({ code: 0, err: "" });
  });

  test("where nothing can check the signature, the program does that before it is installed", async () => {
    const tools = only(...plainTools);
    expect(await fromDist({ ...tools, FAKE_VERIFY: "4" })).toMatchObject({
      code: verificationFailed,
      err: expect.stringContaining("not signed"),
    });
    expect(readdirSync(bin)).toEqual([]);
    expect(await fromDist(tools)).toMatchObject({ code: 0, err: "" });
    // Its own hash is only pinned for the version of the script.
    const other = await fromDist({ ...tools, QUORATE_VERSION: "1.0.0" });
    expect(other).toMatchObject({
      code: verificationFailed,
      err: expect.stringContaining("openssl 3 or minisign"),
    });
  });

  test.skipIf(!isCi && Bun.which("minisign") === null)("minisign(1) does for openssl", async () => {
    const tools = only(...plainTools, "minisign");
    expect(await fromDist({ ...tools, FAKE_VERIFY: "4" })).toMatchObject({ code: 0, err: "" });
    await release({
      version: "1.1.0",
      keys: [(await testRelease(join(home, "other", "release"))).signer.publicKey],
    });
    expect(await fromDist(tools)).toMatchObject({ code: verificationFailed });
    expect(installed()).toContain("1.0.0");
  });

  test(
    "QUORATE_VERSION takes another release of the same key, by its signature alone",
    async () => {
      using mirror = served();
      const older = readFileSync(script(), "utf8");
      const key = /^keys='(.*)'$/m.exec(older)![1]!;
      const newer = await release({ version: "1.1.0" });
      const named = (version: string, keys: string) => {
        put(join(home, "old.sh"), older.replace(`keys='${key}'`, `keys='${keys}'`));
        return execute([...command, join(home, "old.sh"), "qnetd", "--bin-dir", bin], {
          env: managed({ HOME: home, QUORATE_MIRROR: mirror.url, QUORATE_VERSION: version }),
        });
      };
      expect(await named("1.1.0", key)).toMatchObject({ code: verificationFailed });
      expect(await named("1.2.0", newer.signer.publicKey)).toMatchObject({
        code: downloadFailed,
      });
      expect(await named("../x", newer.signer.publicKey)).toMatchObject({ code: usage });
      expect(readdirSync(bin)).toEqual([]);
      expect(await named("1.1.0", newer.signer.publicKey)).toMatchObject({ code: 0, err: "" });
      expect(installed()).toContain("1.1.0");
    },
    retryMsMax,
  );

  test("downloads from a mirror", async () => {
    using mirror = served();
    // The program makes it when it installs.
    const state = join(home, ".local/share/quorate/var/lib/quorate");
    mkdirSync(state, { recursive: true });
    const env = managed({ QUORATE_MIRROR: `${mirror.url}/` });
    const result = await run(["qnetd", "--bin-dir", bin], env);
    expect(result).toMatchObject({ code: 0, err: "" });
    expect(installed()).toContain("1.0.0");
    expect(readFileSync(join(state, "release-url"), "utf8")).toBe(`${mirror.url}\n`);
  });

  test("without a service manager it loads nothing; the file alone it does", async () => {
    using mirror = served();
    const env = managed({ QUORATE_MIRROR: mirror.url }, 1);
    const result = await run(["qnetd", "--bin-dir", bin], env);
    expect(result).toMatchObject({
      code: serviceFailed,
      out: "",
      err: expect.stringContaining("no service manager"),
    });
    expect(readdirSync(bin)).toEqual([]);
    expect(await run(["--no-service", "--bin-dir", bin], env)).toMatchObject({ code: 0 });
    expect(installed()).toContain("1.0.0");
  });
});

function served(): Disposable & { url: string } {
  const mirror = serveMirror(dist);
  return { url: mirror.url, [Symbol.dispose]: () => void mirror.stop() };
}

describe("a bad server", () => {
  const run = (url: string, env: Record<string, string> = {}, place = bin): Promise<Outcome> =>
    execute(["sh", script(), "qnetd", "--url", url, "--bin-dir", place], {
      env: { HOME: home, ...managed(env) },
    });

  /** Promises a whole file by its length, and ends where `cut(name, request)` says. */
  function server(
    cut: (name: string, request: number) => number | undefined,
    knowsRanges = true,
  ): Disposable & { url: string; asked: string[] } {
    const asked: string[] = [];
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, request) {
          const text = request.toString();
          const name = /^GET \/(\S*)/.exec(text)?.[1] ?? "";
          const wanted = Number(/^range: bytes=(\d+)-/im.exec(text)?.[1] ?? 0);
          asked.push(`${name} ${wanted}`);
          const from = knowsRanges ? wanted : 0;
          const all = readFileSync(join(dist, name));
          const range = `Content-Range: bytes ${from}-${all.length - 1}/${all.length}`;
          const status = from === 0 ? "200 OK" : `206 Partial Content\r\n${range}`;
          const head = `HTTP/1.1 ${status}\r\nContent-Length: ${all.length - from}\r\nConnection: close\r\n\r\n`;
          const requests = asked.filter((each) => each.startsWith(`${name} `)).length;
          const to = Math.max(from, cut(name, requests) ?? all.length);
          socket.end(Buffer.concat([Buffer.from(head), all.subarray(from, to)]));
        },
      },
    });
    return {
      url: `http://127.0.0.1:${listener.port}`,
      asked,
      [Symbol.dispose]: () => listener.stop(true),
    };
  }

  test("that has not the file is asked once", async () => {
    using mirror = served();
    for (const name of readdirSync(dist)) if (/(?:gz|zst)$/.test(name)) rmSync(join(dist, name));
    const result = await run(mirror.url);
    expect(result).toMatchObject({
      code: downloadFailed,
      err: expect.stringContaining("there is no quorate-linux-"),
    });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("that has no signature ends with 4", async () => {
    using mirror = served();
    rmSync(join(dist, "manifest.json.minisig"));
    expect(await run(mirror.url)).toMatchObject({ code: verificationFailed });
    expect(readdirSync(bin)).toEqual([]);
  });

  test(
    "a download cut at each of 20 places changes nothing, and ends with 3",
    async () => {
      const file = readdirSync(dist).find((name) =>
        name.startsWith(`quorate-linux-${process.arch}`),
      )!;
      const places = ["manifest.json", "manifest.json.minisig", file].flatMap((name, at) =>
        Array.from({ length: at === 2 ? 8 : 6 }, (_, index) => ({
          name,
          share: index / (at === 2 ? 8 : 6),
        })),
      );
      expect(places).toHaveLength(20);
      const outcomes = await Promise.all(
        places.map(async ({ name, share }, index) => {
          const kind =
            name === file ? /(?:gz|zst)$/ : new RegExp(`^${name.replaceAll(".", "\\.")}$`);
          const length = readFileSync(join(dist, name)).length;
          using broken = server((asked) =>
            kind.test(asked) ? Math.floor(length * share * 0.9) : undefined,
          );
          const place = join(bin, String(index));
          mkdirSync(place);
          // Each of its three tries ends there: a resumed one gets nothing more.
          const { code } = await run(broken.url, {}, place);
          return { code, left: readdirSync(place) };
        }),
      );
      expect(
        outcomes.filter(({ code, left }) => code !== downloadFailed || left.length > 0),
      ).toEqual([]);
    },
    retryMsMax * 4,
  );

  test(
    "that breaks off is asked for the rest, and believed when it brings it",
    async () => {
      using broken = server((name, request) =>
        /(?:gz|zst)$/.test(name) && request === 1 ? 20 : undefined,
      );
      expect(await run(broken.url)).toMatchObject({ code: 0 });
      expect(broken.asked.at(-1)).toMatch(/ 20$/);
      expect(installed()).toContain("1.0.0");
    },
    retryMsMax,
  );

  test(
    "that cannot go on in the middle is asked from the start",
    async () => {
      const isCut = (name: string, request: number): boolean =>
        /(?:gz|zst)$/.test(name) && request === 1;
      using broken = server((name, request) => (isCut(name, request) ? 20 : undefined), false);
      expect(await run(broken.url)).toMatchObject({ code: 0 });
      expect(broken.asked.slice(-2)).toEqual([
        expect.stringMatching(/ 20$/),
        expect.stringMatching(/ 0$/),
      ]);
      expect(installed()).toContain("1.0.0");
    },
    retryMsMax,
  );

  test("that ends early without a word is caught by the hash", async () => {
    for (const name of readdirSync(dist)) {
      if (/(?:gz|zst)$/.test(name))
        put(join(dist, name), readFileSync(join(dist, name)).subarray(0, 30));
    }
    using mirror = served();
    expect(await run(mirror.url)).toMatchObject({ code: verificationFailed });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("is not needed: wget does where curl is missing", async () => {
    using mirror = served();
    expect(await run(mirror.url, only(...plainTools, "openssl", "wget"))).toMatchObject({
      code: 0,
    });
    expect(installed()).toContain("1.0.0");
    if (Bun.which("busybox") === null && !isCi) return;
    rmSync(join(bin, "quorate"));
    const tools = only(...plainTools);
    symlinkSync(Bun.which("busybox")!, join(home, "tools/wget"));
    expect(await run(mirror.url, tools)).toMatchObject({ code: 0 });
    expect(installed()).toContain("1.0.0");
  });
});

/** In a mount namespace of its own, where `place` is a file system with these options. */
function mounted(
  place: string,
  options: string,
  command: readonly string[],
  env: Record<string, string>,
): Promise<Outcome> {
  const inside =
    'mount -t tmpfs -o "$1" none "$2" && shift 2 && "$@"; code=$?; ls -A "$PLACE" >&2; exit $code';
  const words = ["sh", "-c", inside, "sh", options, place, ...command];
  return execute(["unshare", "--mount", ...words], { env: { HOME: home, PLACE: place, ...env } });
}

describe.skipIf(process.getuid?.() !== 0 && !isCi)("a bad disk", () => {
  const install = (place: string, env: Record<string, string>, options: string): Promise<Outcome> =>
    mounted(place, options, ["sh", script(), "qnetd", "--from", dist, "--bin-dir", place], env);

  test("too small: refused before anything is loaded", async () => {
    const result = await install(bin, {}, "size=8m");
    expect(result.code).toBe(unsupported);
    expect(result.err).toMatch(/ MB free in .*needs 64 MB for a moment\n$/);
  });

  test("full in the middle: ends with 3 and leaves nothing", async () => {
    const big = (target: string, version: string) =>
      `${program(target, version)}# ${createHash("sha512").update(target).digest("hex").repeat(4000)}\n`;
    await release({ version: "1.2.0", program: big });
    const lying = pretend({ df: "echo; echo - - - 9999999" });
    const result = await install(bin, lying, "size=100k");
    expect(result.code).toBe(downloadFailed);
    expect(result.err).toContain("is there space");
    expect(result.err.trimEnd().split("\n").at(-1)).toContain("is there space");
  });

  test("noexec: refused, and another place is asked for", async () => {
    const result = await install(bin, {}, "noexec,size=200m");
    expect(result).toMatchObject({ code: unsupported, err: expect.stringContaining("noexec") });
  });

  test("noexec for temporary files does not matter", async () => {
    const place = join(home, "tmp");
    mkdirSync(place);
    const command = ["sh", script(), "qnetd", "--from", dist, "--bin-dir", bin];
    const result = await mounted(place, "noexec,size=1m", command, { TMPDIR: place });
    expect(result).toMatchObject({ code: 0, err: "" });
    expect(installed()).toContain("1.0.0");
  });

  test("no network at all: a release in a directory needs none", async () => {
    const words = ["sh", script(), "qnetd", "--from", dist, "--bin-dir", bin];
    expect(await execute(["unshare", "--net", ...words], { env: { HOME: home } })).toMatchObject({
      code: 0,
      err: "",
    });
  });
});

test("is plain shell: shellcheck finds nothing, and it stays readable aloud", async () => {
  const lines = readFileSync(sourceScript, "utf8").trimEnd().split("\n").length;
  expect(lines).toBeLessThanOrEqual(400);
  if (Bun.which("shellcheck") === null && !isCi) {
    console.log("not checked: shellcheck is not installed");
    return;
  }
  for (const file of [sourceScript, script()]) {
    expect(await execute(["shellcheck", "--shell=sh", file])).toEqual({
      code: 0,
      out: "",
      err: "",
    });
  }
});
