// What may stand where on the command line, as a list of rules that each shell's script carries: one source for bash, zsh and fish
// (issue 4, first contact). A place is "COMMAND:FIRST:COUNT": the command, its first argument (a verb mostly) and how many words
// that are no options stand before the cursor, the command among them.
import type { CommandTable, TableCommand, TableOption, TableVerb } from "../cli/table.ts";
import type { Value } from "../cli/values.ts";
import { oneLine, optionText } from "./help.ts";

export interface Choice {
  readonly word: string;
  readonly what: string;
}

/** What is offered at a place. */
export type Offer =
  | { readonly kind: "choices"; readonly choices: readonly Choice[] }
  | { readonly kind: "files" }
  | { readonly kind: "directories" };

export interface PlaceRule {
  /** With "*" for any; the first rule that matches counts. */
  readonly place: string;
  readonly offer: Offer;
}

export interface OptionRule {
  /** "" for a line that has no command yet. */
  readonly command: string;
  readonly options: readonly TableOption[];
}

export interface CompletionRules {
  readonly title: string;
  readonly options: readonly OptionRule[];
  readonly places: readonly PlaceRule[];
  readonly commands: readonly Choice[];
}

export function completionRules(table: CommandTable): CompletionRules {
  const commands = table.commands.map(({ name, description }) => ({
    word: name,
    what: description,
  }));
  return {
    title: oneLine,
    commands,
    options: [
      { command: "", options: table.options },
      ...table.commands.map(({ name, options }) => ({ command: name, options })),
    ],
    places: [
      { place: "::0", offer: { kind: "choices", choices: commands } },
      ...table.commands.flatMap((command) => placesOf(command, commands)),
    ],
  };
}

function placesOf(command: TableCommand, commands: readonly Choice[]): readonly PlaceRule[] {
  const { name, verbs, action } = command;
  if (verbs.length === 0) return argumentRules(`${name}:*`, 1, action, commands);
  const choices = verbs.map((verb) => ({ word: verb.name, what: verb.forms[0]?.[1] ?? "" }));
  return [
    { place: `${name}:*:1`, offer: { kind: "choices", choices } },
    ...verbs.flatMap((verb) => argumentRules(`${name}:${verb.name}`, 2, verb, commands)),
  ];
}

/** Where the first argument has `count` words before it. */
function argumentRules(
  line: string,
  count: number,
  verb: TableVerb | undefined,
  commands: readonly Choice[],
): readonly PlaceRule[] {
  return (verb?.arguments ?? []).flatMap(({ value, isRest }, at) => {
    const offer = offerOf(value, commands);
    const place = `${line}:${isRest ? "*" : at + count}`;
    return offer === undefined ? [] : [{ place, offer }];
  });
}

/** Undefined when only the operator knows. */
export function offerOf(value: Value, commands: readonly Choice[]): Offer | undefined {
  switch (value.kind) {
    case "any":
      return undefined;
    case "file":
      return { kind: "files" };
    case "directory":
      return { kind: "directories" };
    case "command":
      return { kind: "choices", choices: commands };
    case "words":
      return { kind: "choices", choices: value.words.map((word) => ({ word, what: "" })) };
  }
  return value.kind satisfies never;
}

/** "COMMAND:--option" of all options that take the next word. */
export function valueOptions(rules: CompletionRules): readonly string[] {
  return rules.options.flatMap(({ command, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ names }) => names.map((name) => `${command}:${name}`)),
  );
}

/** The options as choices. */
export function optionChoices(options: readonly TableOption[]): readonly Choice[] {
  return options.flatMap((option) =>
    option.names.map((name) => ({ word: name, what: optionText(option) })),
  );
}
