// `quorate completion bash|zsh|fish`: a script for the shell, whole in itself: completing never starts quorate. Written from the rules of
// `completion-rules.ts`; the three scripts walk the line alike.
import type { CommandTable, TableOption } from "../cli/table.ts";
import {
  type Choice,
  type CompletionRules,
  completionRules,
  type Offer,
  offerOf,
  optionChoices,
  valueOptions,
} from "./completion-rules.ts";

export function completionScript(shell: "bash" | "zsh" | "fish", table: CommandTable): string {
  const rules = completionRules(table);
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](rules);
}

function words(choices: readonly Choice[]): string {
  return choices.map(({ word }) => word).join(" ");
}

/** What each option's value may be, by "COMMAND:--option". */
function* valueRules(
  rules: CompletionRules,
): Generator<{ readonly key: string; readonly offer: Offer | undefined }> {
  for (const { command, options } of rules.options) {
    for (const { names, value } of options) {
      if (value === undefined) continue;
      const keys = names.map((name) => `${command}:${name}`);
      yield { key: keys.join(" | "), offer: offerOf(value, rules.commands) };
    }
  }
}

// — bash —

function bashOffer(what: Offer | undefined): string {
  if (what === undefined) return "wants=nothing";
  return what.kind === "choices"
    ? `wants=words values="${words(what.choices)}"`
    : `wants=${what.kind}`;
}

function bashScript(rules: CompletionRules): string {
  const values = [...valueRules(rules)].map(
    (rule) => `    ${rule.key}) ${bashOffer(rule.offer)} ;;`,
  );
  const options = rules.options.map(
    (rule) =>
      `        ${rule.command === "" ? '""' : rule.command}) values="${words(optionChoices(rule.options))}" ;;`,
  );
  const places = rules.places.map((rule) => `        ${rule.place}) ${bashOffer(rule.offer)} ;;`);
  return `# bash completion for quorate, made by "quorate completion bash".
# shellcheck shell=bash
_quorate() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  local command="" first="" count=0 at=1 word values="" wants=nothing
  # "--option=value" comes as three words.
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $before == "=" ]] && ((COMP_CWORD > 2)); then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  while ((at < COMP_CWORD)); do
    word=\${COMP_WORDS[at]}
    ((at += 1))
    case $command:$word in
    ${valueOptions(rules).join(" | \\\n    ")})
      [[ \${COMP_WORDS[at]-} == "=" ]] && ((at += 1))
      ((at += 1))
      continue
      ;;
    *:-* | *:=) continue ;;
    esac
    case $count in
    0) command=$word ;;
    1) first=$word ;;
    esac
    ((count += 1))
  done
  case $command:$before in
${values.join("\n")}
  *)
    if [[ $current == -* ]]; then
      wants=words
      case $command in
${options.join("\n")}
      esac
    else
      case $command:$first:$count in
${places.join("\n")}
      esac
    fi
    ;;
  esac
  COMPREPLY=()
  case $wants in
  words) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
  files)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    ;;
  directories)
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    ;;
  esac
}
complete -F _quorate quorate
`;
}

// — zsh —

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function zshList(choices: readonly Choice[]): string {
  return choices
    .map(({ word, what }) =>
      quoted(what === "" ? word : `${word}:${what.replaceAll("\\", "\\\\")}`),
    )
    .join(" ");
}

function zshOffer(what: Offer | undefined): string {
  switch (what?.kind) {
    case undefined:
      return "_message value";
    case "files":
      return "_files";
    case "directories":
      return "_files -/";
    case "choices":
      return `choices=(${zshList(what.choices)}); _describe -t values value choices`;
  }
}

function zshScript(rules: CompletionRules): string {
  const values = [...valueRules(rules)].map(
    (rule) => `    (${rule.key.replaceAll(" | ", "|")}) ${zshOffer(rule.offer)} ;;`,
  );
  const options = rules.options.map(
    (rule) =>
      `        (${rule.command === "" ? "''" : rule.command}) choices=(${zshList(optionChoices(rule.options))}) ;;`,
  );
  const places = rules.places.map((rule) => `        (${rule.place}) ${zshOffer(rule.offer)} ;;`);
  return `#compdef quorate
# zsh completion for quorate, made by "quorate completion zsh".
_quorate() {
  local command='' first='' word before=$words[CURRENT-1]
  local -i count=0 at=2
  local -a choices
  if [[ $words[CURRENT] == --*=* ]]; then
    before=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  while (( at < CURRENT )); do
    word=$words[at]
    (( at += 1 ))
    case $command:$word in
    (${valueOptions(rules).join("|\\\n    ")})
      (( at += 1 ))
      continue
      ;;
    (*:-*) continue ;;
    esac
    case $count in
    (0) command=$word ;;
    (1) first=$word ;;
    esac
    (( count += 1 ))
  done
  case $command:$before in
${values.join("\n")}
  (*)
    if [[ $words[CURRENT] == -* ]]; then
      case $command in
${options.join("\n")}
      esac
      _describe -o -t options option choices
    else
      case $command:$first:$count in
${places.join("\n")}
      esac
    fi
    ;;
  esac
}
if [[ $funcstack[1] == _quorate ]]; then
  _quorate "$@"
else
  compdef _quorate quorate
fi
`;
}

// — fish —

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function fishScript(rules: CompletionRules): string {
  return `# fish completion for quorate, made by "quorate completion fish".
function __quorate_place
    set -l words (commandline -opc)
    set -e words[1]
    set -l command ''
    set -l first ''
    set -l count 0
    set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
            continue
        end
        switch "$command:$word"
            case ${valueOptions(rules).join(" ")}
                set skip yes
            case '*:-*'
                # An option alone, or with its value behind "=".
            case '*'
                switch $count
                    case 0
                        set command $word
                    case 1
                        set first $word
                end
                set count (math $count + 1)
        end
    end
    echo "$command:$first:$count"
end
function __quorate_at
    string match -q -- $argv[1] (__quorate_place)
end
complete -c quorate -e
complete -c quorate -f
${[...fishPlaces(rules), ...fishOptions(rules)].join("\n")}
`;
}

function* fishPlaces(rules: CompletionRules): Generator<string> {
  for (const { place, offer } of rules.places) {
    const condition = `complete -c quorate -n ${fishQuoted(`__quorate_at '${place}'`)}`;
    if (offer.kind === "files") yield `${condition} -F`;
    else if (offer.kind === "directories") yield `${condition} -a '(__fish_complete_directories)'`;
    else {
      for (const { word, what } of offer.choices) {
        yield `${condition} -a ${word}${what === "" ? "" : ` -d ${fishQuoted(what)}`}`;
      }
    }
  }
}

function* fishOptions(rules: CompletionRules): Generator<string> {
  for (const { command, options } of rules.options) {
    const place = command === "" ? "::0" : `${command}:*`;
    const condition = `complete -c quorate -n ${fishQuoted(`__quorate_at '${place}'`)}`;
    for (const option of options) {
      yield `${condition}${fishNames(option)}${fishValue(option, rules)} -d ${fishQuoted(option.description)}`;
    }
  }
}

function fishNames({ names }: TableOption): string {
  return names
    .map((name) => (name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`))
    .join("");
}

function fishValue({ value }: TableOption, rules: CompletionRules): string {
  if (value === undefined) return "";
  const offer = offerOf(value, rules.commands);
  switch (offer?.kind) {
    case undefined:
      return " -x";
    case "files":
      return " -r -F";
    case "directories":
      return " -x -a '(__fish_complete_directories)'";
    case "choices":
      return ` -x -a ${fishQuoted(words(offer.choices))}`;
  }
}
