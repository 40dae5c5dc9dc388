// A release directory: the same bytes each time, its signature holds for minisign and openssl as well, its hashes for
// sha256sum, its install.sh knows them, and who may sign it.
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pinScript } from "../../build/release-files.ts";
import { publishedKeys, signingOf } from "../../build/release-keys.ts";
import { newSeed, readSigner } from "../../build/signer.ts";
import { fileName, targets } from "../../build/targets.ts";
import { readManifest } from "../../src/shell/release/manifest.ts";
import { verifyRelease } from "../../src/shell/release/verify.ts";
import { makeSmallRelease, scriptTemplate } from "./signed-release.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-release-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const isCi = process.env["QUORATE_CI"] === "1";

const signer = readSigner(newSeed());
const { directory } = await makeSmallRelease(join(base, "first"), { signer });

function bytesOf(name: string, from = directory): Buffer {
  return readFileSync(join(from, name));
}

function contentOf(from: string): readonly string[] {
  return readdirSync(from)
    .toSorted()
    .map((name) => `${name} ${sha256(bytesOf(name, from))} ${statSync(join(from, name)).mode}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function shell(script: string, ...args: string[]): { code: number; out: string } {
  const result = Bun.spawnSync(["sh", "-euc", script, "sh", ...args], {
    cwd: directory,
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: result.exitCode, out: result.stdout.toString() + result.stderr.toString() };
}

describe("a release", () => {
  test("has these files and no others", () => {
    const packed = targets.flatMap((target) => [
      `${fileName(target)}.gz`,
      `${fileName(target)}.zst`,
    ]);
    const others = ["install.sh", "manifest.json", "manifest.json.minisig", "SHA256SUMS"];
    expect(readdirSync(directory).toSorted()).toEqual([...packed, ...others].toSorted());
  });

  test("of the same executables and key has the same bytes", async () => {
    const again = await makeSmallRelease(join(base, "second"), { signer });
    expect(contentOf(again.directory)).toEqual(contentOf(directory));
  });

  test("replaces a former one and leaves what is not its own", async () => {
    const place = join(base, "third");
    await makeSmallRelease(place, { signer });
    writeFileSync(join(place, "release", "notes.txt"), "mine");
    const some = targets.slice(0, 1);
    await makeSmallRelease(place, { signer, targets: some });
    const names = readdirSync(join(place, "release")).filter((name) => name.startsWith("quorate"));
    expect(names.toSorted()).toEqual(["quorate-linux-x64.gz", "quorate-linux-x64.zst"]);
    expect(bytesOf("notes.txt", join(place, "release")).toString()).toBe("mine");
  });

  test("unpacks with gzip and zstd to what the manifest says", () => {
    const manifest = readManifest(bytesOf("manifest.json"));
    if (!manifest.ok) throw new Error(manifest.reason);
    expect(manifest.value.files.map(({ target }) => target)).toEqual(
      targets.map(({ name }) => name),
    );
    for (const { name, bytes, sha256: hash } of manifest.value.files) {
      const lines = shell('gzip -dc "$1.gz" | sha256sum; gzip -dc "$1.gz" | wc -c', name).out;
      expect(lines).toBe(`${hash}  -\n${bytes}\n`);
      if (Bun.which("zstd") !== null || isCi)
        expect(shell('zstd -qdc "$1.zst" | sha256sum', name).out).toBe(`${hash}  -\n`);
    }
  });

  test("carries neither name nor time in its gzip files", () => {
    const [, , , flags, ...time] = bytesOf("quorate-linux-x64.gz").subarray(0, 8);
    expect([flags, ...time]).toEqual([0, 0, 0, 0, 0]);
  });

  test("passes sha256sum -c, nothing left out", () => {
    const { code, out } = shell("sha256sum -c SHA256SUMS");
    expect(code).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(readdirSync(directory).length - 1);
  });
});

describe("the signature", () => {
  test("holds for ourselves", () => {
    const signature = bytesOf("manifest.json.minisig");
    const good = verifyRelease(bytesOf("manifest.json"), signature, [signer.publicKey]);
    expect(good).toMatchObject({ ok: true, value: { version: "0.1.0", development: false } });
    const other = readSigner(newSeed()).publicKey;
    const second = verifyRelease(bytesOf("manifest.json"), signature, [other, signer.publicKey]);
    expect(second.ok).toBe(true);
    const reasons = [[], [other], ["nonsense"]].map((keys) =>
      verifyRelease(bytesOf("manifest.json"), signature, keys),
    );
    expect(reasons).toEqual([
      { ok: false, reason: expect.stringContaining("without a release key") },
      { ok: false, reason: expect.stringContaining("it is signed by key") },
      { ok: false, reason: expect.stringContaining("cannot be used") },
    ]);
  });

  test("fails at every flipped byte of the manifest, before the manifest is read", () => {
    const manifest = bytesOf("manifest.json");
    for (let at = 0; at < manifest.length; at += 1) {
      const altered = Buffer.from(manifest);
      altered[at]! ^= 0x20;
      expect(verifyRelease(altered, bytesOf("manifest.json.minisig"), [signer.publicKey])).toEqual({
        ok: false,
        reason: expect.stringContaining("it was altered"),
      });
    }
  });

  test("does not make a wrong manifest right", () => {
    const wrong = Buffer.from('{"product":"other"}');
    const signature = Buffer.from(signer.sign(wrong, "x"));
    expect(verifyRelease(wrong, signature, [signer.publicKey])).toMatchObject({ ok: false });
    const huge = Buffer.alloc(100_000, 32);
    const signed = Buffer.from(signer.sign(huge, "x"));
    expect(verifyRelease(huge, signed, [signer.publicKey])).toEqual({
      ok: false,
      reason: expect.stringContaining("at most"),
    });
  });

  test("holds for minisign, and not when a byte is flipped", () => {
    if (Bun.which("minisign") === null) {
      if (isCi) throw new Error("minisign is not installed");
      return console.log("not run: needs minisign");
    }
    const check = 'minisign -V -P "$1" -m "$2" -x manifest.json.minisig';
    const good = shell(check, signer.publicKey, "manifest.json");
    expect(good).toEqual({
      code: 0,
      out: expect.stringContaining("quorate 0.1.0 release manifest.json"),
    });
    const altered = join(base, "altered.json");
    writeFileSync(altered, bytesOf("manifest.json").toString().replace("0.1.0", "0.1.1"));
    expect(shell(check, signer.publicKey, altered).code).not.toBe(0);
  });

  test("holds for openssl as install.sh uses it, and not when a byte is flipped", () => {
    const altered = join(base, "altered-too.json");
    writeFileSync(altered, bytesOf("manifest.json").toString().replace("0.1.0", "0.1.1"));
    const work = mkdtempSync(join(base, "openssl-"));
    const check = `
      openssl dgst -blake2b512 -binary "$2" >"$3/digest"
      sed -n 2p manifest.json.minisig | openssl base64 -d -A | tail -c 64 >"$3/signature"
      { printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'
        printf %s "$1" | openssl base64 -d -A | tail -c 32; } >"$3/key"
      openssl pkeyutl -verify -pubin -keyform DER -inkey "$3/key" -rawin -in "$3/digest" -sigfile "$3/signature"`;
    expect(shell(check, signer.publicKey, "manifest.json", work).code).toBe(0);
    expect(shell(check, signer.publicKey, altered, work).code).not.toBe(0);
  });
});

describe("install.sh", () => {
  test("knows version, address, key and every hash", () => {
    const { code, out } = shell("sh install.sh");
    expect(code).toBe(0);
    const [version, development, address, keys, manifestHash, ...pinned] = out.trim().split("\n");
    expect([version, development, address, keys]).toEqual([
      "0.1.0",
      "no",
      "https://example.org/quorate",
      signer.publicKey,
    ]);
    expect(manifestHash).toBe(sha256(bytesOf("manifest.json")));
    expect(pinned).toHaveLength(targets.length * 3);
    for (const [name = "", size, hash] of pinned.map((line) => line.split(" "))) {
      const plain = join(base, "first", "executables", name);
      const file = /\.(?:gz|zst)$/.test(name) ? join(directory, name) : plain;
      expect([name, size, hash]).toEqual([
        name,
        String(statSync(file).size),
        sha256(readFileSync(file)),
      ]);
    }
    expect(statSync(join(directory, "install.sh")).mode & 0o777).toBe(0o755);
  });

  test("with another block than the builder knows is not filled", () => {
    const values = { version: "1", development: "no" };
    const block = (lines: string): string => `a\n# BEGIN PINNED\n${lines}# END PINNED\nb\n`;
    expect(pinScript(block('version="" development=""\n'), values)).toBe(
      block("version='1'\ndevelopment='no'\n"),
    );
    expect(() => pinScript("no block", values)).toThrow("BEGIN PINNED");
    expect(() => pinScript(block('version=""\n'), values)).toThrow("fills version, development");
    expect(() => pinScript(block("version=\nother=\ndevelopment=\n"), values)).toThrow("other");
    const quoted = { version: "'; rm -rf /", development: "no" };
    expect(() => pinScript(block("version=\ndevelopment=\n"), quoted)).toThrow("quote");
    const dollar = { version: "$&$1", development: "" };
    expect(pinScript(block("version=\ndevelopment=\n"), dollar)).toContain("version='$&$1'\n");
  });

  test("of a development release says so", async () => {
    const options = {
      signer,
      isDevelopment: true,
      version: "0.1.0-dev+0123456789ab",
      isFast: true,
    };
    const made = await makeSmallRelease(join(base, "development"), options);
    expect(bytesOf("install.sh", made.directory).toString()).toContain("development='yes'\n");
    expect(bytesOf("manifest.json", made.directory).toString()).toContain('"development":true');
    expect(bytesOf("manifest.json.minisig", made.directory).toString()).toContain(
      "development release",
    );
    expect(scriptTemplate).not.toContain("'yes'");
  });
});

