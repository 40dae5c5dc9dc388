// From the words of a command line to one verb and its exit code; what is wrong with them in one sentence that names what was
// probably meant (issue 4, first contact). cac splits the words; what it lets pass or reads as a number is settled here: a word
// stays as it was typed ("007" is no 7), and every complaint ends with exit code 2 before any verb is loaded.
import type { CAC } from "cac";
import { CommandFailure, exitOk, exitUsage } from "../exit.ts";
import { linkNames } from "../tool/link-names.ts";
import { nearest } from "./near-miss.ts";
import {
  type CommandTable,
  type TableCommand,
  type TableOption,
  verbNames,
  type Value,
} from "./table.ts";
import { commandHelpText, helpText, verbHead, verbHelpText } from "../manual/help.ts";

export interface Program {
  readonly cli: CAC;
  readonly table: CommandTable;
  readonly versionLine: string;
  /** What runs when there are no words at all. */
  readonly welcome: () => Promise<number>;
  readonly write: (text: string) => void;
  /** For stderr. */
  readonly note: (text: string) => void;
}

/** Runs one command line. Never throws for what a person typed; what else is thrown is a bug. */
export async function runTable(program: Program, args: readonly string[]): Promise<number> {
  try {
    return await run(program, args);
  } catch (error) {
    if (error instanceof CommandFailure) return complain(program, error.message, error.code);
    throw error; // A bug: the runtime prints it with its place and ends with 1.
  }
}

async function run(program: Program, given: readonly string[]): Promise<number> {
  const { cli, table } = program;
  if (given.length === 0) return program.welcome();
  // `quorate help fs` and `quorate version` are what many type first.
  const [first, ...rest] = given;
  const args =
    first === "help" ? [...rest, "--help"] : first === "version" ? ["--version", ...rest] : given;
  const written = writtenOptions(args);
  // cac would take dots for paths inside its objects, and "_" for its own list of the other words.
  const misread = written.find(({ name }) => /[._]/.test(name));
  if (misread !== undefined) throw unknownOption(misread.name, table.options, undefined);
  parse(cli, args);
  const command = table.commands.find(({ name }) => name === cli.matchedCommand?.name);
  if (cli.options["version"] === true) {
    program.write(`${program.versionLine}\n`);
    return exitOk;
  }
  if (command === undefined) {
    const [word] = cli.args;
    if (word !== undefined) throw unknownCommand(word, table);
    checkOptions(written, table.options, undefined);
    program.write(helpText(table));
    return exitOk;
  }
  if (cli.options["help"] === true) {
    const [verb] = cli.args;
    const isVerb = verb !== undefined && verbNames(command).includes(verb);
    program.write(isVerb ? verbHelpText(command, verb) : commandHelpText(command));
    return exitOk;
  }
  checkOptions(written, command.options, command);
  checkArguments(cli.args, command);
  checkVerbOptions(written, cli.args[0], command);
  settleSwitches(cli, command);
  const code: unknown = await act(cli);
  return typeof code === "number" ? code : exitOk;
}

/** Everything has been checked; cac's own checks would take the default of "--no-mount" for a "--mount" without its value. */
function act(cli: CAC): unknown {
  const command = cli.matchedCommand;
  const values = command?.args.map(({ variadic }, at) =>
    variadic ? cli.args.slice(at) : cli.args[at],
  );
  return command?.commandAction?.(...(values ?? []), cli.options);
}

function complain(program: Program, sentence: string, code: number): number {
  program.note(`quorate: ${sentence}\n`);
  return code;
}

function usage(sentence: string): CommandFailure {
  return new CommandFailure(sentence, exitUsage);
}

// — Words —

/** No argument of a program holds this byte: it marks words that cac would read as numbers. */
const mark = "\0";

function parse(cli: CAC, args: readonly string[]): void {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  cli.parse(["", "quorate", ...before.map(marked)], { run: false });
  // What stands behind "--" is no option, but as good an argument as any.
  cli.args = [...cli.args.map(unmarked), ...(end < 0 ? [] : args.slice(end + 1))];
  for (const [key, value] of Object.entries(cli.options)) {
    if (key !== "--") {
      cli.options[key] = Array.isArray(value) ? value.map(unmarkedValue) : unmarkedValue(value);
    }
  }
}

