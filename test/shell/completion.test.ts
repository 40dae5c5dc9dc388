// `quorate completion`: each script in its own shell, at the same places of the same lines. A shell that is not installed is skipped,
// but not in CI (QUORATE_CI=1).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verbNames } from "../../src/shell/cli/table.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";
import { completionScript } from "../../src/shell/manual/completion.ts";

const table = commandTable();
const isCi = process.env["QUORATE_CI"] === "1";
const directory = mkdtempSync(join(tmpdir(), "quorate-completion-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const shells = ["bash", "zsh", "fish"] as const;
const scriptOf = (shell: string): string => join(directory, `script.${shell}`);
beforeAll(() => {
  for (const shell of shells) writeFileSync(scriptOf(shell), completionScript(shell, table));
  mkdirSync(join(directory, "place", "inner directory"), { recursive: true });
  writeFileSync(join(directory, "place", "some file"), "");
});

function outputOf(program: string, args: readonly string[], input = ""): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([program, ...args], {
    cwd: join(directory, "place"),
    stdin: new TextEncoder().encode(input),
    env: { PATH: process.env["PATH"] ?? "", HOME: directory, TERM: "dumb", LC_ALL: "C.UTF-8" },
    timeout: 20_000,
  });
  expect({ stderr: stderr.toString(), exitCode }).toEqual({ stderr: "", exitCode: 0 });
  return stdout.toString();
}

const commands = table.commands.map(({ name }) => name);
const named = (name: string) => table.commands.find((command) => command.name === name)!;
const optionsOf = (name: string, start: string): string[] =>
  named(name).options.flatMap(({ names }) => names.filter((each) => each.startsWith(start)));

/** What is offered for the last word, in any order. */
const lines: readonly (readonly [string, readonly string[]])[] = [
  ["quorate ", commands],
  ["quorate q", ["qnetd", "qdevice", "quorum"]],
  ["quorate stat", ["status"]],
  ["quorate xyz", []],
  ["quorate fs ", verbNames(named("fs"))],
  ["quorate fs --root /tmp ", verbNames(named("fs"))],
  ["quorate fs --root=/tmp m", ["mkdir", "mv"]],
  ["quorate fs --json r", ["rm"]],
  ["quorate qdevice ", ["setup", "remove", "status"]],
  ["quorate status --", optionsOf("status", "--")],
  ["quorate qnetd status --wa", ["--watch"]],
  ["quorate status ", []],
  ["quorate node --durability ", ["full", "normal", "strict"]],
  ["quorate node --durability n", ["normal"]],
  ["quorate node --name ", []],
  ["quorate completion ", ["bash", "zsh", "fish"]],
  ["quorate completion bash ", []],
  ["quorate man f", ["fs"]],
  ["quorate fs put datacenter.cfg ", ["some file", "inner directory"]],
  ["quorate fs put datacenter.cfg so", ["some file"]],
  ["quorate fs cat ", []],
  ["quorate qdevice setup 10.0.0.1 --p12 s", ["some file"]],
  ["quorate status --root ", ["inner directory"]],
];

const sorted = (words: readonly string[]): readonly string[] => words.toSorted();

describe.skipIf(Bun.which("bash") === null && !isCi)("bash", () => {
  /** As readline splits it: "=" is a word of its own. */
  const wordsOf = (line: string): string[] =>
    line.split(" ").flatMap((word) => word.split(/(?<==)|(?==)/));

  function offered(line: string): string[] {
    const words = wordsOf(line).map((word) => `'${word}'`);
    const program = `
      source ${scriptOf("bash")}
      COMP_WORDS=(${words.join(" ")}) COMP_CWORD=${words.length - 1}
      _quorate
      for word in "\${COMPREPLY[@]}"; do echo "$word"; done`;
    return outputOf("bash", ["--norc", "--noprofile"], program).split("\n").slice(0, -1);
  }

  test.each(lines)("%s", (line, expected) => {
    expect(sorted(offered(line))).toEqual(sorted(expected));
  });

  test("it is registered for the name", () => {
    expect(outputOf("bash", ["-c", `source ${scriptOf("bash")}; complete -p quorate`])).toContain(
      "_quorate quorate",
    );
  });

  test.skipIf(Bun.which("shellcheck") === null && !isCi)("shellcheck has no complaint", () => {
    expect(outputOf("shellcheck", ["-s", "bash", scriptOf("bash")])).toBe("");
  });
});

describe.skipIf(Bun.which("fish") === null && !isCi)("fish", () => {
  test("all lines", () => {
    const program = [
      `source ${scriptOf("fish")}`,
      ...lines.flatMap(([line]) => ["echo =", `complete -C '${line}'`]),
    ].join("\n");
    const answers = outputOf("fish", ["--no-config", "-c", program]).split("=\n").slice(1);
    const offered = answers.map((text, at) => [
      lines[at]![0],
      sorted(
        text
          .split("\n")
          .slice(0, -1)
          .map((each) => each.split("\t")[0]!.replaceAll("\\", "").replace(/\/$/, "")),
      ),
    ]);
    expect(offered).toEqual(lines.map(([line, expected]) => [line, sorted(expected)]));
  });

  test("a word comes with what it is for", () => {
    const text = outputOf("fish", [
      "--no-config",
      "-c",
      `source ${scriptOf("fish")}; complete -C 'quorate qnet'`,
    ]);
    expect(text).toBe(`qnetd\t${named("qnetd").description}\n`);
  });
});

describe.skipIf(Bun.which("zsh") === null && !isCi)("zsh", () => {
  /** What zsh completes to when there is one way to go on: typed into an interactive zsh on a terminal of its own. */
  function completed(typed: readonly string[]): string[] {
    // quorate is a function there that says what it was called with.
    const program = `
      zmodload zsh/zpty || exit 1
      zpty shell zsh -f -i
      zpty -w shell "PS1=; unsetopt zle_bracketed_paste; stty -echo; autoload -Uz compinit; compinit -u -D; source ${scriptOf("zsh")}; quorate() { print -r -- 'GOT<'\\\${(j:|:)@}'>' }; print READY''NOW"
      zpty -r -m shell answer '*READYNOW*'
      for typed in ${typed.map((line) => `'${line}'`).join(" ")}; do
        zpty -w shell "$typed"$'\\t'
        zpty -r -m shell answer '*GOT<*>*'
        print -r -- "\${\${answer##*GOT<}%%>*}"
      done
      zpty -d shell`;
    return outputOf("zsh", ["-f", "-c", program]).split("\n").slice(0, -1);
  }

  test("words, options, values, files and directories", () => {
    const cases = [
      ["quorate stat", "status"],
      ["quorate fs mk", "fs|mkdir"],
      ["quorate fs --root /tmp mk", "fs|--root|/tmp|mkdir"],
      ["quorate fs --root=/tmp mk", "fs|--root=/tmp|mkdir"],
      ["quorate qnetd status --wa", "qnetd|status|--watch"],
      ["quorate node --durability n", "node|--durability|normal"],
      ["quorate completion z", "completion|zsh"],
      ["quorate man qn", "man|qnetd"],
      ["quorate fs put x so", "fs|put|x|some file"],
      ["quorate status --root in", "status|--root|inner directory"],
      ["quorate status --root=in", "status|--root=inner directory"],
      ["quorate status so", "status|so"],
    ] as const;
    expect(completed(cases.map(([typed]) => typed))).toEqual(cases.map(([, result]) => result));
  });

  test("the script is right as a file of the function path", () => {
    expect(outputOf("zsh", ["-f", "-n", scriptOf("zsh")])).toBe("");
    expect(completionScript("zsh", table)).toStartWith("#compdef quorate\n");
  });
});

test("the same table makes the same scripts, in which no path or version of this machine is", () => {
  for (const each of shells) {
    const script = completionScript(each, table);
    expect(completionScript(each, commandTable())).toBe(script);
    expect(script).not.toContain(process.execPath);
  }
});
