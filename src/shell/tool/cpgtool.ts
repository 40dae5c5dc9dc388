// `corosync-cpgtool` (services.md §7.4): the closed process groups of the cluster and the processes in them, with the original's options,
// text and exit codes.
import type { GroupListing } from "../cmap/group-listing.ts";
import { getopt } from "./getopt.ts";
import { sayUnreachable } from "./node-tool.ts";

const name = "corosync-cpgtool";
const unreachable = "Could not initialize corosync cpg API error 2";
const letters = "d:enh";
const exits = { done: 0, failed: 1 } as const;
const usage = [
  `${name} [-d delimiter] [-e] [-n] [-h]`,
  "",
  "A tool for displaying cpg groups and members.",
  "options:",
  "\t-d\tDelimiter between fields.",
  "\t-e\tDon't escape unprintable characters in group name.",
  "\t-n\tDisplay only all existing group names.",
  "\t-h\tDisplay this help.",
  "",
].join("\n");

export interface CpgtoolOptions {
  readonly args: readonly string[];
  /** Groups by name, members by node and process; rejects when no node answers. */
  readonly groups: () => Promise<readonly GroupListing[]>;
  readonly write: (text: string | Uint8Array) => void;
  readonly writeError: (text: string) => void;
}

interface Order {
  /** One character; "": the table. */
  readonly delimiter: string;
  readonly isEscaped: boolean;
  readonly isNamesOnly: boolean;
}

/** Runs one call; answers the exit code. */
export async function cpgtool(options: CpgtoolOptions): Promise<number> {
  const { write, writeError } = options;
  let order: Order = { delimiter: "", isEscaped: true, isNamesOnly: false };
  for (const option of getopt(options.args, letters)) {
    if (typeof option === "string") {
      writeError(`${name}: ${option}\n`);
      return exits.failed;
    }
    if (option.letter === "h") {
      write(usage);
      return exits.done;
    }
    if (option.letter === "d") order = { ...order, delimiter: delimiterOf(option.value) };
    else if (option.letter === "e") order = { ...order, isEscaped: false };
    else order = { ...order, isNamesOnly: true };
  }
  try {
    write(bytes(cpgtoolText(await options.groups(), order)));
    return exits.done;
  } catch (error) {
    sayUnreachable(error, unreachable, writeError);
    return exits.failed;
  }
}

/** Its first byte. */
function delimiterOf(word: string): string {
  return Buffer.from(word).toString("latin1").slice(0, 1);
}

/** What is printed, as a byte string. */
export function cpgtoolText(groups: readonly GroupListing[], order: Order): string {
  const { delimiter, isEscaped, isNamesOnly } = order;
  const shown = (group: string): string => (isEscaped ? escaped(group) : group);
  if (isNamesOnly) {
    const end = delimiter === "" ? "\n" : delimiter;
    const names = groups.map(({ group }) => shown(group) + end).join("");
    return delimiter === "" ? names : `${names}\n`;
  }
  if (delimiter !== "") {
    const rows = groups.flatMap(({ group, members }) =>
      members.map(({ pid, nodeid }) => [shown(group), pid, nodeid]),
    );
    return [["GRP_NAME", "PID", "NODEID"], ...rows]
      .map((row) => `${row.join(delimiter)}\n`)
      .join("");
  }
  const lines = groups.flatMap(({ group, members }) => [
    shown(group),
    ...members.map(
      ({ pid, nodeid, addresses }) => `\t\t${wide(pid)}\t${wide(nodeid)} (${addresses.join(" ")})`,
    ),
  ]);
  return ["Group Name\t       PID\t   Node ID", ...lines].map((line) => `${line}\n`).join("");
}

function wide(value: number): string {
  return String(value).padStart(10);
}

/** Unprintable bytes as "\\x00", a backslash doubled; the original prints a char as an int, which is negative above 127. */
function escaped(group: string): string {
  return group.replace(/[^\x20-\x5b\x5d-\x7e]/g, (byte) => {
    if (byte === "\\") return "\\\\";
    const code = byte.charCodeAt(0);
    const hex = code.toString(16).toUpperCase().padStart(2, "0");
    return code < 0x80 ? `\\x${hex}` : `\\xFFFFFF${hex}`;
  });
}

/** A byte string for a stream, which would write text as UTF-8. */
function bytes(text: string): string | Uint8Array {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, "latin1");
}
