// `quorate upgrade` on a machine in a directory: what it takes, what it refuses with which exit code, and that the installed file is
// untouched by everything that is refused (issue 4; engineering.md §14 U1, U2, U6, U11–U13).
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveMirror } from "../../build/mirror.ts";
import { newSeed, readSigner } from "../../build/signer.ts";
import { CommandFailure } from "../../src/shell/exit.ts";
import { upgradeCommand, type UpgradeOptions } from "../../src/shell/command/upgrade.ts";
import { packageOwner } from "../../src/shell/install/package-owner.ts";
import { upgradePlaces } from "../../src/shell/upgrade/places.ts";
import { program, release, signer, target, UpgradeMachineFixture } from "./upgrade-fixture.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-upgrade-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const newer = await release(base, "1.0.1");
const older = await release(base, "0.9.0", { into: "older" });
let count = 0;
let machine: UpgradeMachineFixture;

beforeEach(() => {
  count += 1;
  machine = new UpgradeMachineFixture(join(base, `m${count}`), "1.0.0");
});

/** The exit code; a refusal's sentence goes to what was said. */
async function upgrade(more: Partial<UpgradeOptions>): Promise<number> {
  try {
    return await upgradeCommand(machine.options(more));
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    machine.said += error.message;
    return error.code;
  }
}

/** Nothing of the program's directory has changed, and nothing lies about. */
function expectUntouched(): void {
  expect(machine.version()).toBe("1.0.0");
  expect(readdirSync(join(machine.root, "bin"))).toEqual(["quorate"]);
  expect(existsSync(join(machine.root, "var/lib/quorate/upgrade.json"))).toBe(false);
}

/** A copy of the newer release to be spoiled. */
function copy(): string {
  const directory = join(machine.root, "release");
  cpSync(newer, directory, { recursive: true });
  return directory;
}

describe("from a directory", () => {
  test("verified, tested, swapped, kept; the old file is .prev; a second time nothing is done", async () => {
    expect(await upgrade({ from: newer })).toBe(0);
    expect(machine.version()).toBe("1.0.1");
    expect(readFileSync(`${machine.bin}.prev`, "utf8")).toBe(program("1.0.0"));
    expect(statSync(machine.bin).mode & 0o777).toBe(0o755);
    expect(machine.said.match(/^quorate: (?:staged|swapped|kept): /gm)).toHaveLength(3);
    const before = statSync(machine.bin).ino;
    machine.said = "";
    expect(await upgrade({ from: newer })).toBe(0);
    expect(machine.said).toContain("nothing to do");
    expect(statSync(machine.bin).ino).toBe(before);
  });

  test("each form alone is enough: zst, gz, plain; and a file in the directory", async () => {
    const name = `quorate-${target.name}`;
    for (const form of ["zst", "gz", ""]) {
      count += 1;
      machine = new UpgradeMachineFixture(join(base, `m${count}`), "1.0.0");
      const directory = copy();
      for (const end of ["zst", "gz"]) {
        if (end !== form) rmSync(join(directory, `${name}.${end}`));
      }
      const plain = join(directory, name);
      if (form === "") writeFileSync(plain, program("1.0.1"));
      const from = form === "" ? directory : join(directory, `${name}.${form}`);
      expect([form, await upgrade({ from })]).toEqual([form, 0]);
      expect(machine.version()).toBe("1.0.1");
    }
  });

  test("back again only by --downgrade; a version of its own folder by --to", async () => {
    expect(await upgrade({ from: older })).toBe(1);
    expect(machine.said).toContain("use --downgrade");
    expectUntouched();
    const directory = copy();
    cpSync(older, join(directory, "v0.9.0"), { recursive: true });
    expect(await upgrade({ from: directory, to: "0.9.0", downgrade: true })).toBe(0);
    expect(machine.version()).toBe("0.9.0");
    expect(await upgrade({ from: directory, to: "7.7.7" })).toBe(3);
    expect(await upgrade({ from: directory, to: "../../etc" })).toBe(2);
  });

  test("--check changes nothing and says what there is", async () => {
    expect(await upgrade({ from: newer, check: true })).toBe(0);
    expect(machine.said).toContain("available: quorate 1.0.1: it can be installed");
    expect(await upgrade({ from: older, check: true })).toBe(0);
    expect(machine.said).toContain("earlier than this one");
    expectUntouched();
    expect(existsSync(join(machine.root, "var"))).toBe(false);
  });
});

