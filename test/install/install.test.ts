// install.sh in every shell it may meet: what it chooses, what it refuses, and that a failure leaves nothing behind.
// The files it installs here are small scripts; that the real ones run is build.test.ts's and the builder's business.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileName, targets } from "../../build/targets.ts";

const script = join(import.meta.dir, "..", "..", "install.sh");
const base = mkdtempSync(join(tmpdir(), "quorate-install-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const usage = 1;
const unsupported = 2;
const downloadFailed = 3;
const verificationFailed = 4;
/** Two pauses of a second between the three tries of a download. */
const retryMsMax = 20_000;

let count = 0;
let home = "";
let dist = "";
let bin = "";
beforeEach(() => {
  count += 1;
  home = join(base, String(count));
  dist = join(home, "dist");
  bin = join(home, "bin");
  mkdirSync(bin, { recursive: true });
  release("1.0.0");
});

/** A program that answers --version, for each target, and their sums. */
function release(version: string): void {
  mkdirSync(dist, { recursive: true });
  for (const target of targets) {
    writeFileSync(
      join(dist, fileName(target)),
      `#!/bin/sh\necho quorate ${version} ${target.name}\n`,
    );
  }
  sums();
}

function sums(): void {
  const lines = targets
    .filter((target) => existsSync(join(dist, fileName(target))))
    .map((target) => `${sha256(join(dist, fileName(target)))}  ${fileName(target)}\n`);
  writeFileSync(join(dist, "SHA256SUMS"), lines.join(""));
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function put(file: string, text: string, mode = 0o644): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function execute(
  command: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<Outcome> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, ...options.env },
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

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

/** An image with the given files, for --root. */
function image(files: Readonly<Record<string, string>>): string {
  const directory = join(home, "image");
  for (const [name, text] of Object.entries(files)) put(join(directory, name), text);
  return directory;
}

function leftovers(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith("."));
}

/** What a machine that ran a complete script would have: `quorate` and perhaps links. */
function installed(): string {
  return existsSync(join(bin, "quorate")) ? readFileSync(join(bin, "quorate"), "utf8") : "";
}

function serve(
  answer: (name: string) => Response | Promise<Response>,
): Disposable & { url: string } {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => answer(new URL(request.url).pathname.slice(1)),
  });
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.dispose]: () => void server.stop(true) };
}

const shells = [["dash"], ["bash"], ["busybox", "ash"]].filter(
  ([program]) => process.env["QUORATE_CI"] === "1" || Bun.which(program!) !== null,
);