describe("who signs", () => {
  const seed = newSeed();
  const own = readSigner(seed).publicKey;
  const other = readSigner(newSeed()).publicKey;
  const developmentKey = join(base, "kept", "development.key");
  const commit = "0123456789ab";

  test("nobody's key: one made on the spot, kept for the next release of this checkout", () => {
    for (const releaseKey of [undefined, "", "\n"]) {
      const options = {
        releaseKey,
        isDevelopment: false,
        published: [other],
        commit,
        developmentKey,
      };
      const first = signingOf(options);
      expect(first.isDevelopment).toBe(true);
      expect(first.keys).toEqual([first.signer.publicKey, other]);
      expect(signingOf(options).signer.publicKey).toBe(first.signer.publicKey);
    }
    expect(statSync(developmentKey).mode & 0o777).toBe(0o600);
  });

  test("a published key: a release; another: only a development release", () => {
    const known = { releaseKey: seed, published: [other, own] };
    const release = signingOf({ ...known, commit, isDevelopment: false });
    expect({ ...release, signer: release.signer.publicKey }).toEqual({
      signer: own,
      keys: [other, own],
      isDevelopment: false,
    });
    const unknown = { releaseKey: seed, published: [other], commit };
    expect(() => signingOf({ ...unknown, isDevelopment: false })).toThrow("not in build/keys");
    expect(signingOf({ ...unknown, isDevelopment: true })).toMatchObject({
      keys: [own, other],
      isDevelopment: true,
    });
  });

  test("a tree that is no commit: only a development release", () => {
    for (const dirty of [`${commit}-dirty`, "unknown"]) {
      const options = { releaseKey: seed, published: [own], commit: dirty };
      expect(() => signingOf({ ...options, isDevelopment: false })).toThrow("of one commit");
      expect(signingOf({ ...options, isDevelopment: true }).isDevelopment).toBe(true);
    }
  });

  test("published keys are minisign's files, at most two", () => {
    const folder = join(base, "keys");
    mkdirSync(folder);
    writeFileSync(join(folder, "README.md"), "words");
    expect(publishedKeys(folder)).toEqual([]);
    writeFileSync(join(folder, "2.pub"), `untrusted comment: key\n${other}\n`);
    writeFileSync(join(folder, "1.pub"), `untrusted comment: key\n${own}\n`);
    expect(publishedKeys(folder)).toEqual([own, other]);
    writeFileSync(join(folder, "3.pub"), "damaged\n");
    expect(() => publishedKeys(folder)).toThrow("at most 2");
    rmSync(join(folder, "1.pub"));
    expect(() => publishedKeys(folder)).toThrow("3.pub: this is no minisign public key");
  });

  test("a key that minisign made, whole or only its line; a locked or damaged one is refused unseen", () => {
    if (Bun.which("minisign") === null) {
      if (isCi) throw new Error("minisign is not installed");
      return console.log("not run: needs minisign");
    }
    const [file, pub] = [join(base, "made.key"), join(base, "made.pub")];
    expect(shell('minisign -G -W -s "$1" -p "$2"', file, pub).code).toBe(0);
    const text = readFileSync(file, "utf8");
    const line = text.split("\n")[1]!;
    for (const form of [text, line, `${line}\n`])
      expect(readFileSync(pub, "utf8")).toContain(`\n${readSigner(form).publicKey}\n`);
    const altered = (at: number): string => {
      const bytes = Buffer.from(line, "base64");
      bytes[at]! ^= 1;
      return bytes.toString("base64");
    };
    expect(() => readSigner(altered(2))).toThrow("locked with a password");
    expect(() => readSigner(altered(70))).toThrow("damaged");
    expect(() => readSigner("c2VjcmV0")).toThrow(/^(?!.*c2VjcmV0)the release key is neither/);
  });
});