/** Numbers, and the empty word, which cac reads as 0; behind "=" any value, so that an empty one does not take the next word. */
function marked(word: string): string {
  const [, option, value] = /^(-[^=]*=)(.*)$/s.exec(word) ?? [];
  if (option !== undefined) return `${option}${mark}${value ?? ""}`;
  // "-" is a word, as a rule for standard input.
  return word === "-" || (!word.startsWith("-") && Number.isFinite(Number(word)))
    ? `${mark}${word}`
    : word;
}

function unmarked(word: string): string {
  return word.startsWith(mark) ? word.slice(mark.length) : word;
}

function unmarkedValue(value: unknown): unknown {
  return typeof value === "string" ? unmarked(value) : value;
}

// — Options —

interface WrittenOption {
  /** With its dashes. */
  readonly name: string;
  /** Undefined when no word stands where its value would be. */
  readonly value: string | undefined;
  /** "--name=value" */
  readonly isJoined: boolean;
}

/** The options as they were typed, joined letters apart. */
function writtenOptions(args: readonly string[]): readonly WrittenOption[] {
  const end = args.indexOf("--");
  const words = end < 0 ? args : args.slice(0, end);
  return words.flatMap((word, at) => {
    if (!/^-./.test(word)) return [];
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const next = words[at + 1];
    const following = next === undefined || /^-./.test(next) ? undefined : next;
    const value = equals < 0 ? following : word.slice(equals + 1);
    const isJoined = equals >= 0;
    if (name.startsWith("--")) return [{ name, value, isJoined }];
    const letters = name.slice(1).split("");
    return letters.map((letter, place) => {
      const isLast = place === letters.length - 1;
      return {
        name: `-${letter}`,
        value: isLast ? value : undefined,
        isJoined: isJoined && isLast,
      };
    });
  });
}

function checkOptions(
  written: readonly WrittenOption[],
  options: readonly TableOption[],
  command: TableCommand | undefined,
): void {
  const seen = new Set<TableOption>();
  for (const { name, value, isJoined } of written) {
    const option = options.find(({ names }) => names.includes(name));
    if (option === undefined) throw unknownOption(name, options, command);
    if (option.value === undefined) {
      if (isJoined) throw usage(`${name} is a switch and takes no value`);
      continue;
    }
    // A variable of a script that was not set would else mean this directory, or any address. A password may be nothing.
    const isEmpty = value === "" && option.valueName !== "text";
    if (value === undefined || isEmpty) throw usage(`${name} needs a value: ${option.raw}`);
    checkWord(value, option.value, (words) => usage(`${name} is ${words}, not "${value}"`));
    if (seen.has(option) && !option.isRepeatable) throw usage(`${name} was given more than once`);
    seen.add(option);
  }
}

/** An option of another verb would be read by nobody. */
function checkVerbOptions(
  written: readonly WrittenOption[],
  verb: string | undefined,
  command: TableCommand,
): void {
  if (command.verbs.length === 0) return;
  for (const { name } of written) {
    const verbs = command.options.find(({ names }) => names.includes(name))?.verbs;
    if (verbs === undefined || verbs.includes(verb ?? "")) continue;
    const line = (each: string): string => `\`quorate ${`${command.name} ${each}`.trim()}\``;
    throw usage(
      `${name} is an option of ${verbs.map(line).join(" and ")}, not of ${line(verb ?? "")}; see \`quorate ${command.name} --help\``,
    );
  }
}

function unknownOption(
  name: string,
  options: readonly TableOption[],
  command: TableCommand | undefined,
): CommandFailure {
  const bare = (word: string): string => word.replace(/^-+/, "");
  const names = options.flatMap((option) => option.names).filter((each) => each.startsWith("--"));
  const near = nearest(bare(name), names.map(bare));
  const where = command === undefined ? "quorate" : `quorate ${command.name}`;
  return usage(
    `\`${where}\` has no option ${name}; ${near === undefined ? "" : `did you mean --${near}? `}see \`${where} --help\``,
  );
}

/** A switch that was written twice is on; cac would make a list of it, which no verb looks for. */
function settleSwitches(cli: CAC, command: TableCommand): void {
  for (const option of cli.matchedCommand?.options ?? []) {
    const value: unknown = cli.options[option.name];
    const isSwitch = command.options.some(
      ({ raw, value: takes }) => raw === option.rawName && takes === undefined,
    );
    if (isSwitch && Array.isArray(value)) cli.options[option.name] = value.at(-1);
  }
}

// — Arguments —