describe.each(shells.map((command) => ({ name: command.join(" "), command })))(
  "$name",
  ({ command }) => {
    const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
      execute([...command, script, ...args], { env });
    const fromDist = (env: Record<string, string> = {}, ...more: string[]): Promise<Outcome> =>
      run(["--from", dist, "--bin-dir", bin, ...more], env);

    test("installs the file for this machine and its names", async () => {
      const result = await fromDist();
      expect(result).toMatchObject({ code: 0, err: "" });
      const version = /quorate 1\.0\.0 (linux-\S+)/.exec(result.out);
      expect(version?.[1]).toStartWith(`linux-${process.arch}`);
      expect(result.out).toContain("next: ");
      expect(sha256(join(bin, "quorate"))).toBe(sha256(join(dist, `quorate-${version?.[1]}`)));
      expect(readlinkSync(join(bin, "pvecm"))).toBe("quorate");
      expect(leftovers(bin)).toEqual([]);
    });

    test("says that there is nothing to do, and keeps the one before when there is", async () => {
      await fromDist();
      expect(await fromDist()).toMatchObject({
        code: 0,
        out: expect.stringContaining("nothing to do"),
      });
      expect(existsSync(join(bin, "quorate.prev"))).toBe(false);
      release("1.1.0");
      expect(await fromDist()).toMatchObject({
        code: 0,
        out: expect.stringContaining("quorate 1.1.0"),
      });
      expect(readFileSync(join(bin, "quorate.prev"), "utf8")).toContain("1.0.0");
      expect(installed()).toContain("1.1.0");
    });

    test("downloads from a server", async () => {
      using server = serve((name) => new Response(Bun.file(join(dist, name))));
      const result = await run(["--bin-dir", bin], { QUORATE_MIRROR: `${server.url}/` });
      expect(result).toMatchObject({ code: 0, err: "" });
      expect(installed()).toContain("1.0.0");
    });

    test("refuses a file with another hash, and leaves the old one", async () => {
      await fromDist();
      release("1.1.0");
      for (const target of targets) put(join(dist, fileName(target)), "#!/bin/sh\necho evil\n");
      const result = await fromDist();
      expect(result.code).toBe(verificationFailed);
      expect(result.err).toContain("is not what SHA256SUMS says");
      expect(installed()).toContain("1.0.0");
      expect(leftovers(bin)).toEqual([]);
    });

    test("refuses damaged sums", async () => {
      const text = readFileSync(join(dist, "SHA256SUMS"), "utf8");
      put(join(dist, "SHA256SUMS"), text.replaceAll(/^.{10}/gm, "zzzzzzzzzz"));
      expect(await fromDist()).toMatchObject({ code: verificationFailed });
      expect(installed()).toBe("");
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

    test("refuses another system and a source without a file for this machine", async () => {
      const other = await fromDist(pretend({ uname: "echo FreeBSD" }));
      expect(other).toMatchObject({ code: unsupported, err: expect.stringContaining("FreeBSD") });
      rmSync(join(home, "fake"), { recursive: true });
      for (const target of targets)
        if (target.arch === process.arch) rmSync(join(dist, fileName(target)));
      sums();
      expect(await fromDist()).toMatchObject({
        code: unsupported,
        err: expect.stringContaining("no build"),
      });
      expect(readdirSync(bin)).toEqual([]);
    });

    test("refuses a 32-bit system on a 64-bit kernel", async () => {
      const result = await fromDist(pretend({ od: "echo '   1'" }));
      expect(result).toMatchObject({ code: unsupported, err: expect.stringContaining("32 bit") });
    });

    test("does not replace a working program by one that cannot start", async () => {
      await fromDist();
      for (const target of targets)
        put(join(dist, fileName(target)), "#!/bin/sh\necho no libfoo >&2; exit 127\n");
      sums();
      expect(await fromDist()).toMatchObject({
        code: unsupported,
        err: expect.stringContaining("no libfoo"),
      });
      expect(installed()).toContain("1.0.0");
    });

    test("leaves other programs' names alone", async () => {
      put(join(bin, "pvecm"), "somebody else's");
      symlinkSync("/nowhere", join(bin, "corosync-keygen"));
      const result = await fromDist();
      expect(result).toMatchObject({
        code: 0,
        out: expect.stringMatching(/left alone.* pvecm .*corosync-keygen/),
      });
      expect(readFileSync(join(bin, "pvecm"), "utf8")).toBe("somebody else's");
      expect(readlinkSync(join(bin, "corosync-keygen"))).toBe("/nowhere");
      rmSync(join(bin, "pvecm"));
      await fromDist({}, "--no-links");
      expect(existsSync(join(bin, "pvecm"))).toBe(false);
    });

    test("a script that was cut off does nothing", async () => {
      const text = readFileSync(script, "utf8").trimEnd();
      const cuts = new Set<number>();
      for (let length = 0; length < text.length; length += 100) cuts.add(length);
      for (let length = text.length - 60; length < text.length; length += 1) cuts.add(length);
      for (const length of cuts) {
        await execute([...command, "-s", "--", "--from", dist, "--bin-dir", bin], {
          stdin: text.slice(0, length),
        });
        expect([length, readdirSync(bin)]).toEqual([length, []]);
      }
      const whole = await execute([...command, "-s", "--", "--from", dist, "--bin-dir", bin], {
        stdin: text,
      });
      expect(whole.code).toBe(0);
      expect(installed()).not.toBe("");
    }, 30_000);

    test("takes usage errors apart", async () => {
      for (const args of [
        [],
        ["--from"],
        ["--from", ""],
        ["node"],
        ["--url", "ftp://127.0.0.1/"],
      ]) {
        expect([args, (await run(args)).code]).toEqual([args, usage]);
      }
      const plain = await run(["--url", "http://quorate.invalid/"]);
      expect(plain).toMatchObject({ code: usage, err: expect.stringContaining("not https") });
      const file = put(join(home, "file"), "");
      const unwritable = await run(["--from", dist, "--bin-dir", file]);
      expect(unwritable).toMatchObject({ code: usage, err: expect.stringContaining("--bin-dir") });
      expect(await run(["--help"])).toMatchObject({
        code: 0,
        out: expect.stringContaining("usage:"),
      });
    });

    test("without root it installs below the home directory", async () => {
      const result = await run(["--from", dist], pretend({ id: "echo 1000" }));
      expect(result).toMatchObject({ code: 0, out: expect.stringContaining("not in your PATH") });
      expect(existsSync(join(home, ".local/bin/quorate"))).toBe(true);
    });

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
        expect(readFileSync(join(root, "usr/local/bin/quorate"), "utf8")).toEndWith(` ${takes}\n`);
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
      expect(await run(["--from", dist, "--root", root], processor("aarch64"))).toMatchObject({
        code: 0,
      });
      expect(readFileSync(join(root, "usr/local/bin/quorate"), "utf8")).toEndWith(` ${takes}\n`);
    });
  },
);

