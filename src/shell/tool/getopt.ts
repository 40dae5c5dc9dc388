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

/**
 * As `getopt`, with long options too, which may be shortened: `long` gives the letter that each stands for, and that letter stands in
 * `letters` when it may be given alone. A letter with ":" behind it, there or here, takes a value.
 */
export function* getoptLong(
  args: readonly string[],
  letters: string,
  long: Readonly<Record<string, string>>,
): Generator<Option | string, void, undefined> {
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    if (word === "--") return;
    if (!word.startsWith("--")) {
      // A single letter may take its value from the next word.
      let used = 0;
      const rest = args.slice(at);
      const needsNext = takesNextWord(word, letters);
      for (const option of getopt(rest.slice(0, needsNext ? 2 : 1), letters)) {
        yield option;
        used = needsNext ? 1 : 0;
      }
      at += used;
      continue;
    }
    const [given = "", ...values] = word.slice(2).split("=");
    const names = Object.keys(long).filter((known) => known.startsWith(given));
    const exact = names.includes(given) ? given : names[0];
    if (exact === undefined) {
      yield `unrecognized option '--${given}'`;
      continue;
    }
    if (names.length > 1 && exact !== given) {
      yield `option '--${given}' is ambiguous; possibilities: ${names.map((one) => `'--${one}'`).join(" ")}`;
      continue;
    }
    const letter = long[exact]?.[0] ?? "";
    const takesValue = long[exact]?.endsWith(":") === true;
    if (!takesValue) {
      if (values.length > 0) yield `option '--${exact}' doesn't allow an argument`;
      else yield { letter, value: "" };
      continue;
    }
    const value = values.length > 0 ? values.join("=") : args[(at += 1)];
    yield value === undefined ? `option '--${exact}' requires an argument` : { letter, value };
  }
}

/** True when the last letter of a word of options takes a value and the word ends there. */
function takesNextWord(word: string, letters: string): boolean {
  if (!/^-./.test(word)) return false;
  for (let place = 1; place < word.length; place += 1) {
    const found = letters.indexOf(word[place] ?? "");
    if (found >= 0 && letters[found + 1] === ":") return place === word.length - 1;
  }
  return false;
}

/** The words among `args` that are neither options nor their values, in their order. */
export function operands(args: readonly string[], letters: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    if (word === "--") return [...found, ...args.slice(at + 1)];
    if (!/^-./.test(word)) found.push(word);
    else if (takesNextWord(word, letters)) at += 1;
  }
  return found;
}
