// Single-letter options as C's getopt reads them, for the programs that quorate answers for (qnetd.md §5): letters may be joined,
// words that are no options may stand between them, "--" ends them.

export type Option = { readonly letter: string; readonly value: string };

/** `letters` as for getopt: a letter with ":" behind it takes a value. A string is the complaint that getopt prints. */
export function* getopt(
  args: readonly string[],
  letters: string,
): Generator<Option | string, void, undefined> {
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    if (word === "--") return;
    if (!/^-./.test(word)) continue;
    for (let place = 1; place < word.length; place += 1) {
      const letter = word[place] ?? "";
      const found = letter === ":" ? -1 : letters.indexOf(letter);
      if (found < 0) {
        yield `invalid option -- '${letter}'`;
      } else if (letters[found + 1] === ":") {
        const joined = word.slice(place + 1);
        const value = joined === "" ? args[(at += 1)] : joined;
        yield value === undefined
          ? `option requires an argument -- '${letter}'`
          : { letter, value };
        break;
      } else {
        yield { letter, value: "" };
      }
    }
  }
}
