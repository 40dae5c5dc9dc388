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
  /** What our nodes promise; without it as they do by themselves. */
  readonly durability?: string;
}

const roundsMax = 100;

export type OwnChoice = "pmxcfs" | "binary" | "durability";

/** A sentence when they cannot be used. `own`: what this bench takes beside what all take. */
export function choicesFrom(words: readonly string[], own: readonly OwnChoice[]): Choices | string {
  let quick = false;
  let json = false;
  let rounds: number | undefined;
  const given: Partial<Record<OwnChoice, string>> = {};
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--quick") quick = true;
    else if (word === "--json") json = true;
    else {
      const value = words[at + 1];
      const name = own.find((each) => word === `--${each}`);
      if (name === undefined && word !== "--rounds") return unknown(word, own);
      if (value === undefined) return `${word} needs a value`;
      at += 1;
      if (name !== undefined) {
        const isFile = name !== "durability";
        if (isFile && !existsSync(value)) return `${word}: there is no file ${value}`;
        given[name] = isFile ? resolve(value) : value;
        continue;
      }
      rounds = Number(value);
      if (!Number.isSafeInteger(rounds) || rounds < 1 || rounds > roundsMax) {
        return `--rounds: "${value}" is no number of 1 to ${roundsMax}`;
      }
    }
  }
  return { quick, json, rounds: rounds ?? (quick ? 1 : 5), ...given };
}

function unknown(word: string, own: readonly OwnChoice[]): string {
  const named = own.map((name) => `--${name} ${name === "durability" ? "WORD" : "FILE"}`);
  const options = ["--quick", "--json", "--rounds N", ...named];
  return `there is no "${word}" here; there are ${options.join(", ")}`;
}
