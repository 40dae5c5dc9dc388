// The command table as plain data, read from cac's: the one source of help, manual pages, shell completion and of what is said about
// a mistyped line (issue 4, first contact). It runs nothing and prints nothing.
import type { CAC, Command } from "cac";

/** What may stand at a place of the command line. */
export type Value =
  | { readonly kind: "any" }
  | { readonly kind: "file" }
  | { readonly kind: "directory" }
  /** The name of a command of this table. */
  | { readonly kind: "command" }
  | { readonly kind: "words"; readonly words: readonly string[] };

export interface TableOption {
  /** As in help: "--tls <mode>", "-h, --help". */
  readonly raw: string;
  /** With their dashes: "--no-mount". */
  readonly names: readonly string[];
  /** Undefined for a switch. */
  readonly value: Value | undefined;
  /** The value's name, without brackets; "" for a switch. */
  readonly valueName: string;
  readonly description: string;
  /** Undefined when there is none worth a word. */
  readonly default: string | undefined;
  readonly isRepeatable: boolean;
  /** The verbs that take it, "" for none; undefined: all. */
  readonly verbs: readonly string[] | undefined;
}

export interface TableArgument {
  readonly name: string;
  readonly isRequired: boolean;
  readonly isRest: boolean;
  readonly value: Value;
}

export interface TableVerb {
  readonly name: string;
  /** As written: "PATH [FILE]"; "" for none. */
  readonly words: string;
  readonly places: readonly Value[];
  readonly description: string;
}

export interface TableCommand {
  readonly name: string;
  /** The line behind "quorate": "fs <verb> [...args]". */
  readonly usage: string;
  readonly description: string;
  readonly arguments: readonly TableArgument[];
  /** Empty for a command without verbs. The name of what it does without one is "". */
  readonly verbs: readonly TableVerb[];
  /** Its own and those of every command. */
  readonly options: readonly TableOption[];
  readonly examples: readonly string[];
  /** Empty: those of every command (exit.ts). */
  readonly exits: readonly ExitText[];
}

/** An exit code and what it means. */
export type ExitText = readonly [number, string];

export interface CommandTable {
  readonly commands: readonly TableCommand[];
  /** Of every command. */
  readonly options: readonly TableOption[];
}

/** Verbs of a command, by its name: lines "VERB ARGUMENTS   what it does", of which several may be for one verb. */
export type VerbTexts = Readonly<Record<string, string>>;

/** Exit codes of a command that has its own, by its name. */
export type ExitTexts = Readonly<Record<string, readonly ExitText[]>>;

/** What runs when no verb is given is written so in a verb text. */
const withoutVerb = "(none)";

export function readTable(cli: CAC, verbs: VerbTexts, exits: ExitTexts = {}): CommandTable {
  const common = cli.globalCommand.options.map(optionOf);
  return {
    options: common,
    commands: cli.commands.map((command) => ({
      ...commandOf(command, verbs[command.name] ?? "", common),
      exits: exits[command.name] ?? [],
    })),
  };
}

function commandOf(
  command: Command,
  verbText: string,
  common: readonly TableOption[],
): Omit<TableCommand, "exits"> {
  const verbs = verbText === "" ? [] : verbText.split("\n").map(verbOf);
  return {
    name: command.name,
    usage: command.rawName,
    description: command.description,
    arguments: command.args.map(({ value, required, variadic }) => ({
      name: value,
      isRequired: required,
      isRest: variadic,
      value: valueOf(value),
    })),
    verbs,
    options: [
      ...command.options
        .map(optionOf)
        .map((option) => ({ ...option, verbs: verbsOf(option, verbs) })),
      ...common,
    ],
    examples: command.examples.map((example) =>
      typeof example === "string" ? example : example("quorate"),
    ),
  };
}

function optionOf(option: Command["options"][number]): TableOption {
  const [, valueName = ""] = /[<[](?:\.\.\.)?([^>\]]+)[>\]]/.exec(option.rawName) ?? [];
  const given: unknown = option.config.default;
  // A switch that is on has no default worth a word; neither has an empty value, nor a zero that its text explains.
  const isWorthAWord = (typeof given === "string" || typeof given === "number") && given !== "";
  const isPlain = !isWorthAWord || given === 0 || option.isBoolean === true;
  return {
    raw: option.rawName,
    names: option.rawName.match(/(?<=^|[\s,])--?[\w-]+/g) ?? [],
    value: valueName === "" ? undefined : valueOf(valueName),
    valueName,
    description: option.description,
    default: isPlain ? undefined : String(given),
    // What help promises is what is checked.
    isRepeatable: /may be repeated/.test(option.description),
    verbs: undefined,
  };
}

/** What runs without a verb is called so in an option's text. */
const nameless = "server";

/**
 * From the end of an option's text: "(invite, certificates import)". An option that names no verb is of the command without one
 * where that is possible, as of the server, else of every verb; --root and --json are of every verb.
 */
function verbsOf(
  { names, description }: TableOption,
  verbs: readonly TableVerb[],
): readonly string[] | undefined {
  const [, end = ""] = /\(([^()]+)\)$/.exec(description) ?? [];
  const named = end.split(", ").map((words) => words.split(" ")[0] ?? "");
  const known = new Set(verbs.map(({ name }) => (name === "" ? nameless : name)));
  if (end !== "" && named.every((name) => known.has(name))) {
    return named.map((name) => (name === nameless ? "" : name));
  }
  return known.has(nameless) && !names.includes("--root") ? [""] : undefined;
}

function verbOf(line: string): TableVerb {
  const [, head = "", description = ""] = /^(.*?\S)\s{2,}(.*)$/.exec(line) ?? ["", line, ""];
  const [name = "", ...words] = head.split(" ");
  return {
    name: name === withoutVerb ? "" : name,
    words: words.join(" "),
    places: words
      .filter((word) => !/^\[?-/.test(word))
      .map((word) => valueOf(word.replace(/[[\]<>]/g, ""))),
    description,
  };
}

/** From the name of an argument or an option's value: `on|off` are words, `file`, `dir` and `command` mean what they say. */
function valueOf(name: string): Value {
  const words = name.split("|");
  if (words.some((word) => /^files?(?:\W|$)/i.test(word))) return { kind: "file" };
  if (/^dir(?:ectory)?$/i.test(name)) return { kind: "directory" };
  if (name === "command") return { kind: "command" };
  // In a verb's line capitals stand for what the operator fills in.
  if (words.length > 1 && words.every((word) => /^[a-z\d-]+$/.test(word))) {
    return { kind: "words", words };
  }
  return { kind: "any" };
}

/** The names of a command's verbs, once each, without the nameless one. */
export function verbNames(command: TableCommand): readonly string[] {
  return [...new Set(command.verbs.map(({ name }) => name))].filter((name) => name !== "");
}
