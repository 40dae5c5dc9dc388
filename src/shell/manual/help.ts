// What `--help` prints, from the command table: what it does, how it is called, verbs, options, examples. Plain text, no colours.
import {
  type CommandTable,
  globalOptions,
  longName,
  type TableCommand,
  type TableOption,
  type TableVerb,
  takesOption,
} from "../cli/table.ts";

export const oneLine = "A Proxmox-style cluster in one file.";

/** The overview: all commands. */
export function helpText(table: CommandTable): string {
  return text([
    [oneLine],
    section("Usage", ["quorate <command> [options]"]),
    section(
      "Commands",
      columns(table.commands.map((command) => [commandLine(command), command.description])),
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
    section("Verbs", columns(verbLines(command))),
    section("Options", optionLines(command.options)),
    section("Examples", command.examples),
    section("Exit codes", exitColumns(command)),
    command.verbs.length === 0
      ? []
      : [`\`quorate ${command.name} VERB --help\` has the options of one verb.`],
  ]);
}

/** One verb of a command: its forms, the options that it takes, the examples that begin with it. */
export function verbHelpText(command: TableCommand, verb: TableVerb): string {
  const { name, forms } = verb;
  const line = `quorate ${command.name} ${name}`;
  const isTaken = (option: TableOption): boolean =>
    takesOption(verb, longName(option)) || globalOptions.includes(option);
  return text([
    [command.description],
    section(
      "Usage",
      columns(
        forms.map(([words, what]) => [`quorate ${command.name} ${verbHead(name, words)}`, what]),
      ),
    ),
    section("Options", optionLines(command.options.filter(isTaken))),
    section(
      "Examples",
      command.examples.filter((example) => `${example} `.startsWith(`${line} `)),
    ),
    section("Exit codes", exitColumns(command)),
    [`\`quorate ${command.name} --help\` has the other verbs.`],
  ]);
}

export function usageLine(command: TableCommand): string {
  return `quorate ${commandLine(command)} [options]`;
}

/** "fs <verb> [...args]" */
export function commandLine({ name, arguments: all }: TableCommand): string {
  const words = all.map(({ value, isRequired, isRest }) =>
    isRequired ? `<${value.name}>` : `[${isRest ? "..." : ""}${value.name}]`,
  );
  return [name, ...words].join(" ");
}

/** "put PATH [FILE]". */
export function verbHead(name: string, words: string): string {
  return `${name === "" ? "(none)" : name} ${words}`.trimEnd();
}

/** Each form of each verb of a command that has verbs, with what it does. */
export function verbLines({ action, verbs }: TableCommand): readonly (readonly [string, string])[] {
  const all = verbs.length > 0 && action !== undefined ? [action, ...verbs] : verbs;
  return all.flatMap(({ name, forms }) =>
    forms.map(([words, what]) => [verbHead(name, words), what] as const),
  );
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
