import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { crypt } from "./libcrypt.ts";
import { SystemPasswords } from "./passwords.ts";
import { shadowEntry } from "./shadow.ts";

const directory = mkdtempSync(join(tmpdir(), "shadow-"));
const file = join(directory, "shadow");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const sha512 =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const sha256 = "$5$aa$/e1kojZlq8qGGEZ4QNj1AiuUZhVfHUrhidsZx.pVJf7";

let passwords: SystemPasswords;
beforeAll(() => {
  passwords = new SystemPasswords(() => file);
});
afterEach(() => passwords.close());

function shadow(hash: string, expires = ""): void {
  writeFileSync(
    file,
    `daemon:*:1::::::\nroot:${hash}:19000:0:99999:7::${expires}:\nrooter:x:1::::::\n`,
  );
}

test("hashes of the system's crypt", async () => {
  const cases = [sha512, sha256];
  const yescrypt = crypt("secret", "$y$j9T$abcdefghijklmnop$");
  // glibc's own crypt does not know it.
  if (yescrypt.ok && yescrypt.value !== "") cases.push(yescrypt.value);
  for (const hash of cases) {
    shadow(hash);
    expect(await passwords.check("root", "secret")).toEqual({ kind: "right" });
    expect((await passwords.check("root", "Secret")).kind).toBe("wrong");
    expect((await passwords.check("root", "secret ")).kind).toBe("wrong");
  }
});

test("accounts that are locked, have expired or no password; passwords that are none", async () => {
  for (const hash of ["*", "!", `!${sha512}`, "", "x y"]) {
    shadow(hash);
    for (const password of ["", "x", "secret", "*", "!", "\0"]) {
      expect((await passwords.check("root", password)).kind).toBe("wrong");
    }
  }
  shadow(sha512, "1000");
  expect(await passwords.check("root", "secret")).toEqual({
    kind: "wrong",
    reason: "the account has expired",
  });
  shadow(sha512);
  expect((await passwords.check("nobody", "secret")).kind).toBe("wrong");
  expect((await passwords.check("root", "x".repeat(5000))).kind).toBe("wrong");
});

test("a method that crypt does not know, and a missing file, are faults with a sentence", async () => {
  shadow("$zz$abc$def");
  const unknown = await passwords.check("root", "secret");
  expect(unknown.kind === "fault" ? unknown.reason : "").toContain("$zz$");
  const none = await new SystemPasswords(() => join(directory, "none")).check("root", "x");
  expect(none.kind === "fault" ? none.reason : "").toStartWith(
    "passwords cannot be checked: ENOENT",
  );
});

test("many at once: in turns, and more than may wait are turned away", async () => {
  shadow(sha512);
  const verdicts = await Promise.all(
    Array.from({ length: 40 }, (_, at) => passwords.check("root", at % 2 === 0 ? "secret" : "no")),
  );
  const count = (kind: string) => verdicts.filter((verdict) => verdict.kind === kind).length;
  expect([count("right"), count("wrong"), count("busy")]).toEqual([8, 8, 24]);
  expect(await passwords.check("root", "secret")).toEqual({ kind: "right" });
});

test("who waits at the end gets an answer", async () => {
  shadow(sha512);
  const waiting = passwords.check("root", "secret");
  await Promise.resolve();
  passwords.close();
  expect(await waiting).toEqual({
    kind: "fault",
    reason: "passwords cannot be checked: the node is ending",
  });
});

test("without a thread there is a sentence, and logins go on once there is one", async () => {
  shadow(sha512);
  const real = globalThis.Worker;
  const none = function none(): never {
    throw new Error("no more threads");
  };
  Reflect.set(globalThis, "Worker", none);
  const asked = [passwords.check("root", "secret"), passwords.check("root", "secret")];
  const verdicts = await Promise.allSettled(asked);
  Reflect.set(globalThis, "Worker", real);
  const value = { kind: "fault", reason: "passwords cannot be checked: no more threads" } as const;
  expect(verdicts).toEqual([
    { status: "fulfilled", value },
    { status: "fulfilled", value },
  ]);
  expect(await passwords.check("root", "secret")).toEqual({ kind: "right" });
});

test("property: any file is read without a throw, and a hash has no colon", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      for (const each of [text, `root:${text}`]) {
        const entry = shadowEntry(each, "root", 20_000);
        if (entry.kind === "hash") expect(entry.hash).toMatch(/^[!-9;-~]+$/);
      }
    }),
  );
});
