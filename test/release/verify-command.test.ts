// `quorate verify` through its table: what it says and how it ends for a good release and for each kind of bad one.
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSeed, readSigner } from "../../build/signer.ts";
import { runTable } from "../../src/shell/cli/table-parse.ts";
import { tableOf } from "../../src/shell/cli/table.ts";
import { verify as verifyEntry } from "../../src/shell/cli/verbs-release.ts";
import { verifyCommand, type VerifyOptions } from "../../src/shell/command/verify.ts";
import { CommandFailure } from "../../src/shell/exit.ts";
import { makeSmallRelease } from "./signed-release.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-verify-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const { directory, signer } = await makeSmallRelease(base);
const manifest = join(directory, "manifest.json");
const signature = `${manifest}.minisig`;
const executable = join(base, "executables", "quorate-linux-arm64");

function verify(change: Partial<VerifyOptions> = {}): { code: number; said: string } {
  let said = "";
  try {
    const code = verifyCommand({
      ...{ manifest, signature, files: [], keys: [], releaseKeys: [signer.publicKey] },
      write: (text) => (said += text),
      ...change,
    });
    return { code, said };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { code: error.code, said: error.message };
  }
}

function place(name: string, content: string | Uint8Array): string {
  writeFileSync(join(base, name), content);
  return join(base, name);
}

describe("quorate verify", () => {
  test("says what a good release is, and which of its files a file is", () => {
    const renamed = join(base, "download");
    copyFileSync(join(directory, "quorate-linux-arm64.zst"), renamed);
    const files = [executable, join(directory, "quorate-linux-x64.gz"), renamed];
    expect(verify({ files })).toEqual({
      code: 0,
      said:
        "signature good: quorate 0.1.0, release of commit 0123456789ab\n" +
        `${files[0]}: quorate-linux-arm64 of that release, unaltered\n` +
        `${files[1]}: quorate-linux-x64.gz of that release, unaltered\n` +
        `${files[2]}: quorate-linux-arm64.zst of that release, unaltered\n`,
    });
  });

  test("takes another key, as text or as file", () => {
    const pub = place("own.pub", `untrusted comment: key\n${signer.publicKey}\n`);
    for (const key of [signer.publicKey, pub])
      expect(verify({ keys: [key], releaseKeys: [] }).code).toBe(0);
    expect(verify({ keys: ["no-such-file"] })).toEqual({
      code: 2,
      said: expect.stringContaining("neither"),
    });
  });

  const stranger = readSigner(newSeed());
  const altered = readFileSync(executable);
  altered[100]! ^= 1;
  const cases: Readonly<Record<string, readonly [Partial<VerifyOptions>, string]>> = {
    "a stranger's key": [{ releaseKeys: [stranger.publicKey] }, "is signed by key"],
    "no key": [{ releaseKeys: [] }, "built without a release key"],
    "a stranger's signature": [
      { signature: place("stranger", stranger.sign(readFileSync(manifest), "x")) },
      "is signed by key",
    ],
    "a missing signature": [{ signature: join(base, "none") }, "cannot read"],
    "an empty signature": [{ signature: place("empty", "") }, "four lines"],
    "an endless signature": [{ signature: place("endless", Buffer.alloc(1 << 20)) }, "at most"],
    "a missing manifest": [{ manifest: join(base, "none") }, "cannot read"],
    "an endless manifest": [{ manifest: place("long", Buffer.alloc(1 << 20)) }, "at most"],
    "another manifest": [{ manifest: place("other", "{}") }, "it was altered"],
    "an altered file": [{ files: [place("flipped", altered)] }, "is no file of quorate 0.1.0"],
    "a cut file": [{ files: [place("cut", altered.subarray(0, 100))] }, "is no file of quorate"],
    "a missing file": [{ files: [join(base, "none")] }, "cannot read"],
  };
  test.each(Object.entries(cases))("ends with 4 at %s", (_what, [change, words]) => {
    expect(verify(change)).toEqual({ code: 4, said: expect.stringContaining(words) });
  });

  test("says of a file that the manifest does not list what SHA256SUMS beside it has", () => {
    const script = join(directory, "install.sh");
    const expectSaid = (words: string) =>
      expect(verify({ files: [script] })).toEqual({
        code: 4,
        said: expect.stringContaining(words),
      });
    expectSaid("that the signed manifest lists, by name or content");
    expectSaid(`it is as ${join(directory, "SHA256SUMS")} says, but that list is not signed`);
    const content = readFileSync(script);
    writeFileSync(script, "echo altered\n");
    expectSaid("has another SHA-256 for it, so one of the two was altered or cut");
    writeFileSync(script, content);
    expect(verify({ files: [place("unlisted", "x")] }).said).toContain(
      "compare it with SHA256SUMS",
    );
    const listed = join(base, "quorate-linux-x64.gz");
    writeFileSync(listed, altered);
    expect(verify({ files: [listed] }).said).toEndWith("fetch quorate-linux-x64.gz again");
  });

  test("is in the table: options, their defaults, files", async () => {
    const run = (...args: string[]): Promise<number> =>
      runTable(
        {
          table: tableOf([verifyEntry]),
          versionLine: "",
          welcome: () => expect.unreachable(),
          act: (call) => call.run(),
          ...{ write: () => {}, note: () => {} },
        },
        ["verify", ...args],
      );
    const key = ["--key", signer.publicKey];
    expect(await run("--manifest", manifest, ...key, executable)).toBe(0);
    expect(await run("--manifest", manifest, "--key", stranger.publicKey)).toBe(4);
    const both = run("--manifest", manifest, "--key", stranger.publicKey, ...key);
    expect(await both).toBe(0);
  });
});
