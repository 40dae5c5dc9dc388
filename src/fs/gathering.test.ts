// Writes that are gathered: whatever pieces come, in whatever order of answers, readers see all of them and the tree gets the same bytes.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { HandClock } from "../../test/double/hand-clock.ts";
import { Gathering, oldestMs, quietMs } from "./gathering.ts";
import { fileType } from "./tree/entry.ts";
import type { Gathered, Outcome } from "./tree/files.ts";
import { patched } from "./tree/tree-node.ts";

interface Sent {
  readonly path: string;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly answer: (outcome: Outcome<number>) => void;
}

function started() {
  const clock = new HandClock();
  const waiting: Sent[] = [];
  const files = new Map<string, Uint8Array>();
  const gathering = new Gathering({
    clock,
    wallS: () => Math.floor(clock.now() / 1000),
    send: ({ path, offset, data }, executed) => {
      const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
      const answer = (outcome: Outcome<number>): void => {
        if (outcome.ok) {
          const before = files.get(path) ?? new Uint8Array(0);
          const size = Math.max(before.length, offset + data.length);
          files.set(path, patched(before, { offset, data, size }));
          executed();
        }
        resolve(outcome);
      };
      waiting.push({ path, offset, data, answer });
      return promise;
    },
  });
  const seen = (path: string) => {
    const data = files.get(path) ?? new Uint8Array(0);
    const head = { inode: 2, parent: 0, version: 2, writer: 0, mtime: 0, name: path };
    return gathering.ahead(path, { ...head, type: fileType, data });
  };
  const add = (path: string, offset: number, text: string) =>
    gathering.add(path, offset, new TextEncoder().encode(text));
  const text = (path: string) => new TextDecoder().decode(seen(path).data);
  const carryOut = () => {
    for (const { data, answer } of waiting.splice(0)) answer({ ok: true, value: data.length });
  };
  return { clock, waiting, files, gathering, seen, add, text, carryOut };
}

test("writes that adjoin leave as one, once none has come for a moment", () => {
  const { clock, waiting, add, text } = started();
  for (let at = 0; at < 40; at += 4) {
    void add("a", at, "abcd");
    clock.advance(5);
  }
  expect(waiting.length).toBe(0);
  expect(text("a")).toBe("abcd".repeat(10));
  clock.advance(quietMs);
  expect(waiting.map(({ offset, data }) => [offset, data.length])).toEqual([[0, 40]]);
  expect(text("a")).toBe("abcd".repeat(10));
});

test("a writer that never rests is sent all the same", () => {
  const { clock, waiting, add } = started();
  for (let at = 0; at * 10 < oldestMs; at += 1) {
    void add("a", at, "x");
    clock.advance(10);
  }
  expect(waiting.length).toBe(1);
});

test("what does not adjoin leaves on its own, in order, and is seen before it has arrived", () => {
  const { waiting, gathering, add, text, carryOut } = started();
  void add("a", 0, "one");
  void add("a", 5, "two");
  void add("a", 2, "X");
  expect(waiting.map(({ offset }) => offset)).toEqual([0, 5]);
  expect(text("a")).toBe("onX\0\0two");
  gathering.send("a");
  expect(waiting.map(({ offset }) => offset)).toEqual([0, 5, 2]);
  carryOut();
  expect(text("a")).toBe("onX\0\0two");
});

test("what the tree has is no longer laid over it, though nobody was answered yet", () => {
  const { files, gathering, add, text, carryOut } = started();
  void add("a", 0, "mine");
  gathering.send("a");
  carryOut();
  files.set("a", new TextEncoder().encode("a peer's"));
  expect(text("a")).toBe("a peer's");
});

test("a refusal is told to whoever wrote, and what was refused is not shown", async () => {
  const { waiting, gathering, add, text } = started();
  const written = add("a", 0, "mine") as Gathered;
  written.send();
  waiting[0]?.answer({ ok: false, errno: "EEXIST", reason: "its VMID belongs to another guest" });
  expect(await written.done).toMatchObject({ ok: false, errno: "EEXIST" });
  expect(text("a")).toBe("");
  await gathering.settled();
});

test("who writes faster than the tree takes waits", async () => {
  const { waiting, gathering, clock, carryOut } = started();
  const piece = new Uint8Array(131_072);
  let waits: Promise<Gathered> | undefined;
  let count = 0;
  while (waits === undefined) {
    const gathered = gathering.add(`f${Math.floor(count / 8)}`, (count % 8) * piece.length, piece);
    if (gathered instanceof Promise) waits = gathered;
    count += 1;
  }
  expect(count * piece.length).toBeGreaterThan(16 * 1024 * 1024);
  expect(count * piece.length).toBeLessThan(17 * 1024 * 1024);
  expect(waiting.length).toBe(17);
  carryOut();
  await waits;
  expect(gathering.add("g", 0, piece)).not.toBeInstanceOf(Promise);
  clock.advance(quietMs);
  // Nor does somebody pile up who writes here and there.
  const scattered = Array.from({ length: 17 }, (_, at) =>
    gathering.add("h", at * 10, piece.subarray(0, 1)),
  );
  expect(scattered.map((each) => each instanceof Promise).lastIndexOf(false)).toBe(15);
});

test("any pieces: readers see each at once, and the tree gets the same in the end", async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("write" as const),
      path: fc.constantFrom("a", "b"),
      offset: fc.oneof(fc.nat({ max: 40 }), fc.constant(-1)),
      data: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat({ max: 30 }) }),
    fc.record({ kind: fc.constant("send" as const), path: fc.constantFrom("a", "b") }),
    fc.record({ kind: fc.constant("carryOut" as const), count: fc.nat({ max: 3 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, waiting, files, gathering, seen } = started();
      const model = new Map<string, Uint8Array>([
        ["a", new Uint8Array(0)],
        ["b", new Uint8Array(0)],
      ]);
      const take = (count: number): void => {
        for (const { data, answer } of waiting.splice(0, count)) {
          answer({ ok: true, value: data.length });
        }
      };
      for (const event of steps) {
        if (event.kind === "pass") clock.advance(event.ms);
        else if (event.kind === "send") gathering.send(event.path);
        else if (event.kind === "carryOut") take(event.count);
        else {
          const { path, data } = event;
          const before = model.get(path) ?? new Uint8Array(0);
          const offset = event.offset < 0 ? before.length : event.offset;
          const size = Math.max(before.length, offset + data.length);
          model.set(path, patched(before, { offset, data, size }));
          void gathering.add(path, offset, data);
        }
        for (const [path, content] of model) expect(seen(path).data).toEqual(content);
      }
      gathering.sendAll();
      take(waiting.length);
      await gathering.settled();
      for (const [path, content] of model) {
        expect(files.get(path) ?? new Uint8Array(0)).toEqual(content);
      }
    }),
  );
});
