// The recordings of corosync's own tools (tools/INDEX.tsv, services.md §7): what each printed, standard error first, and its exit status, in
// a situation on a node.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { comparable } from "./cmap-lines.ts";

const directory = join(import.meta.dir, "tools");

export interface ToolRow {
  readonly file: string;
  /** "3n-healthy"; for a tool without a daemon "daemon-down". */
  readonly situation: string;
  /** Where the tool was run; undefined: nowhere a daemon is. */
  readonly nodeid: number | undefined;
  readonly program: string;
  readonly args: readonly string[];
  readonly code: number;
  /** Normalised. */
  readonly text: string;
}

/** A change of a text before it is compared: what differs between any two runs of the original as well. */
type Normaliser = (text: string) => string;

const byProgram: Readonly<Record<string, readonly Normaliser[]>> = {
  "corosync-quorumtool": [
    (text) => text.replaceAll(/^(Date: +)\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/gm, "$1<date>"),
    // The representative is told by the members; the sequence by how often rings were formed on the way here.
    (text) => text.replaceAll(/^(Ring ID: +\d+\.)[0-9a-f]+$/gm, "$1<seq>"),
  ],
  "corosync-cmapctl": [comparable],
};

export const toolRows: readonly ToolRow[] = readFileSync(join(directory, "INDEX.tsv"), "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => {
    const [file = "", code = "", command = ""] = line.split("\t");
    const [program = "", ...args] = command.split(" ");
    const parts = /^(?<situation>[^.]+)(?:\.n(?<nodeid>\d))?\./.exec(file)?.groups;
    const nodeid = parts?.["nodeid"];
    return {
      file,
      situation: parts?.["situation"] ?? "",
      nodeid: nodeid === undefined ? undefined : Number(nodeid),
      program,
      args,
      code: Number(code.replace("rc=", "")),
      text: normalised(program, readFileSync(join(directory, file), "utf8")),
    };
  });

/** Rows that change something: a story runs them by name, where they belong. */
export function isActing({ program, args }: ToolRow): boolean {
  const letters: Readonly<Record<string, RegExp>> = {
    "corosync-quorumtool": /^-[evf]$/,
    "corosync-cfgtool": /^-[RLkH]$/,
    "corosync-cmapctl": /^-[sd]$/,
  };
  return args.some((word) => letters[program]?.test(word) === true);
}

export function normalised(program: string, text: string): string {
  return (byProgram[program] ?? []).reduce((result, one) => one(result), text);
}
