// What may stand where on the command line, as a list of rules that each shell's script carries: one source for bash, zsh and fish
// (issue 4, first contact). A place is "COMMAND:FIRST:COUNT": the command, its first argument (a verb mostly) and how many words
// that are no options stand before the cursor, the command among them.
import type { CommandTable, TableCommand, TableOption, Value } from "../cli/table.ts";
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
  const { name, verbs } = command;
  if (verbs.length === 0) {
    return command.arguments.flatMap(({ value, isRest }, at) =>
      rule(`${name}:*:${isRest ? "*" : at + 1}`, value, commands),
    );
  }
  const places = new Map<string, PlaceRule>();
  for (const verb of verbs) {
    verb.places.forEach((value, at) => {
      // "FILE…" is as many as one likes.
      const isRest = /…/.test(verb.words) && at === verb.places.length - 1;
      const place = `${name}:${verb.name}:${isRest ? "*" : at + 2}`;
      for (const each of rule(place, value, commands)) {
        if (!places.has(place)) places.set(place, each);
      }
    });
  }
  return [
    { place: `${name}:*:1`, offer: { kind: "choices", choices: verbChoices(command) } },
    ...places.values(),
  ];
}

/** A verb with several lines is offered with its first. */
function verbChoices({ verbs }: TableCommand): readonly Choice[] {
  const named = verbs.filter(({ name }) => name !== "");
  return named
    .filter(({ name }, at) => named.findIndex((each) => each.name === name) === at)
    .map(({ name, description }) => ({ word: name, what: description }));
}

function rule(place: string, value: Value, commands: readonly Choice[]): readonly PlaceRule[] {
  const offer = offerOf(value, commands);
  return offer === undefined ? [] : [{ place, offer }];
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
  return value satisfies never;
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
