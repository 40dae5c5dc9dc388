import { expect, test } from "bun:test";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { replaceFile, withTreeLock } from "./tree-file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (files: TestingFiles, path: string) => {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : read.errno;
};

test("a file is replaced as a whole, and a refusal leaves nothing beside it", async () => {
  const files = new TestingFiles();
  await files.mkdir("priv");
  expect((await replaceFile(files, "priv/a", bytes("one"))).ok).toBe(true);
  expect((await replaceFile(files, "priv/a", bytes("2"))).ok).toBe(true);
  expect(textOf(files, "priv/a")).toBe("2");
  expect((await replaceFile(files, "priv", bytes("x"))).ok).toBe(false);
  expect((await replaceFile(files, "none/a", bytes("x"))).ok).toBe(false);
  expect([...files.entries.keys()].toSorted()).toEqual(["", "priv", "priv/a"]);
});

test("one at a time under a lock, which is given back after an error too", async () => {
  const files = new TestingFiles();
  const order: string[] = [];
  const gate = Promise.withResolvers<undefined>();
  const first = withTreeLock(files, "authkey", async () => {
    order.push("first in");
    await gate.promise;
    order.push("first out");
    return 1;
  });
  const second = withTreeLock(files, "authkey", async () => {
    order.push("second in");
    return 2;
  });
  await files.catchUp();
  gate.resolve(undefined);
  expect(await first).toEqual({ ok: true, value: 1 });
  expect(await second).toEqual({ ok: true, value: 2 });
  expect(order).toEqual(["first in", "first out", "second in"]);
  const thrown = withTreeLock(files, "authkey", () => Promise.reject(new Error("disk full")));
  expect(thrown).rejects.toThrow("disk full");
  await thrown.catch(() => undefined);
  expect(files.stat("priv/lock/authkey").ok).toBe(false);
});

test("without quorum there is a sentence", async () => {
  const files = new TestingFiles();
  files.isQuorate = false;
  const refused = await withTreeLock(files, "authkey", async () => 1);
  expect(refused.ok ? "" : refused.reason).toStartWith("the lock 'authkey' cannot be taken: ");
});
