import { expect, test } from "bun:test";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { withTreeLock } from "./tree-file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (files: TestingFiles, path: string) => {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : read.errno;
};

test("a file is replaced as a whole, and a refusal leaves nothing beside it", async () => {
  const files = new TestingFiles();
  await files.mkdir("priv");
  expect((await files.replace("priv/a", bytes("one"))).ok).toBe(true);
  expect((await files.replace("priv/a", bytes("2"))).ok).toBe(true);
  expect(textOf(files, "priv/a")).toBe("2");
  expect((await files.replace("priv", bytes("x"))).ok).toBe(false);
  expect((await files.replace("none/a", bytes("x"))).ok).toBe(false);
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

/** A lock on a clock of the test's own; each look at it is `stepMs` later. */
function lockClock() {
  let ms = 0;
  return {
    now: () => ms,
    pause: async (pauseMs: number) => void (ms += pauseMs),
    passes: (pauseMs: number) => void (ms += pauseMs),
  };
}

test("after a minute nothing more is changed under a lock, and reads go on", async () => {
  const files = new TestingFiles();
  const clock = lockClock();
  const done = await withTreeLock(
    files,
    "authkey",
    async (held) => {
      clock.passes(59_999);
      const first = await held.replace("priv/a", bytes("one"));
      clock.passes(1);
      const second = await held.replace("priv/a", bytes("two"));
      return [
        first.ok,
        second.ok ? "" : `${second.errno} ${second.reason}`,
        textOf(files, "priv/a"),
      ];
    },
    clock,
  );
  expect(done).toEqual({
    ok: true,
    value: [
      true,
      "EBUSY the lock 'authkey' was held for longer than 60 s: nothing more is changed; try again",
      "one",
    ],
  });
  expect(files.stat("priv/lock/authkey").ok).toBe(false);
});

test("a lock that another node has by now is neither written under nor given back", async () => {
  const files = new TestingFiles();
  const clock = lockClock();
  const lock = "priv/lock/authkey";
  const done = await withTreeLock(
    files,
    "authkey",
    async (held) => {
      // The ring was away: the others freed it, and one of them took it.
      await files.remove(lock);
      await files.mkdir(lock);
      const stat = files.stat(lock);
      await files.setMtime(lock, stat.ok ? stat.value.mtime + 1 : 0);
      const written = await held.replace("priv/a", bytes("two"));
      return written.ok ? "" : written.reason;
    },
    clock,
  );
  expect(done).toEqual({
    ok: true,
    value: "the lock 'authkey' was lost to another node: nothing more is changed; try again",
  });
  expect(files.stat(lock).ok).toBe(true);
});

test("one that was held too long is left to end by itself: its release could be another's", async () => {
  const files = new TestingFiles();
  const clock = lockClock();
  await withTreeLock(files, "authkey", async () => clock.passes(100_000), clock);
  expect(files.stat("priv/lock/authkey").ok).toBe(true);
  const next = await withTreeLock(files, "authkey", async () => 1, { ...clock, waitMs: 1000 });
  expect(next.ok ? "" : next.reason).toStartWith("the lock 'authkey' is held by another node");
});
