// The command table: what each verb takes, does and says is declared once, as data. Help, manual pages, shell completion, the reading of
// a line and what is said about a wrong one all come from it. It runs nothing and prints nothing.
import { type ExitText, exitTexts } from "../exit.ts";
import { type Value, anyWord } from "./values.ts";

/** A word as the value that it is; a CommandFailure for one that is not taken. */
export type Reader = <T>(value: Value<T>, word: string) => T;

interface Input<T> {
  /** What the verb is given for the words that were written; of a switch, an empty one each time. */
  readonly read: (words: readonly string[], read: Reader) => T;
}

export interface TableOption<T = unknown> extends Input<T> {
  /** As in help: "--tls <mode>", "-h, --help". */
  readonly raw: string;
  /** With their dashes, the long one last: "-h", "--help". */
  readonly names: readonly string[];
  /** Undefined for a switch. */
  readonly value: Value | undefined;
  /** In a command of verbs it ends with those that take it, unless all do. */
  readonly description: string;
  /** Undefined when there is none. */
  readonly default: string | undefined;
  readonly isRepeatable: boolean;
  /** The form of its verb that takes it, where there are several: "ADDRESS". */
  readonly form: string | undefined;
}

interface OptionExtras {
  /** One letter. */
  readonly short?: string;
  readonly form?: string;
}

