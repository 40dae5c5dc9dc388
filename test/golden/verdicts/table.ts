// verdicts.tsv: what Debian's corosync made of each file of corpus.ts. One line a case, sorted as the corpus is.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, cases } from "./corpus.ts";

/** "crashed": it ended by a signal, which is a refusal as well. "none": not asked. */
export type Word = "accepted" | "refused" | "crashed" | "none";

export interface Verdict {
  readonly name: string;
  readonly start: Word;
  /** Of a node that runs with the good file. */
  readonly reload: Word;
  /** What the start was refused with; "" when it was not. */
  readonly reason: string;
}

const folder = import.meta.dir;
export const tablePath = join(folder, "verdicts.tsv");

export function allCases(): Case[] {
  const errors = join(folder, "../config-errors");
  const names = readdirSync(errors).filter((file) => file.endsWith(".conf"));
  return cases(
    names
      .toSorted()
      .map((file) => [file.slice(0, -".conf".length), readFileSync(join(errors, file), "latin1")]),
  );
}

export function readTable(): Verdict[] {
  const lines = readFileSync(tablePath, "latin1").trimEnd().split("\n");
  return lines.map((line) => {
    const [name = "", start = "", reload = "", reason = ""] = line.split("\t");
    return { name, start: word(start), reload: word(reload), reason };
  });
}

export function tableText(verdicts: readonly Verdict[]): string {
  return verdicts
    .map(({ name, start, reload, reason }) => `${name}\t${start}\t${reload}\t${reason}\n`)
    .join("");
}

function word(text: string): Word {
  const words: readonly Word[] = ["accepted", "refused", "crashed", "none"];
  const found = words.find((each) => each === text);
  if (found === undefined) throw new Error(`verdicts.tsv: "${text}" is no verdict`);
  return found;
}
