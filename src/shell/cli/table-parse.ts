// From the words of a command line to one verb and its exit code; what is wrong with them in one sentence that names what was
// probably meant (issue 4, first contact). Every complaint ends with exit code 2 before any verb is loaded.
import { CommandFailure, exitOk, exitUsage } from "../exit.ts";
import { linkNames } from "../tool/link-names.ts";
import { nearest } from "./near-miss.ts";
import {
  type CommandTable,
  longName,
  type PreparedVerb,
  type Reader,
  type TableCommand,
  type TableOption,
  type TableVerb,
  takesOption,
  verbNames,
} from "./table.ts";
import { listed } from "./values.ts";
import { commandHelpText, helpText, verbHead, verbHelpText } from "../manual/help.ts";

export interface Program {
  readonly table: CommandTable;
  readonly versionLine: string;
  /** What runs when there are no words at all. */
  readonly welcome: () => Promise<number>;
  /** Runs a verb: `call.run()`. */
  readonly act: (call: Call) => Promise<number>;
  readonly write: (text: string) => void;
  /** For stderr. */
  readonly note: (text: string) => void;
}

/** A line that is right. */
export interface Call extends PreparedVerb {
  readonly command: TableCommand;
  readonly verb: TableVerb;
  /** As they were typed, without the verb. */
  readonly words: readonly string[];
}

/** Runs one command line. Never throws for what a person typed; what else is thrown is a bug. */
export async function runTable(program: Program, args: readonly string[]): Promise<number> {
  try {
    return await runLine(program, args);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error; // A bug: the runtime prints it with its place and ends with 1.
    program.note(`quorate: ${error.message}\n`);
    return error.code;
  }
}

async function runLine(program: Program, args: readonly string[]): Promise<number> {
  if (args.length === 0) return program.welcome();
  const { table, versionLine } = program;
  const line = lineOf(table, withDashes(args));
  if (has(line, "--version")) {
    program.write(`${versionLine}\n`);
    return exitOk;
  }
  const { command, words } = line;
  const [word] = words;
  if (command === undefined) {
    if (word !== undefined) throw unknownCommand(word, table);
    checkOptions(line, table.options);
    program.write(helpText(table));
    return exitOk;
  }
  if (has(line, "--help")) {
    const verb = command.verbs.find(({ name }) => name === word);
    program.write(verb === undefined ? commandHelpText(command) : verbHelpText(command, verb));
    return exitOk;
  }
  return program.act(callOf(command, line));
}

/** `quorate help fs` and `quorate version` are what many type first. */
function withDashes(args: readonly string[]): readonly string[] {
  const [first, ...others] = args;
  if (first === "help") return [...others, "--help"];
  return first === "version" ? ["--version", ...others] : args;
}

function usage(sentence: string): CommandFailure {
  return new CommandFailure(sentence, exitUsage);
}

// — Words —

interface Line {
  /** Undefined: the line names none. */
  readonly command: TableCommand | undefined;
  /** Those that are no options, without the command's name. */
  readonly words: readonly string[];
  readonly written: readonly WrittenOption[];
}

interface WrittenOption {
  /** With its dashes. */
  readonly name: string;
  /** Undefined: there is none of this name. */
  readonly option: TableOption | undefined;
  /** Undefined when no word stands where its value would be. */
  readonly value?: string | undefined;
  /** "--name=value" */
  readonly isJoined: boolean;
}

function has({ written }: Line, name: string): boolean {
  return written.some(({ option }) => option?.names.includes(name) === true);
}

/** Which words are values depends on the command's options, so each command tries; of the others' options none is known. */
function lineOf(table: CommandTable, args: readonly string[]): Line {
  for (const command of table.commands) {
    const { words, written } = split(args, command.options);
    if (words[0] === command.name) return { command, words: words.slice(1), written };
  }
  return { command: undefined, ...split(args, table.options) };
}

