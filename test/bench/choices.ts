// The words behind `npm run bench -- ring` and `-- tree`, checked before anything is done.
import { existsSync } from "node:fs";
import { resolve } from "node:path";

export interface Choices {
  /** The short form: what is steady on a busy machine, held against ratios.tsv. */
  readonly quick: boolean;
  readonly json: boolean;
  readonly rounds: number;
  /** A pmxcfs to run beside us. */
  readonly pmxcfs?: string;
  /** The executable in place of the source. */
  readonly binary?: string;
}

const roundsMax = 100;

/** A sentence when they cannot be used. `paths`: the options with a file that this bench takes. */
export function choicesFrom(
  words: readonly string[],
  paths: readonly ("pmxcfs" | "binary")[],
): Choices | string {
  let quick = false;
  let json = false;
  let rounds: number | undefined;
  const files: { pmxcfs?: string; binary?: string } = {};
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--quick") quick = true;
    else if (word === "--json") json = true;
    else {
      const value = words[at + 1];
      const path = paths.find((name) => word === `--${name}`);
      if (path === undefined && word !== "--rounds") return unknown(word, paths);
      if (value === undefined) return `${word} needs a value`;
      at += 1;
      if (path !== undefined) {
        if (!existsSync(value)) return `${word}: there is no file ${value}`;
        files[path] = resolve(value);
        continue;
      }
      rounds = Number(value);
      if (!Number.isSafeInteger(rounds) || rounds < 1 || rounds > roundsMax) {
        return `--rounds: "${value}" is no number of 1 to ${roundsMax}`;
      }
    }
  }
  return { quick, json, rounds: rounds ?? (quick ? 1 : 5), ...files };
}

function unknown(word: string, paths: readonly string[]): string {
  const options = ["--quick", "--json", "--rounds N", ...paths.map((path) => `--${path} FILE`)];
  return `there is no "${word}" here; there are ${options.join(", ")}`;
}