describe("refused, and nothing changed", () => {
  test.each<readonly [string, number, (directory: string) => Partial<UpgradeOptions> | void]>([
    ["no source", 2, () => ({ from: undefined })],
    ["no such directory", 3, () => ({ from: "/nonexistent" })],
    ["no manifest", 3, (d) => rmSync(join(d, "manifest.json"))],
    ["no signature", 4, (d) => rmSync(join(d, "manifest.json.minisig"))],
    ["another key", 4, () => ({ releaseKeys: [readSigner(newSeed()).publicKey] })],
    ["no key", 4, () => ({ releaseKeys: [] })],
    ["a long manifest", 4, (d) => writeFileSync(join(d, "manifest.json"), " ".repeat(100_000))],
    ["an altered manifest", 4, (d) => flip(join(d, "manifest.json"), 60)],
    ["an altered signature", 4, (d) => flip(join(d, "manifest.json.minisig"), 90)],
    ["an altered file", 4, (d) => flip(join(d, `quorate-${target.name}.zst`), 60)],
    ["a file that cannot be unpacked", 4, (d) => flip(join(d, `quorate-${target.name}.zst`), 0)],
    ["a cut file", 4, (d) => truncateSync(join(d, `quorate-${target.name}.zst`), 100)],
    [
      "no file",
      4,
      (d) => {
        for (const end of ["zst", "gz"]) rmSync(join(d, `quorate-${target.name}.${end}`));
      },
    ],
    ["another machine", 1, () => ({ target: "linux-arm64" })],
    ["another program runs", 2, () => ({ bin: machine.bin, self: process.execPath })],
    ["a file that is not there", 2, () => ({ bin: "/nonexistent/quorate" })],
    ["plain http", 2, () => ({ from: undefined, url: "http://example.org/q" })],
    ["no address", 2, () => ({ from: undefined, url: "example" })],
    ["another host", 2, () => ({ from: undefined, url: "http://127.0.0.1:80@example.org/" })],
    ["a user", 2, () => ({ from: undefined, url: "https://me:secret@example.org/q" })],
    ["a query", 2, () => ({ from: undefined, url: "https://example.org/q?a=b" })],
    ["no key", 2, () => ({ keys: ["nonsense"] })],
    ["no version", 2, () => ({ to: "../x" })],
  ])("%s: exit code %d", async (_name, code, spoil) => {
    const directory = copy();
    const more = spoil(directory) ?? {};
    expect([await upgrade({ from: directory, ...more }), machine.said !== ""]).toEqual([
      code,
      true,
    ]);
    expectUntouched();
    // A command line is checked before anything is made.
    if (code === 2) expect(existsSync(join(machine.root, "var"))).toBe(false);
  });

  test("a program that is not the version of its manifest, or fails its self-test", async () => {
    for (const text of [program("1.0.2"), program("1.0.1", { doctor: 1 }), "#!/bin/sh\nexit 1\n"]) {
      const directory = await release(machine.root, "1.0.1", { text });
      expect(await upgrade({ from: directory })).toBe(1);
      expectUntouched();
    }
    expect(machine.said).toContain("it says it is quorate 1.0.2");
    expect(machine.said).toContain("self-test of 1.0.1");
  });

  test("a version that was rolled back here, until it is forced", async () => {
    expect(await upgrade({ from: newer })).toBe(0);
    // As the rescuer would have left it.
    writeFileSync(machine.bin, program("1.0.0"));
    const state = join(machine.root, "var/lib/quorate");
    const { files } = JSON.parse(readFileSync(join(newer, "manifest.json"), "utf8"));
    const bad = { version: "1.0.1", sha256: files[0].sha256, reason: "tried", at: "yesterday" };
    writeFileSync(join(state, "upgrade-bad.json"), JSON.stringify([bad]));
    expect(await upgrade({ from: newer })).toBe(1);
    expect(machine.said).toContain("was rolled back here on yesterday: tried");
    expect(machine.version()).toBe("1.0.0");
    expect(await upgrade({ from: newer, force: true })).toBe(0);
    expect(machine.version()).toBe("1.0.1");
  });

  test("a state directory that others may write to", async () => {
    const state = join(machine.root, "var/lib/quorate");
    mkdirSync(state, { recursive: true });
    chmodSync(state, 0o777);
    expect(await upgrade({ from: newer })).toBe(1);
    expect(machine.said).toContain("can be written by others");
    expectUntouched();
  });

  test("a record that cannot be written: a sentence, and the installed file as it was", async () => {
    // A directory has its name.
    mkdirSync(join(machine.root, "var/lib/quorate/upgrade-bad.json"), { recursive: true });
    expect(await upgrade({ from: newer })).toBe(3);
    expect(machine.said).toContain("could not be prepared");
    expectUntouched();
  });

  test("a full disk", async () => {
    const mounted = join(machine.root, "bin");
    const full = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mounted]);
    if (full.exitCode !== 0) return expect(process.getuid?.()).not.toBe(0);
    try {
      writeFileSync(machine.bin, program("1.0.0"), { mode: 0o755 });
      expect(await upgrade({ from: newer })).toBe(3);
      expect(machine.said).toContain("MB free and the upgrade needs");
      expectUntouched();
    } finally {
      Bun.spawnSync(["umount", mounted]);
    }
  });

  test("a file that a package owns, by whichever package manager is here", async () => {
    const before = process.env["PATH"];
    try {
      for (const tool of ["dpkg", "rpm", "apk", "pacman"]) {
        const folder = join(machine.root, `${tool}-only`);
        mkdirSync(folder);
        const file = join(folder, tool);
        writeFileSync(file, `#!/bin/sh\necho "some-package: $*"\n`, { mode: 0o755 });
        process.env["PATH"] = folder;
        const owned = await packageOwner(upgradePlaces("/", "/usr/bin/quorate"));
        expect(owned).toContain("/usr/bin/quorate belongs to a package");
        writeFileSync(file, "#!/bin/sh\nexit 1\n");
        expect(await packageOwner(upgradePlaces("/", "/usr/bin/quorate"))).toBeUndefined();
      }
    } finally {
      if (before !== undefined) process.env["PATH"] = before;
    }
  });
});

