// Tokens and passwords from standard input and from files: the first line, bounded, and sentences for what is not there.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { targetWord } from "../command/qdevice.ts";
import { passwordOf, readSecret } from "./secret.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-secret-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, text: string | Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

function typed(...pieces: readonly string[]) {
  let noted = "";
  const input = (async function* () {
    for (const piece of pieces) yield new TextEncoder().encode(piece);
  })();
  const note = (text: string): void => void (noted += text);
  return { sources: () => ({ input, isTerminal: true, note }), noted: () => noted };
}

test("standard input: one line, in any pieces, without waiting for the end; a person is told", async () => {
  const { sources, noted } = typed("sec", "ret wo", "rds\r\nmore");
  expect(await readSecret("-", "token", sources)).toBe("secret words");
  expect(noted()).toBe("Type or paste the token, then Enter: ");
  expect(await readSecret("-", "token", typed("no line end").sources)).toBe("no line end");
});

test("a file: its first line", async () => {
  expect(await readSecret(file("a", "one\ntwo\n"), "token")).toBe("one");
  expect(await passwordOf(undefined, file("b", " with blanks \n"))).toBe(" with blanks ");
});

test("what is not there is said", async () => {
  const empty = file("empty", "\n");
  await expect(readSecret(empty, "token")).rejects.toThrow(`there is no token in ${empty}`);
  await expect(readSecret("-", "token", typed().sources)).rejects.toThrow(
    "there is no token on standard input",
  );
  const absent = join(directory, "absent");
  await expect(readSecret(absent, "token")).rejects.toThrow(
    `the token in ${absent} cannot be read: ENOENT`,
  );
  const endless = file("endless", new Uint8Array(1_000_000).fill(65));
  await expect(readSecret(endless, "token")).rejects.toThrow("too long to be a token");
});

test("a password comes from one place", async () => {
  expect(await passwordOf(undefined, undefined)).toBe("");
  expect(await passwordOf("plain", undefined)).toBe("plain");
  await expect(passwordOf("plain", "file")).rejects.toThrow(
    "--password or --password-file, not both",
  );
});

test("a token's place: what invite prints will do, anything else is refused without being shown", async () => {
  expect(await targetWord("192.0.2.7")).toBe("192.0.2.7");
  expect(await targetWord("quorate1.AbC")).toBe("quorate1.AbC");
  expect(await targetWord(file("invited", "quorate qdevice setup quorate1.AbC\n"))).toBe(
    "quorate1.AbC",
  );
  const other = file("other", "hunter2\n");
  const refusal = await targetWord(other).catch(String);
  expect(refusal).toContain(`what stands in ${other} is no token: one begins with "quorate1."`);
  expect(refusal).not.toContain("hunter2");
});
