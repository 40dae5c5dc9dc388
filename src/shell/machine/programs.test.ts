// Programs are bounded in time, output and number, whatever they do.
import { expect, test } from "bun:test";
import { Lines } from "./lines.ts";
import { outputOf, programRunner } from "./programs.ts";

const run = programRunner();
const limits = { waitMs: 20_000, bytesMax: 1000 };

test("output, exit code and complaint", async () => {
  const end = await outputOf(
    run,
    ["sh", "-c", "echo said; echo 'what  \n was wrong' >&2; exit 3"],
    limits,
  );
  expect(end).toEqual({ kind: "exited", code: 3, text: "said\n", words: "what was wrong" });
});

test("no shell reads the words, and nothing of this process's environment is there", async () => {
  const end = await outputOf(run, ["printf", "%s", "$(id); `id`"], limits);
  expect(end.text).toBe("$(id); `id`");
  const environment = await outputOf(run, ["env"], limits);
  expect(
    environment.text
      .split("\n")
      .map((line) => line.split("=")[0])
      .toSorted(),
  ).toEqual(["", "LC_ALL", "PATH"]);
});

test("a program that is not there says so", async () => {
  expect(await outputOf(run, ["no-such-program"], limits)).toMatchObject({
    ...{ kind: "absent", words: "there is no no-such-program here" },
  });
});

test("one that prints without end is cut and ended", async () => {
  const end = await outputOf(run, ["yes"], limits);
  expect(end).toMatchObject({ kind: "enough", code: -1 });
  expect(end.text).toHaveLength(1000);
});

test("one that does not end is ended by its time, with the children that hold its output", async () => {
  const begun = performance.now();
  const end = await outputOf(run, ["sh", "-c", "echo first; sleep 60 & sleep 60"], {
    waitMs: 300,
    bytesMax: 1000,
  });
  expect(end).toMatchObject({ kind: "late", text: "first\n" });
  expect(performance.now() - begun).toBeLessThan(20_000);
});

test("four at once, then in turn, and no more than have a place in the row", async () => {
  const few = programRunner();
  const ends = await Promise.all(
    Array.from({ length: 60 }, () => outputOf(few, ["sh", "-c", "echo done"], limits)),
  );
  const refused = ends.filter(({ kind }) => kind === "absent");
  expect(refused).toHaveLength(60 - 4 - 32);
  expect(refused[0]?.words).toBe("too many requests of its kind are under way");
  expect(ends.filter(({ text }) => text === "done\n")).toHaveLength(36);
});

test("lines of bytes that come in pieces; too long ones are cut", () => {
  const lines = new Lines();
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(lines.add(bytes("a\nbc"))).toEqual(["a"]);
  expect(lines.add(bytes("d\n\nü"))).toEqual(["bcd", ""]);
  expect(lines.end()).toBe("ü");
  expect(lines.end()).toBeUndefined();
  const long = lines.add(bytes(`${"x".repeat(70_000)}\ny\n`));
  expect(long.map(({ length }) => length)).toEqual([65_536, 1]);
});