function optionOf(
  name: string,
  value: Value | undefined,
  description: string,
  { short, form }: OptionExtras = {},
): Omit<TableOption, "read"> {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`];
  const raw = `${names.join(", ")}${value === undefined ? "" : ` <${value.name}>`}`;
  return { raw, names, value, description, form, default: undefined, isRepeatable: false };
}

/** A switch; `name` is the long one, without dashes. */
export function flag(
  name: string,
  description: string,
  extras?: OptionExtras,
): TableOption<boolean> {
  const made = optionOf(name, undefined, description, extras);
  return { ...made, read: (words) => words.length > 0 };
}

/** An option with a value, given once. */
export function option<T>(
  name: string,
  value: Value<T>,
  description: string,
  extras?: OptionExtras,
): TableOption<T | undefined> {
  return { ...optionOf(name, value, description, extras), read: optional(value).read };
}

export function optionWithDefault<T extends string>(
  name: string,
  value: Value<T>,
  fallback: NoInfer<T>,
  description: string,
): TableOption<T> {
  const { read, ...made } = option(name, value, description);
  return { ...made, default: fallback, read: (words, by) => read(words, by) ?? fallback };
}

/** An option that may be given several times. */
export function repeated<T>(
  name: string,
  value: Value<T>,
  description: string,
): TableOption<readonly T[]> {
  const made = optionOf(name, value, `${description}; may be repeated`);
  return { ...made, isRepeatable: true, read: rest(value).read };
}

export interface TableArgument<T = unknown> extends Input<T> {
  readonly value: Value;
  readonly isRequired: boolean;
  /** The last one may take all words that are left. */
  readonly isRest: boolean;
}

/** The count of words is checked before. */
export function required<T>(value: Value<T>): TableArgument<T> {
  return { value, isRequired: true, isRest: false, read: ([word = ""], read) => read(value, word) };
}

export function optional<T>(value: Value<T>): TableArgument<T | undefined> {
  return {
    value,
    isRequired: false,
    isRest: false,
    read: ([word], read) => (word === undefined ? undefined : read(value, word)),
  };
}

export function rest<T>(value: Value<T>): TableArgument<readonly T[]> {
  return {
    value,
    isRequired: false,
    isRest: true,
    read: (words, read) => words.map((word) => read(value, word)),
  };
}

type Inputs = Readonly<Record<string, TableArgument | TableOption>>;
type Given<I> = { readonly [K in keyof I]: I[K] extends Input<infer T> ? T : never };

interface Action<I> {
  /** Arguments in their order on the line, and options in that of the help. */
  readonly takes: I;
  /** Loads what it needs and does it; the exit code. Gets what it takes by the names it is declared with. */
  readonly run: (given: Given<I>) => Promise<number>;
}

export interface TableVerb {
  /** "" for what a command does without a verb. */
  readonly name: string;
  /** Arguments as written, and what it does with them: mostly one form. */
  readonly forms: readonly (readonly [words: string, description: string])[];
  readonly arguments: readonly TableArgument[];
  readonly options: readonly TableOption[];
  /** Reads all that was written, by `read`; nothing is done yet. */
  readonly prepare: (read: <T>(input: TableArgument<T> | TableOption<T>) => T) => PreparedVerb;
}

export interface PreparedVerb {
  /** By the names that arguments and options are declared with. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly run: () => Promise<number>;
}

/** One verb of a command; its description is one line, or one for each form of its arguments where those need more than names. */
export function verb<I extends Inputs>(
  name: string,
  description: string | TableVerb["forms"],
  { takes, run }: Action<I>,
): TableVerb {
  const inputs = Object.entries<TableArgument | TableOption>(takes);
  const all = inputs.flatMap(([, input]) => ("names" in input ? [] : [input]));
  return {
    name,
    forms:
      typeof description === "string" ? [[all.map(verbWord).join(" "), description]] : description,
    arguments: all,
    options: inputs.flatMap(([, input]) => ("names" in input ? [input] : [])),
    prepare: (read) => {
      const given = Object.fromEntries(inputs.map(([key, input]) => [key, read(input)]));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- under each key of I stands what its own input has read
      return { given, run: () => run(given as Given<I>) };
    },
  };
}

export interface TableCommand extends Required<CommandTexts> {
  readonly name: string;
  /** What stands behind its name: its arguments, or a verb and the verb's. */
  readonly arguments: readonly TableArgument[];
  /** What it does without a verb; undefined: it needs one. */
  readonly action: TableVerb | undefined;
  readonly verbs: readonly TableVerb[];
  /** All that it takes, and those of every command. */
  readonly options: readonly TableOption[];
}

export type FileText = readonly [path: string, what: string];

interface CommandTexts {
  readonly description: string;
  readonly examples: readonly string[];
  /** Paragraphs of the manual page. */
  readonly manual: readonly string[];
  /** Path, and what it is to this command. */
  readonly files?: readonly FileText[];
  /** Without: those of every command (exit.ts). */
  readonly exits?: readonly ExitText[];
}

export interface CommandTable {
  readonly commands: readonly TableCommand[];
  /** Of every command. */
  readonly options: readonly TableOption[];
}

/** Of every command. */
export const globalOptions: readonly TableOption[] = [
  flag("help", "What it does, its options and examples", { short: "h" }),
  flag("version", "Version, commit, target and runtime", { short: "v" }),
];

export function tableOf(commands: readonly TableCommand[]): CommandTable {
  return { commands, options: globalOptions };
}

/** A command that does one thing. */
export function command<I extends Inputs>(
  name: string,
  { takes, run, ...texts }: CommandTexts & Action<I>,
): TableCommand {
  const action = verb("", texts.description, { takes, run });
  return {
    ...{ name, files: [], exits: exitTexts, ...texts },
    arguments: action.arguments,
    action,
    verbs: [],
    options: [...action.options, ...globalOptions],
  };
}

/** A command of several verbs; the one of the name "" is what it does without any. */
export function commandOfVerbs(
  name: string,
  { verbs: all, ...texts }: CommandTexts & { readonly verbs: readonly TableVerb[] },
): TableCommand {
  const action = all.find((each) => each.name === "");
  return {
    ...{ name, files: [], exits: exitTexts, ...texts },
    arguments: [
      (action === undefined ? required : optional)(anyWord("verb")),
      rest(anyWord("args")),
    ],
    action,
    verbs: all.filter((each) => each !== action),
    options: [...collected(all), ...globalOptions],
  };
}

/** The nameless verb is called so in an option's text. */
const nameless = "server";

/** The options of all verbs once each; the text ends with those that take it, but not for all nor for the nameless one alone. */
function collected(verbs: readonly TableVerb[]): readonly TableOption[] {
  const options = new Set(verbs.flatMap((each) => each.options));
  return [...options].map((each) => {
    const takers = verbs.filter((taker) => taker.options.includes(each)).map(({ name }) => name);
    if (takers.length === verbs.length || takers.join("") === "") return each;
    const form = each.form === undefined ? "" : ` ${each.form}`;
    const names = takers.map((name) => `${name === "" ? nameless : name}${form}`);
    return { ...each, description: `${each.description} (${names.join(", ")})` };
  });
}

/** In the line of a verb. */
function verbWord({ value, isRequired, isRest }: TableArgument): string {
  return isRequired ? value.name : `[${value.name}${isRest ? "…" : ""}]`;
}

/** "--help" */
export function longName({ names }: TableOption): string {
  return names.at(-1) ?? "";
}

/** The names of a command's verbs. */
export function verbNames(from: TableCommand): readonly string[] {
  return from.verbs.map(({ name }) => name);
}

/** True when the verb takes the option of this name, short or long; those of every command are none of a verb's. */
export function takesOption(taker: TableVerb, name: string): boolean {
  return taker.options.some(({ names }) => names.includes(name));
}