describe("a bad server", () => {
  const run = (url: string, env: Record<string, string> = {}): Promise<Outcome> =>
    execute(["sh", script, "--url", url, "--bin-dir", bin], { env });

  test(
    "that has not the file is asked three times",
    async () => {
      let asked = 0;
      using server = serve((name) => {
        if (name === "SHA256SUMS") return new Response(Bun.file(join(dist, name)));
        asked += 1;
        return new Response("gone", { status: 404 });
      });
      expect(await run(server.url)).toMatchObject({ code: downloadFailed });
      expect(asked).toBe(3);
      expect(readdirSync(bin)).toEqual([]);
    },
    retryMsMax,
  );

  test(
    "that breaks off is asked again, and believed when it brings the whole",
    async () => {
      let asked = 0;
      using listener = breakingServer(() => (asked += 1) <= 2);
      expect(await run(listener.url)).toMatchObject({ code: 0 });
      expect(asked).toBe(3);
      expect(installed()).toContain("1.0.0");
    },
    retryMsMax,
  );

  test("that ends early without a word is caught by the hash", async () => {
    using server = serve((name) => {
      const whole = readFileSync(join(dist, name));
      return new Response(name === "SHA256SUMS" ? whole : whole.subarray(0, 10));
    });
    expect(await run(server.url)).toMatchObject({ code: verificationFailed });
    expect(readdirSync(bin)).toEqual([]);
  });

  test("is not needed: wget does where curl is missing", async () => {
    using server = serve((name) => new Response(Bun.file(join(dist, name))));
    const tools = join(home, "tools");
    mkdirSync(tools);
    for (const tool of [
      ...[
        "sh",
        "uname",
        "od",
        "tr",
        "getconf",
        "grep",
        "id",
        "mkdir",
        "mktemp",
        "awk",
        "cut",
        "cp",
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
        "sleep",
        "wget",
      ],
    ]) {
      const place = Bun.which(tool);
      if (place !== null) symlinkSync(place, join(tools, tool));
    }
    expect(await run(server.url, { PATH: tools })).toMatchObject({ code: 0 });
    expect(installed()).toContain("1.0.0");
    if (Bun.which("busybox") === null && process.env["QUORATE_CI"] !== "1") return;
    rmSync(join(tools, "wget"));
    rmSync(join(bin, "quorate"));
    symlinkSync(Bun.which("busybox")!, join(tools, "wget"));
    expect(await run(server.url, { PATH: tools })).toMatchObject({ code: 0 });
    expect(installed()).toContain("1.0.0");
  });

  /** Promises a whole file by its length; while `breaks` says so it closes the connection half way. */
  function breakingServer(breaks: () => boolean): Disposable & { url: string } {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, request) {
          const name = /^GET \/(\S*)/.exec(request.toString())?.[1] ?? "";
          const body = readFileSync(join(dist, name));
          const half = name !== "SHA256SUMS" && breaks();
          const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
          socket.end(Buffer.concat([Buffer.from(head), half ? body.subarray(0, 20) : body]));
        },
      },
    });
    return { url: `http://127.0.0.1:${server.port}`, [Symbol.dispose]: () => server.stop(true) };
  }
});

test("is plain shell: shellcheck finds nothing, and it stays readable aloud", async () => {
  const lines = readFileSync(script, "utf8").split("\n").length;
  expect(lines).toBeLessThanOrEqual(400);
  if (Bun.which("shellcheck") === null && process.env["QUORATE_CI"] !== "1") {
    console.log("not checked: shellcheck is not installed");
    return;
  }
  expect(await execute(["shellcheck", "--shell=sh", script])).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});
