// What `--help` prints, from the command table: what it does, how it is called, verbs, options, examples. Plain text, no colours.
import type { CommandTable, TableCommand, TableOption, TableVerb } from "../cli/table.ts";

export const oneLine = "A Proxmox-style cluster in one file.";

/** The overview: all commands. */
export function helpText(table: CommandTable): string {
  return text([
    [oneLine],
    section("Usage", ["quorate <command> [options]"]),
    section(
      "Commands",
      columns(table.commands.map(({ usage, description }) => [usage, description])),
    ),
    section("Options", optionLines(table.options)),
    [
      "`quorate COMMAND --help` has the options and examples of one command, `quorate man COMMAND` its manual page,",
      "and `quorate` alone says what runs here and what to do next.",
    ],
  ]);
}

/** One command. */
export function commandHelpText(command: TableCommand): string {
  return text([
    [command.description],
    section("Usage", [usageLine(command)]),
    section("Verbs", columns(command.verbs.map((verb) => [verbHead(verb), verb.description]))),
    section("Options", optionLines(command.options)),
    section("Examples", command.examples),
    section("Exit codes", exitColumns(command)),
    command.verbs.length === 0
      ? []
      : [`\`quorate ${command.name} VERB --help\` has the options of one verb.`],
  ]);
}

/** One verb of a command: its lines, the options that it takes, the examples that begin with it. */
export function verbHelpText(command: TableCommand, name: string): string {
  const line = `quorate ${command.name} ${name}`;
  const verbs = command.verbs.filter((verb) => verb.name === name);
  return text([
    [command.description],
    section(
      "Usage",
      columns(verbs.map((verb) => [`quorate ${command.name} ${verbHead(verb)}`, verb.description])),
    ),
    section(
      "Options",
      optionLines(command.options.filter(({ verbs: takers }) => takers?.includes(name) ?? true)),
    ),
    section(
      "Examples",
      command.examples.filter((example) => `${example} `.startsWith(`${line} `)),
    ),
    section("Exit codes", exitColumns(command)),
    [`\`quorate ${command.name} --help\` has the other verbs.`],
  ]);
}

export function usageLine(command: TableCommand): string {
  return `quorate ${command.usage} [options]`;
}

/** "put PATH [FILE]". */
export function verbHead({ name, words }: TableVerb): string {
  return [name === "" ? "(none)" : name, words].filter((word) => word !== "").join(" ");
}

/** The description with its default. */
export function optionText(option: TableOption): string {
  const { description } = option;
  return option.default === undefined ? description : `${description} (default: ${option.default})`;
}

function exitColumns({ exits }: TableCommand): readonly string[] {
  return columns(exits.map(([code, what]) => [String(code), what]));
}

function optionLines(options: readonly TableOption[]): readonly string[] {
  return columns(options.map((option) => [option.raw, optionText(option)]));
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(0, ...rows.map(([head]) => head.length));
  return rows.map(([head, what]) => `${head.padEnd(width)}  ${what}`.trimEnd());
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function text(sections: readonly (readonly string[])[]): string {
  const filled = sections.filter((lines) => lines.length > 0);
  return `${filled.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}