describe("from a server", () => {
  test("the mirror of a release", async () => {
    const mirror = serveMirror(newer);
    try {
      expect(await upgrade({ url: `${mirror.url}/` })).toBe(0);
    } finally {
      await mirror.stop();
    }
    expect(machine.version()).toBe("1.0.1");
  });

  test("the one that install.sh found it at, where none is named; not if others could have written that", async () => {
    const mirror = serveMirror(newer);
    const state = join(machine.root, "var/lib/quorate");
    const remembered = join(state, "release-url");
    mkdirSync(state, { recursive: true });
    writeFileSync(remembered, `${mirror.url}\n`);
    try {
      chmodSync(remembered, 0o666);
      expect(await upgrade({})).toBe(2);
      chmodSync(remembered, 0o644);
      expect(await upgrade({ check: true })).toBe(0);
      expect(machine.said).toContain("available: quorate 1.0.1");
      expect([await upgrade({}), machine.said]).toEqual([0, machine.said]);
      expect(machine.said).toContain(`from ${mirror.url}, as at its installation`);
    } finally {
      await mirror.stop();
    }
    expect(machine.version()).toBe("1.0.1");
  });

  test("one that leads elsewhere is not followed to plain http", async () => {
    const elsewhere = Bun.serve({ hostname: "127.0.0.2", port: 0, fetch: () => new Response("x") });
    const location = `http://127.0.0.2:${elsewhere.port}/manifest.json`;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.redirect(location),
    });
    try {
      expect(await upgrade({ url: `http://127.0.0.1:${server.port}` })).toBe(3);
      expect(machine.said).toContain(`leads to ${location}, which is not https`);
      expectUntouched();
    } finally {
      await Promise.all([server.stop(true), elsewhere.stop(true)]);
    }
  });

  test("a download that is cut at each of twenty places changes nothing", async () => {
    const file = readFileSync(join(newer, `quorate-${target.name}.zst`));
    for (let place = 0; place < 20; place += 1) {
      const cut = Math.floor((file.length * place) / 20);
      const server = await cutServer(newer, cut);
      expect([place, await upgrade({ url: server.url })]).toEqual([place, 3]);
      server.close();
      expectUntouched();
    }
  });

  test("nobody there", async () => {
    expect(await upgrade({ url: "http://127.0.0.1:1" })).toBe(3);
    expectUntouched();
  });
});

test("killed at every step before the record is written: the old program has the name, and the next try succeeds", async () => {
  const steps = ["flushNext", "forget", "tell", "keepPrevious", "persist"];
  for (const [index, step] of steps.entries()) {
    count += 1;
    machine = new UpgradeMachineFixture(join(base, `m${count}`), "1.0.0");
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "killed-staging.ts"),
        machine.root,
        newer,
        signer.publicKey,
        step,
      ],
      { stdout: "inherit", stderr: "inherit" },
    );
    await child.exited;
    // Nothing was to be forgotten: that run went through.
    expect([step, child.signalCode]).toEqual([step, step === "forget" ? null : "SIGKILL"]);
    expect(machine.version()).toBe(index === 1 ? "1.0.1" : "1.0.0");
    const code = await upgrade({ from: newer });
    expect([step, code, code === 0 ? "" : machine.said]).toEqual([step, 0, ""]);
    expect(machine.version()).toBe("1.0.1");
  }
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** Serves a directory, but ends every connection after `bytes` of the program. */
async function cutServer(
  directory: string,
  bytes: number,
): Promise<{ readonly url: string; readonly close: () => void }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (request) => {
      const name = /^GET \/(\S+)/.exec(request.toString())?.[1] ?? "";
      const content = readFileSync(join(directory, name));
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\nconnection: close\r\n\r\n`,
      );
      socket.end(name.endsWith(".zst") ? content.subarray(0, bytes) : content);
    });
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  const port = await promise;
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
}
