// Every script of this folder prints what stands in it.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseScript, runScript } from "./script.ts";

const names = readdirSync(import.meta.dir).filter((name) => name.endsWith(".txt"));

test("there are scripts", () => expect(names.length).toBeGreaterThan(0));

test.each(names)("%s", async (name) => {
  const file = `${import.meta.dir}/${name}`;
  const text = readFileSync(file, "utf8");
  const printed = await runScript(text);
  if (process.env["QUORATE_REWRITE"] === "1") writeFileSync(file, printed);
  else expect(printed).toBe(text);
});

test("what is no script is refused", async () => {
  expect(() => parseScript("start 1\n\n")).toThrow('no line "----" after: start 1');
  expect(runScript("jump 1\n----\n")).rejects.toThrow("jump is a command");
  expect(runScript("cluster 1\n----\n\nstart 2\n----\n")).rejects.toThrow("there is a node 2");
});