/** Words stay as they were typed. Behind "--" everything is a word, and "-" is one, as a rule for standard input. */
function split(args: readonly string[], options: readonly TableOption[]): Omit<Line, "command"> {
  const words: string[] = [];
  const written: WrittenOption[] = [];
  const optionOf = (name: string) => options.find(({ names }) => names.includes(name));
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--") return { words: [...words, ...args.slice(at + 1)], written };
    if (!isOption(arg)) {
      words.push(arg);
      continue;
    }
    const [, typed = "", joined] = /^([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    // "-rp" is "-r -p"; only the last can have a value.
    const names = /^-[^-]/.test(typed) ? Array.from(typed.slice(1), (each) => `-${each}`) : [typed];
    const last = names.pop() ?? "";
    for (const name of names) written.push({ name, option: optionOf(name), isJoined: false });
    const option = optionOf(last);
    const next = args[at + 1];
    const takesNext = joined === undefined && (option === undefined || option.value !== undefined);
    const follows = takesNext && next !== undefined && !isOption(next);
    if (follows) at += 1;
    const value = follows ? next : joined;
    written.push({ name: last, option, value, isJoined: joined !== undefined });
  }
  return { words, written };
}

function isOption(arg: string): boolean {
  return /^-./s.test(arg);
}

// — The call —

function callOf(command: TableCommand, line: Line): Call {
  checkOptions(line, command.options, command);
  const verb = verbOf(command, line.words[0]);
  const words = verb.name === "" ? line.words : line.words.slice(1);
  if (command.verbs.length > 0) checkVerbArguments(words, verb, command);
  else checkArguments(words, verb, command);
  checkVerbOptions(line.written, verb, command);
  const reader =
    (sentence: string): Reader =>
    (value, word) => {
      const result = value.read(word);
      if (result === undefined) throw usage(`${sentence} ${value.takes}, not "${word}"`);
      return result;
    };
  const prepared = verb.prepare((input) => {
    if ("names" in input) {
      const values = line.written.filter(({ name }) => input.names.includes(name));
      return input.read(
        values.map(({ value = "" }) => value),
        reader(`${longName(input)} is`),
      );
    }
    const at = verb.arguments.indexOf(input);
    const taken = words.slice(at, input.isRest ? undefined : at + 1);
    return input.read(taken, reader(`\`${lineText(command, verb)}\` takes`));
  });
  return { command, verb, words, ...prepared };
}

/** "quorate fs ls" */
function lineText(command: TableCommand, { name }: TableVerb): string {
  return `quorate ${command.name} ${name}`.trimEnd();
}

// — Options —

/** All but the values themselves. */
function checkOptions(
  { written }: Line,
  options: readonly TableOption[],
  command?: TableCommand,
): void {
  const seen = new Set<TableOption>();
  for (const { name, option, value, isJoined } of written) {
    if (option === undefined) throw unknownOption(name, options, command);
    if (option.value === undefined) {
      if (isJoined) throw usage(`${name} is a switch and takes no value`);
      continue;
    }
    // A variable of a script that was not set would else mean this directory, or any address.
    const isEmpty = value === "" && !option.value.mayBeEmpty;
    if (value === undefined || isEmpty) throw usage(`${name} needs a value: ${option.raw}`);
    if (seen.has(option) && !option.isRepeatable) throw usage(`${name} was given more than once`);
    seen.add(option);
  }
}

/** An option of another verb would be read by nobody. */
function checkVerbOptions(
  written: readonly WrittenOption[],
  verb: TableVerb,
  command: TableCommand,
): void {
  for (const { name } of written) {
    if (takesOption(verb, name)) continue;
    const takers = [...(command.action === undefined ? [] : [command.action]), ...command.verbs]
      .filter((taker) => takesOption(taker, name))
      .map((taker) => `\`${lineText(command, taker)}\``);
    throw usage(
      `${name} is an option of ${takers.join(" and ")}, not of \`${lineText(command, verb)}\`; ${seeHelp(command)}`,
    );
  }
}

function unknownOption(
  name: string,
  options: readonly TableOption[],
  command: TableCommand | undefined,
): CommandFailure {
  const where = command === undefined ? "quorate" : `quorate ${command.name}`;
  return usage(
    `\`${where}\` has no option ${name}; ${meantOption(name.replace(/^-+/, ""), options)}see \`${where} --help\``,
  );
}

/** "did you mean --json? ", or nothing. */
function meantOption(word: string, options: readonly TableOption[]): string {
  const near = nearest(
    word,
    options.map((option) => longName(option).slice(2)),
  );
  return near === undefined ? "" : `did you mean --${near}? `;
}

// — Verbs and arguments —

function verbOf(command: TableCommand, word: string | undefined): TableVerb {
  const { action, verbs } = command;
  if (action !== undefined && (verbs.length === 0 || word === undefined)) return action;
  const names = verbNames(command);
  if (word === undefined) {
    throw usage(`\`quorate ${command.name}\` needs a verb: ${listed(names)}; ${seeHelp(command)}`);
  }
  const found = verbs.find(({ name }) => name === word);
  if (found !== undefined) return found;
  const near = nearest(word, names);
  const hint =
    near === undefined ? `the verbs are ${listed(names, "and")}` : `did you mean "${near}"?`;
  throw usage(`\`quorate ${command.name}\` has no verb "${word}"; ${hint}`);
}

function isTooFew(words: readonly string[], { arguments: all }: TableVerb): boolean {
  return words.length < all.filter(({ isRequired }) => isRequired).length;
}

/** The first word that is too much. */
function tooMuch(words: readonly string[], { arguments: all }: TableVerb): string | undefined {
  return all.some(({ isRest }) => isRest) ? undefined : words[all.length];
}

function checkVerbArguments(
  words: readonly string[],
  verb: TableVerb,
  command: TableCommand,
): void {
  if (!isTooFew(words, verb) && tooMuch(words, verb) === undefined) return;
  const forms = verb.forms.map(
    ([form]) => `\`${`quorate ${command.name} ${verbHead(verb.name, form)}`.trimEnd()}\``,
  );
  const { length } = words;
  const count =
    length === 0 ? "no argument was" : length === 1 ? "1 argument was" : `${length} arguments were`;
  throw usage(`it is ${forms.join(" or ")}; ${count} given`);
}

function checkArguments(words: readonly string[], verb: TableVerb, command: TableCommand): void {
  const name = `\`quorate ${command.name}\``;
  if (isTooFew(words, verb)) {
    const value = verb.arguments[words.length]?.value;
    const needed = value?.kind === "words" ? value.takes : `<${value?.name}>`;
    throw usage(`${name} needs ${needed}; ${seeHelp(command)}`);
  }
  const extra = tooMuch(words, verb);
  if (extra === undefined) return;
  const { length } = verb.arguments;
  const most = length === 0 ? "no argument" : length === 1 ? "one argument" : `${length} arguments`;
  throw usage(
    `${name} takes ${most}, "${extra}" is too much; ${meantOption(extra, command.options)}${seeHelp(command)}`,
  );
}

function seeHelp(command: TableCommand): string {
  return `see \`quorate ${command.name} --help\``;
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
  const lineOfVerb = (name: string | undefined) => verbs.find(({ verb }) => verb === name)?.line;
  const commands = table.commands.map(({ name }) => name);
  return (
    lineOfVerb(word) ??
    nearest(word, commands) ??
    lineOfVerb(
      nearest(
        word,
        verbs.map(({ verb }) => verb),
      ),
    )
  );
}
