// Cuts a command line into words as the original does for heuristics (qnetd.md §3.7): no shell, no expansion. Pure.

export interface HeuristicsCommand {
  readonly name: string;
  /** The program, an absolute path, and its arguments. */
  readonly words: readonly string[];
}

/** Words between blanks; double quotes and backslashes quote. Undefined: a quote has no end, or there is no word. */
export function splitCommand(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (char === "\\" && at + 1 < line.length) {
      at += 1;
      word = (word ?? "") + line.charAt(at);
    } else if (char === '"') {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (!isQuoted && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (isQuoted) return undefined;
  if (word !== undefined) words.push(word);
  return words.length > 0 ? words : undefined;
}