function checkArguments(args: readonly string[], command: TableCommand): void {
  const name = `\`quorate ${command.name}\``;
  const [verb] = args;
  if (command.verbs.length > 0) {
    checkVerb(verb, command);
    checkVerbArguments(args.slice(1), verb ?? "", command);
  }
  command.arguments.forEach((argument, at) => {
    const word = args[at];
    if (word === undefined) {
      if (!argument.isRequired) return;
      throw usage(
        `${name} needs ${neededText(argument.value, argument.name)}; ${seeHelp(command)}`,
      );
    }
    checkWord(word, argument.value, (words) => usage(`${name} takes ${words}, not "${word}"`));
  });
  const countMax = command.arguments.some(({ isRest }) => isRest)
    ? Number.POSITIVE_INFINITY
    : command.arguments.length;
  const extra = args[countMax];
  if (extra === undefined) return;
  const options = command.options.flatMap(({ names }) =>
    names.filter((each) => each.startsWith("--")).map((each) => each.slice(2)),
  );
  const near = nearest(extra, options);
  const most =
    countMax === 0 ? "no argument" : countMax === 1 ? "one argument" : `${countMax} arguments`;
  throw usage(
    `${name} takes ${most}, "${extra}" is too much; ${near === undefined ? "" : `did you mean --${near}? `}${seeHelp(command)}`,
  );
}

function checkVerb(verb: string | undefined, command: TableCommand): void {
  const names = verbNames(command);
  if (verb === undefined) {
    if (command.verbs.some(({ name }) => name === "")) return;
    throw usage(`\`quorate ${command.name}\` needs a verb: ${listed(names)}; ${seeHelp(command)}`);
  }
  if (names.includes(verb)) return;
  const near = nearest(verb, names);
  const hint =
    near === undefined ? `the verbs are ${listed(names, "and")}` : `did you mean "${near}"?`;
  throw usage(`\`quorate ${command.name}\` has no verb "${verb}"; ${hint}`);
}

/** By the verb's lines in the help: "PATH [FILE]", "[FILE…]"; options among them are not counted. */
function checkVerbArguments(given: readonly string[], verb: string, command: TableCommand): void {
  const lines = command.verbs.filter(({ name }) => name === verb);
  const fits = lines.some(({ words }) => {
    const places = words.split(" ").filter((word) => word !== "" && !/^\[?-/.test(word));
    const least = places.filter((word) => !word.startsWith("[")).length;
    const isOpen = places.some((word) => word.includes("…"));
    return given.length >= least && (isOpen || given.length <= places.length);
  });
  if (fits) return;
  const forms = lines.map((line) => `\`quorate ${`${command.name} ${verbHead(line)}`.trim()}\``);
  const count =
    given.length === 0
      ? "no argument was"
      : given.length === 1
        ? "1 argument was"
        : `${given.length} arguments were`;
  throw usage(`it is ${forms.join(" or ")}; ${count} given`);
}

function checkWord(word: string, value: Value, failure: (words: string) => CommandFailure): void {
  if (value.kind === "words" && !value.words.includes(word)) throw failure(listed(value.words));
}

function neededText(value: Value, name: string): string {
  return value.kind === "words" ? listed(value.words) : `<${name}>`;
}

function seeHelp(command: TableCommand): string {
  return `see \`quorate ${command.name} --help\``;
}

/** "a, b or c". */
function listed(words: readonly string[], last = "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
}

// — Commands —

function unknownCommand(word: string, table: CommandTable): CommandFailure {
  if (linkNames.includes(word)) {
    return usage(
      `"${word}" is a name of its own: call this file by a link of that name (\`quorate install --no-service\` makes all such links), not as a command of quorate`,
    );
  }
  const near = meant(word, table);
  const hint = near === undefined ? "" : `did you mean \`quorate ${near}\`? `;
  return usage(`there is no command "${word}"; ${hint}\`quorate --help\` lists all`);
}

/** A verb without its command is as common as a slip of the finger. */
function meant(word: string, table: CommandTable): string | undefined {
  const verbs = table.commands.flatMap((command) =>
    verbNames(command).map((verb) => ({ verb, line: `${command.name} ${verb}` })),
  );
  const exact = verbs.find(({ verb }) => verb === word)?.line;
  if (exact !== undefined) return exact;
  const command = nearest(
    word,
    table.commands.map(({ name }) => name),
  );
  if (command !== undefined) return command;
  const verb = nearest(
    word,
    verbs.map((each) => each.verb),
  );
  return verbs.find((each) => each.verb === verb)?.line;
}
