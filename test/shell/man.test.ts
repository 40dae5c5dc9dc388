// `quorate man`: what is in the pages, that man(1) and mandoc take them without a word, and where they are written.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  commandOfVerbs,
  option,
  tableOf,
  verb as verbOf,
  verbNames,
} from "../../src/shell/cli/table.ts";
import { anyWord } from "../../src/shell/cli/values.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";
import { manCommand, manPages } from "../../src/shell/manual/man.ts";
import { linkNames } from "../../src/shell/tool/link-names.ts";
import { CommandFailure, exitTexts } from "../../src/shell/exit.ts";

const table = commandTable();
const isCi = process.env["QUORATE_CI"] === "1";
const directory = mkdtempSync(join(tmpdir(), "quorate-man-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const all = join(directory, "share", "man8");

async function man(
  command: string | undefined,
  to?: string,
): Promise<{ readonly code: number; readonly output: string }> {
  let output = "";
  const code = await manCommand({
    command,
    directory: to,
    table,
    version: "1.2.3",
    isTerminal: false,
    write: (text) => (output += text),
    note: (text) => {
      throw new Error(text);
    },
  });
  return { code, output };
}

let written = "";
beforeAll(async () => {
  written = (await man(undefined, all)).output;
});

test("--all writes a page for the whole and one for each command, and prints their paths", () => {
  const files = ["quorate.8", ...table.commands.map(({ name }) => `quorate-${name}.8`)];
  expect(written.split("\n").slice(0, -1)).toEqual(files.map((file) => join(all, file)));
  expect(readdirSync(all).toSorted()).toEqual(files.toSorted());
});

test("one page on standard output is the one in the directory", async () => {
  expect((await man("fs")).output).toBe(readFileSync(join(all, "quorate-fs.8"), "utf8"));
  expect((await man(undefined)).output).toBe(readFileSync(join(all, "quorate.8"), "utf8"));
});

test("the same version makes the same bytes, without a date", () => {
  const pages = manPages(table, "1.2.3");
  expect(manPages(commandTable(), "1.2.3")).toEqual(pages);
  for (const page of pages.values()) expect(page).toMatch(/^\.TH \S+ 8 "" "quorate 1\.2\.3"/m);
});

test("every page describes, names its files and its exit codes", () => {
  for (const { name, description, files, manual } of table.commands) {
    const page = readFileSync(join(all, `quorate-${name}.8`), "utf8");
    const section = (title: string): string =>
      (page.split(`.SH ${title}\n`)[1] ?? "").split("\n.SH ")[0]!.replace(/\s+/g, " ");
    expect(`${name}: ${section("DESCRIPTION")}`.length).toBeGreaterThan(description.length + 60);
    expect(section("EXIT STATUS")).toContain("\\fB0\\fR");
    expect(manual.length).toBeGreaterThan(0);
    for (const [path] of files) expect(section("FILES")).toContain(path.replaceAll("-", "\\-"));
    expect(page.includes(".SH FILES")).toBe(files.length > 0);
  }
});

test("the page of the whole has every name that the file answers to", () => {
  const page = manPages(table, "1").get("quorate.8") ?? "";
  const missing = linkNames.filter(
    (name) => !page.includes(`\\fB${name.replaceAll("-", "\\-")}\\fR`),
  );
  expect(missing).toEqual([]);
});

test("what cannot be is said", async () => {
  await expect(man("ndoe")).rejects.toThrow('did you mean "node"?');
  await expect(man("fs", all)).rejects.toThrow("leave the command away");
  const file = join(directory, "file");
  writeFileSync(file, "");
  await expect(man(undefined, file)).rejects.toThrow(`could not be written to ${file}`);
  await expect(man(undefined, file)).rejects.toBeInstanceOf(CommandFailure);
});

describe("on a terminal", () => {
  const path = process.env["PATH"];
  afterEach(() => {
    process.env["PATH"] = path;
  });

  async function onTerminal(command: string | undefined) {
    let output = "";
    let noted = "";
    const code = await manCommand({
      command,
      directory: undefined,
      table,
      version: "1.2.3",
      isTerminal: true,
      write: (text) => (output += text),
      note: (text) => (noted += text),
    });
    return { code, output, noted };
  }

  function fakeMan(script: string): void {
    const bin = mkdtempSync(join(directory, "bin-"));
    writeFileSync(join(bin, "man"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env["PATH"] = `${bin}:${path}`;
  }

  test("man(1) is given the page", async () => {
    const seen = join(directory, "seen");
    fakeMan(`echo "$@" >'${seen}'; cat >>'${seen}'`);
    expect(await onTerminal("fs")).toEqual({ code: 0, output: "", noted: "" });
    expect(readFileSync(seen, "utf8")).toBe(`-l -\n${(await man("fs")).output}`);
  });

  test("without one, or with one that cannot, there is the help", async () => {
    process.env["PATH"] = directory;
    const help = await onTerminal("fs");
    expect(help).toMatchObject({ code: 0, noted: expect.stringContaining("no man(1)") });
    expect(help.output).toContain("quorate fs <verb>");
    fakeMan("exit 3");
    expect(await onTerminal(undefined)).toMatchObject({
      code: 0,
      output: expect.stringContaining("Commands:"),
    });
  });
});

/** What a reader sees, without the layout. */
function shown(file: string): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    ["man", "--warnings", "--no-hyphenation", "--no-justification", "-E", "UTF-8", "-l", file],
    {
      env: { ...process.env, MANWIDTH: "200", LC_ALL: "C.UTF-8" },
    },
  );
  expect({ file, stderr: stderr.toString(), exitCode }).toEqual({ file, stderr: "", exitCode: 0 });
  return stdout.toString();
}

const hasMan = Bun.which("man") !== null && Bun.which("groff") !== null;
describe.skipIf(!hasMan && !isCi)("man(1)", () => {
  test.each(table.commands.map((command) => [command.name, command] as const))(
    "quorate-%s(8) has no warning, and everything is in it",
    (name, command) => {
      const text = shown(join(all, `quorate-${name}.8`)).replace(/\s+/g, " ");
      expect(text).toContain(`quorate-${name} - ${command.description.replaceAll("`", "")}`);
      for (const verb of verbNames(command)) expect(text).toContain(` ${verb} `);
      for (const each of command.options) {
        expect(text).toContain(each.names.join(", "));
        expect(text).toContain(each.description.replaceAll("`", ""));
      }
      for (const example of command.examples) expect(text).toContain(example);
    },
  );

  test("quorate(8) names every command and exit code", () => {
    const text = shown(join(all, "quorate.8"));
    for (const { name } of table.commands) expect(text).toContain(`quorate-${name}(8)`);
    for (const [code, what] of exitTexts) expect(text).toMatch(RegExp(`^ +${code} +${what}`, "m"));
  });

  test("characters that roff reads as its own come out as they went in", () => {
    const odd = ".dot 'quote \\back \\fBbold -dash `code` ^hat ~tilde …end";
    const strange = commandOfVerbs("odd", {
      description: odd,
      verbs: [
        verbOf("verb", odd, {
          takes: { odd: option("odd", anyWord("x"), odd) },
          run: async () => 0,
        }),
      ],
      examples: ["quorate odd '.x' \\n --a `b`"],
      manual: [odd],
    });
    const page = manPages(tableOf([strange]), "1").get("quorate-odd.8")!;
    const file = join(directory, "odd.8");
    writeFileSync(file, page);
    const text = shown(file);
    expect(text.split(odd.replaceAll("`", "")).length - 1).toBe(4);
    expect(text).toContain("quorate odd '.x' \\n --a `b`");
  });
});

describe.skipIf(Bun.which("mandoc") === null && !isCi)("mandoc", () => {
  test("has nothing to say but that there is no date", () => {
    for (const file of readdirSync(all)) {
      const { stdout } = Bun.spawnSync(["mandoc", "-T", "lint", "-W", "style", join(all, file)]);
      const remarks = stdout.toString().split("\n").slice(0, -1);
      expect(remarks.filter((remark) => !remark.includes("missing date"))).toEqual([]);
    }
  });
});
